"""Numbers for Prometheus, without an identifier: no site, client, subject or URL is a label.

Where `fhirbridge serve` runs several workers, they gather their numbers in a folder
(https://prometheus.github.io/client_python/multiprocess/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from fhirbridge.outcome import BridgeError
from fhirbridge.registry import fitness
from fhirbridge.registry.store import Registry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class _Waiting(Collector):
    """Asked of the database when it is looked at: all processes would say the same."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[GaugeMetricFamily]:
        try:
            waiting = fitness.waiting(self._registry)
            jobs = fitness.backlog(self._registry)
        except BridgeError:  # a database that is away says nothing; `/readyz` tells it
            return
        told = "Parts of messages that wait in quarantine"
        yield GaugeMetricFamily("fhirbridge_quarantine_waiting", told, value=waiting)
        for name, told, value in (
            ("fhirbridge_jobs_due", "Jobs whose time has come", jobs.due),
            ("fhirbridge_jobs_running", "Jobs that are worked on", jobs.running),
            ("fhirbridge_jobs_dead", "Jobs that wait for a person", jobs.dead),
            ("fhirbridge_jobs_oldest_seconds", "For how long the first is due", jobs.oldest),
        ):
            yield GaugeMetricFamily(name, told, value=value)


class Metrics:
    def __init__(self, registry: Registry) -> None:
        self._own = CollectorRegistry()
        self._waiting = CollectorRegistry()
        self._waiting.register(_Waiting(registry))
        self._requests = Counter(
            "fhirbridge_requests",
            "Requests that were answered",
            ("method", "route", "status"),
            registry=self._own,
        )
        self._seconds = Histogram(
            "fhirbridge_request_seconds",
            "Time from the request to its answer",
            ("route",),
            buckets=_SECONDS,
            registry=self._own,
        )
        self._messages = Counter(
            "fhirbridge_messages", "Messages that were worked off", ("state",), registry=self._own
        )
        self._entries = Counter(
            "fhirbridge_entries", "Entries of messages, by fate", ("fate",), registry=self._own
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def ingested(self, state: str, counts: Mapping[str, int]) -> None:
        """A message that is new here, by its receipt."""
        self._messages.labels(state).inc()
        for fate, number in counts.items():
            if fate != "received" and number:
                self._entries.labels(fate).inc(number)

    def text(self) -> bytes:
        return generate_latest(self._gathered()) + generate_latest(self._waiting)

    def _gathered(self) -> CollectorRegistry:
        if values.ValueClass is values.MutexValue:
            return self._own
        gathered = CollectorRegistry()
        MultiProcessCollector(gathered)  # type: ignore[no-untyped-call]
        return gathered
