"""A site's own file back, with what became of each row beside it; it can be uploaded again.

What a spreadsheet would run begins with an apostrophe, which an import takes off again.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import PatternFill

from fhirbridge.formats.csv_cells import guarded
from fhirbridge.formats.tabular_columns import OURS
from fhirbridge.formats.tabular_text import RawRow, Sheet, plain

_RED = PatternFill("solid", fgColor="FFF4CCCC")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class Line:
    """A row with its fate and its faults in words; `cells` are the columns that are at fault."""

    row: RawRow
    fate: str
    faults: str
    cells: frozenset[int] = frozenset()


def as_csv(sheet: Sheet, lines: Iterable[Line]) -> Iterator[bytes]:
    """With a byte order mark, by which spreadsheets know UTF-8."""
    out = io.StringIO()
    rows = csv.writer(out, delimiter=sheet.delimiter or ",", lineterminator="\r\n")
    yield b"\xef\xbb\xbf"
    for cells, _ in _laid_out(sheet, lines):
        rows.writerow([guarded(cell) for cell in cells])
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()


def as_xlsx(sheet: Sheet, lines: Iterable[Line]) -> bytes:
    """All cells as text, those at fault in colour."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = openpyxl.Workbook(write_only=True)
        page = book.create_sheet("rows")
        for cells, wrong in _laid_out(sheet, lines):
            made = []
            for index, text in enumerate(cells):
                cell = WriteOnlyCell(page, _NOT_IN_XML.sub("", text) or None)
                cell.data_type, cell.number_format = "s", "@"
                if index in wrong:
                    cell.fill = _RED
                made.append(cell)
            page.append(made)
        out = io.BytesIO()
        book.save(out)
    return out.getvalue()


def _laid_out(sheet: Sheet, lines: Iterable[Line]) -> Iterator[tuple[list[str], frozenset[int]]]:
    ours = {i for i, cell in enumerate(sheet.header.cells) if plain(cell) in OURS}
    number = 0
    for label in sheet.labels:
        yield from _empty(label.row - number - 1)
        yield list(_without(label.cells, ours)), frozenset()
        number = label.row
    yield from _empty(sheet.header.row - number - 1)
    yield [*_without(sheet.header.cells, ours), *OURS], frozenset()
    number = sheet.header.row
    for line in lines:
        yield from _empty(line.row.row - number - 1)
        yield [*_without(line.row.cells, ours), line.fate, line.faults], line.cells
        number = line.row.row


def _empty(count: int) -> Iterator[tuple[list[str], frozenset[int]]]:
    yield from (([""], frozenset[int]()) for _ in range(count))


def _without(cells: Sequence[str], ours: set[int]) -> Iterator[str]:
    yield from (cell for i, cell in enumerate(cells) if i not in ours)
