"""One job at work: taken with its lease, done, and ended, put off, or given up.

An attempt is counted before it is made. One that ends in order, whatever came of it, is forgotten;
three that never ended (the process died of it) are enough.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from fhirbridge.crash import Crash
from fhirbridge.jobs import holder, planning
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.jobs import Job
from fhirbridge.registry.leases import Held, Lease, stands
from fhirbridge.registry.runs import Run
from fhirbridge.registry.sites import Connection, Site
from fhirbridge.registry.store import Registry
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.retry import ComeBack
from fhirbridge.settings import Settings
from fhirbridge.sync.deliver import Deliver
from fhirbridge.sync.holding import Holding, LeaseLost, Stopped
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.jobs import KINDS
from fhirbridge.sync.pull import Pull

LOG = logging.getLogger("fhirbridge.jobs")
MOST = 3  # attempts that may die one after the other
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(hours=1)  # what a failure puts off
_CAP = timedelta(days=1)  # of what a server asks: one that asks for years is not believed

Doing = Callable[[Hospital, Settings, Crash], Run]


def _pull(hospital: Hospital, settings: Settings, crash: Crash) -> Run:
    return _pulling(hospital, settings, crash).run()


def _pulling(hospital: Hospital, settings: Settings, crash: Crash) -> Pull:
    return Pull(hospital, hospital.options.page_size or settings.page_size, crash)


def _full(hospital: Hospital, settings: Settings, crash: Crash) -> Run:
    return replace(_pulling(hospital, settings, crash), full=True).run()


def _deliver(hospital: Hospital, settings: Settings, crash: Crash) -> Run:
    return Deliver(hospital, crash).run()


# `full` asks for all, also where `pull` asks only for what is new.
DOINGS: Mapping[str, Doing] = {"pull": _pull, "full": _full, "deliver": _deliver}


@dataclass(frozen=True, slots=True)
class Taken:
    job: Job
    lease: Lease
    site: Site
    connection: Connection


@dataclass(frozen=True, slots=True)
class Worker:
    """`hospitals` makes the connection ready to be asked; `alive` is told between its steps."""

    registry: Registry
    settings: Settings
    hospitals: Callable[[Site, Connection], Hospital]
    crash: Crash = field(default_factory=Crash)
    name: Callable[[], str] = holder.me
    gone: Callable[[str], bool] = holder.gone
    stopping: Callable[[], bool] = lambda: False
    alive: Callable[[], None] = lambda: None
    doings: Mapping[str, Doing] = field(default_factory=lambda: DOINGS)

    def due(self) -> Iterator[tuple[str, Job]]:
        """Site and job of all that may be begun now: due, known here by its kind, and not held."""
        for site_id in planning.sites(self.registry):
            with self.registry.read(site_id) as unit:
                jobs = [job for job in unit.jobs.pending() if self._free(unit, job)]
            yield from ((site_id, job) for job in jobs)

    def one(self) -> bool:
        """Do the first one that can be had; False where there is none."""
        return any(self.do(site_id, job.id) for site_id, job in self.due())

    def do(self, site_id: str, job_id: str) -> bool:
        """False where it is not to be begun now, or not by us."""
        taken = self._take(site_id, job_id)
        if taken is None:
            return False
        self.crash.reach("job.after-take")
        holding = Holding(taken.lease, self.settings.lease, self.stopping, self.alive)
        try:
            hospital = replace(self.hospitals(taken.site, taken.connection), holding=holding)
            with hospital.server:
                run = self.doings[taken.job.kind](hospital, self.settings, self.crash)
            self.crash.reach("job.before-end")
            self._end(taken, lambda unit: unit.jobs.end(taken.job.id, "done", run_id=run.id))
        except LeaseLost:
            _tell(logging.WARNING, taken.job, "lost")
        except BridgeError as fault:
            self._failed(taken, fault)
        except Exception as fault:  # noqa: BLE001  # a defect of ours: told, and counted as a death
            self._broke(taken, fault)
        return True

    def _free(self, unit: Unit, job: Job) -> bool:
        if job.kind not in self.doings:
            return False
        held = unit.leases.of(job.connection_id, KINDS[job.kind])
        return held is None or not stands(held, unit.now()) or self.gone(held.holder)

    def _take(self, site_id: str, job_id: str) -> Taken | None:
        """The lease, the job and one attempt more are one transaction."""
        with self.registry.unit(site_id) as unit:
            seen = unit.jobs.get(job_id)
            if seen is None or seen.ended_at or seen.kind not in self.doings:
                return None
            try:  # the lease before the job, here and at the end: the other order would deadlock
                lease = unit.leases.take(
                    seen.connection_id,
                    KINDS[seen.kind],
                    self.name(),
                    seconds=self.settings.lease,
                    gone=self.gone,
                )
            except Held:
                return None
            job = unit.jobs.locked(job_id)
            if job is None or job.ended_at:
                return None
            if job.state == "waiting" and job.not_before > unit.now():
                return None
            begun = self._begin(unit, job, lease)
            site = unit.sites.by_id(site_id)
            connection = unit.connections.by_id(job.connection_id)
            unit.commit()
        if begun is None or site is None or connection is None:
            return None
        return Taken(begun, lease, site, connection)

    def _begin(self, unit: Unit, job: Job, lease: Lease) -> Job | None:
        """None where it is ended already, or for good."""
        if job.state == "running" and job.begun_at:  # its worker died, perhaps at the very end
            done = unit.runs.ended_since(job.connection_id, lease.kind, job.begun_at)
            if done:
                unit.jobs.end(job.id, "done", run_id=done.id)
                unit.leases.release(lease)
                return None
        run = unit.runs.open(job.connection_id, lease.kind)
        progress = sum(run.counts.values()) if run else 0
        # A long run that is killed now and then gets on: that is not the same death again.
        attempts = job.attempts if progress == job.progress else 0
        if attempts >= MOST:
            cause = f"its worker died {attempts} times at the same place"
            remedy = "see what it works on, then 'fhirbridge job retry'"
            told = (*job.issues, Issue("exception", cause, remedy))
            _tell(logging.ERROR, unit.jobs.end(job.id, "dead", issues=told), "dead")
            unit.leases.release(lease)
            return None
        return unit.jobs.begin(job.id, attempts=attempts + 1, progress=progress)

    def _end(self, taken: Taken, say: Callable[[Unit], Job]) -> None:
        """What becomes of the job, and the lease given back; nothing where it is not ours."""
        with self.registry.unit(taken.site.id) as unit:
            if not unit.leases.release(taken.lease):
                return
            job = say(unit)
            unit.commit()
        _tell(logging.INFO if job.state != "dead" else logging.ERROR, job, job.state)

    def _failed(self, taken: Taken, fault: BridgeError) -> None:
        job, now = taken.job, self.registry.now()
        if isinstance(fault, Stopped):
            self._end(taken, lambda unit: unit.jobs.put_off(job.id, now, failures=job.failures))
        elif fault.issues[0].category != "transient":
            self._end(taken, lambda unit: unit.jobs.end(job.id, "dead", issues=fault.issues))
        else:
            until, failures = self._later(job, fault, now), job.failures + 1
            self._end(
                taken,
                lambda unit: unit.jobs.put_off(
                    job.id, until, failures=failures, issues=fault.issues
                ),
            )

    def _later(self, job: Job, fault: BridgeError, now: datetime) -> datetime:
        """As the server asked; else a minute, doubled with each failure, up to an hour."""
        asked = fault.not_before if isinstance(fault, ComeBack) else None
        if asked is not None:
            return min(max(asked, now), now + _CAP)
        delay: timedelta = (
            min(_FIRST * 2.0**job.failures, _LONGEST) if job.failures < 10 else _LONGEST
        )
        return now + delay

    def _broke(self, taken: Taken, fault: Exception) -> None:
        """Its kind and place alone: the text of an exception may hold anything."""
        last = traceback.extract_tb(fault.__traceback__)[-1]
        place = f"{last.filename.rpartition('fhirbridge/')[2]}:{last.lineno}"
        cause = f"a defect: {type(fault).__name__}"
        issue = Issue("exception", cause, "tell the developers", place=place)
        job, until = taken.job, self.registry.now() + _FIRST

        def say(unit: Unit) -> Job:
            if job.attempts >= MOST:
                return unit.jobs.end(job.id, "dead", issues=(issue,))
            return unit.jobs.put_off(
                job.id, until, failures=0, issues=(issue,), attempts=job.attempts
            )

        self._end(taken, say)


def _tell(level: int, job: Job, state: str) -> None:
    values: dict[str, Any] = {"job": job.id, "kind": job.kind, "status": state}
    if job.issues:
        values["category"] = job.issues[0].category
    LOG.log(level, "job", extra={"values": values})
