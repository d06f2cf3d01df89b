"""Messages as they came, and what of them waits in quarantine."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, func, select

from fhirbridge.outcome import Issue
from fhirbridge.registry import tables
from fhirbridge.registry.gathered import portions
from fhirbridge.registry.scope import Scope, not_found

KEPT = "kept"  # as it came
REDACTED = "redacted"  # a part of it is gone; the rest can be replayed
ERASED = "erased"  # all of it is gone


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes that arrived from a source; `key` is what tells a repetition."""

    id: str
    source: str
    kind: str
    key: str
    sha256: str
    body: bytes
    received_at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Held:
    """A part of a message that waits for a crosswalk line, a subject or a person: an even part is
    a fact of an entry, an odd one what waits of the fact before it."""

    id: str
    message_id: str
    position: int
    part: int
    resource_type: str | None
    source_id: str | None
    issues: tuple[Issue, ...]
    state: Literal["waiting", "released"]
    created_at: datetime
    released_at: datetime | None


@dataclass(frozen=True, slots=True)
class Messages:
    scope: Scope

    def keep(self, source: str, kind: str, key: str, body: bytes) -> tuple[Message, bool]:
        """The message of this source and key, and whether it is new here.

        Where it is not, the stored one comes back: compare `sha256` to tell a repetition from a
        key that was used twice.
        """
        made = Message(
            id=self.scope.ids(),
            source=source,
            kind=kind,
            key=key,
            sha256=hashlib.sha256(body).hexdigest(),
            body=body,
            received_at=self.scope.clock(),
            state=KEPT,
        )
        if self.scope.add_new(tables.message, once=("source", "key"), **_flat(made)):
            return made, True
        kept = self.scope.row(tables.message, Message, source=source, key=key)
        if kept is None:
            raise not_found("message")
        return kept, False

    def get(self, message_id: str) -> Message | None:
        return self.scope.row(tables.message, Message, id=message_id)

    def by_key(self, source: str, key: str) -> Message | None:
        return self.scope.row(tables.message, Message, source=source, key=key)

    def key_beginning(self, source: str, text: str) -> str | None:
        """A key of this source that begins so."""
        message = tables.message.c
        named = self._rows().where(
            message.source == source, message.key >= text, message.key < text + "\uffff"
        )
        found = self.scope.many(Message, named.limit(1))
        return found[0].key if found else None

    def set_state(self, message_id: str, state: str) -> None:
        changed = self.scope.update(tables.message).where(tables.message.c.id == message_id)
        if not self.scope.affected(changed.values(state=state)):
            raise not_found("message")

    def rewrite(self, message: Message) -> None:
        """Another body, kind, key and state: only of what may not be kept. The hash stays that of
        the bytes that came."""
        changed = self.scope.update(tables.message).where(tables.message.c.id == message.id)
        values = {name: getattr(message, name) for name in ("body", "kind", "key", "state")}
        if not self.scope.affected(changed.values(values)):
            raise not_found("message")

    def _rows(self) -> Select[Any]:
        return self.scope.select(tables.message, Message)


def _flat(row: Message) -> dict[str, Any]:
    return {name: getattr(row, name) for name in type(row).__slots__}


@dataclass(frozen=True, slots=True)
class _Waiting:
    resource_type: str | None
    source_id: str | None


@dataclass(frozen=True, slots=True)
class Quarantine:
    scope: Scope

    def hold(
        self,
        message_id: str,
        *,
        position: int,
        part: int = 0,
        resource_type: str | None,
        source_id: str | None,
        issues: Sequence[Issue],
    ) -> Held:
        """Held once a part of a message: to hold it again renews its issues and its waiting."""
        self.scope.put(
            tables.quarantine,
            once=("message_id", "position", "part"),
            told=("resource_type", "source_id", "issues", "state", "released_at"),
            id=self.scope.ids(),
            message_id=message_id,
            position=position,
            part=part,
            resource_type=resource_type,
            source_id=source_id,
            issues=tuple(issues),
            state="waiting",
            created_at=self.scope.clock(),
            released_at=None,
        )
        held = self._rows().where(_part(message_id, position=position, part=part))
        return self.scope.only(Held, held, "quarantined entry")

    def waiting(self, limit: int = 100) -> list[Held]:
        """The longest waiting first."""
        held = tables.quarantine.c
        rows = self._rows().where(held.state == "waiting")
        ordered = rows.order_by(held.created_at, held.message_id, held.position, held.part)
        return self.scope.many(Held, ordered.limit(limit))

    def release(self, message_id: str, position: int, part: int) -> bool:
        """False where it does not wait (any more)."""
        held = tables.quarantine
        named = _part(message_id, position=position, part=part)
        freed = self.scope.update(held).where(named, held.c.state == "waiting")
        values = {"state": "released", "released_at": self.scope.clock()}
        return self.scope.affected(freed.values(values)) == 1

    def supersede(self, source: str, resource_type: str, source_id: str, *, by: str) -> int:
        """Release what waits of this source resource from messages other than `by`: it was sent
        again, and what that says counts.
        """
        held, message = tables.quarantine, tables.message
        others = select(message.c.id).where(
            message.c.site_id == self.scope.site_id, message.c.source == source, message.c.id != by
        )
        freed = self.scope.update(held).where(
            held.c.message_id.in_(others),
            held.c.resource_type == resource_type,
            held.c.source_id == source_id,
            held.c.state == "waiting",
        )
        values = {"state": "released", "released_at": self.scope.clock()}
        return self.scope.affected(freed.values(values))

    def waits(self, source: str, resource_type: str, source_id: str) -> bool:
        """Whether this source resource, or a part of it, waits."""
        held, message = tables.quarantine.c, tables.message
        of_source = select(message.c.id).where(
            message.c.site_id == self.scope.site_id, message.c.source == source
        )
        rows = self._rows().where(
            held.message_id.in_(of_source),
            held.resource_type == resource_type,
            held.source_id == source_id,
            held.state == "waiting",
        )
        return bool(self.scope.many(Held, rows.limit(1)))

    def among(self, source_ids: Collection[str]) -> set[tuple[str | None, str | None]]:
        """Type and id of what waits and may be one of these, of whichever source."""
        found: list[_Waiting] = []
        for some in portions(source_ids):
            found += self.scope.rows(tables.quarantine, _Waiting, state="waiting", source_id=some)
        return {(one.resource_type, one.source_id) for one in found}

    def of_message(self, message_id: str) -> list[Held]:
        order = ("position", "part")
        return self.scope.rows(tables.quarantine, Held, order, message_id=message_id)

    def forget(self, message_id: str, position: int) -> int:
        """Nothing of the entry waits or has waited: what is known of it may not be kept."""
        held = tables.quarantine
        gone = self.scope.delete(held).where(
            held.c.message_id == message_id, held.c.position == position
        )
        return self.scope.affected(gone)

    def waiting_for(self, category: str) -> int:
        """How many wait for an issue of the category."""
        rows = self.scope.many(Held, self._rows().where(tables.quarantine.c.state == "waiting"))
        return sum(any(issue.category == category for issue in one.issues) for one in rows)

    def count_waiting(self) -> int:
        held = tables.quarantine.c
        waiting = self._rows().where(held.state == "waiting").subquery()
        counted = select(func.count()).select_from(waiting)
        return self.scope.connection.execute(counted).scalar_one()

    def _rows(self) -> Select[Any]:
        return self.scope.select(tables.quarantine, Held)


def _part(message_id: str, *, position: int, part: int) -> ColumnElement[bool]:
    held = tables.quarantine.c
    return and_(held.message_id == message_id, held.position == position, held.part == part)
