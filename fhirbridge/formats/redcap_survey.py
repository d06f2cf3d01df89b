"""What only a whole REDCap export shows: instances that stand twice, the keys of an export of
single values, and whether codes or labels stand in its cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import zip_longest

from fhirbridge.formats.redcap_rows import RedcapRows
from fhirbridge.formats.tabular_survey import Keys, digest, doubles
from fhirbridge.formats.tabular_text import RawRow, plain, trimmed
from fhirbridge.formats.tabular_told import Survey

_RAW_SYSTEM = frozenset({"0", "1", "2"})
_LABEL_SYSTEM = frozenset({"checked", "unchecked", "complete", "incomplete", "unverified"})


class _Shown:
    """An export has raw values or labels throughout. A label that is another choice's code (`2` of
    `1, 2 | 2, 3`) shows neither: what is a code and no label, or the other way, does."""

    def __init__(self, reader: RedcapRows) -> None:
        self.reader = reader
        self.codes = self.labels = self.either = False
        shape = reader.shape
        self.system = (*shape.boxes, *shape.complete)

    def look_at(self, row: RawRow) -> None:
        for index in self.system:
            text = plain(self.reader.cell(row, index))
            self.codes = self.codes or text in _RAW_SYSTEM
            self.labels = self.labels or text in _LABEL_SYSTEM
        for name, text, index in self.reader.said(row):
            variable = self.reader.project.variables.get(name)
            if variable is None or not variable.choices or index in self.reader.shape.boxes:
                continue
            found = variable.codes(text, labelled=True)
            self.either = self.either or len(found) > 1
            if len(found) == 1 and variable.meaning(found[0]) != found[0]:
                self.codes = self.codes or found[0] == text
                self.labels = self.labels or found[0] != text

    @property
    def raw(self) -> bool:
        return not self.either or (self.codes and not self.labels)


def with_keys(
    rows: Iterable[RawRow], again: Iterable[RawRow], reader: RedcapRows
) -> Iterator[RawRow]:
    """Of an export of single values, each line with the keys that other lines give its record."""
    if not reader.shape.eav:
        yield from rows
        return
    project = reader.project
    keys = {
        name
        for name, goal in project.goals.items()
        if goal.field.name in project.study.form(goal.form).key
    }
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in again:
        name = reader.cell(row, reader.shape.name)
        if name in keys:
            found.setdefault(reader.name(row), {})[name] = reader.cell(row, reader.shape.value)
    for row in rows:
        yield replace(row, context=tuple(found.get(reader.name(row), {}).items()))


def survey(
    rows: Iterable[RawRow], again: Iterable[RawRow], reader: RedcapRows
) -> tuple[Survey, bool]:
    """Which instances stand twice, equal or not; and whether the file has raw values."""
    keys = Keys()
    count = blank = 0

    def key(row: RawRow) -> bytes:
        name = reader.name(row)
        if not reader.shape.eav:
            return digest(*name)
        return digest(*name, reader.cell(row, reader.shape.name), reader.box(row))

    def differs(one: RawRow, other: RawRow) -> int:
        """The name of the instrument may be spelt otherwise."""
        pairs = enumerate(zip_longest(one.cells, other.cells, fillvalue=""))
        unlike = (i for i, (a, b) in pairs if trimmed(a) != trimmed(b))
        return 0 if any(i != reader.shape.instrument for i in unlike) else -1

    shown = _Shown(reader)
    for row in rows:
        blank += row.blank
        count += not row.blank
        if not row.blank:
            keys.add(key(row))
            shown.look_at(row)
    twice = doubles(again, keys.repeated(), key, differs)
    notes = (f"{blank} lines without content skipped",) if blank else ()
    return Survey({}, twice, count, blank, notes), shown.raw
