"""The first shown sheet of an Excel workbook (.xlsx) as rows of text, in flat memory.

A cell is told as it is shown where its type says so surely: a date as YYYY-MM-DD, a number with the
digits of its format. A formula is told as one and never worked out. What would unpack to far more
than it is, is refused before it is unpacked.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from fhirbridge.formats.tabular_text import (
    HEADER_WITHIN,
    MOST_CELL,
    Known,
    RawRow,
    Sheet,
    header_among,
    refused,
)
from fhirbridge.outcome import BridgeError

MOST_UNPACKED = 256 << 20
MOST_RATIO = 100
FREE = 4 << 20  # bytes that a workbook may unpack to, whatever its ratio
_DIGITS = re.compile(r"0\.(0+)(?:_.)?")
# What openpyxl and zipfile raise on files that are damaged, and what of the file that means.
_BROKEN: tuple[tuple[type[Exception], str], ...] = (
    (zipfile.BadZipFile, "its archive is damaged"),
    (zlib.error, "its archive is damaged"),
    (EOFError, "it ends too early"),
    (NotImplementedError, "it is compressed in a way that is not read"),
    (RuntimeError, "it is protected by a password"),
    (ParseError, "the XML within is damaged"),
    (KeyError, "a part of it is missing"),
    (InvalidFileException, "it is of another kind"),
    # A cell or a style that is none: openpyxl checks no file before it reads.
    (ValueError, "a value within is none of its type"),
    (TypeError, "a value within is none of its type"),
    (AttributeError, "an element within is missing"),
    (IndexError, "it points to a text that it does not have"),
    (OSError, "it cannot be read to its end"),
)
_FAULTS = tuple(kind for kind, _ in _BROKEN)


def is_workbook(raw: bytes) -> bool:
    return raw.startswith(b"PK\x03\x04")


def open_workbook(raw: bytes, known: Known, keys: Sequence[Known]) -> Sheet:
    """Raises `BridgeError` where it is no workbook, or has no header in its first lines."""
    _harmless(raw)
    head = list(islice(_rows(raw), HEADER_WITHIN))
    score, number, _ = header_among(head, known, keys)
    if not score:
        cause = f"none of the first {HEADER_WITHIN} rows of the first sheet has a name of a column"
        raise refused(cause, "write the names of the template into the first row", "header")
    header = _cut(head[number])
    width = len(header.cells)

    def rows() -> Iterator[RawRow]:
        for row in islice(_rows(raw), number + 1, None):
            cells = row.cells
            while len(cells) > width and not cells[-1]:
                cells = cells[:-1]
            padded = (*cells, *("" for _ in range(width - len(cells))))
            yield RawRow(row.line, row.row, padded, row.formulas)

    labels = tuple(row for row in head[:number] if not row.blank)
    notes: tuple[str, ...] = ("an Excel workbook: the first sheet that is shown is read",)
    if labels:
        notes = (*notes, f"header found in row {header.row}; what stands above is kept as labels")
    return Sheet(header, labels, rows, "", "xlsx", notes)


def _cut(row: RawRow) -> RawRow:
    cells = row.cells
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    return RawRow(row.line, row.row, cells)


def _harmless(raw: bytes) -> None:
    """By the archive's own list, beyond which nothing is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            parts = archive.infolist()
    except _FAULTS as fault:
        raise _no_workbook(f"a broken archive: {_meaning(fault)}") from fault
    if not any(part.filename == "xl/workbook.xml" for part in parts):
        raise _no_workbook("an archive (ZIP), and no Excel workbook")
    size = sum(part.file_size for part in parts)
    if size > MOST_UNPACKED:
        cause = f"the workbook unpacks to {size} bytes, {MOST_UNPACKED} are taken at most"
        raise refused(cause, "send it as CSV, or divide it", category="too-long")
    for part in parts:
        if part.file_size > FREE and part.file_size > MOST_RATIO * max(part.compress_size, 1):
            cause = f"a part of the workbook unpacks to more than {MOST_RATIO} times its length"
            raise refused(cause, "send it as CSV, or divide it", category="too-long")


def _no_workbook(what: str) -> BridgeError:
    return refused(f"the file is {what}", "save it as .xlsx, or as CSV UTF-8")


def _meaning(fault: Exception) -> str:
    return next(told for kind, told in _BROKEN if isinstance(fault, kind))


@contextmanager
def _readable() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            # It warns of what it leaves out: styles, and newer kinds of validation.
            warnings.simplefilter("ignore")
            yield
    except _FAULTS as fault:
        what = f"an Excel workbook that cannot be read: {_meaning(fault)}"
        raise _no_workbook(what) from fault


def _shown(book: Any) -> list[Any]:
    """The sheets that whoever fills them in sees: lists of words are often kept on a hidden one."""
    return [one for one in book.worksheets if one.sheet_state == "visible"]


def _rows(raw: bytes) -> Iterator[RawRow]:
    with _readable():
        book = openpyxl.load_workbook(
            io.BytesIO(raw), read_only=True, data_only=False, keep_links=False
        )
        shown = _shown(book)
        if not shown:
            raise _no_workbook("a workbook without a sheet that is shown")
        sheet = shown[0]
        sheet.reset_dimensions()  # what a program wrote there need not be true
        listed = sheet.iter_rows()
    number = 0
    while True:
        with _readable():
            cells = next(listed, None)
        if cells is None:
            break
        number += 1
        texts = tuple(_text(cell) for cell in cells)
        formulas = tuple(i for i, cell in enumerate(cells) if cell.data_type == "f")
        made = RawRow(number, number, texts, formulas)
        if max(map(len, texts), default=0) > MOST_CELL:
            cause = f"a cell is longer than {MOST_CELL} characters"
            raise refused(cause, "shorten it", made.at(0), "too-long")
        yield made
    book.close()


def _text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        midnight = value.time() == time()
        return value.date().isoformat() if midnight else value.isoformat(" ", "seconds")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, float):
        return _number(Decimal(repr(value)), str(cell.number_format or ""))
    if isinstance(value, int):
        return _number(Decimal(value), str(cell.number_format or ""))
    return str(value)


def _number(number: Decimal, form: str) -> str:
    """With the zeros that the cell's format shows; no digit is rounded away."""
    if number == number.to_integral_value():
        number = number.quantize(Decimal(1)) if abs(number) < 10**18 else number
    shown = _DIGITS.fullmatch(form)
    if shown and -int(number.as_tuple().exponent) < len(shown[1]):
        number = number.quantize(Decimal(1).scaleb(-len(shown[1])))
    return format(number, "f") if abs(number.adjusted()) < 18 else str(number)
