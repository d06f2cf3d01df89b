"""NDJSON, as bulk exports have it (application/fhir+ndjson): one JSON value a line, read in chunks,
so that memory does not grow with the file.

Does not hold a line beyond its limit, and does not read what a line says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from fhirbridge.outcome import Issue

CHUNK = 1 << 20
LIMIT = 16 << 20
BOM = b"\xef\xbb\xbf"
_OTHER_KINDS = (
    (b"\xff\xfe", "UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16", "save it as UTF-8"),
    (b"\x1f\x8b", "compressed (gzip)", "unpack it"),
    (b"PK\x03\x04", "an archive (ZIP)", "unpack it"),
)

Read = Callable[[int], bytes]  # up to so many bytes; none at the end


class Line(NamedTuple):
    """What stands on a line, without its end and its blanks.

    An error among the issues says why `raw` is empty; else they are remarks on the line's form.
    The issues have no place: that is the line, of a file whose name is not known here. The number
    is 0 where the whole file is nothing that can be read.
    """

    number: int
    raw: bytes
    issues: tuple[Issue, ...] = ()


def lines(read: Read, *, limit: int = LIMIT) -> Iterator[Line]:
    """The lines that hold something, and those that are too long.

    CR LF, blank lines and byte order marks are read over, and each told once.

    >>> chunks = iter([b'{"a": 1}\\n\\n{"b"', b': 2}'])
    >>> [(line.number, line.raw) for line in lines(lambda _: next(chunks, b""))]
    [(1, b'{"a": 1}'), (2, b''), (3, b'{"b": 2}')]
    """
    told: set[str] = set()
    for number, raw in split(read, limit):
        if isinstance(raw, int):
            yield Line(number, b"", (too_long(raw, limit),))
        elif raw[:1] == b"{" and raw[-1:] == b"}":
            yield Line(number, raw)
        elif number == 1 and (other := other_kind(raw)):
            yield Line(0, b"", (other,))
            return
        else:
            text = raw.removeprefix(BOM).strip(b" \t\r")
            remarks = tuple(r for r in _remarks(raw, text) if r.cause not in told)
            told.update(remark.cause for remark in remarks)
            if text or remarks:
                yield Line(number, text, remarks)


def split(read: Read, limit: int) -> Iterator[tuple[int, bytes | int]]:
    """Each line with its number, its LF left out; of one beyond the limit the length alone."""
    number, length, held = 1, 0, bytearray()
    while chunk := read(CHUNK):
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            length += len(piece)
            yield number, length if length > limit else bytes(held) + piece if held else piece
            number, length = number + 1, 0
            held.clear()
        length += len(rest)
        if length > limit:
            held.clear()
        else:
            held += rest
    if length:
        yield number, length if length > limit else bytes(held)


def _remarks(raw: bytes, text: bytes) -> Iterator[Issue]:
    if raw.startswith(BOM):
        yield BYTE_ORDER_MARK
    if raw.endswith(b"\r"):
        yield _remark("lines end with CR LF, which is read over", "end them with LF alone")
    if not text:
        yield _remark("a blank line, which is read over", "leave it out")


def _remark(cause: str, remedy: str) -> Issue:
    return Issue("structure", cause, remedy, severity="information")


BYTE_ORDER_MARK = _remark("a byte order mark, which is read over", "save the file without")


def too_long(length: int, limit: int) -> Issue:
    cause = f"the line has {length} bytes, more than the {limit} that are read"
    return Issue("too-long", cause, "divide what stands there, or raise --max-line")


def other_kind(raw: bytes) -> Issue | None:
    """The issue of a file whose first bytes say that it is no UTF-8 text."""
    for start, kind, remedy in _OTHER_KINDS:
        if raw.startswith(start):
            return Issue("structure", f"the file is {kind}", remedy)
    return None
