"""What became of the rows of a file: each with its fate, its changes and its faults, told by line,
cell, column and value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from fhirbridge.formats.tabular_text import RawRow, column_of, letter
from fhirbridge.outcome import Issue
from fhirbridge.registry.receipts import Receipt, ReceiptEntry
from fhirbridge.registry.unit import Unit

FATES = ("create", "change", "unchanged", "superseded", "quarantined", "refused")
_AT = re.compile(r"line (\d+)(?:, cell ([A-Z]+)(\d+)(?::([A-Z]+)\d+)?)?")
_ORDER = ("create", "change", "unchanged", "superseded", "quarantined", "refused")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a cell or a row waits, or is refused. `waits` is False for what is only told."""

    line: int
    cell: str
    column: str
    value: str
    cause: str
    remedy: str
    category: str
    waits: bool = True

    def sentence(self) -> str:
        shown = f" '{self.value}'" if self.value else ""
        at = f"line {self.line}, cell {self.cell}, {self.column}{shown}"
        return f"{at}: {self.cause} -> {self.remedy}" if self.remedy else f"{at}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Change:
    form: str
    field: str
    cell: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class RowFate:
    """`fate` is one of FATES; a row that was taken may have `faults` of single cells. `subject` is
    the pseudonym as it stands there, `subject_id` whom that means here."""

    line: int
    row: int
    fate: str
    subject: str
    changes: tuple[Change, ...] = ()
    faults: tuple[Fault, ...] = ()
    withheld: bool = False
    subject_id: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What a receipt's lines are told by: the file's header, and which column gives which field."""

    headers: tuple[str, ...]
    columns: Mapping[str, int]
    delimiter: str = ","


@dataclass
class Tally:
    """Counts that tie to the rows; `cells` are those that wait alone."""

    counts: Counter[str] = field(default_factory=Counter)
    cells: int = 0
    withheld: bool = False
    withdrawals: int = 0
    subjects: set[str] = field(default_factory=set)

    def add(self, fate: RowFate) -> None:
        self.counts[fate.fate] += 1
        self.withheld = self.withheld or fate.withheld
        if fate.subject_id:
            self.subjects.add(fate.subject_id)
        if fate.fate not in ("quarantined", "refused"):
            self.cells += sum(fault.waits for fault in fate.faults)

    def told(self) -> dict[str, int]:
        made = {name: self.counts[name] for name in FATES}
        beside = {"cells_waiting": self.cells, "withdrawals": self.withdrawals}
        return {"rows": sum(self.counts.values()), **made, **beside}


def fates(
    unit: Unit, receipt: Receipt, rows: Sequence[tuple[RawRow, str]], known: Known, *, whole: bool
) -> Iterator[RowFate]:
    """Of the rows of one chunk, each with its subject, in their order. `whole`: with old and new
    values, which are the revisions that the receipt's message wrote."""
    by_position = {
        position: list(lines)
        for position, lines in groupby(receipt.entries, key=lambda entry: entry.position)
    }
    for position, (row, subject) in enumerate(rows):
        lines = by_position.get(position, [])
        yield _fate(unit, receipt, lines, row, subject, known, whole=whole)


def _fate(
    unit: Unit,
    receipt: Receipt,
    lines: list[ReceiptEntry],
    row: RawRow,
    subject: str,
    known: Known,
    *,
    whole: bool,
) -> RowFate:
    changes: list[Change] = []
    told: set[str] = set()
    for entry in lines:
        fate = entry.fate
        if fate == "applied" and entry.record_id:
            new, made = _changes(unit, receipt, entry.record_id, row, known, whole=whole)
            changes += made
            fate = "create" if new else "change"
        told.add("change" if fate == "applied" else fate)
    faults = tuple(_faults(lines, row, known))
    first = next((fate for fate in _ORDER if fate in told), "quarantined")
    withheld = any(i.category == "consent" for entry in lines for i in entry.issues)
    whose = next((entry.subject_id for entry in lines if entry.subject_id), None)
    return RowFate(row.line, row.row, first, subject, tuple(changes), faults, withheld, whose)


def _changes(
    unit: Unit, receipt: Receipt, record_id: str, row: RawRow, known: Known, *, whole: bool
) -> tuple[bool, list[Change]]:
    record = unit.records.get(record_id)
    if record is None:
        return False, []
    if not whole or record.number == 1:
        return record.number == 1, []
    made = []
    for revision in unit.records.revisions(record_id):
        if revision.message_id == receipt.message_id:
            for name, (old, new) in revision.changes.items():
                index = known.columns.get(name, -1)
                cell = f"{letter(index)}{row.row}" if index >= 0 else ""
                made.append(Change(record.form, name, cell, old, new))
    return False, made


def _faults(lines: Iterable[ReceiptEntry], row: RawRow, known: Known) -> Iterator[Fault]:
    seen: set[tuple[str, str]] = set()
    for entry in lines:
        own = {i.place for i in entry.issues if _AT.search(i.expression)}
        for issue in entry.issues:
            waits = issue.severity in ("fatal", "error")
            index = known.columns.get(issue.expression, -1)
            if issue.category == "required" and index >= 0 and known.headers[index] in own:
                continue  # the cell's own fault says why it is missing
            name = (issue.expression, issue.cause)
            if name in seen or issue.severity == "information":
                continue
            seen.add(name)
            yield fault(issue, row, known, waits=waits)


def fault(issue: Issue, row: RawRow, known: Known, *, waits: bool = True) -> Fault:
    """An issue as a fault of the row, by the place that it names."""
    found = _AT.search(issue.expression)
    first = last = -1
    if found and found[2]:
        first = column_of(found[2])
        last = column_of(found[4]) if found[4] else first
    elif issue.expression in known.columns:
        first = last = known.columns[issue.expression]
    header = issue.place or (known.headers[first] if 0 <= first < len(known.headers) else "")
    cell = f"{letter(first)}{row.row}" if first >= 0 else f"A{row.row}"
    if last > first:
        cell += f":{letter(last)}{row.row}"
    value = _value(row, first, last, header, known)
    return Fault(
        row.line, cell, header or "(row)", value, issue.cause, issue.remedy, issue.category, waits
    )


def _value(row: RawRow, first: int, last: int, header: str, known: Known) -> str:
    """That of the cell; of a whole row that of the column named, of too many cells those beyond."""
    if first < 0:
        return ""
    if header == "(row)":
        from_here = max(len(known.headers) - 1, 0)
        return known.delimiter.join(row.cells[from_here : last + 1])
    if last > first and first == 0 and last == len(known.headers) - 1:
        first = last = known.headers.index(header) if header in known.headers else first
    return " ".join(row.cells[first : last + 1])


def by_cause(faults: Iterable[Fault]) -> list[tuple[str, str, list[Fault]]]:
    """Grouped: cause, remedy, and where."""
    groups: dict[tuple[str, str, str], list[Fault]] = {}
    for one in faults:
        groups.setdefault((one.column, one.cause, one.remedy), []).append(one)
    return [(cause, remedy, some) for (_, cause, remedy), some in groups.items()]
