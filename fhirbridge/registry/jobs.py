"""Jobs: what is to be done for a connection, and what became of it. The table is the truth; a
broker only says that it may be time to look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, or_

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.job_tables import job as _table
from fhirbridge.registry.scope import Scope, conflict, not_found

JobState = Literal["waiting", "running", "done", "dead", "cancelled"]
STATES: tuple[JobState, ...] = ("waiting", "running", "done", "dead", "cancelled")


@dataclass(frozen=True, slots=True)
class Job:
    id: str
    connection_id: str
    kind: str
    state: JobState
    not_before: datetime
    attempts: int
    failures: int
    progress: int
    issues: tuple[Issue, ...]
    made_by: str
    made_at: datetime
    told_at: datetime | None
    begun_at: datetime | None
    ended_at: datetime | None
    run_id: str | None


@dataclass(frozen=True, slots=True)
class Jobs:
    scope: Scope

    def add(
        self, connection_id: str, kind: str, *, by: str, not_before: datetime | None = None
    ) -> Job:
        """Raises `BridgeError` (conflict) while one of this kind stands open there."""
        now = self.scope.clock()
        made = Job(
            id=self.scope.ids(),
            connection_id=connection_id,
            kind=kind,
            state="waiting",
            not_before=not_before or now,
            attempts=0,
            failures=0,
            progress=0,
            issues=(),
            made_by=by,
            made_at=now,
            told_at=None,
            begun_at=None,
            ended_at=None,
            run_id=None,
        )
        if not self.scope.add_new(_table, **{n: getattr(made, n) for n in Job.__slots__}):
            raise _open(kind)
        return made

    def get(self, job_id: str) -> Job | None:
        return self.scope.one(Job, self._rows().where(_table.c.id == job_id))

    def locked(self, job_id: str) -> Job | None:
        """Nobody else changes it before this transaction has ended."""
        rows = self._rows().where(_table.c.id == job_id)
        return self.scope.one(Job, rows.with_for_update(key_share=True))

    def open(self, connection_id: str, kind: str) -> Job | None:
        named = (_table.c.connection_id == connection_id, _table.c.kind == kind)
        return self.scope.one(Job, self._rows().where(*named, _table.c.ended_at.is_(None)))

    def pending(self) -> list[Job]:
        """Those whose time has come, and those that have begun: their worker may be dead."""
        come = _table.c.not_before <= self.scope.clock()
        wanted = or_(_table.c.state == "running", (_table.c.state == "waiting") & come)
        rows = self._rows().where(_table.c.ended_at.is_(None), wanted)
        return self.scope.many(Job, rows.order_by(_table.c.not_before, _table.c.id))

    def begin(self, job_id: str, *, attempts: int, progress: int) -> Job:
        now = self.scope.clock()
        return self._change(
            job_id, state="running", attempts=attempts, progress=progress, begun_at=now
        )

    def put_off(
        self,
        job_id: str,
        until: datetime,
        *,
        failures: int,
        issues: Sequence[Issue] = (),
        attempts: int = 0,
    ) -> Job:
        """It comes again; where it ended in order, no attempt stands against it any more."""
        return self._change(
            job_id,
            state="waiting",
            not_before=until,
            attempts=attempts,
            failures=failures,
            issues=tuple(issues),
            told_at=None,
        )

    def end(
        self,
        job_id: str,
        state: Literal["done", "dead", "cancelled"],
        *,
        issues: Sequence[Issue] = (),
        run_id: str | None = None,
    ) -> Job:
        return self._change(
            job_id,
            state=state,
            issues=tuple(issues),
            run_id=run_id,
            ended_at=self.scope.clock(),
        )

    def again(self, job_id: str) -> Job:
        """A dead or cancelled one waits anew. Raises `BridgeError` (conflict) for others, and while
        another of its kind stands open.
        """
        job = self.locked(job_id)
        if job is None:
            raise not_found("job")
        if job.state not in ("dead", "cancelled"):
            raise conflict(f"the job is {job.state}", "retry one that is dead or cancelled")
        if self.open(job.connection_id, job.kind):
            raise _open(job.kind)
        now = self.scope.clock()
        self.put_off(job_id, now, failures=0)
        return self._change(job_id, ended_at=None)

    def told(self, job: Job) -> bool:
        """That the broker hears of it now. False where another one has just told it."""
        same = (
            _table.c.told_at.is_(None) if job.told_at is None else _table.c.told_at == job.told_at
        )
        named = self.scope.update(_table).where(_table.c.id == job.id, same)
        return self.scope.affected(named.values(told_at=self.scope.clock())) == 1

    def _change(self, job_id: str, **values: Any) -> Job:
        named = self.scope.update(_table).where(_table.c.id == job_id)
        if not self.scope.affected(named.values(**values)):
            raise not_found("job")
        return self.scope.only(Job, self._rows().where(_table.c.id == job_id), "job")

    def _rows(self) -> Select[Any]:
        return self.scope.select(_table, Job)


def _open(kind: str) -> BridgeError:
    return conflict(f"a {kind} of this connection waits or runs already", "see 'job list'")
