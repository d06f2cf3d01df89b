"""The body of a request, read as far as it may be and as it was declared, or not at all.

Content-Encoding: gzip (RFC 9110, section 8.4) is undone in steps and ends at a cap, for a sender
of 200 kB can mean 200 MB. Nothing else is undone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl

from flask import Request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

from fhirbridge.outcome import BridgeError, Issue

JSON_TYPES = ("application/fhir+json", "application/json", "application/json+fhir")
FORM_TYPE = "application/x-www-form-urlencoded"
TABLE_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_TABLES = ("text/csv", TABLE_TYPES["xlsx"], "application/octet-stream", "text/plain",
           "text/tab-separated-values", "application/vnd.ms-excel")  # fmt: skip
_MULTIPART = "multipart/form-data"
MOST_FIELDS = 100
MOST_RATIO = 100
FREE = 1_000_000  # bytes that a body may unpack to whatever its ratio
_MAGIC = b"\x1f\x8b"
_STEP = 65_536
_GZIP = 16 + zlib.MAX_WBITS


def read_body(request: Request) -> bytes:
    """The JSON that was sent, unpacked.

    Raises `BridgeError`: media-type (415) for another media type, charset, FHIR version or
    encoding; structure (400) for what is no gzip; too-long (413) for what unpacks beyond the cap.
    """
    _declared(request, JSON_TYPES, "send application/fhir+json")
    return _bytes(request)


def read_form(request: Request) -> list[tuple[str, str]]:
    """The fields of a form that was sent, as `read_body` reads; of no body none."""
    _declared(request, (FORM_TYPE,), f"send {FORM_TYPE}, or the parameters in the URL")
    try:
        text = _bytes(request).decode()
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except UnicodeDecodeError as fault:
        cause, remedy = "the form is not UTF-8", "send it as UTF-8"
        raise BridgeError(Issue("structure", cause, remedy)) from fault
    except ValueError as fault:
        cause = f"the form has more than {MOST_FIELDS} fields"
        raise BridgeError(Issue("not-supported", cause, "ask for less")) from fault


def read_table(request: Request, most: int) -> tuple[str, bytes, dict[str, str]]:
    """Name and bytes of a table that was sent, and the texts of the files beside it.

    Its charset is found out from the bytes. Raises `BridgeError`: media-type (415), too-long (413).
    """
    request.max_content_length = most
    if request.mimetype == _MULTIPART:
        file = request.files.get("file")
        if file is None:
            cause = "the form has no part 'file'"
            raise BridgeError(Issue("structure", cause, "send the table as the part 'file'"))
        others = {name: one.read() for name, one in request.files.items() if name != "file"}
        try:
            texts = {name: raw.decode("utf-8-sig") for name, raw in others.items()}
        except UnicodeDecodeError as fault:
            cause = "a file beside the table is not UTF-8"
            raise BridgeError(Issue("structure", cause, "save it as UTF-8")) from fault
        return file.filename or "table", file.read(), texts
    if request.mimetype and request.mimetype not in _TABLES:
        raise _unread(f"'{request.mimetype}'", "send text/csv, .xlsx, or a form with the part file")
    return "table", _bytes(request), {}


def _declared(request: Request, types: tuple[str, ...], remedy: str) -> None:
    if request.mimetype and request.mimetype not in types:
        raise _unread(f"'{request.mimetype}'", remedy)
    told = request.mimetype_params
    if told.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise _unread(f"the charset '{told['charset'][:40]}'", "send UTF-8")
    if told.get("fhirversion", told.get("fhirVersion", "4.0")) not in ("4.0", "4.0.1"):
        raise _unread("another FHIR version than R4", "send fhirVersion=4.0, or leave it out")


def _bytes(request: Request) -> bytes:
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        raw = _read(request.get_data)
        if len(raw) < (request.content_length or 0):  # RFC 9112, section 8
            raise _cut()
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise _unread(f"the encoding '{encoding[:40]}'", "send it as gzip, once, or as it is")
    most = request.max_content_length
    made = b"".join(_unpacked(request, most))
    if made.startswith(_MAGIC):
        raise _unread("a gzip within a gzip", "pack it once")
    return made


def _unpacked(request: Request, most: int | None) -> Iterator[bytes]:
    """The parts of what was packed; each member of a gzip file follows the one before it."""
    taken = made = 0
    member = zlib.decompressobj(_GZIP)
    while raw := _read(lambda: request.stream.read(_STEP)):
        taken += len(raw)
        while raw:
            if member.eof:
                member = zlib.decompressobj(_GZIP)
            part = _step(member, raw)
            made += len(part)
            _within(made, taken, most)
            yield part
            raw = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise _broken("it ends too early")


def _read(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except (OSError, ParseException) as fault:  # as gunicorn tells that a chunk is none
        raise _cut() from fault


def _cut() -> BridgeError:
    cause = "the body ended too early, or its chunks are none"
    return BridgeError(Issue("structure", cause, "send it again, whole"))


def _step(member: zlib._Decompress, raw: bytes) -> bytes:
    try:
        return member.decompress(raw, _STEP)
    except zlib.error as fault:
        raise _broken("it is no gzip") from fault


def _within(made: int, taken: int, most: int | None) -> None:
    if most is not None and made > most:
        cause = f"the body unpacks to more than {most} bytes"
        raise BridgeError(Issue("too-long", cause, "divide it"))
    if made > FREE and made > MOST_RATIO * taken:
        cause = f"the body unpacks to more than {MOST_RATIO} times its length"
        raise BridgeError(Issue("too-long", cause, "send it as it is, or divide it"))


def _broken(what: str) -> BridgeError:
    cause = f"the body was declared as gzip, and {what}"
    return BridgeError(Issue("structure", cause, "pack it anew, or send it as it is"))


def _unread(what: str, remedy: str) -> BridgeError:
    return BridgeError(Issue("media-type", f"{what} is not read here", remedy))
