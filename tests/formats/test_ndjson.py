"""NDJSON line by line: the same lines however the chunks fall, and what is no resource told once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.formats import ndjson
from fhirbridge.formats.ndjson import Line, Read
from fhirbridge.outcome import failed


def chunks(raw: bytes, size: int) -> Read:
    parts: Iterator[bytes] = iter([raw[n : n + size] for n in range(0, len(raw), size)])
    return lambda _: next(parts, b"")


def read(raw: bytes, *, size: int = 1 << 20, limit: int = ndjson.LIMIT) -> list[Line]:
    return list(ndjson.lines(chunks(raw, size), limit=limit))


@given(st.lists(st.binary(max_size=9)), st.integers(1, 12), st.booleans())
def test_the_lines_are_the_same_however_the_chunks_fall(
    parts: list[bytes], size: int, ended: bool
) -> None:
    bodies = [b"{" + part.replace(b"\n", b"") + b"}" for part in parts]
    raw = b"\n".join(bodies) + (b"\n" if ended and bodies else b"")
    expected = [Line(number, body) for number, body in enumerate(bodies, start=1)]
    assert read(raw, size=size) == expected


# reason, bytes, (number, content) of the lines with something on them, words of each remark
FORMS = [
    ("CR LF", b"{1}\r\n{2}\r\n", [(1, b"{1}"), (2, b"{2}")], ["CR LF"]),
    ("blank lines", b"\n{1}\n\n  \n{2}", [(2, b"{1}"), (5, b"{2}")], ["blank line"]),
    ("a byte order mark", b"\xef\xbb\xbf{1}\n{2}\n", [(1, b"{1}"), (2, b"{2}")], ["byte order mark"]),
    ("files set end to end", b"{1}\n\xef\xbb\xbf{2}\n", [(1, b"{1}"), (2, b"{2}")], ["byte order mark"]),
    ("all of them", b"\xef\xbb\xbf{1}\r\n\r\n{2}\n", [(1, b"{1}"), (3, b"{2}")], ["byte order mark", "CR LF", "blank"]),
    ("blanks around", b"\t{1} \n", [(1, b"{1}")], []),
    ("what is no object", b"[]\ntrue\n", [(1, b"[]"), (2, b"true")], []),
    ("nothing", b"", [], []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "found", "remarks"), [row[1:] for row in FORMS], ids=[row[0] for row in FORMS]
)
def test_what_is_not_as_it_should_be_is_read_over_and_told_once(
    raw: bytes, found: list[tuple[int, bytes]], remarks: list[str]
) -> None:
    lines = read(raw)
    assert [(line.number, line.raw) for line in lines if line.raw] == found
    told = [issue for line in lines for issue in line.issues]
    assert not failed(told)
    assert all(issue.remedy for issue in told)
    assert len(told) == len(remarks)
    assert all(word in issue.cause for word, issue in zip(remarks, told, strict=True))


@pytest.mark.parametrize("size", [1, 3, 10, 1000])
def test_a_line_beyond_the_limit_is_told_with_its_length_and_the_next_is_read(size: int) -> None:
    raw = b"{" + b"x" * 98 + b"}\n{2}\n" + b"y" * 30 + b"\n" + b"{" + b"z" * 18 + b"}"
    first, second, third, last = read(raw, size=size, limit=20)
    assert (second.number, second.raw, last.number, len(last.raw)) == (2, b"{2}", 4, 20)
    for line, number, length in ((first, 1, 100), (third, 3, 30)):
        assert (line.number, line.raw) == (number, b"")
        (issue,) = line.issues
        assert issue.cause == f"the line has {length} bytes, more than the 20 that are read"
        assert "--max-line" in issue.remedy
        assert issue.category == "too-long"


def test_of_a_line_without_end_no_more_than_the_limit_is_held() -> None:
    limit, chunk = 1 << 21, b"x" * ndjson.CHUNK
    given = iter([chunk] * 64)
    tracemalloc.start()
    try:
        (line,) = ndjson.lines(lambda _: next(given, b""), limit=limit)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert f"{64 << 20} bytes" in line.issues[0].cause
    assert peak < 3 * limit


@pytest.mark.parametrize(
    ("raw", "cause", "remedy"),
    [
        ('{"a": 1}\n'.encode("utf-16"), "UTF-16", "save it as UTF-8"),
        (b"\x1f\x8b\x08\x00\n\n\n", "gzip", "unpack it"),
        (b"PK\x03\x04\n{}\n", "ZIP", "unpack it"),
    ],
)
def test_a_file_that_is_no_utf_8_text_is_told_once(raw: bytes, cause: str, remedy: str) -> None:
    (line,) = read(raw)
    assert (line.number, line.raw) == (0, b"")
    assert cause in line.issues[0].cause
    assert remedy in line.issues[0].remedy
