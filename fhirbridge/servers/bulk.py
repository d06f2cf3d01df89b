"""Bulk Data Access, as a client (https://hl7.org/fhir/uv/bulkdata/export.html): begin an export,
ask how far it is, fetch its files, end it.

Never waits: how long to leave the server alone is told. Credentials go to the connection's own
origin alone, and files are fetched from elsewhere only where the site allows the host.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers.client import Server
from fhirbridge.servers.origin import origin, resolve, same_origin
from fhirbridge.servers.retry import retry_after
from fhirbridge.servers.wire import Reply

NDJSON = "application/fhir+ndjson"
_ASYNC = {"Accept": "application/fhir+json", "Prefer": "respond-async"}
_LARGEST = 64 << 30  # bytes of one file; it lies on disk, never in memory
_MOST_MANIFESTS = 1_000
_ASK_AGAIN = frozenset({408, 429, 502, 503, 504})

Pairs = Sequence[tuple[str, str]]


class Expired(BridgeError):
    """The server knows the export, or its file, no more."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not done yet: seconds to leave the server alone."""

    seconds: float


@dataclass(frozen=True, slots=True)
class File:
    """`count` is None where the server does not say."""

    kind: str
    url: str
    count: int | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """All parts of it together; `moment` is the server's transactionTime."""

    moment: datetime
    token: bool
    output: tuple[File, ...]
    deleted: tuple[File, ...]
    errors: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Export:
    """`hosts` are those that files may lie on, `name` or `name:port`; `cap` is the longest wait
    that is believed."""

    server: Server
    hosts: frozenset[str] = frozenset()
    cap: int = 300

    def begin(self, path: str, pairs: Pairs) -> str:
        """The URL to poll. By GET, and by POST of Parameters where that is not allowed, as in the
        fourth version of Bulk Data."""
        reply = self.server.exchange("GET", path, pairs, headers=_ASYNC)
        if reply.status == 405:
            headers = {**_ASYNC, "Content-Type": "application/fhir+json"}
            reply = self.server.exchange("POST", path, headers=headers, body=_parameters(pairs))
        if reply.status in _ASK_AGAIN:
            raise _transient(f"the server answered {reply.status} to the begin of an export")
        place = reply.headers.get("Content-Location", "")
        if reply.status != 202 or not place:
            raise _remote(f"the server answered {reply.status} to the begin of an export")
        url = resolve(self.server.base_url.rstrip("/") + "/", place)
        if not same_origin(url, self.server.base_url):
            raise _remote("the export's status lies on another origin")
        return url

    def poll(self, url: str, *, polls: int) -> Wait | Manifest:
        """`polls` is how often it was asked before: the wait grows with it where the server says
        nothing. Raises `Expired` (404, 410) and `BridgeError` where the export has failed."""
        reply = self.server.exchange("GET", url, headers={"Accept": "application/json"})
        if reply.status == 202 or reply.headers.get("X-Export-Status") == "202":
            return Wait(self._wait(reply, polls))
        if reply.status in _ASK_AGAIN or (reply.status >= 500 and _is_transient(reply)):
            return Wait(self._wait(reply, polls + 2))
        if reply.status in (404, 410):
            raise _expired("export")
        if reply.status != 200:
            raise _remote(f"the export failed there ({reply.status})")
        return self._manifest(url, reply)

    def _wait(self, reply: Reply, polls: int) -> float:
        """Cerner asks for five hours (smart-fetch, 2024): beyond the cap it is not believed."""
        asked = retry_after(reply.headers.get("Retry-After", ""), self.server.clock())
        return min(max(2.0 ** min(polls, 16) if asked is None else asked, 1.0), float(self.cap))

    def _manifest(self, url: str, reply: Reply) -> Manifest:
        """With the parts that it links to."""
        parts, seen = [_read(reply)], {url}
        while following := _next(parts[-1]):
            place = resolve(url, following)
            if place in seen or len(seen) > _MOST_MANIFESTS:
                raise _remote("the parts of the export's manifest lead in a circle")
            seen.add(place)
            parts.append(_read(self.server.exchange("GET", place)))
        moments = {str(part.get("transactionTime")) for part in parts}
        if len(moments) != 1:
            raise _remote("the parts of the export's manifest are of several times")
        return Manifest(
            _moment(moments.pop()),
            any(part.get("requiresAccessToken") is not False for part in parts),
            tuple(_files(parts, url, "output")),
            tuple(_files(parts, url, "deleted")),
            (*_files(parts, url, "error"), *_files(parts, url, "outcome")),
        )

    def fetch(self, file: File, sink: BinaryIO, *, token: bool) -> None:
        """The whole file, unpacked, from the beginning of `sink`. Raises `Expired` (404, 410)."""
        own = same_origin(file.url, self.server.base_url)
        if not own and not self._allowed(file.url):
            there = origin(file.url, category="remote").server
            cause = f"a file of the export lies on {there}"
            remedy = "set the connection's option file_hosts, if it is the hospital's own"
            raise BridgeError(Issue("remote", cause, remedy))
        sink.seek(0)
        sink.truncate()
        reply = self.server.download(
            file.url, sink, accept=NDJSON, most=_LARGEST, credentials=own and token
        )
        if reply.status in (404, 410):
            raise _expired("file")
        if reply.status in _ASK_AGAIN:
            raise _transient(f"the server answered {reply.status} to a file of the export")
        if reply.status != 200:
            raise _remote(f"the server answered {reply.status} to a file of the export")

    def _allowed(self, url: str) -> bool:
        there = origin(url, category="remote")
        return bool({there.host, there.server} & self.hosts) and urlsplit(url).scheme in (
            "https",
            *(("http",) if there.server in self.hosts else ()),
        )

    def end(self, url: str) -> None:
        """The server may forget it. HAPI 8.4 answers 404 to that (November 2026): no matter."""
        try:
            self.server.exchange("DELETE", url, headers={"Accept": "application/fhir+json"})
        except BridgeError:
            return


