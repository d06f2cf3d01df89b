"""How one site's tables are read: its column map, its words of absence and of choices, as the
mappings hold them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fhirbridge.formats import tabular_columns, tabular_map
from fhirbridge.formats.tabular import Rows
from fhirbridge.formats.tabular_cells import Cells, Marks
from fhirbridge.formats.tabular_columns import Names
from fhirbridge.formats.tabular_text import RawRow
from fhirbridge.formats.tabular_told import Double, Told
from fhirbridge.mapping.crosswalk import Crosswalk
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.definition import ABSENT_REASONS, Field, near
from fhirbridge.sync import redcap_maps

WORDS = "words"
"""The system, in a crosswalk line, of a word as it stands in a site's files."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is told beside a file: its form, and for some kinds of files more."""

    form: str
    more: Mapping[str, Any] = field(default_factory=dict)
    delimiter: str = ","

    def kept(self) -> dict[str, Any]:
        return {"form": self.form, "more": dict(self.more), "delimiter": self.delimiter}

    @classmethod
    def of(cls, made: Mapping[str, Any]) -> Asked:
        return cls(str(made["form"]), made.get("more", {}), str(made.get("delimiter", ",")))


class Reader(Protocol):
    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def by_field(self) -> Mapping[str, int]: ...

    def told(self, row: RawRow, double: Double | None, above: str = "") -> Told:
        """What one row says."""
        ...


def names(mappings: MappingSet, form: str) -> Names:
    """Raises `BridgeError` (not-found) where the study has no such form."""
    name = f"columns-{form}"
    text = mappings.tables.get(name, "")
    at = f"sites/{mappings.site}/{name}.csv"
    lines = tabular_map.read_map(text, name=at) if text else []
    return Names(mappings.study.form(form), lines)


def reader(
    mappings: MappingSet, asked: Asked, header: RawRow, marks: Mapping[int, Marks]
) -> Reader:
    """Raises `BridgeError` with every fault of the header."""
    if asked.form == redcap_maps.FORM:
        return redcap_maps.reader(mappings, asked.more, header, lambda f: cells(mappings, f, marks))
    return rows_reader(mappings, asked, header, marks)


def rows_reader(
    mappings: MappingSet, asked: Asked, header: RawRow, marks: Mapping[int, Marks]
) -> Rows:
    known = names(mappings, asked.form)
    columns = tabular_columns.resolve(mappings.study, header, known)
    return Rows(known.form, columns, cells(mappings, asked.form, marks), asked.delimiter)


def cells(mappings: MappingSet, form: str, marks: Mapping[int, Marks]) -> Cells:
    walks = walks_of(mappings, form)

    def word(field: Field, text: str) -> str:
        for walk in walks.get(field.name, ()):
            line = walk.find(WORDS, text)
            if line is not None and line.reads:
                return line.target
        return ""

    return Cells(absences(mappings), word, marks)


def walks_of(mappings: MappingSet, form: str) -> Mapping[str, list[Crosswalk]]:
    """The crosswalks of each field of the form, as its mapping rows name them."""
    made: dict[str, list[Crosswalk]] = {}
    for mapping in mappings.files.values():
        if mapping.form.name != form:
            continue
        rows = [row for block in mapping.blocks for row in block.rows]
        rows += [row for inside in mapping.inside for own in inside.rows.values() for row in own]
        for row in rows:
            for reading in row.readings:
                walk = getattr(reading.codec, "crosswalk", None)
                if isinstance(walk, Crosswalk) and walk not in made.get(row.field.name, ()):
                    made.setdefault(row.field.name, []).append(walk)
    return made


def absences(mappings: MappingSet) -> Mapping[tuple[str, str], str]:
    """The site's words of absence, by field (empty for every field) and word. Raises `BridgeError`
    (configuration) with every fault of the file."""
    name = f"sites/{mappings.site}/absence.csv"
    text = mappings.tables.get("absence", "")
    return dict(_absences(text, name)) if text else {}


def _absences(text: str, name: str) -> Iterator[tuple[tuple[str, str], str]]:
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    if not {"word", "reason"} <= {*(rows.fieldnames or ())}:
        cause = "the header has no word and reason"
        raise BridgeError(
            Issue("configuration", cause, "write word,reason,field,note", place=f"{name}:1")
        )
    faults = []
    for row in rows:
        word, reason = (row.get("word") or "").strip(), (row.get("reason") or "").strip()
        if reason not in ABSENT_REASONS or not word:
            cause = f"'{reason}' is no reason of absence" if word else "the word is missing"
            at = f"{name}:{rows.line_num}"
            faults.append(Issue("configuration", cause, near(reason, ABSENT_REASONS), place=at))
        yield ((row.get("field") or "").strip(), word), reason
    if faults:
        raise BridgeError(*faults)
