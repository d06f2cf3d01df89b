"""The MLLP listener: a port a feed, or one port with TLS where the client's certificate says which.

A thread a connection: it reads a frame, has it stored, answers, and reads on. Connections may stay
open for days; a frame that has begun must end within half a minute.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fhirbridge.formats import mllp
from fhirbridge.formats.mllp import Frames, TooLong
from fhirbridge.listener.metrics import LONG
from fhirbridge.listener.taking import Desk, NotStored, tell
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.feeds import Feed

_TICK = 0.2  # seconds between two looks at whether it is to stop
_PATIENCE = 15  # seconds that a message may take to be ended, when the listener stops
_CHUNK = 65536
_MOST_CONNECTIONS = 128


@dataclass(frozen=True, slots=True)
class Limits:
    """`frame` in bytes, `seconds` that a frame may take from its first byte to its last."""

    frame: int = mllp.MOST
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Secure:
    """How TLS is spoken: our certificate and key, and who vouches for those of clients."""

    certificate: Path
    key: Path
    authorities: Path

    def context(self) -> ssl.SSLContext:
        try:
            made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.authorities)
            made.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as fault:
            cause = f"the certificate, its key or the authorities cannot be read: {fault}"
            raise BridgeError(Issue("configuration", cause, "give PEM files")) from fault
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.verify_mode = ssl.CERT_REQUIRED
        return made


Whose = Callable[[socket.socket], Feed | None]
"""The feed that a connection is of; None is hung up on."""


@dataclass
class Listener:
    """`sites` are names by id. `start`, then `stop`, which waits for what is being stored."""

    desk: Desk
    sites: Mapping[str, str]
    limits: Limits = field(default_factory=Limits)
    stopping: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)
    sockets: list[socket.socket] = field(default_factory=list)
    asked: dict[socket.socket, float] = field(default_factory=dict)  # since when each waits
    places: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_MOST_CONNECTIONS)
    )

    def listen(self, host: str, port: int, whose: Whose, secure: Secure | None = None) -> int:
        """Listen there; the port, which is a free one where 0 was asked for."""
        context = secure.context() if secure else None
        try:
            listening = socket.create_server((host, port), backlog=64)
        except OSError as fault:
            cause = f"port {port} cannot be listened on: {fault.strerror}"
            raise BridgeError(Issue("configuration", cause, "free it, or take another")) from fault
        listening.settimeout(_TICK)
        self.sockets.append(listening)
        self._begin(lambda: self._accept(listening, whose, context))
        if len(self.sockets) == 1:
            self._begin(self._watch)
        return int(listening.getsockname()[1])

    def stop(self) -> None:
        self.stopping.set()
        until = time.monotonic() + _PATIENCE
        for thread in [*self.threads]:
            thread.join(max(0.0, until - time.monotonic()))
        for listening in self.sockets:
            listening.close()

    def _begin(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self.threads = [one for one in self.threads if one.is_alive()]
        self.threads.append(thread)
        thread.start()

    def _watch(self) -> None:
        """Hang up on who waits too long for an answer: it sends again, as every engine does. What
        is being stored for it is stored all the same."""
        while not self.stopping.wait(_TICK):
            for connection, since in [*self.asked.items()]:
                # The desk itself gives up first where it waits for its turn.
                if time.monotonic() - since > self.desk.within + _TICK:
                    self.asked.pop(connection, None)
                    _hang_up(connection)

    def _accept(
        self, listening: socket.socket, whose: Whose, context: ssl.SSLContext | None
    ) -> None:
        while not self.stopping.is_set():
            if not self.places.acquire(timeout=_TICK):
                continue  # nobody more is taken: who waits there waits longer
            try:
                connection, _ = listening.accept()
            except OSError:
                self.places.release()
                continue
            self._begin(lambda held=connection: self._serve(held, whose, context))  # type: ignore[misc]
        listening.close()

    def _serve(
        self, connection: socket.socket, whose: Whose, context: ssl.SSLContext | None
    ) -> None:
        try:
            connection.settimeout(self.limits.seconds)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            feed = whose(connection)
            if feed is not None:
                with self.desk.metrics.connected():
                    self._talk(connection, feed)
            else:
                tell(logging.WARNING, "nobody's certificate")
        except BridgeError as fault:
            tell(logging.WARNING, "refused", category=fault.issues[0].category)
        except OSError as fault:
            tell(logging.INFO, "hung up", kind=type(fault).__name__)
        finally:
            self.places.release()
            connection.close()

    def _talk(self, connection: socket.socket, feed: Feed) -> None:
        connection.settimeout(_TICK)
        frames = Frames(self.limits.frame)
        begun = 0.0
        while not self.stopping.is_set():
            # Looked at also where bytes drip in: then no read ever times out.
            if frames.within and time.monotonic() - begun > self.limits.seconds:
                tell(logging.WARNING, "a frame without an end", client=feed.name)
                return
            try:
                given = connection.recv(_CHUNK)
            except TimeoutError:
                continue
            if not given:
                break
            was_within = frames.within
            if not self._answer(connection, feed, frames, given):
                return
            if frames.within and not was_within:
                begun = time.monotonic()
        if frames.stray:
            tell(logging.WARNING, "bytes between frames", client=feed.name,
                 counts={"bytes": frames.stray})  # fmt: skip

    def _answer(self, connection: socket.socket, feed: Feed, frames: Frames, given: bytes) -> bool:
        """Whether to read on. Answers go out in the order of the messages."""
        try:
            for body in frames.feed(given):
                self.asked[connection] = time.monotonic()
                try:
                    answers = self.desk.take(feed, self.sites[feed.site_id], body)
                except NotStored as fault:
                    _send(connection, fault.answers, self.limits.seconds)
                    return False
                finally:
                    self.asked.pop(connection, None)
                _send(connection, answers, self.limits.seconds)
        except TooLong:
            self.desk.metrics.came(LONG)
            tell(logging.WARNING, "a frame is too long", client=feed.name, category="too-long")
            _send(connection, [_TOO_LONG], self.limits.seconds)
            return False
        return True


_TOO_LONG = (
    b"MSH|^~\\&|||||||ACK|1|P|2.5.1\rMSA|AE\r"
    b"ERR||MSH^1|207^Application internal error^HL70357|E||||the message is too long\r"
)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _send(connection: socket.socket, answers: list[bytes], seconds: float) -> None:
    connection.settimeout(seconds)
    for answer in answers:
        connection.sendall(mllp.frame(answer))
    connection.settimeout(_TICK)


def fingerprint(connection: socket.socket) -> str:
    """Of the client's certificate, SHA-256 in hexadecimal digits."""
    raw = connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLSocket) else b""
    return hashlib.sha256(raw or b"").hexdigest()
