"""Files of resources, one (`.json`) or one a line (`.ndjson`), as the bodies in them.

Every fault of a file comes in the place of a body, and the next file all the same.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

import click

from fhirbridge.commands.long_work import Bar, unreadable
from fhirbridge.formats import ndjson
from fhirbridge.formats.ndjson import CHUNK, Line, Read
from fhirbridge.outcome import BridgeError, Issue, failed

STDIN = "-"
LINED = (".ndjson", ".jsonl")
SITE = click.option("--site", default="", help="the site whose ids and local codes are used")
FILES = click.argument("files", nargs=-1, required=True)
MAX_LINE = click.option(
    "--max-line",
    default=ndjson.LIMIT,
    show_default=True,
    type=click.IntRange(min=1),
    help="bytes of the longest line, or file that has no lines of its own, that is read",
)
_AT = re.compile(r"line (\d+), column (\d+)")
_ONE_A_LINE = "write one whole resource on each line, as UTF-8 JSON"
_MORE = "keep one resource, or name the file .ndjson where there is one a line"


class Body(NamedTuple):
    """One resource of a file as bytes, or (`raw` empty) the error that stands in its place.

    `line` is 1 for a whole file, 0 for a file that could not be read at all. The issues have no
    place; `placed` gives it.
    """

    name: str
    line: int
    raw: bytes
    issues: tuple[Issue, ...] = ()
    whole: bool = False

    @property
    def place(self) -> str:
        return self.name if self.whole or not self.line else f"{self.name}:{self.line}"

    @property
    def remarks(self) -> list[Issue]:
        """What is told beside the resource."""
        return [] if failed(self.issues) else [self.placed(issue) for issue in self.issues]

    def placed(self, issue: Issue) -> Issue:
        """The issue of what stands here, with `file:line` before its own place."""
        found = _AT.fullmatch(issue.place)
        if found is None:
            return replace(issue, place=f"{self.place} {issue.place}".strip())
        column = f"{found[1]}:{found[2]}" if self.whole else found[2]
        return replace(self.mended(issue), place=f"{self.place}:{column}")

    def mended(self, issue: Issue) -> Issue:
        """The issue with the remedy for broken JSON in a file of this kind, and the column."""
        found = _AT.fullmatch(issue.place)
        if found is None or self.whole:
            more = "Extra data" in issue.cause and self.whole
            return replace(issue, remedy=_MORE) if more else issue
        return replace(issue, remedy=_ONE_A_LINE, place=f"column {found[2]}")


def bodies(path: str, limit: int, bar: Bar, *, short: bool = False) -> Iterator[Body]:
    """Every resource of the file, `-` being standard input; `short` names it without its folder.

    Ends with an error where there is none.
    """
    name = Path(path).name if short else path
    try:
        with opened(path, bar) as read:
            yield from bodies_of(read, path, name, limit)
    except BridgeError as fault:
        yield Body(path, 0, b"", fault.issues)


def bodies_of(read: Read, path: str, name: str, limit: int) -> Iterator[Body]:
    """The same, of a file that is open."""
    given = _bodies(read, path, name, limit)
    for body in given:
        yield body
        if body.raw or failed(body.issues):
            break
    else:
        empty = Issue("structure", "the file is empty", "leave it out, or see how it was written")
        yield Body(path, 0, b"", (empty,))
    yield from given


@contextmanager
def opened(path: str, bar: Bar) -> Iterator[Read]:
    """What reads the file. Raises `BridgeError` where it cannot be read."""
    with _opened(path) as stream:
        yield bar.reader(stream)


def _opened(path: str) -> AbstractContextManager[BinaryIO]:
    if path == STDIN:
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(path).open("rb")
    except OSError as fault:
        raise BridgeError(unreadable(fault)) from fault


def _bodies(read: Read, path: str, name: str, limit: int) -> Iterator[Body]:
    lined = Path(path).suffix.lower() in LINED
    if path == STDIN:
        lined, read = _is_lined(read, limit)
    for line in ndjson.lines(read, limit=limit) if lined else _whole(read, limit):
        yield Body(name, line.number, line.raw, line.issues, not lined)


def _is_lined(read: Read, limit: int) -> tuple[bool, Read]:
    """Whether there is one resource a line: the first line of an indented one ends too early."""
    first, read = looked_into(read, limit)
    return not first.partition(b"\n")[0].rstrip().endswith((b"{", b"[", b",")), read


def looked_into(read: Read, limit: int) -> tuple[bytes, Read]:
    """How the file begins, blanks left out, up to its first line's end at least; and all of it."""
    first = b""
    while b"\n" not in first.lstrip() and len(first) <= limit and (chunk := read(CHUNK)):
        first += chunk
    chunks = chain((first,), iter(lambda: read(CHUNK), b""))
    return first.removeprefix(ndjson.BOM).lstrip(), lambda size: next(chunks, b"")


def _whole(read: Read, limit: int) -> Iterator[Line]:
    """All of a file, unless it holds nothing, or nothing that can be read."""
    held = bytearray()
    while chunk := read(CHUNK):
        held += chunk
        if len(held) > limit:
            cause = f"the file has more than the {limit} bytes that are read at once"
            remedy = "write one resource or record a line into an .ndjson file, or raise --max-line"
            yield Line(0, b"", (Issue("too-long", cause, remedy),))
            return
    raw = bytes(held)
    other = ndjson.other_kind(raw)
    if other is not None:
        yield Line(0, b"", (other,))
    elif raw.startswith(ndjson.BOM):
        yield Line(1, raw.removeprefix(ndjson.BOM), (ndjson.BYTE_ORDER_MARK,))
    elif raw.strip():
        yield Line(1, raw)
