"""Faults on demand: what the sandbox hospital answers instead, for the next requests that match."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from flask import Request, Response

Hook = Callable[[Request], Response | None]


@dataclass(slots=True)
class Fault:
    """One rule. With neither status nor hook the connection is cut without an answer."""

    match: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    times: int = 1
    hook: Hook | None = None
    served: bool = False

    def answer(self, request: Request) -> Response | None:
        """The answer of the fault; None where its hook lets the request pass."""
        if self.hook:
            said = self.hook(request)
            if said is not None or self.status is None:
                return said
        if self.status is None:
            return _cut(request)
        return Response(self.body, self.status, {"Content-Type": "text/html", **self.headers})


class Faults:
    """The rules that wait, each for its next `times` matching requests; the first one wins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._rules.append(fault)

    def take(self, line: str) -> Fault | None:
        """Use up one turn of the first rule whose `match` is in `METHOD path?query`."""
        with self._lock:
            for rule in self._rules:
                if rule.times > 0 and rule.match in line:
                    rule.times -= 1
                    return rule
        return None


def _cut(request: Request) -> Response:
    """Close the connection under the answer, when the ledger has it: no byte of it arrives."""
    connection: socket.socket = request.environ["werkzeug.socket"]

    def closing() -> Iterator[bytes]:
        connection.shutdown(socket.SHUT_RDWR)
        yield b"lost"

    return Response(closing(), status=0)
