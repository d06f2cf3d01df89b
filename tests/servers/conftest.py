"""A server under test that records its pauses, and scripted hospitals."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import responses

from fhirbridge.servers.auth import Auth, Bearer
from fhirbridge.servers.client import Server
from fhirbridge.servers.network import Network

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECRET = "synthetic-token"


@dataclass(frozen=True)
class Bounds:
    connect_timeout: float = 2.0
    read_timeout: float = 2.0
    max_answer: int = 100_000
    retries: int = 4


@dataclass
class Connecting:
    """Makes servers whose pauses end at once and are written down."""

    pauses: list[float] = field(default_factory=list)
    opened: list[Server] = field(default_factory=list)

    def __call__(self, url: str, *, auth: Auth | None = None, **bounds: Any) -> Server:
        server = Server(
            url,
            auth=auth or Bearer(SECRET),
            limits=Bounds(**bounds),
            network=Network.of("127.0.0.0/8"),
            sleep=self.pauses.append,
            clock=lambda: NOON,
            dice=random.Random(7),
        )
        self.opened.append(server)
        return server


@pytest.fixture
def connect() -> Iterator[Connecting]:
    connecting = Connecting()
    yield connecting
    for server in connecting.opened:
        server.close()


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


@pytest.fixture
def server(connect: Connecting) -> Server:
    return connect("https://hospital.example/fhir")


Script = Callable[[socket.socket], None]


@dataclass
class Scripted:
    """A hospital that plays one script a connection, the last for ever, and keeps what it read."""

    url: str
    heard: list[bytes] = field(default_factory=list)


@pytest.fixture
def hospital() -> Iterator[Callable[..., Scripted]]:
    stopping = threading.Event()
    threads: list[threading.Thread] = []
    listeners: list[socket.socket] = []

    def start(*scripts: Script) -> Scripted:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(0.05)
        listeners.append(listener)
        scripted = Scripted(f"http://127.0.0.1:{listener.getsockname()[1]}/fhir")

        def serve() -> None:
            count = 0
            while not stopping.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with closing(connection):
                    connection.settimeout(5)
                    scripted.heard.append(_request(connection))
                    try:
                        scripts[min(count, len(scripts) - 1)](connection)
                    except (BrokenPipeError, ConnectionResetError):
                        continue  # the client hung up, as some tests want it to
                    finally:
                        count += 1

        thread = threading.Thread(target=serve)
        thread.start()
        threads.append(thread)
        return scripted

    yield start
    stopping.set()
    for thread in threads:
        thread.join(timeout=10)
    for listener in listeners:
        listener.close()


def _request(connection: socket.socket) -> bytes:
    """Head and body (unread bytes would turn our close into a reset), or a first TLS record."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(65_536)
        read += piece
        if not piece or read[:1] == b"\x16":
            return read
    head, _, body = read.partition(b"\r\n\r\n")
    sizes = [
        v
        for k, _, v in (h.partition(b":") for h in head.lower().split(b"\r\n"))
        if k == b"content-length"
    ]
    while sizes and len(body) < int(sizes[0]):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body
