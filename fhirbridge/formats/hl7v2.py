"""HL7 v2 in the bar form: bytes to segments, fields and leaves, each split when it is asked for.

Reads what really comes: line feeds for carriage returns, lone line feeds within a text, a byte
order mark, empty segments, separators of its own. Says nothing of what a field means
(HL7 v2.8.2 chapter 2; docs/reference/hl7v2.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

NULL = '""'
BOM = b"\xef\xbb\xbf"
_STANDARD = "^~\\&"
# Table 0211 and what senders write for it.
CHARSETS = {
    "": "utf-8",
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
} | {
    name: f"iso8859-{n}"
    for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)
    for name in (f"8859/{n}", f"ISO-8859-{n}", f"ISO8859-{n}")
}


@dataclass(frozen=True, slots=True)
class Marks:
    """What divides: MSH-1 and MSH-2 of the message."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    part: str = "&"

    @classmethod
    def of(cls, head: str) -> Marks:
        """Fewer than four encoding characters are filled up; a fifth (2.7) is not needed."""
        mark = head[3:4] or "|"
        given = head[4:].partition(mark)[0][:4]
        told = given + _STANDARD[len(given) :]
        return cls(mark, *told)


class Leaf(NamedTuple):
    """A repetition of a field, not split yet; `at` is its place, such as `OBX[2]-5`."""

    raw: str
    marks: Marks
    at: str

    def __bool__(self) -> bool:
        return bool(self.raw)

    @property
    def null(self) -> bool:
        """Whether it takes a value away: empty says nothing, two quotes say "no more"."""
        return self.raw == NULL

    def part(self, component: int, below: int = 1) -> str:
        """A component, or what is below it, as text; empty where it is not there or null."""
        parts = self.raw.split(self.marks.component)
        if component > len(parts):
            return ""
        pieces = parts[component - 1].split(self.marks.part)
        told = pieces[below - 1] if below <= len(pieces) else ""
        return "" if told == NULL else unescape(told, self.marks)

    def parts(self) -> list[str]:
        """Every component as `part` gives it, to be asked for several of them."""
        marks = self.marks
        raw = self.raw.split(marks.component)
        if marks.part in self.raw:
            raw = [one.partition(marks.part)[0] for one in raw]
        if marks.escape in self.raw or NULL in self.raw:
            raw = ["" if one == NULL else unescape(one, marks) for one in raw]
        return raw

    @property
    def text(self) -> str:
        """All of it as a text: what is empty behind its end is none of it."""
        told = self.raw.rstrip(self.marks.component)
        return "" if told == NULL else unescape(told, self.marks)

    @property
    def size(self) -> int:
        return self.raw.count(self.marks.component) + 1 if self.raw else 0


@dataclass(frozen=True, slots=True)
class Segment:
    """`number` counts those of its name. Fields are numbered as HL7 does, MSH-1 being the mark."""

    name: str
    number: int
    cells: list[str]
    marks: Marks

    @property
    def at(self) -> str:
        return f"{self.name}[{self.number}]" if self.name not in _ALONE else self.name

    def raw(self, n: int) -> str:
        if self.name in _HEADERS:
            if n == 1:
                return self.marks.field
            n -= 1
        return self.cells[n] if n < len(self.cells) else ""

    def all(self, n: int) -> list[Leaf]:
        """Every repetition that says something."""
        at = f"{self.at}-{n}"
        return [Leaf(t, self.marks, at) for t in self.raw(n).split(self.marks.repetition) if t]

    def first(self, n: int) -> Leaf:
        told, mark = self.raw(n), self.marks.repetition
        if mark in told:
            told = told.lstrip(mark).partition(mark)[0]
        return Leaf(told, self.marks, f"{self.at}-{n}")

    def text(self, n: int, component: int = 1) -> str:
        marks, told = self.marks, self.raw(n)
        if marks.repetition in told:
            told = told.lstrip(marks.repetition).partition(marks.repetition)[0]
        if not told:
            return ""
        parts = told.split(marks.component, component)
        if component > len(parts):
            return ""
        leaf = parts[component - 1].partition(marks.part)[0]
        return "" if leaf == NULL else unescape(leaf, marks).strip()

    def null(self, n: int) -> bool:
        return self.raw(n) == NULL


_HEADERS = ("MSH", "FHS", "BHS")
_ALONE = ("MSH", "FHS", "BHS", "BTS", "FTS", "EVN")


