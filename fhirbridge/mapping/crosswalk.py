"""Crosswalks: which code of which system means which word of the study, and back.

Matching is on system and code, never on display. Published meaning of `relationship`, after FHIR's
ConceptMapEquivalence (https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html), is in
RELATIONSHIPS.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from fhirbridge.fhir import terminology
from fhirbridge.outcome import Issue
from fhirbridge.study.definition import near

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"

COLUMNS = ("source_system", "source_code", "display", "target", "relationship", "source", "note")
RELATIONSHIPS: Mapping[str, str] = MappingProxyType(
    {
        "equivalent": "the same, and the one code that is written for the target",
        "equal": "the same, for reading",
        "wider": "the target is the wider one: true, for reading",
        "deprecated": "the same, for reading, with a warning: the code is withdrawn",
        "narrower": "the target would say more than the code does: a person decides",
        "inexact": "near, not the same: a person decides",
        "unmatched": "known, and without an own word in the study: a person decides",
        "disjoint": "known, and certainly not meant: refused, with the note as the reason",
    }
)
_READS = frozenset({"equivalent", "equal", "wider", "deprecated"})
_HOLDS = frozenset({"narrower", "inexact", "unmatched"})
_WORD = re.compile(r"\w+")
_TAG = re.compile(r" \([^()]*\)\s*$")
_CHECK_DIGITS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {SNOMED: terminology.verhoeff_ok, LOINC: terminology.loinc_ok}
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a crosswalk; `place` is its file and line."""

    system: str
    code: str
    display: str
    target: str
    relationship: str
    note: str
    place: str

    @property
    def reads(self) -> bool:
        return self.relationship in _READS


@dataclass(frozen=True, slots=True)
class Systems:
    """Aliases of code systems, and the systems whose codes are compared without dots and case."""

    aliases: Mapping[str, str]
    dotless: frozenset[str]
    open: frozenset[str] = frozenset()  # of which the study lists some codes, and knows of more

    def normal(self, system: str, code: str) -> tuple[str, str]:
        """The pair by which codes are compared."""
        system = self.aliases.get(system, system)
        return system, code.replace(".", "").upper() if system in self.dotless else code


@dataclass(frozen=True, slots=True)
class Crosswalk:
    """`forward` is keyed by normalised system and code, `back` by the study's word.

    `covered` are the systems of the study's own lines: what they leave out is out of scope. A
    system that only a site's lines name is never covered.
    """

    name: str
    forward: Mapping[tuple[str, str], Line]
    back: Mapping[str, Line]
    covered: frozenset[str]
    systems: Systems
    combined: Mapping[frozenset[tuple[str, str]], Line]
    displays: Mapping[tuple[str, ...], Line]

    def find(self, system: str, code: str) -> Line | None:
        wanted = self.systems.normal(system, code)
        found = self.forward.get(wanted)
        if found is None and wanted[0] == _ICD_10_GM and _FIFTH.fullmatch(wanted[1]):
            return self.forward.get((wanted[0], wanted[1][:4]))
        return found

    def covers(self, system: str) -> bool:
        return self.systems.aliases.get(system, system) in self.covered

    def together(self, codings: Sequence[Mapping[str, Any]]) -> Line | None:
        """The line of a combination (`0QS03ZZ+0QU03JZ`) of which every code is among the
        codings."""
        if not self.combined or len(codings) < 2:
            return None
        given = {self.systems.normal(c.get("system", ""), c.get("code", "")) for c in codings}
        fit = (parts for parts in self.combined if given >= parts)
        return next((self.combined[parts] for parts in fit), None)

    def contradiction(self, line: Line, display: str) -> str:
        """What a display says that is not what its code means; nothing where it may be a synonym.

        Certain in two cases: it is the display of another code here, or one word of the code's own
        display is exchanged (bone, liver).
        """
        sent, own = _told(display), _told(line.display)
        if not sent or not own or sent == own:
            return ""
        exchanged = [pair for pair in zip(sent, own, strict=False) if pair[0] != pair[1]]
        if len(sent) == len(own) > 2 and len(exchanged) == 1:
            return f"'{exchanged[0][0]}' for '{exchanged[0][1]}'"
        other = self.displays.get(sent)
        return f"what {other.code} means" if other and other.target != line.target else ""


_ICD_10_GM = "http://fhir.de/CodeSystem/bfarm/icd-10-gm"
_FIFTH = re.compile(r"[A-Z]\d{4}")
"""A fifth character of ICD-10-GM divides the category of four (C90.0: C90.00, C90.01); WHO's
ICD-10 ends there. Where it has no line of its own, the category's says what is true of its parts.
"""


def _told(display: str) -> tuple[str, ...]:
    """The words of a display, without SNOMED's semantic tag."""
    return tuple(_WORD.findall(_TAG.sub("", display).casefold()))


def check_digit_ok(system: str, code: str) -> bool:
    check = _CHECK_DIGITS.get(system)
    return check is None or check(code)


def read_systems(text: str, *, name: str) -> tuple[Systems, list[Issue]]:
    """`alias,system,form` lines; the form `dotless` is for ICD, whose dots are layout."""
    rows, faults = _rows(text, name, ("alias", "system", "form"))
    aliases: dict[str, str] = {}
    for place, row in rows:
        if row["form"] not in ("", "dotless", "open"):
            cause = f"the form '{row['form']}' is not known"
            remedy = "write dotless, open or nothing"
            faults.append(Issue("configuration", cause, remedy, place=place))
        if row["alias"] and aliases.setdefault(row["alias"], row["system"]) != row["system"]:
            cause = f"{row['alias']} is the alias of another system already"
            faults.append(Issue("configuration", cause, "keep one of them", place=place))
    dotless = frozenset(row["system"] for _, row in rows if row["form"] == "dotless")
    open_ = frozenset(row["system"] for _, row in rows if row["form"] == "open")
    return Systems(MappingProxyType(aliases), dotless, open_), faults


