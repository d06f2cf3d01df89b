"""Connections that go to a judged address only, and whose answer has to end in time.

A name is looked up once for all connections of an adapter, and each goes to an address that
`Network` allowed, so that no name that changes its address leads inside; TLS and the Host header
keep the name. A server that drips its headers, one byte within each read timeout, meets the
deadline too.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable
from typing import Any, cast

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from fhirbridge.servers import trust
from fhirbridge.servers.network import Forbidden, Network

Allowed = Callable[[str, int], tuple[str, ...]]


class Guarded(HTTPAdapter):
    """Mounted in the place of the adapter of requests."""

    def __init__(self, network: Network, *, seconds: float) -> None:
        self._network = network
        self._seconds = seconds
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        if self._network.authorities:
            kwargs["ssl_context"] = trust.context(self._network)
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._network, self._seconds)


def _pools(network: Network, seconds: float) -> dict[str, type[HTTPConnectionPool]]:
    """The two classes, knowing the policy: urllib3 makes connections of a class, with its own
    arguments."""
    known: dict[tuple[str, int], tuple[str, ...]] = {}

    def addresses(host: str, port: int) -> tuple[str, ...]:
        if (host, port) not in known:
            known[host, port] = network.addresses(host, port)
        return known[host, port]

    def answer(sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        made = cast(socket.socket, _Dripping(sock, time.monotonic() + seconds))
        return http.client.HTTPResponse(made, *args, **kwargs)

    class Http(HTTPConnection):
        response_class = staticmethod(answer)  # type: ignore[assignment]

        def _new_conn(self) -> socket.socket:
            return _connected(self, addresses)

    class Https(HTTPSConnection):
        response_class = staticmethod(answer)  # type: ignore[assignment]

        def _new_conn(self) -> socket.socket:
            return _connected(self, addresses)

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = Https

    return {"http": HttpPool, "https": HttpsPool}


def _connected(connection: HTTPConnection, allowed: Allowed) -> socket.socket:
    """To the first allowed address that answers; the same errors as urllib3's own."""
    host, port = connection.host, connection.port or connection.default_port
    try:
        addresses = allowed(host, port)
    except socket.gaierror as fault:
        raise NameResolutionError(host, connection, fault) from fault
    except Forbidden as fault:
        raise NewConnectionError(connection, "not allowed") from fault
    for address in addresses[:-1]:
        try:
            return _to(address, port, connection)
        except OSError:
            continue
    try:
        return _to(addresses[-1], port, connection)
    except TimeoutError as fault:
        raise ConnectTimeoutError(connection, "timed out") from fault
    except OSError as fault:
        raise NewConnectionError(connection, "no connection") from fault


def _to(address: str, port: int, connection: HTTPConnection) -> socket.socket:
    timeout = connection.timeout
    wait = float(timeout) if isinstance(timeout, int | float) else None
    made = socket.create_connection((address, port), wait)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


class Overdue(TimeoutError):
    """The whole answer took too long, though each piece of it came in time."""


class _Dripping:
    """A socket as http.client asks for it: read through a file that knows the deadline."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until

    def makefile(self, mode: str) -> io.BufferedReader:
        raw = _Timed(self._sock, self._until)
        self._sock._io_refs += 1  # type: ignore[attr-defined]  # as socket.makefile does
        return io.BufferedReader(raw)


class _Timed(socket.SocketIO):
    def __init__(self, sock: socket.socket, until: float) -> None:
        super().__init__(sock, "r")
        self._of, self._until = sock, until

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise Overdue
        wait = self._of.gettimeout()
        if wait is None or wait > left:
            self._of.settimeout(left)
        try:
            return super().readinto(buffer)
        except TimeoutError:
            if time.monotonic() >= self._until:
                raise Overdue from None
            raise
