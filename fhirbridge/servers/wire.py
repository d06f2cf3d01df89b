"""One exchange with a hospital server: send, and read the answer under limits of size and time.

Refuses redirects, environment proxies and netrc. Errors name host and port only: the texts of
requests and urllib3 hold the query string, and with it a patient's identifier.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import requests
import urllib3

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers import trust
from fhirbridge.servers.guarded import Guarded, Overdue
from fhirbridge.servers.network import Forbidden, Network, forbidden
from fhirbridge.servers.origin import origin

_PIECE = 65_536  # bytes that one read decompresses at most
_CHUNK = 1 << 20  # and of a file
_SLOWEST = 50_000  # bytes a second that a file must come with in the long run
_PATIENCE = 5  # read timeouts that a whole body may take: a drip never trips the socket's own

_OVERDUE = "the server's answer did not end in time"


class Limits(Protocol):
    """The part of `Settings` that bounds one server's answers."""

    @property
    def connect_timeout(self) -> float: ...
    @property
    def read_timeout(self) -> float: ...
    @property
    def max_answer(self) -> int: ...
    @property
    def retries(self) -> int: ...


class Unreached(BridgeError):
    """No connection: the server has seen nothing of the request."""


class Distrusted(Unreached):
    """The server's certificate does not prove that it is the connection's server."""


class Lost(BridgeError):
    """The request went out, and no whole answer came back: the server may have acted on it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer as it came, body decompressed."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    url: str


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, always. Even without following, requests 2.34 reads a redirect's body whole and
        unbounded to prepare `Response.next`: a place for a decompression bomb."""


def open_session(
    network: Network, limits: Limits, *, seconds: float | None = None
) -> requests.Session:
    """Goes to what the policy allows; an answer has to end in these seconds, or in some times the
    read timeout."""
    session = _Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, Guarded(network, seconds=seconds or _PATIENCE * limits.read_timeout))
    session.headers.clear()
    session.headers.update(
        {
            "Accept": "application/fhir+json",
            "Accept-Encoding": "gzip",
            "User-Agent": "fhirbridge",
        }
    )
    for name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_nothing)
    return session


def _nothing(_: logging.LogRecord) -> bool:
    """urllib3 logs whole URLs, some at WARNING; a search's URL holds identifiers of patients."""
    return False


def exchange(
    session: requests.Session,
    request: requests.PreparedRequest,
    *,
    limits: Limits,
    monotonic: Callable[[], float],
) -> Reply:
    """Raises `Unreached`, `Lost`, or `BridgeError` (too-long)."""
    url = request.url or ""
    server = origin(url).server
    try:
        with session.send(
            request,
            stream=True,
            allow_redirects=False,
            timeout=(limits.connect_timeout, limits.read_timeout),
        ) as response:
            redirect = 300 <= response.status_code < 400  # its body is of no use, and can be a bomb
            raw = b"" if redirect else _body(response, server, limits, monotonic)
            return Reply(response.status_code, response.headers, raw, url)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as fault:
        told = _told(fault, server)
    raise told  # outside the handler: a traceback shows the library's own text otherwise


def download(
    session: requests.Session,
    request: requests.PreparedRequest,
    sink: BinaryIO,
    *,
    limits: Limits,
    monotonic: Callable[[], float],
    most: int,
) -> Reply:
    """As `exchange`, the body of a success written to `sink`: up to `most` bytes, decompressed."""
    url = request.url or ""
    server = origin(url).server
    try:
        with session.send(
            request,
            stream=True,
            allow_redirects=False,
            timeout=(limits.connect_timeout, limits.read_timeout),
        ) as response:
            if response.status_code >= 300:
                refused = 300 <= response.status_code < 400
                raw = b"" if refused else _body(response, server, limits, monotonic)
                return Reply(response.status_code, response.headers, raw, url)
            _into(response, sink, server, limits=limits, monotonic=monotonic, most=most)
            return Reply(response.status_code, response.headers, b"", url)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as fault:
        told = _told(fault, server)
    raise told


def _into(
    response: requests.Response,
    sink: BinaryIO,
    server: str,
    *,
    limits: Limits,
    monotonic: Callable[[], float],
    most: int,
) -> None:
    began, length = monotonic(), 0
    while piece := response.raw.read1(_CHUNK, decode_content=True):
        sink.write(piece)
        length += len(piece)
        if length > most:
            cause = f"the server's file exceeds {most} bytes"
            raise BridgeError(Issue("too-long", cause, "have it divided", place=server))
        if monotonic() - began > _PATIENCE * limits.read_timeout + length / _SLOWEST:
            raise _lost("transient", "the server's file did not end in time", "try later", server)


def _body(
    response: requests.Response, server: str, limits: Limits, monotonic: Callable[[], float]
) -> bytes:
    """`read1` returns after one read of the socket: the deadline is seen while data drips."""
    deadline = monotonic() + _PATIENCE * limits.read_timeout
    body = bytearray()
    while piece := response.raw.read1(_PIECE, decode_content=True):
        body += piece
        if len(body) > limits.max_answer:
            raise BridgeError(
                Issue(
                    "too-long",
                    f"the server's answer exceeds {limits.max_answer} bytes",
                    "ask for smaller pages (_count), or raise FHIRBRIDGE_MAX_ANSWER",
                    place=server,
                )
            )
        if monotonic() > deadline:
            raise _lost("transient", _OVERDUE, "try later", server)
    return bytes(body)


def _told(fault: Exception, server: str) -> BridgeError:
    roots = list(_roots(fault))

    def among(*kinds: type[BaseException]) -> bool:
        return any(isinstance(root, kinds) for root in roots)

    for root in roots:
        if isinstance(root, Forbidden):
            return forbidden(str(root), server)
    for root in roots:
        if isinstance(root, ssl.SSLCertVerificationError):
            return Distrusted(trust.distrusted(root, server))
    if among(socket.gaierror, urllib3.exceptions.NameResolutionError):
        return Unreached(
            _transient("the host name cannot be resolved", "check the URL and DNS", server)
        )
    if among(ConnectionRefusedError):
        return Unreached(
            _transient("the server refused the connection", "check that it runs there", server)
        )
    if among(urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
        return Unreached(
            _transient("the server could not be reached", "check URL and firewall", server)
        )
    if among(Overdue):
        return _lost("transient", _OVERDUE, "try later", server)
    if among(urllib3.exceptions.ReadTimeoutError, requests.ReadTimeout):
        return _lost("transient", "the server did not answer in time", "try later", server)
    if among(urllib3.exceptions.DecodeError, http.client.IncompleteRead):
        cause = "the server's answer is truncated or wrongly compressed"
        return _lost("remote", cause, "try later; look for a proxy that cuts answers", server)
    if among(ssl.SSLError):
        return _lost("transient", "the TLS connection failed", "check TLS versions", server)
    return _lost("transient", "the server closed the connection", "try later", server)


def _roots(fault: BaseException) -> Iterator[BaseException]:
    """The fault and all it wraps: requests and urllib3 nest the true reason in three ways.

    Not `__context__`: it would lead on to whatever the caller is handling at the moment.
    """
    waiting: list[object] = [fault]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [*one.args, getattr(one, "reason", None), one.__cause__]


def _transient(cause: str, remedy: str, server: str) -> Issue:
    return Issue("transient", cause, remedy, place=server)


def _lost(category: str, cause: str, remedy: str, server: str) -> Lost:
    return Lost(Issue(category, cause, remedy, place=server))
