"""Faults on demand: what the sandbox hospital answers instead, for the next requests that match."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from flask import Request, Response

Hook = Callable[[Request], Response | None]
Change = Callable[[Request, Response], Response]


@dataclass(slots=True)
class Fault:
    """One rule. With neither status nor hook nor change the connection is cut without an answer;
    a `change` gets the true answer. `skip` requests that match pass before.
    """

    match: str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    times: int = 1
    hook: Hook | None = None
    served: bool = False
    change: Change | None = None
    skip: int = 0

    def answer(self, request: Request) -> Response | None:
        """The answer of the fault; None where its hook lets the request pass."""
        if self.hook:
            said = self.hook(request)
            if said is not None or self.status is None:
                return said
        if self.status is None:
            return _cut(request)
        return Response(self.body, self.status, {"Content-Type": "text/html", **self.headers})

    def after(self, request: Request, response: Response) -> Response:
        """What becomes of the answer that the hospital gave."""
        if self.change is not None:
            return self.change(request, response)
        return (self.answer(request) or response) if self.served else response

    @property
    def before(self) -> bool:
        """Whether the request is not carried out."""
        return not self.served and self.change is None


class Faults:
    """The rules that wait, each for its next `times` matching requests; the first one wins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._rules.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def take(self, line: str) -> Fault | None:
        """Use up one turn of the first rule whose `match` is in `METHOD path?query`."""
        with self._lock:
            for rule in self._rules:
                if rule.times > 0 and rule.match in line:
                    if rule.skip:
                        rule.skip -= 1
                        continue
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
