"""Workers over the ward of `tests.sync`, with a clock that tests move. Everything is made up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fhirbridge.jobs.work import Worker
from fhirbridge.registry.jobs import Job
from fhirbridge.registry.runs import Run
from fhirbridge.registry.store import Registry
from fhirbridge.settings import Settings
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.jobs import add
from tests import databases
from tests.sync.ward import Sandbox, Ward, joined, patient

LEASE = 60


@dataclass
class Clock:
    now: datetime = datetime(2026, 6, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class Shop:
    ward: Ward
    clock: Clock
    dead: set[str] = field(default_factory=set)  # workers that are surely gone

    @classmethod
    @contextmanager
    def open(cls, folder: Path, *resources: Any) -> Iterator[Shop]:
        clock, sandbox = Clock(), Sandbox([patient(), *resources])
        registry = Registry.open(databases.url(folder), key=b"k" * 32, clock=clock)
        with sandbox.running() as base:
            ward = Ward(sandbox, joined(registry, "alpha", base), clock)  # type: ignore[arg-type]
            ward.enrol()
            try:
                yield cls(ward, clock)
            finally:
                ward.hospital.server.close()
                registry.close()

    def worker(self, name: str = "w1", **more: Any) -> Worker:
        def hospitals(*_: Any) -> Hospital:
            return self.ward.hospital

        settings = Settings(lease=LEASE)
        told: dict[str, Any] = {"name": lambda: name, "gone": self.dead.__contains__, **more}
        return Worker(self.ward.registry, settings, hospitals, **told)

    def add(self, kind: str = "pull") -> str:
        with self.ward.registry.unit(self.ward.site_id) as unit:
            made = add(unit, kind, None, by="test")
            unit.commit()
        return made.id

    def job(self, job_id: str) -> Job:
        with self.ward.registry.read(self.ward.site_id) as unit:
            found = unit.jobs.get(job_id)
        assert found is not None
        return found

    def jobs(self) -> list[Job]:
        with self.ward.registry.read(self.ward.site_id) as unit:
            return unit.jobs.pending()

    def run_of(self, job_id: str) -> Run:
        with self.ward.registry.read(self.ward.site_id) as unit:
            found = unit.runs.get(self.job(job_id).run_id or "")
        assert found is not None
        return found

    def take(self, job_id: str, name: str) -> None:
        """As a worker that dies before it does anything."""

        def dies(*_: Any) -> Run:
            raise Died

        doings = {"pull": dies, "deliver": dies}
        try:
            self.worker(name, doings=doings).do(self.ward.site_id, job_id)
        except Died:
            self.dead.add(name)


class Died(BaseException):
    """SIGKILL, as far as a test of one process can."""
