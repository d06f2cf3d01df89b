"""The audit trail: who did what to what, when, in a chain of keyed hashes for each site.

Rows hold ids and words, never a name or a value. They are written in the transaction of what they
tell of, just before its commit: without its audit nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

from sqlalchemy import bindparam, insert, select, update

from fhirbridge.formats import fhir_json
from fhirbridge.registry import audit_tables
from fhirbridge.registry.columns import stamp
from fhirbridge.registry.faults import transient
from fhirbridge.registry.scope import Scope
from fhirbridge.registry.vault import Vault

Action = Literal["C", "R", "U", "D", "E"]
Outcome = Literal["done", "refused", "failed"]
Entities = Mapping[str, str | Sequence[str]]

COMMAND_LINE = "command line"  # the actor of what no client and no connection does
_PAGE = 500  # rows that a walk along the chain holds at a time

_head = audit_tables.audit_head
# Made once: to build a statement takes SQLAlchemy longer than SQLite takes to run it.
_LOCKED = select(_head.c.seq, _head.c.hash).where(_head.c.site_id == bindparam("site"))
_LOCKED = _LOCKED.with_for_update(key_share=True)
_ADDED = insert(audit_tables.audit)
_MOVED = update(_head).where(_head.c.site_id == bindparam("site"))
_MOVED = _MOVED.values(seq=bindparam("last"), hash=bindparam("sealed"))


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the trail; `event` is the word for what was done, `action` FHIR's letter for it."""

    site_id: str
    seq: int
    at: datetime
    actor: str
    action: Action
    event: str
    outcome: Outcome
    entities: Mapping[str, Any]
    request_id: str | None
    previous: str
    hash: str = ""

    def sealed(self, vault: Vault) -> str:
        """The keyed hash of this row, and so of every row before it."""
        told = {name: value for name, value in self.columns().items() if name != "hash"}
        return vault.chain(fhir_json.canonical({**told, "at": stamp(self.at)}))

    def columns(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Chain:
    """What a walk along a site's chain found: `fault` names the first broken link."""

    length: int
    head: str
    fault: str = ""


class Audit:
    """What a unit noted: in memory until the unit commits, and gone where it does not."""

    def __init__(self, scope: Scope, request_id: str | None) -> None:
        self._scope = scope
        self._request_id = request_id
        self._noted: list[Event] = []

    def note(
        self,
        action: Action,
        event: str,
        *,
        actor: str,
        outcome: Outcome = "done",
        entities: Entities | None = None,
        site_id: str | None = None,
    ) -> None:
        """`entities` are ids. A unit without a site says whose trail it is; no other one may."""
        told = self._scope.site_id if site_id is None else site_id
        if self._scope.site not in (None, told):
            raise ValueError("this is the audit trail of another site")
        now, held = self._scope.clock(), dict(entities or {})
        noted = Event(told, 0, now, actor, action, event, outcome, held, self._request_id, "")
        self._noted.append(noted)

    def flush(self) -> None:
        """Chain what was noted to the end of the trail, which is locked from here to the commit.

        Called last of all, so that the units of a site wait for each other only here.
        """
        noted, self._noted = self._noted, []
        for site, events in groupby(noted, key=lambda one: one.site_id):
            self._chain(site, list(events))

    def _chain(self, site: str, events: list[Event]) -> None:
        scope, rows = self._scope, []
        head = scope.ask(_LOCKED, site=site)
        if not head:
            raise transient("the audit trail of this site has no beginning")
        ((seq, last),) = head
        for event in events:
            seq += 1
            linked = replace(event, seq=seq, previous=last)
            last = linked.sealed(scope.vault)
            rows.append({**linked.columns(), "hash": last})
        scope.write(_ADDED, rows)
        scope.write(_MOVED, [{"site": site, "last": seq, "sealed": last}])


def begin(scope: Scope, site_id: str) -> None:
    """The trail of a new site: empty, but there, so that nobody's first event is a race."""
    scope.connection.execute(insert(_head), {"site_id": site_id, "seq": 0, "hash": ""})


@dataclass(frozen=True, slots=True)
class Trail:
    """The trail as it is read."""

    scope: Scope

    def events(self, *, after: int = 0, limit: int = 100) -> list[Event]:
        """In their order, those behind the number `after` only."""
        row = audit_tables.audit.c
        rows = self.scope.select(audit_tables.audit, Event).where(row.seq > after)
        return self.scope.many(Event, rows.order_by(row.seq).limit(limit))

    def chain(self) -> Chain:
        """Walk along the whole chain; what hangs behind its first broken link is not looked at."""
        head = select(_head.c.seq, _head.c.hash).where(_head.c.site_id == self.scope.site_id)
        found = self.scope.connection.execute(head).one_or_none()
        seq, last = 0, ""
        while events := self.events(after=seq, limit=_PAGE):
            for event in events:
                if fault := self._fault(event, seq, last):
                    return Chain(seq, last, fault)
                seq, last = event.seq, event.hash
        if found is None or (found.seq, found.hash) != (seq, last):
            ends = "nowhere" if found is None else f"at event {found.seq}"
            return Chain(seq, last, f"the trail ends at event {seq}, its head {ends}")
        return Chain(seq, last)

    def _fault(self, event: Event, seq: int, last: str) -> str:
        if event.seq != seq + 1:
            return f"event {seq + 1} is missing"
        if event.previous != last:
            return f"event {event.seq} does not follow event {seq}"
        if event.hash != event.sealed(self.scope.vault):
            return f"event {event.seq} was changed"
        return ""
