"""Writes fhirbridge/fhir/code_systems.json and value_sets.json from HL7's packages.

Usage: python -m tools.build_terminology CORE PACKAGE..., as build_profiles.py. Takes the complete
code systems of HL7's own spaces, of DICOM and of ASTM's signature types with code and display,
and the value sets that R4, the profiles and the extensions bind as required or extensible
(https://hl7.org/fhir/R4/valueset.html#compose).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.build_profiles import FOLDER
from tools.build_r4 import Definition, read_package, render
from tools.snapshots import MOST

SPACES = ("http://terminology.hl7.org/", "http://hl7.org/fhir/")
OTHERS = frozenset(("http://dicom.nema.org/resources/ontology/DCM", "urn:iso-astm:E1762-95:2013"))
OMB = "urn:oid:2.16.840.1.113883.6.238"
_VSAC = "http://cts.nlm.nih.gov/fhir/ValueSet/"
_GENDER, _NULL = (
    f"{SPACES[0]}CodeSystem/v3-{name}" for name in ("AdministrativeGender", "NullFlavor")
)
# Short sets that US Core 6.1.0 takes from the Value Set Authority Center, as US Core's pages
# (birth sex, OMB race and ethnicity categories) list them.
ELSEWHERE: Mapping[str, tuple[str, str]] = {
    f"{_VSAC}2.16.840.1.113762.1.4.1": (_GENDER, "F M"),
    f"{_VSAC}2.16.840.1.114222.4.11.836": (OMB, "1002-5 2028-9 2054-5 2076-8 2106-3"),
    f"{_VSAC}2.16.840.1.114222.4.11.837": (OMB, "2135-2 2186-5"),
    f"{_VSAC}2.16.840.1.113762.1.4.1021.102": (_NULL, "ASKU UNK"),
    f"{_VSAC}2.16.840.1.113762.1.4.1021.103": (_NULL, "ASKU OTH UNK"),
}
BELOW = frozenset(("is-a", "descendent-of"))

Codes = dict[str, set[str] | None]
"""System -> the codes of the set; None: every code of the system."""


class Terminology:
    """Code systems and value sets of all packages; of two with one URL the later wins."""

    def __init__(self, places: Sequence[Path]) -> None:
        self.sources: list[dict[str, str]] = []
        self.systems: dict[str, Definition] = {}
        self.sets: dict[str, Definition] = {}
        self.bound: set[str] = set()
        for place in places:
            files = read_package(place)
            package = files["package.json"]
            source = f"{package['name']} {package['version']}"
            self.sources.append({"source": source, "licence": package["license"]})
            for one in files.values():
                self._take(one)

    def _take(self, one: Definition) -> None:
        kind = one.get("resourceType")
        if kind == "CodeSystem" and "url" in one:
            self.systems[one["url"]] = one
        elif kind == "ValueSet" and "url" in one:
            self.sets[one["url"]] = one
        elif kind == "StructureDefinition":
            self.bound |= set(_bound(one))

    def complete(self, system: str) -> Definition | None:
        found = self.systems.get(system)
        known = found is not None and found["content"] == "complete" and _ours(system)
        return found if known else None

    def code_systems(self) -> dict[str, Any]:
        made = {}
        for url in sorted(self.systems):
            one = self.complete(url)
            codes = dict(_concepts(one["concept"])) if one and "concept" in one else {}
            if one and codes:
                any_case = {} if one.get("caseSensitive") else {"anyCase": True}
                made[url] = {**any_case, "codes": codes}
        return made

    def value_sets(self) -> dict[str, Any]:
        """Each bound set: `codes` by system (true: all), `open`: systems not listed here."""
        made = {}
        for url in sorted(self.bound):
            codes, unlisted = self.expand(url, ())
            listed = {s: True if c is None else sorted(c) for s, c in sorted(codes.items())}
            made[url] = {"codes": listed} | ({"open": sorted(unlisted)} if unlisted else {})
        return made

    # -- expansion

    def expand(self, url: str, above: tuple[str, ...]) -> tuple[Codes, set[str]]:
        """The codes of a set, and the systems of which it has codes that nothing here lists.

        `*` among the systems: the set itself is not in the packages.
        """
        if url in ELSEWHERE:
            system, listed = ELSEWHERE[url]
            return {system: set(listed.split())}, set()
        told = self.sets.get(url)
        if told is None or url in above or "compose" not in told:
            return {}, {"*"}
        codes: Codes = {}
        unlisted: set[str] = set()
        for part in told["compose"]["include"]:
            some, others = self.part(part, (*above, url))
            unlisted |= others
            _add(codes, some)
        for part in told["compose"].get("exclude", []):
            self._remove(codes, part, (*above, url))
        return codes, unlisted

    def part(self, part: Definition, above: tuple[str, ...]) -> tuple[Codes, set[str]]:
        made: tuple[Codes, set[str]] | None = self._own(part) if "system" in part else None
        for url in part.get("valueSet", []):
            other = self.expand(url.split("|")[0], above)
            made = other if made is None else (_both(made[0], other[0]), made[1] | other[1])
        return made or ({}, {"*"})

    def _own(self, part: Definition) -> tuple[Codes, set[str]]:
        system = part["system"]
        if "concept" in part:
            return {system: {c["code"] for c in part["concept"]}}, set()
        if self.complete(system) is None:
            return {}, {system}
        chosen: set[str] | None = None
        for told in part.get("filter", []):
            found = self._filtered(system, told)
            if found is None:
                return {}, {system}
            chosen = found if chosen is None else chosen & found
        return {system: chosen}, set()

    def _filtered(self, system: str, told: Definition) -> set[str] | None:
        """The codes that a filter on the hierarchy keeps; None of any other filter."""
        if told["property"] not in ("concept", "code"):
            return None
        concepts = self.systems[system].get("concept", [])
        below = set(_below(concepts, told["value"]))
        if told["op"] in BELOW:
            return below - ({told["value"]} if told["op"] == "descendent-of" else set())
        every = {code for code, _ in _concepts(concepts)}
        return every - below if told["op"] == "is-not-a" else None

    def _remove(self, codes: Codes, part: Definition, above: tuple[str, ...]) -> None:
        gone, _ = self.part(part, above)
        for system, some in gone.items():
            held = codes.get(system, set())
            if held is None:
                held = {code for code, _ in _concepts(self.systems[system]["concept"])}
            codes[system] = set() if some is None else held - some


def _ours(system: str) -> bool:
    return system.startswith(SPACES) or system in OTHERS


def _bound(one: Definition) -> Iterator[str]:
    for element in one.get("snapshot", {}).get("element", []):
        binding = element.get("binding", {})
        if binding.get("strength") in ("required", "extensible") and "valueSet" in binding:
            yield binding["valueSet"].split("|")[0]
            for extra in binding.get("extension", []):
                if extra["url"] == MOST:
                    yield extra.get("valueCanonical", extra.get("valueUri", "")).split("|")[0]


def _concepts(concepts: Iterable[Definition]) -> Iterator[tuple[str, str]]:
    for concept in concepts:
        yield concept["code"], concept.get("display", "")
        yield from _concepts(concept.get("concept", []))


def _parents(concepts: Iterable[Definition], above: str = "") -> Iterator[tuple[str, str]]:
    """(code, code above it), by nesting and by the properties that say it."""
    for concept in concepts:
        yield concept["code"], above
        for told in concept.get("property", []):
            if told["code"] in ("subsumedBy", "parent") and "valueCode" in told:
                yield concept["code"], told["valueCode"]
        yield from _parents(concept.get("concept", []), concept["code"])


def _below(concepts: Sequence[Definition], top: str) -> Iterator[str]:
    pairs = list(_parents(concepts))
    found, before = {top}, 0
    while len(found) != before:
        before = len(found)
        found |= {code for code, above in pairs if above in found}
    return iter(found)


def _add(codes: Codes, some: Mapping[str, set[str] | None]) -> None:
    for system, more in some.items():
        held = codes.get(system, set())
        codes[system] = None if more is None or held is None else held | more


def _both(one: Codes, other: Codes) -> Codes:
    made: Codes = {}
    for system in one.keys() & other.keys():
        some, more = one[system], other[system]
        made[system] = more if some is None else some if more is None else some & more
    return made


def build(places: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """The contents of the two files, by file name."""
    found = Terminology(places)
    note = "made by tools/build_terminology.py from HL7's definitions; do not edit"
    header = {"sources": found.sources, "note": note}
    return {
        "code_systems.json": {"header": header, "codeSystems": found.code_systems()},
        "value_sets.json": {"header": header, "valueSets": found.value_sets()},
    }


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        print("usage: build_terminology.py CORE PACKAGE...", file=sys.stderr)
        return 2
    for name, content in build([Path(place) for place in arguments]).items():
        text = render(content)
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"{name}: {len(text.encode())} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
