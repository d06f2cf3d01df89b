"""Whether a resource of a file is valid R4, and by which profiles."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from importlib import resources

from fhirbridge.fhir import packages
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import judged_json
from fhirbridge.outcome import BridgeError, Issue


def judge(raw: bytes, *, profiles: Sequence[str] = (), advice: bool = True) -> list[Issue]:
    """Every issue of the resource in these bytes, by R4, the profiles that it claims and those
    given. Without advice an accepted resource has none, and is judged at once.
    """
    try:
        if not advice:
            return judged_json.judge(raw, profiles=profiles).issues
        return validate(judged_json.parse(raw), profiles=profiles)
    except BridgeError as fault:
        return list(fault.issues)


def refuse_unknown(profiles: Sequence[str]) -> None:
    """Raise `BridgeError` for every URL that is no profile of ours, with those that are near."""
    unknown = [url for url in profiles if packages.profile(url) is None]
    if unknown:
        raise BridgeError(*(_unknown(url, _known()) for url in unknown))


def _known() -> list[str]:
    text = resources.files("fhirbridge.fhir").joinpath("profiles.json").read_text(encoding="utf-8")
    return [*json.loads(text)["profiles"]]


def _unknown(url: str, known: Sequence[str]) -> Issue:
    """Near is what ends alike: the hosts and paths of profiles are much the same."""
    ends = {one.rpartition("/")[2].lower(): one for one in known}
    close = difflib.get_close_matches(url.rpartition("/")[2].lower()[:64], ends, n=3, cutoff=0.5)
    remedy = f"did you mean {' or '.join(ends[end] for end in close)}?"
    return Issue(
        "not-found",
        "there is no such profile here",
        remedy if close else "give the URL of a profile of R4, US Core or mCODE",
        place=f"--profile {url}",
    )