def read_lines(text: str, *, name: str, systems: Systems) -> tuple[list[Line], list[Issue]]:
    """The lines of one crosswalk file, and every fault in it with file and line."""
    rows, faults = _rows(text, name, COLUMNS)
    lines = []
    for place, row in rows:
        system = systems.aliases.get(row["source_system"], row["source_system"])
        line = Line(
            system,
            row["source_code"],
            row["display"],
            row["target"],
            row["relationship"],
            row["note"],
            place,
        )
        wrong = [Issue("configuration", *told, place=place) for told in line_rules(line)]
        faults += wrong
        if not wrong:
            lines.append(line)
    return lines, faults


def build(
    name: str, lines: Sequence[Line], site_lines: Sequence[Line], systems: Systems
) -> tuple[Crosswalk, list[Issue]]:
    """A crosswalk of the study's lines and a site's: the latter add, decide what the study leaves
    to a person, and contradict none.
    """
    forward: dict[tuple[str, str], Line] = {}
    back: dict[str, Line] = {}
    faults: list[Issue] = []
    decided = _decided(lines, site_lines, systems)
    for line in (*(decided.get(line, line) for line in lines), *map(_of_site, site_lines)):
        key = systems.normal(line.system, line.code)
        earlier = forward.setdefault(key, line)
        if earlier is not line and _meaning(earlier) != _meaning(line):
            cause = f"{line.system}|{line.code} is already mapped at {earlier.place}"
            faults.append(Issue("configuration", cause, "keep one of them", place=line.place))
        if line.relationship == "equivalent":
            first = back.setdefault(line.target, line)
            if first is not line and (first.system, first.code) != (line.system, line.code):
                cause = f"'{line.target}' already has a way back at {first.place}"
                faults.append(
                    Issue("configuration", cause, "write 'equal' for the others", place=line.place)
                )
    combined = {
        frozenset(systems.normal(line.system, part) for part in line.code.split("+")): line
        for line in forward.values()
        if "+" in line.code
    }
    displays = {_told(line.display): line for line in forward.values() if line.display}
    made = Crosswalk(
        name=name,
        forward=MappingProxyType(forward),
        back=MappingProxyType(back),
        covered=frozenset(line.system for line in lines) - systems.open,
        systems=systems,
        combined=MappingProxyType(combined),
        displays=MappingProxyType(displays),
    )
    return made, faults


def _decided(
    lines: Sequence[Line], site_lines: Sequence[Line], systems: Systems
) -> dict[Line, Line]:
    """For each line of the study that holds, the site's line that says what the code means there.

    Where the study names a target, though not for sure, a site can only confirm it.
    """
    told: dict[tuple[str, str], Line] = {}
    for line in site_lines:
        told.setdefault(systems.normal(line.system, line.code), _of_site(line))
    made = {}
    for line in lines if told else ():
        own = told.get(systems.normal(line.system, line.code))
        if own and line.relationship in _HOLDS and line.target in ("", own.target):
            made[line] = replace(own, display=own.display or line.display)
    return made


def _of_site(line: Line) -> Line:
    """A site's own line, for reading only: a hospital is a dialect, it changes nothing we write."""
    return replace(line, relationship="equal") if line.relationship == "equivalent" else line


def _meaning(line: Line) -> tuple[str, str]:
    return line.target, line.relationship if not line.reads else "reads"


def _rows(
    text: str, name: str, columns: tuple[str, ...]
) -> tuple[list[tuple[str, dict[str, str]]], list[Issue]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    faults: list[Issue] = []
    rows: list[tuple[str, dict[str, str]]] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if tuple(header) != columns:
            cause = f"the header is not {','.join(columns)}"
            return [], [Issue("configuration", cause, "write that header", place=f"{name}:1")]
        for cells in reader:
            place = f"{name}:{reader.line_num}"
            if not cells or cells[0].startswith("#"):
                continue
            if len(cells) != len(columns):
                cause = f"{len(cells)} cells under {len(columns)} columns"
                remedy = "put text that holds a comma in quotes"
                faults.append(Issue("configuration", cause, remedy, place=place))
                continue
            cells = [cell.strip() for cell in cells]
            rows.append((place, dict(zip(columns, cells, strict=True))))
    except csv.Error as fault:
        place = f"{name}:{reader.line_num}"
        faults.append(Issue("configuration", f"no CSV: {fault}", "mend the quotes", place=place))
    return rows, faults


def line_rules(line: Line) -> Iterator[tuple[str, str]]:
    """Cause and remedy of everything that is wrong with one line."""
    if not line.system or not line.code:
        yield "system or code is missing", "give both: a code without a system means nothing"
        return
    if line.relationship not in RELATIONSHIPS:
        yield f"'{line.relationship}' is no relationship", near(line.relationship, RELATIONSHIPS)
    needs_target = line.relationship not in ("unmatched", "disjoint")
    if needs_target and not line.target:
        yield "the target is missing", "give the study's word for it"
    if not needs_target and not line.note:
        yield "the reason is missing", "say in 'note' why the code is not taken"
    if not check_digit_ok(line.system, line.code):
        yield f"{line.code} fails its check digit", "copy the code again from its source"
