"""Numbers of the listener for Prometheus, without an identifier: no site, feed, person or message.

It is a process of its own, so it has a port of its own (`fhirbridge listen --metrics-port`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from fhirbridge.outcome import BridgeError, Issue

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LATE, LONG, AWAY = "too-late", "too-long", "not-stored"


class Metrics:
    """`outcome` is the fate of a message that was stored, or why there was no answer."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._messages = Counter(
            "fhirbridge_hl7v2_messages",
            "Messages that came, by outcome",
            ("outcome",),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "fhirbridge_hl7v2_answer_seconds",
            "Time from the end of a frame to its answer",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._open = Gauge(
            "fhirbridge_hl7v2_connections", "Connections that are open", registry=self.registry
        )

    def came(self, outcome: str) -> None:
        self._messages.labels(outcome).inc()

    def answered(self, seconds: float) -> None:
        self._seconds.observe(seconds)

    @contextmanager
    def connected(self) -> Iterator[None]:
        self._open.inc()
        try:
            yield
        finally:
            self._open.dec()

    @contextmanager
    def served(self, host: str, port: int | None) -> Iterator[int | None]:
        """At `http://host:port/metrics` while it lasts; nowhere without a port."""
        if port is None:
            yield None
            return
        try:
            server, thread = start_http_server(port, addr=host, registry=self.registry)
        except OSError as fault:
            cause = f"port {port} cannot be listened on: {fault.strerror}"
            raise BridgeError(Issue("configuration", cause, "free it, or take another")) from fault
        try:
            yield int(server.server_port)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
