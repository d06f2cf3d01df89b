"""Tables as text: encoding, directive, delimiter, header line, then rows with their place.

What the file is, is found out in a fixed order and reported; what cannot be known is refused. A
place is told twice: the line of the file and the row of the spreadsheet, which part after a line
break in quotes. RFC 4180.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from fhirbridge.outcome import BridgeError, Issue

DELIMITERS = (",", ";", "\t", "|")
HEADER_WITHIN = 10
MOST_CELL = 65_536
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DIRECTIVE = re.compile(r"sep=(.)\r?\n?")
_OTHERS = (
    (b"PK\x03\x04", "an archive (ZIP), and no Excel workbook", "send the table itself"),
    (b"\xd0\xcf\x11\xe0", "an Excel file of the old kind (.xls), or a protected one",
     "save it as .xlsx without a password, or as CSV UTF-8"),
    (b"%PDF", "a PDF", "send the table as CSV or .xlsx"),
    (b"\x1f\x8b", "compressed (gzip)", "unpack it"),
    (b"{", "JSON", "send the table as CSV or .xlsx"),
    (b"<", "HTML or XML", "send the table as CSV or .xlsx"),
    (b"MSH|", "HL7 v2", "send it to the listener"),
)  # fmt: skip
_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff\u00ad]")


@dataclass(frozen=True, slots=True)
class RawRow:
    """`line` of the file, `row` of the spreadsheet. `formulas`: the columns (from 0) that hold a
    formula, of which a file of values is told nothing. `context`: what other rows say of its key,
    by name."""

    line: int
    row: int
    cells: tuple[str, ...]
    formulas: tuple[int, ...] = ()
    context: tuple[tuple[str, str], ...] = ()

    @property
    def blank(self) -> bool:
        return not any(cell and not cell.isspace() for cell in self.cells)

    def at(self, first: int, last: int | None = None) -> str:
        """The place of a cell, or of a range of them, by columns counted from 0."""
        cells = f"{letter(first)}{self.row}"
        if last is not None and last != first:
            cells += f":{letter(last)}{self.row}"
        return f"line {self.line}, cell {cells}"


Known = Callable[[str], bool]
"""Whether a cell, its name made plain by `plain`, is the name of a column."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """`rows` begins anew at each call, with the first row below the header."""

    header: RawRow
    labels: tuple[RawRow, ...]
    rows: Callable[[], Iterator[RawRow]]
    delimiter: str = ""
    encoding: str = ""
    notes: tuple[str, ...] = ()


def letter(column: int) -> str:
    """
    >>> letter(0), letter(25), letter(26)
    ('A', 'Z', 'AA')
    """
    made, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        made = chr(ord("A") + rest) + made
    return made


def column_of(letters: str) -> int:
    """
    >>> column_of("AA")
    26
    """
    number = 0
    for sign in letters:
        number = number * 26 + ord(sign) - ord("A") + 1
    return number - 1


def trimmed(text: str) -> str:
    """As it is compared: without blanks at the ends, without what nobody sees, and with one way to
    write a letter with its accent (NFC)."""
    if text.isascii():
        return text.strip()
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text)).strip()


def plain(name: str) -> str:
    """A column's name as it is compared.

    >>> plain("\\ufeffStudy_ID "), plain("Pain\\u00a0 at rest")
    ('study_id', 'pain at rest')
    """
    return " ".join(trimmed(name).lower().split())


def refused(cause: str, remedy: str, at: str = "", category: str = "structure") -> BridgeError:
    return BridgeError(Issue(category, cause, remedy, expression=at))


def open_text(raw: bytes, known: Known, keys: Sequence[Known], *, charset: str = "") -> Sheet:
    """The table of the bytes. `keys` are what the header must hold.

    Raises `BridgeError` where the file is another kind, in no known encoding, or has no header.
    """
    if not raw or raw.isspace():
        raise refused("the file is empty", "leave it out, or see how it was written")
    other = next((told for told in _OTHERS if raw[:4096].lstrip().startswith(told[0])), None)
    if other:
        raise refused(f"the file is {other[1]}", other[2])
    encoding, skipped, told = _encoding(raw, charset)

    def text() -> io.TextIOWrapper:
        stream = io.BytesIO(raw)
        stream.seek(skipped)
        return io.TextIOWrapper(stream, encoding=encoding, newline="")

    first = text().readline()
    directive = _DIRECTIVE.fullmatch(first)
    start = 1 if directive else 0
    tried = (directive[1],) if directive else DELIMITERS
    notes = [told] if told else []
    if directive:
        notes.append("line 1 says which sign divides the cells")
    delimiter, header, labels = _header(text, tried, start, known, keys)
    notes.append(f"cells are divided by {_SPOKEN.get(delimiter, delimiter)}")

    def rows() -> Iterator[RawRow]:
        return islice(_rows(text(), delimiter, start), header.row - start, None)

    return Sheet(header, labels, rows, delimiter, encoding, (*notes, *_where(header, labels)))


_SPOKEN = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def _where(header: RawRow, labels: Sequence[RawRow]) -> Iterator[str]:
    if labels:
        above = "line 1 is" if header.line == 2 else f"the {header.line - 1} lines above are"
        yield f"header found in line {header.line}; {above} kept as labels"


def header_among(
    rows: Sequence[RawRow], known: Known, keys: Sequence[Known]
) -> tuple[int, int, bool]:
    """Names known in the best of the rows, which it is, and whether its keys are whole."""
    best = (0, -1, False)
    for number, row in enumerate(rows):
        names = [plain(cell) for cell in row.cells]
        score = sum(1 for name in names if name and known(name))
        whole = all(any(key(name) for name in names) for key in keys)
        if (whole, score) > (best[2], best[0]) and score:
            best = (score, number, whole)
    return best


def _header(
    text: Callable[[], io.TextIOWrapper],
    tried: Sequence[str],
    start: int,
    known: Known,
    keys: Sequence[Known],
) -> tuple[str, RawRow, tuple[RawRow, ...]]:
    found: tuple[tuple[bool, int], str, list[RawRow], int] | None = None
    for delimiter in tried:
        rows: list[RawRow] = []
        with suppress(BridgeError):  # an open quote further down: the header may stand before it
            rows.extend(islice(_rows(text(), delimiter, start), HEADER_WITHIN))
        score, number, whole = header_among(rows, known, keys)
        if number >= 0 and (found is None or (whole, score) > found[0]):
            found = ((whole, score), delimiter, rows, number)
    if found is None:
        cause = f"none of the first {HEADER_WITHIN} lines has a name of a column"
        raise refused(cause, "write the names of the template into the first line", "header")
    _, delimiter, rows, number = found
    labels = tuple(row for row in rows[:number] if not row.blank)
    return delimiter, rows[number], labels


def _rows(text: io.TextIOWrapper, delimiter: str, start: int) -> Iterator[RawRow]:
    for _ in range(start):
        text.readline()
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    row, line = start, start
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as fault:
            raise _broken(fault, line + 1, reader.line_num + start) from fault
        if cells is None:
            return
        row += 1
        made = RawRow(line + 1, row, tuple(cells))
        line = reader.line_num + start
        if max(map(len, cells), default=0) > MOST_CELL:
            cause = f"a cell is longer than {MOST_CELL} characters"
            raise refused(cause, "shorten it, or close its quotes", made.at(0), "too-long")
        yield made


def _broken(fault: csv.Error, opened: int, at: int) -> BridgeError:
    if "field larger" in str(fault) or "unexpected end" in str(fault):
        cause = "a quote is opened here and not closed"
        return refused(cause, "close the quotes, or double those that are text", f"line {opened}")
    cause = f"no CSV: {fault}"
    return refused(cause, 'double quotes within a text (""), and quote the whole', f"line {at}")


def _encoding(raw: bytes, charset: str) -> tuple[str, int, str]:
    """Its name, how many bytes of a mark stand before the text, and what is told of it."""
    for mark, name in _MARKS:
        if raw.startswith(mark):
            _decodes(raw, len(mark), name)
            return name, len(mark), f"encoding {name.upper()}, by its byte order mark"
    if charset:
        try:
            codecs.lookup(charset)
        except LookupError:
            raise refused(f"'{charset}' is no charset", "say utf-8 or windows-1252") from None
    wide = raw[:64].count(0) > 4
    if wide and not charset.lower().startswith(("utf-16", "utf-32", "utf16", "utf32")):
        cause = "the file looks like UTF-16 and has no byte order mark, or is no text"
        raise refused(cause, 'save it as "CSV UTF-8", or tell its charset')
    if charset and (wide or not _is_utf8(raw)):
        _decodes(raw, 0, charset)
        return charset, 0, f"encoding {charset}, as it was told"
    _decodes(raw, 0, "utf-8")
    told = "" if not charset or raw.isascii() else f"encoding UTF-8, and not {charset}, as it was"
    return "utf-8", 0, f"{told} told: every byte of the file is UTF-8" if told else ""


def _is_utf8(raw: bytes) -> bool:
    """Text of another charset with a letter beyond ASCII is next to never valid UTF-8, so what is
    told of a site holds for the files that are none."""
    with suppress(BridgeError):
        _decodes(raw, 0, "utf-8")
        return True
    return False


def _decodes(raw: bytes, start: int, name: str) -> None:
    """Raises at the first byte that is none of the encoding, with line and cell."""
    decoder = codecs.getincrementaldecoder(name)()
    step = 1 << 20
    for begin in range(start, len(raw) + 1, step):
        chunk = raw[begin : begin + step]
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk, final=begin + step > len(raw))
        except UnicodeDecodeError as fault:
            raise _undecoded(raw, begin - pending + fault.start, name) from fault


def _undecoded(raw: bytes, at: int, name: str) -> BridgeError:
    before = raw[:at].decode("latin-1")
    line = before.count("\n") + 1
    begin = before.rfind("\n") + 1
    head = raw[: raw.find(b"\n") if b"\n" in raw else len(raw)].decode("latin-1")
    delimiter = max(DELIMITERS, key=head.count)
    row = sum(1 for _ in csv.reader(io.StringIO(before), delimiter=delimiter))
    cells = next(csv.reader([before[begin:]], delimiter=delimiter), [])
    place = f"line {line}, cell {letter(max(len(cells), 1) - 1)}{max(row, 1)}"
    end = raw.find(b"\n", at)
    rest = raw[begin : end if end >= 0 else len(raw)].decode("windows-1252", "replace")
    shown = next(csv.reader([rest.strip("\r")], delimiter=delimiter), [""])
    cell = shown[min(max(len(cells), 1), len(shown)) - 1]
    cause = f"the file is not {name.upper()}: byte 0x{raw[at]:02X}"
    remedy = (
        f'save it as "CSV UTF-8", or say --charset windows-1252 (the cell is then: "{cell}")'
        if name == "utf-8"
        else "tell the right charset"
    )
    return refused(cause, remedy, place)
