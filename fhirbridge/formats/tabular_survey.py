"""What only the whole file shows: the mark of decimals in a column, dates of both orders, keys that
stand twice. Of each row eight bytes are kept, so that the length of a file is no matter.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Set
from hashlib import blake2b
from itertools import pairwise, zip_longest

from fhirbridge.formats import tabular_cells, tabular_dates
from fhirbridge.formats.tabular import Rows
from fhirbridge.formats.tabular_cells import Marks, Wrong
from fhirbridge.formats.tabular_text import RawRow, letter, trimmed
from fhirbridge.formats.tabular_told import Double, Survey
from fhirbridge.study.fields import DATES

KeyOf = Callable[[RawRow], bytes]
"""What a row is known by in its file, or nothing."""
Differs = Callable[[RawRow, RawRow], int]
"""The first column in which two rows of one key differ, -1 for none."""
_PILES = 256


class Keys:
    """Keys as eight bytes each, in piles of which one at a time is sorted: two that look alike are
    compared in full afterwards."""

    def __init__(self) -> None:
        self.piles = [array("Q") for _ in range(_PILES)]

    def add(self, key: bytes) -> None:
        if key:
            short = _short(key)
            self.piles[short % _PILES].append(short)

    def repeated(self) -> frozenset[int]:
        return frozenset(
            one for pile in self.piles for one, other in pairwise(sorted(pile)) if one == other
        )


def digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode(), digest_size=16).digest()


def _short(key: bytes) -> int:
    return int.from_bytes(key[:8], "little")


def doubles(
    rows: Iterable[RawRow], repeated: Set[int], key_of: KeyOf, differs: Differs
) -> dict[int, Double]:
    """By row. Where two of a key differ, all of that key are in doubt, also equal ones."""
    if not repeated:
        return {}
    groups: dict[bytes, list[RawRow]] = {}
    for row in rows:
        key = b"" if row.blank else key_of(row)
        if key and _short(key) in repeated:
            groups.setdefault(key, []).append(row)
    made: dict[int, Double] = {}
    for group in groups.values():
        made.update(_of_group(group, differs))
    return made


def _of_group(group: list[RawRow], differs: Differs) -> Iterator[tuple[int, Double]]:
    first = group[0]
    apart = next((row for row in group if differs(first, row) >= 0), None)
    for row in group:
        if apart is None:
            if row is not first:
                yield row.row, Double(first.line)
            continue
        column = differs(row, first)
        other, column = (first, column) if column >= 0 else (apart, differs(row, apart))
        yield row.row, Double(other.line, column)


def survey(rows: Iterable[RawRow], again: Iterable[RawRow], reader: Rows) -> Survey:
    """Look through all rows before the first is read. `again` gives them once more, for what is
    double."""
    seen = _Seen(reader)
    for row in rows:
        seen.look_at(row)
    twice = doubles(again, seen.keys.repeated(), seen.key, _differs)
    return Survey(seen.marks(), twice, seen.rows, seen.blank, tuple(seen.notes()))


class _Seen:
    def __init__(self, reader: Rows) -> None:
        self.reader = reader
        self.rows = self.blank = 0
        self.commas: dict[int, list[int]] = {}  # column -> commas, points, odd commas
        self.orders: dict[int, dict[str, int]] = {}  # column -> order -> first line
        self.keys = Keys()
        self.filled: set[int] = set()
        columns = reader.columns.fields
        self.decimals = [c for c in columns if c.field.type == "decimal" and not c.decimal]
        self.dates = [c for c in columns if c.field.type in DATES and not c.order]
        self.unread = [i for i in range(len(reader.columns.headers))
                       if not reader.columns.headers[i]]  # fmt: skip

    def look_at(self, row: RawRow) -> None:
        if row.blank:
            self.blank += 1
            return
        self.rows += 1
        if len(row.cells) < len(self.reader.columns.headers):
            return
        for column in self.decimals:
            text = trimmed(row.cells[column.index])
            if "," in text or "." in text:
                self.count(column.index, text)
        for column in self.dates:
            found = tabular_dates.orders(trimmed(row.cells[column.index]))
            if len(found) == 1:
                self.orders.setdefault(column.index, {}).setdefault(next(iter(found)), row.line)
        self.filled.update(i for i in self.unread if trimmed(row.cells[i]))
        self.keys.add(self.key(row))

    def count(self, index: int, text: str) -> None:
        found = tabular_cells._NUMBER.fullmatch(text)
        if found is None:
            return
        counts = self.commas.setdefault(index, [0, 0, 0])
        told = found[1]
        counts[0] += "," in told
        counts[1] += "." in told
        counts[2] += "," in told and tabular_cells._COMMA.fullmatch(told) is None

    def key(self, row: RawRow) -> bytes:
        reader = self.reader
        if len(row.cells) < len(reader.columns.headers):
            return b""
        whose = reader.cell(row, reader.columns.subject) or "|".join(
            f"{i.system}|{i.value}" for i in reader.numbers(row)[0]
        )
        if not whose:
            return b""
        parts = [whose]
        for column in reader.columns.fields:
            if column.field.name in reader.form.key and not column.row:
                value = reader.cells.read(column, row.cells[column.index], key=True)
                if value is None or isinstance(value, Wrong):
                    return b""
                parts.append(str(value))
        return digest(*parts)

    def marks(self) -> dict[int, Marks]:
        made: dict[int, Marks] = {}
        for index, (commas, points, odd) in self.commas.items():
            told = "" if not commas else "mixed" if points else "odd" if odd else ","
            made[index] = Marks(commas=told)
        for index, lines in self.orders.items():
            if len(lines) == 2:
                both = " and ".join(f"{line}" for line in sorted(lines.values()))
                made[index] = Marks(both=f"lines {both}")
        return made

    def notes(self) -> Iterator[str]:
        for column in self.decimals:
            counts = self.commas.get(column.index)
            if counts and counts[0] and not counts[1] and not counts[2]:
                yield (
                    f"decimal comma in {column.header}: every value of the column is digits, comma,"
                    " one or two digits, and none has a point"
                )
        if self.blank:
            yield f"{_many(self.blank, 'line')} without content skipped"
        empty = [i for i in self.unread if i not in self.filled]
        if empty:
            yield f"{_many(len(empty), 'column')} without name and content skipped"
        if self.filled:
            cells = ", ".join(letter(i) for i in sorted(self.filled))
            yield f"columns without a name are not read: {cells}"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _differs(one: RawRow, other: RawRow) -> int:
    pairs = zip_longest(one.cells, other.cells, fillvalue="")
    return next((i for i, (a, b) in enumerate(pairs) if trimmed(a) != trimmed(b)), -1)
