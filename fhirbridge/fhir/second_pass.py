"""What is judged once a resource's base rules hold: its profiles, vital signs and extensions.

Waits for the end of the walk, so that references into a Bundle meet resources that are judged too
(https://hl7.org/fhir/R4/validation.html).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fhirbridge.fhir import extensions, packages, vital_signs
from fhirbridge.fhir.findings import Findings
from fhirbridge.fhir.profiles import Profiler
from fhirbridge.fhir.surroundings import Surroundings
from fhirbridge.outcome import Issue


class _Resource(NamedTuple):
    body: Mapping[str, Any]
    path: str
    around: Surroundings
    profiles: tuple[str, ...]
    issues: Findings


class _Extension(NamedTuple):
    body: Mapping[str, Any]
    path: str
    around: Surroundings
    places: Collection[str]
    modifier: bool
    issues: Findings


class Pending:
    """Collects what the walk has found whole, and judges it at the end."""

    __slots__ = ("extensions", "resources")

    def __init__(self) -> None:
        self.resources: list[_Resource] = []
        self.extensions: list[_Extension] = []

    def resource(
        self,
        body: Mapping[str, Any],
        path: str,
        around: Surroundings,
        profiles: Sequence[str],
        *,
        issues: Findings,
    ) -> None:
        """`profiles`: those asked for beside the claimed ones."""
        claimed = body.get("meta", {}).get("profile", ())
        wanted = [_once(url) for url in (*profiles, *claimed) if url]
        if body["resourceType"] == "Observation" and (sign := vital_signs.profile(body)):
            wanted.append(sign)
        self.resources.append(_Resource(body, path, around, tuple(dict.fromkeys(wanted)), issues))

    def extension(
        self,
        body: Mapping[str, Any],
        path: str,
        around: Surroundings,
        places: Collection[str],
        *,
        modifier: bool,
        issues: Findings,
    ) -> None:
        self.extensions.append(_Extension(body, path, around, places, modifier, issues))

    def judge(self) -> None:
        whole = {id(one.body) for one in self.resources}
        seen: dict[tuple[int, str], bool] = {}
        for one in self.resources:
            if one.body["resourceType"] == "CareTeam":
                one.issues.extend(_participants(one))
            profiler = Profiler(one.around, seen, whole)
            for url in one.profiles:
                one.issues.extend(profiler.resource(one.body, url, one.path))
        for extension in self.extensions:
            issues = extensions.check(
                extension.body,
                Profiler(extension.around, seen, whole),
                path=extension.path,
                around=extension.places,
                modifier=extension.modifier,
            )
            extension.issues.extend(issues)


def _once(url: str) -> str:
    """A known profile without its version, so that no number of versions asks for it twice."""
    return url.partition("|")[0] if packages.profile(url) is not None else url


def _participants(team: _Resource) -> Iterator[Issue]:
    """ctm-1: who takes part on behalf of an organization is a practitioner, as far as is known."""
    for index, one in enumerate(team.body.get("participant", ())):
        found = team.around.resolve(one.get("member", {}).get("reference", ""))
        kind = found.kind if found else "Practitioner"
        if "onBehalfOf" in one and kind != "Practitioner":
            cause = f"a {kind or 'resource'} takes part on behalf of an organization (ctm-1)"
            where = f"{team.path}.participant[{index}]"
            yield Issue("invariant", cause, "leave out onBehalfOf", where)
