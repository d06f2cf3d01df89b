"""Schedules: when a connection's work comes again. What a rule means is not known here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement

from fhirbridge.registry.job_tables import schedule as _table
from fhirbridge.registry.scope import Scope


@dataclass(frozen=True, slots=True)
class Schedule:
    """`last_at` is when it made a job last, by the clock of then."""

    connection_id: str
    kind: str
    rule: str
    zone: str
    next_at: datetime
    last_at: datetime | None
    set_by: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class Schedules:
    scope: Scope

    def put(
        self, connection_id: str, kind: str, *, rule: str, zone: str, next_at: datetime, by: str
    ) -> Schedule:
        """In the place of the one before."""
        now = self.scope.clock()
        made = Schedule(connection_id, kind, rule, zone, next_at, None, by, now)
        values = {name: getattr(made, name) for name in Schedule.__slots__}
        once = ("connection_id", "kind")
        told = tuple(name for name in values if name not in once)
        self.scope.put(_table, once=once, told=told, **values)
        return made

    def remove(self, connection_id: str, kind: str) -> bool:
        gone = self.scope.delete(_table).where(*_of(connection_id, kind))
        return self.scope.affected(gone) == 1

    def all(self) -> list[Schedule]:
        rows = self.scope.select(_table, Schedule)
        return self.scope.many(Schedule, rows.order_by(_table.c.connection_id, _table.c.kind))

    def advance(
        self, schedule: Schedule, next_at: datetime, *, last_at: datetime | None = None
    ) -> bool:
        """False where another process was first, or it was set anew."""
        same = (_table.c.next_at == schedule.next_at, _table.c.rule == schedule.rule)
        named = self.scope.update(_table).where(*_of(schedule.connection_id, schedule.kind), *same)
        return self.scope.affected(named.values(next_at=next_at, last_at=last_at)) == 1


def _of(connection_id: str, kind: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _table.c.connection_id == connection_id, _table.c.kind == kind