@dataclass(frozen=True, slots=True)
class Message:
    """`divided` is what separates its segments: CR, CRLF or LF."""

    segments: list[Segment]
    divided: str
    marks: Marks = field(default_factory=Marks)

    def every(self, *names: str) -> Iterator[Segment]:
        return (s for s in self.segments if s.name in names)

    def of_each(self, name: str) -> list[Message]:
        """A message for each segment of that name: what stands before the first of them, and it
        with what follows it."""
        starts = [n for n, one in enumerate(self.segments) if one.name == name]
        if len(starts) < 2:
            return [self]
        shared = self.segments[: starts[0]]
        ends = [*starts[1:], len(self.segments)]
        return [
            Message([*shared, *self.segments[start:end]], self.divided, self.marks)
            for start, end in zip(starts, ends, strict=True)
        ]

    def one(self, name: str) -> Segment:
        """The first of that name; where there is none, one that says nothing."""
        return next(self.every(name), Segment(name, 1, [name], self.marks))


def parse(text: str) -> Message:
    """Raises `ValueError` where it does not begin with MSH."""
    text = text.removeprefix("\ufeff")
    divided, lines = _lines(text)
    if not lines or not lines[0].startswith("MSH") or len(lines[0]) < 5:
        raise ValueError("it does not begin with MSH")
    marks = Marks.of(lines[0])
    counted: dict[str, int] = {}
    segments = []
    for line in lines:
        cells = line.split(marks.field)
        name = cells[0].strip()
        counted[name] = counted.get(name, 0) + 1
        segments.append(Segment(name, counted[name], cells, marks))
    return Message(segments, divided, marks)


def _lines(text: str) -> tuple[str, list[str]]:
    """A CR that no LF follows separates, and LF is text then; else CR LF; else LF."""
    body = text.rstrip("\r\n")
    if re.search(r"\r(?!\n)", body) or ("\r" not in body and "\n" not in body):
        divided, lines = "CR", body.split("\r")
    elif "\r\n" in body:
        divided, lines = "CRLF", body.split("\r\n")
    else:
        divided, lines = "LF", body.split("\n")
    return divided, [line for line in (one.lstrip("\n") for one in lines) if line.strip()]


def decode(body: bytes, *, charset: str = "") -> Message:
    """Strictly by this charset, else MSH-18, else UTF-8; the separators are ASCII in all of them.

    Raises `CharsetError` where a byte is none of it, `ValueError` where it is no message.
    """
    body = body.removeprefix(BOM)
    claimed = charset or header(body).text(18)
    codec = CHARSETS.get(claimed.upper())
    if codec is None:
        raise CharsetError(f"the charset '{claimed[:40]}' is not read here")
    try:
        return parse(body.decode(codec))
    except UnicodeDecodeError as fault:
        told = f"{'the connection says' if charset else 'MSH-18 claims'} {claimed or 'UTF-8'}"
        claim = told if claimed else "MSH-18 is empty, and UTF-8 is taken"
        byte = body[fault.start]
        raise CharsetError(f"byte {byte:02X} at offset {fault.start} is none; {claim}") from fault


class CharsetError(ValueError):
    """Bytes that are none of their charset; its text holds the byte and its place alone."""


def header(body: bytes) -> Segment:
    """MSH, whatever the charset. Raises `ValueError` where the bytes do not begin with it."""
    first = body.removeprefix(BOM).lstrip(b"\r\n").split(b"\r", 1)[0].split(b"\n", 1)[0]
    return parse(first.decode("latin-1")).segments[0]


_ESCAPED = {"F": "field", "S": "component", "R": "repetition", "E": "escape", "T": "part"}
_LINE = re.compile(r"\.(br|sp|fi|nf|in|ti|sk|ce)\s*([+-]?\d+)?", re.IGNORECASE)
_HEX = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")


def unescape(text: str, marks: Marks) -> str:
    """Escapes of one leaf, once it is no more split. What is no escape stays as it is: "4\\5"."""
    mark = marks.escape
    if mark not in text:
        return text
    made, rest = "", text
    while True:
        before, opened, behind = rest.partition(mark)
        code, closed, after = behind.partition(mark)
        meant = _meant(code, marks) if closed else None
        if not opened:
            return made + before
        if meant is None:
            made, rest = made + before + mark, behind
        else:
            made, rest = made + before + meant, after


def _meant(code: str, marks: Marks) -> str | None:
    """None where it is no escape, or one that is kept as it is (C, M, Z)."""
    if code in _ESCAPED:
        return str(getattr(marks, _ESCAPED[code]))
    if code in ("H", "N"):
        return ""
    found = _LINE.fullmatch(code)
    if found:
        lines = {"br": 1, "ce": 1, "sp": int(found[2] or 1)}.get(found[1].lower(), 0)
        return "\n" * min(max(lines, 0), 100)
    hexed = _HEX.fullmatch(code)
    if hexed:
        raw = bytes.fromhex(hexed[1])
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    return None
