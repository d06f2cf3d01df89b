"""The one place where commands ask whether a resource is valid R4, and by which profiles."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from fhirbridge.fhir import packages
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue


def judge(
    raw: bytes, *, made: Mapping[str, Any] | None = None, profiles: Sequence[str] = ()
) -> list[Issue]:
    """Every issue of the resource in these bytes; `made` is what they say, where that is known.

    The profiles of meta.profile count too, where they are known.
    """
    try:
        resource = fhir_json.parse(raw) if made is None else made
    except BridgeError as fault:
        return list(fault.issues)
    return validate(resource, profiles=profiles)


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