def unpacked(stream: BinaryIO) -> Iterator[bytes]:
    """The file's bytes in chunks; of one that is packed as such (gzip), what is in it."""
    stream.seek(0)
    first = stream.read(2)
    stream.seek(0)
    if first != b"\x1f\x8b":
        while chunk := stream.read(1 << 20):
            yield chunk
        return
    packed = zlib.decompressobj(zlib.MAX_WBITS | 16)
    while chunk := stream.read(1 << 16):
        if plain := packed.decompress(chunk):  # an empty chunk would be the end
            yield plain
    if not packed.eof:
        raise _remote("a packed file of the export is truncated")


def _parameters(pairs: Pairs) -> bytes:
    """One parameter for each value of a list (version 4 has no commas)."""
    made = []
    for name, text in pairs:
        member = "valueInstant" if name == "_since" else "valueString"
        made += [{"name": name, member: one} for one in text.split(",")]
    return fhir_json.dump({"resourceType": "Parameters", "parameter": made})


def _read(reply: Reply) -> Mapping[str, Any]:
    try:
        made = json.loads(reply.raw) if reply.status == 200 else None
    except ValueError:
        made = None
    if not isinstance(made, dict) or not isinstance(made.get("output"), list):
        raise _remote("the export's manifest is none")
    return made


def _files(parts: list[Mapping[str, Any]], base: str, name: str) -> Iterator[File]:
    for part in parts:
        for one in part.get(name) or ():
            if not isinstance(one, dict) or not isinstance(one.get("url"), str):
                raise _remote("the export's manifest names a file without a URL")
            count = one.get("count")
            yield File(
                str(one.get("type", "")),
                resolve(base, one["url"]),
                count if isinstance(count, int) else None,
            )


def _next(part: Mapping[str, Any]) -> str:
    for link in part.get("link") or ():
        if isinstance(link, dict) and link.get("relation") == "next":
            return str(link.get("url", ""))
    return ""


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise _remote("the export's manifest has no transactionTime") from None
    if moment.tzinfo is None:
        raise _remote("the export's transactionTime has no zone")
    return moment


def _is_transient(reply: Reply) -> bool:
    try:
        issues = json.loads(reply.raw).get("issue", [])
    except (ValueError, AttributeError):
        return False
    return any(isinstance(one, dict) and one.get("code") == "transient" for one in issues)


def _remote(cause: str) -> BridgeError:
    return BridgeError(Issue("remote", cause, "show this to the hospital's IT"))


def _transient(cause: str) -> BridgeError:
    return BridgeError(Issue("transient", cause, "come again later"))


def _expired(what: str) -> Expired:
    return Expired(Issue("remote", f"the server does not have the {what} any more", "begin anew"))
