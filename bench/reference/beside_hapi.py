"""`python -m bench.reference.beside_hapi`: the judge beside HAPI FHIR's `$validate`, on everything
that travels in the journey, both ways.

Needs Java 17, Maven and npm. Writes the table that `docs/reference/validation.md` includes; ends
with 1 where a difference has no reason in `hapi_reasons.json`.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json
from fhirbridge.sandbox import synthetic
from fhirbridge.sandbox.patients import hospital_resources
from tests.hapi import server
from tests.hapi.fhir_packages import mcode_examples
from tests.journeys import story

_HERE = Path(__file__).parent
TABLE = _HERE / "beside_hapi.md"
PAGE = _HERE.parents[1] / "docs" / "reference" / "validation.md"
_REASONS = _HERE / "hapi_reasons.json"
_SUBJECTS = 30
_TYPES = frozenset(("Patient", "Condition", "Procedure", "Observation"))
_HEAD = """\
## Beside HAPI FHIR's `$validate`

Written by `python -m bench.reference.beside_hapi`: HAPI FHIR 8.4.0 with US Core 6.1.0 and mCODE
4.0.0, without a terminology server, asked of every resource that travels in the journey of
`make hospital`, by the profiles that it claims. In: HL7's mCODE examples of the four types that a
pull asks for, and the sandbox hospital's. Out: what the study sends of 30 synthetic subjects.

| way | resources | both accept | both refuse | HAPI alone refuses | we alone refuse |
|---|---|---|---|---|---|"""
_WHY = """\
Every difference has one of these reasons:

| who refuses | what it says | resources | why the other does not |
|---|---|---|---|"""


@dataclass(frozen=True, slots=True)
class Judged:
    """One resource: what each of the two calls an error."""

    way: str
    name: str
    hapi: tuple[str, ...]
    ours: tuple[str, ...]

    @property
    def verdict(self) -> tuple[bool, bool]:
        return bool(self.hapi), bool(self.ours)


@dataclass(frozen=True, slots=True)
class Reason:
    """Of a difference: whose errors `says` is found in, and why the other has none."""

    who: str
    says: str
    what: str
    why: str


def travelling() -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in mcode_examples(_TYPES):
        yield "in, mCODE's examples", resource
    for resource in hospital_resources(_SUBJECTS):
        yield "in, the sandbox's", resource
    for bundle in story.bundles_of(synthetic.records(_SUBJECTS)):
        for entry in fhir_json.parse(bundle)["entry"]:
            yield "out", entry["resource"]


def judged(base: str, found: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[Judged]:
    with requests.Session() as session:
        for way, resource in found:
            name = f"{resource['resourceType']}/{resource.get('id', '')}"
            theirs = dict.fromkeys(_theirs(session, base, resource))
            ours = [
                issue.cause for issue in validate(resource) if issue.severity in ("error", "fatal")
            ]
            yield Judged(way, name, tuple(theirs), tuple(dict.fromkeys(ours)))


def _theirs(session: requests.Session, base: str, resource: Mapping[str, Any]) -> Iterator[str]:
    """By R4 alone where the resource claims no profile."""
    url = f"{base}/{resource['resourceType']}/$validate"
    headers = {"Content-Type": "application/fhir+json"}
    for profile in resource.get("meta", {}).get("profile", [None]):
        params = {"profile": profile} if profile else {}
        raw = fhir_json.dump(dict(resource))
        answer = session.post(url, params=params, data=raw, headers=headers, timeout=120)
        for issue in fhir_json.parse(answer.content)["issue"]:
            if issue["severity"] in ("error", "fatal"):
                yield issue["diagnostics"]


def reasons() -> list[Reason]:
    return [Reason(**one) for one in json.loads(_REASONS.read_text(encoding="utf-8"))]


def explained(one: Judged, known: Iterable[Reason]) -> list[Reason | str]:
    """Of each error of a difference its reason, or its own words where it has none."""
    who, errors = ("HAPI", one.hapi) if one.hapi else ("ours", one.ours)
    given = [reason for reason in known if reason.who == who]
    return [next((r for r in given if re.search(r.says, error)), error) for error in errors]


def table(all_of_it: list[Judged], known: list[Reason]) -> tuple[str, list[str]]:
    """The section of the page, and the errors without a reason."""
    lines = [_HEAD]
    for way in dict.fromkeys(one.way for one in all_of_it):
        verdicts = Counter(one.verdict for one in all_of_it if one.way == way)
        cells = [verdicts[v] for v in ((False, False), (True, True), (True, False), (False, True))]
        lines.append(f"| {way} | {sum(cells)} | {' | '.join(map(str, cells))} |")
    counted: Counter[Reason] = Counter()
    open_: list[str] = []
    for one in all_of_it:
        if one.verdict in ((True, False), (False, True)):
            told = dict.fromkeys(explained(one, known))
            counted.update(reason for reason in told if isinstance(reason, Reason))
            open_ += [f"{one.name}: {error}" for error in told if isinstance(error, str)]
    lines += ["", _WHY]
    lines += [f"| {r.who} | {r.what} | {n} | {r.why} |" for r, n in counted.most_common()]
    return "\n".join(lines) + "\n", open_


def compared(base: str) -> tuple[str, list[str]]:
    """`table` of everything that travels, by the server there."""
    return table(list(judged(base, travelling())), reasons())


def main() -> int:
    with server.running("--lean") as base:
        text, open_ = compared(base)
    TABLE.write_text(text, encoding="utf-8")
    for line in open_:
        sys.stdout.write(f"no reason: {line}\n")
    sys.stdout.write(text)
    return 1 if open_ else 0


if __name__ == "__main__":
    sys.exit(main())
