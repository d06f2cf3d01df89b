"""Reads the files of `hl7v2/`: rows from shapes to FHIR, and the names of coding systems."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fhirbridge import lined_yaml
from fhirbridge.fhir import definitions
from fhirbridge.mapping import feed, parse_path
from fhirbridge.mapping.crosswalk import Crosswalk
from fhirbridge.mapping.feed import Feed
from fhirbridge.mapping.path import Path
from fhirbridge.mapping.shaped import FORMS, ShapeMapping, ShapeRow
from fhirbridge.outcome import Issue
from fhirbridge.study.definition import near

FOLDER = "hl7v2/"
SYSTEMS = f"{FOLDER}coding-systems.csv"
PART_OF = "hl7v2-part"
BESIDE = {"approach": "approach-within-procedure", "purpose": "purpose-suggested"}
SHAPES = (
    "person", "diagnosis", "procedure", "observation", "report", "given", "ordered", "part",
)  # fmt: skip
WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "file": ("shape", "name", "resource", "rows", "fixed", "warn"),
        "row": ("take", "at", "by", "words", "note"),
        "fixed": ("at", "code", "value"),
    }
)


@dataclass(frozen=True, slots=True)
class Shapes:
    """What a site's HL7 v2 is read by."""

    files: tuple[ShapeMapping, ...] = ()
    systems: Mapping[str, str] = field(default_factory=dict)
    parts: Crosswalk | None = None
    feed: Feed = field(default_factory=Feed)
    beside: Mapping[str, Crosswalk] = field(default_factory=dict)
    """What a procedure's code says besides, by field of `surgery`."""

    def system(self, name: str) -> str:
        """The URI of a coding system by its name in table 0396, of which some end in a year; an
        unknown name is kept."""
        named = self.feed.coding_systems.get(name) or self.systems.get(name)
        return named or self.systems.get(f"{name[:-4]}{_year(name)}", name)


def _year(name: str) -> str:
    """The last four characters, and `yyyy` for a year."""
    return "yyyy" if name[-4:].isdecimal() else name[-4:]


def read(
    files: Mapping[str, str],
    site: str,
    names: Mapping[str, str],
    walks: Mapping[str, Crosswalk],
    faults: list[Issue],
) -> Shapes:
    made = []
    for name, text in sorted(files.items()):
        if name.startswith(FOLDER) and name.endswith(".yaml"):
            found = _File(lined_yaml.load(text, name=name), names, faults).mapping()
            made += [found] if found else []
    own = f"sites/{site}/hl7v2.yaml"
    told = feed.load(files[own], name=own, faults=faults) if own in files else Feed()
    systems = _systems(files.get(SYSTEMS, ""))
    beside = {name: walks[walk] for name, walk in BESIDE.items() if walk in walks}
    return Shapes(tuple(made), systems, walks.get(PART_OF), told, beside)


def _systems(text: str) -> Mapping[str, str]:
    """`name,system,note` lines."""
    rows = csv.reader(io.StringIO(text))
    next(rows, None)
    return MappingProxyType({row[0]: row[1] for row in rows if len(row) > 1})


@dataclass
class _File:
    document: lined_yaml.Document
    names: Mapping[str, str]
    faults: list[Issue]

    def mapping(self) -> ShapeMapping | None:
        given = self.known(self.document.content, (), "file")
        shape, resource = str(given.get("shape")), str(given.get("resource"))
        if shape not in SHAPES:
            self.fault(("shape",), f"there is no shape '{shape}'", near(shape, SHAPES))
            return None
        if resource not in definitions.resource_types():
            self.fault(("resource",), f"R4 has no resource type '{resource}'", "name one of R4")
            return None
        rows = [self.row(r, resource, n) for n, r in enumerate(given.get("rows") or ())]
        fixed = [self.fixed(f, resource, n) for n, f in enumerate(given.get("fixed") or ())]
        read = tuple(row for row in rows if row)
        parts = frozenset(row.take for row in read) if shape == "part" else frozenset()
        name = str(given.get("name", shape))
        kept = tuple(f for f in fixed if f)
        return ShapeMapping(name, shape, resource, read, kept, parts, str(given.get("warn", "")))

    def known(self, given: Any, at: lined_yaml.Path, kind: str) -> Mapping[str, Any]:
        content = given if isinstance(given, dict) else {}
        for word in content:
            if word not in WORDS[kind]:
                self.fault((*at, word), f"'{word}' is not known here", near(word, WORDS[kind]))
        return content

    def row(self, given: Any, resource: str, number: int) -> ShapeRow | None:
        at = ("rows", number)
        told = self.known(given, at, "row")
        form, words = str(told.get("by", "text")), told.get("words", {})
        path = self.path(told.get("at"), resource, at)
        if form not in FORMS:
            self.fault((*at, "by"), f"there is no form '{form}'", near(form, FORMS))
        if not isinstance(words, dict) or not told.get("take"):
            self.fault(at, "a row needs take and at; words are words with values", "mend it")
            return None
        plain = MappingProxyType({str(k): v for k, v in words.items()})
        return ShapeRow(str(told["take"]), path, form, plain) if path and form in FORMS else None

    def fixed(self, given: Any, resource: str, number: int) -> tuple[Path, Any] | None:
        at = ("fixed", number)
        told = self.known(given, at, "fixed")
        path = self.path(told.get("at"), resource, at)
        if path is None:
            return None
        if "code" not in told:
            return path, told.get("value")
        system, _, code = str(told["code"]).partition("|")
        uri = self.names.get(system.removeprefix("$"), "")
        if not uri:
            self.fault((*at, "code"), f"'{system}' is not among the names", "name one")
        return path, {"coding": [{"system": uri, "code": code}]}

    def path(self, text: Any, resource: str, at: lined_yaml.Path) -> Path | None:
        try:
            return parse_path.parse(str(text), resource=resource, names=self.names)
        except parse_path.PathError as fault:
            self.fault((*at, "at"), str(fault), fault.remedy)
            return None

    def fault(self, at: lined_yaml.Path, cause: str, remedy: str) -> None:
        place = self.document.place(at)
        self.faults.append(Issue("configuration", cause, remedy, place=place))
