"""Leases: who may work on a connection. Each taking has a number of its own, which whoever works
shows in the transaction of what it writes (fencing): a worker that slept past its lease, and wakes
up, writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.job_tables import lease as _table
from fhirbridge.registry.scope import Scope

LeaseKind = Literal["pull", "deliver"]


@dataclass(frozen=True, slots=True)
class Lease:
    connection_id: str
    kind: LeaseKind
    holder: str
    number: int
    taken_at: datetime
    until: datetime


class Held(BridgeError):
    """Somebody else works there."""


@dataclass(frozen=True, slots=True)
class Leases:
    scope: Scope

    def take(
        self,
        connection_id: str,
        kind: LeaseKind,
        holder: str,
        *,
        seconds: float,
        gone: Callable[[str], bool] = lambda holder: False,
        steal: bool = False,
    ) -> Lease:
        """Ours from now on. Raises `Held` while another holds it who is not surely `gone`; with
        `steal` he loses it all the same.
        """
        now = self.scope.clock()
        once = ("connection_id", "kind")
        fresh = Lease(connection_id, kind, "", 0, now, now)
        self.scope.add_new(_table, once=once, **_values(fresh))
        rows = self.scope.select(_table, Lease).where(*_of(connection_id, kind))
        held = self.scope.only(Lease, rows.with_for_update(key_share=True), "lease")
        if not steal and stands(held, now) and not gone(held.holder):
            raise _taken(held)
        until = now + timedelta(seconds=seconds)
        mine = Lease(connection_id, kind, holder, held.number + 1, now, until)
        self._change(held, **{n: v for n, v in _values(mine).items() if n not in once})
        return mine

    def renew(self, lease: Lease, *, seconds: float) -> bool:
        """False where it is not ours any more. Where it is, nobody takes it before this transaction
        has ended: one statement looks, locks and writes.
        """
        return self._change(lease, until=self.scope.clock() + timedelta(seconds=seconds))

    def release(self, lease: Lease) -> bool:
        return self._change(lease, holder="", until=self.scope.clock())

    def revoke(self, connection_id: str, kind: LeaseKind) -> bool:
        """Nobody has it any more; whoever works there is refused at its next commit."""
        held = self.of(connection_id, kind)
        if held is None or not held.holder:
            return False
        return self._change(held, holder="", number=held.number + 1, until=self.scope.clock())

    def of(self, connection_id: str, kind: LeaseKind) -> Lease | None:
        rows = self.scope.select(_table, Lease).where(*_of(connection_id, kind))
        return self.scope.one(Lease, rows)

    def _change(self, lease: Lease, **values: Any) -> bool:
        """Where the row is still as it was taken."""
        same = (_table.c.holder == lease.holder, _table.c.number == lease.number)
        named = self.scope.update(_table).where(*_of(lease.connection_id, lease.kind), *same)
        return self.scope.affected(named.values(**values)) == 1


def stands(lease: Lease, now: datetime) -> bool:
    return bool(lease.holder) and lease.until > now


def _of(connection_id: str, kind: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _table.c.connection_id == connection_id, _table.c.kind == kind


def _values(lease: Lease) -> dict[str, Any]:
    return {name: getattr(lease, name) for name in Lease.__slots__}


def _taken(held: Lease) -> Held:
    since, until = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (held.taken_at, held.until))
    cause = f"{held.holder} holds the {held.kind} of this connection since {since}"
    remedy = f"wait for its end, or until {until}; --steal takes it at once"
    return Held(Issue("conflict", cause, remedy))
