"""Deliveries: which of the site's resources have arrived at which hospital server."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, TypedDict, Unpack

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, true

from fhirbridge.outcome import Issue
from fhirbridge.registry import tables
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.scope import Scope, not_found
from fhirbridge.registry.traces import batches

DeliveryState = Literal["pending", "sent", "verified", "conflict", "dead"]
Cause = Literal[
    "overtaken", "gone", "several", "not-as-sent",  # of a conflict
    "refused", "not-writable", "exhausted",  # of what is dead
    "waits", "sending", "failed", "unserved", "asked-to-wait", "retried",  # of what is pending
]  # fmt: skip
ASKED_TO_WAIT: Cause = "asked-to-wait"  # holds for the whole server


@dataclass(frozen=True, slots=True)
class Delivery:
    """`sent_sha256` is the content that was tried last, taken or not; `failures` are the tries in
    a row that came to nothing, `not_before` when the next one may be; `cause` says in a word why it
    waits or ended; `remote_sha256` is of what was read back there.
    """

    id: str
    connection_id: str
    resource_id: str
    state: DeliveryState
    remote_id: str | None
    remote_version: str | None
    sent_sha256: str | None
    attempts: int
    issues: tuple[Issue, ...]
    updated_at: datetime
    cause: Cause | None = None
    remote_sha256: str | None = None
    failures: int = 0
    not_before: datetime | None = None


class Changes(TypedDict, total=False):
    state: DeliveryState
    remote_id: str | None
    remote_version: str | None
    sent_sha256: str | None
    attempts: int
    issues: tuple[Issue, ...]
    cause: Cause | None
    remote_sha256: str | None
    failures: int
    not_before: datetime | None
    sent_body: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Deliveries:
    scope: Scope

    def outstanding(
        self, connection_id: str, *, blocks: Collection[str] | None = None
    ) -> list[tuple[ResourceRow, Delivery | None]]:
        """What the server lacks or has not confirmed, by type and id; `blocks` None is all of them.

        A delivery in conflict or dead comes back only when its resource has changed since.
        """
        rows = self._pairs(connection_id, outer=True)
        rows = rows.where(tables.resource.c.deleted == false(), _lacking())
        if blocks is not None:
            rows = rows.where(tables.resource.c.block.in_(sorted(blocks)))
        return self.scope.many(_pair, rows)

    def gone(self, connection_id: str) -> list[tuple[ResourceRow, Delivery]]:
        """What is there, or may be because an answer was lost, and was withdrawn here since.

        What the server refused never arrived: there is nothing to take back.
        """
        rows = self._pairs(connection_id, outer=False).where(
            tables.resource.c.deleted == true(), _arrived()
        )
        return self.scope.many(_sent_pair, rows)

    def held_by(
        self, connection_id: str, subject_ids: Collection[str]
    ) -> list[tuple[ResourceRow, Delivery]]:
        """What is there, or may be, of these subjects, and was not withdrawn here."""
        record = tables.record.c
        found: list[tuple[ResourceRow, Delivery]] = []
        for some in batches(subject_ids):
            theirs = select(record.id).where(
                record.site_id == self.scope.site_id, record.subject_id.in_(some)
            )
            rows = self._pairs(connection_id, outer=False).where(
                tables.resource.c.record_id.in_(theirs),
                tables.resource.c.deleted == false(),
                _arrived(),
            )
            found += self.scope.many(_sent_pair, rows)
        return found

    def unsettled(self, connection_id: str) -> list[tuple[ResourceRow, Delivery]]:
        """What waits for a person: in conflict, or dead; not what is neither here nor there."""
        delivery, resource = tables.delivery.c, tables.resource.c
        rows = self._pairs(connection_id, outer=False).where(
            delivery.state.in_(("conflict", "dead")),
            or_(resource.deleted == false(), delivery.remote_id.is_not(None)),
        )
        return self.scope.many(_sent_pair, rows)

    def _pairs(self, connection_id: str, *, outer: bool) -> Select[Any]:
        """Resources with their deliveries to a connection, by type and id."""
        self._connection(connection_id)
        delivery, resource = tables.delivery, tables.resource
        joined = and_(
            delivery.c.site_id == resource.c.site_id,
            delivery.c.resource_id == resource.c.id,
            delivery.c.connection_id == connection_id,
        )
        added = [delivery.c[name].label(f"delivery_{name}") for name in Delivery.__slots__]
        return (
            self.scope.select(resource, ResourceRow)
            .add_columns(*added)
            .join_from(resource, delivery, joined, isouter=outer)
            .order_by(resource.c.type, resource.c.fhir_id)
        )

    def put(self, connection_id: str, resource_id: str, **changes: Unpack[Changes]) -> Delivery:
        """The delivery with these changes; where there is none, begun as pending."""
        started: dict[str, Any] = {
            "id": self.scope.ids(),
            "connection_id": connection_id,
            "resource_id": resource_id,
            "state": "pending",
            "attempts": 0,
            "issues": (),
            "failures": 0,
            "updated_at": self.scope.clock(),
        }
        self.scope.put(
            tables.delivery,
            once=("connection_id", "resource_id"),
            told=(*changes, "updated_at"),
            **{**started, **changes},
        )
        delivery = tables.delivery.c
        put = self.scope.select(tables.delivery, Delivery).where(
            delivery.connection_id == connection_id, delivery.resource_id == resource_id
        )
        return self.scope.only(Delivery, put, "delivery")

    def claim(
        self, connection_id: str, resource_id: str, *, seen: int | None, **changes: Unpack[Changes]
    ) -> bool:
        """The next attempt, for one caller alone: False where another made it since `seen`, the
        number of attempts that were known (None: there was no delivery)."""
        delivery = tables.delivery
        values: dict[str, Any] = {
            "attempts": (seen or 0) + 1,
            "updated_at": self.scope.clock(),
            **changes,
        }
        if seen is None:
            begun = {"id": self.scope.ids(), "issues": (), "state": "pending", "failures": 0}
            return self.scope.add_new(
                delivery,
                once=("connection_id", "resource_id"),
                connection_id=connection_id,
                resource_id=resource_id,
                **{**begun, **values},
            )
        named = (
            delivery.c.connection_id == connection_id,
            delivery.c.resource_id == resource_id,
            delivery.c.attempts == seen,
        )
        return self.scope.affected(self.scope.update(delivery).where(*named).values(**values)) == 1

    def sent_body(self, connection_id: str, resource_id: str) -> dict[str, Any] | None:
        """What was sent last and taken."""
        found = self.scope.row(
            tables.delivery, _Sent, connection_id=connection_id, resource_id=resource_id
        )
        return found.sent_body if found else None

    def there(self, connection_id: str, resource_ids: Collection[str]) -> dict[str, str]:
        """By resource the id that it has at the server, of those that have one."""
        rows = self.scope.rows(
            tables.delivery, _There, connection_id=connection_id, resource_id=list(resource_ids)
        )
        return {row.resource_id: row.remote_id for row in rows if row.remote_id}

    def asked_to_wait(self, connection_id: str) -> datetime | None:
        """Until when the server asked for rest, of all that it was asked."""
        delivery = tables.delivery.c
        latest = select(func.max(delivery.not_before)).where(
            delivery.site_id == self.scope.site_id,
            delivery.connection_id == connection_id,
            delivery.cause == ASKED_TO_WAIT,
        )
        told: datetime | None = self.scope.connection.execute(latest).scalar_one()
        return told

    def of_connection(self, connection_id: str) -> list[Delivery]:
        delivery = tables.delivery.c
        rows = self.scope.select(tables.delivery, Delivery)
        held = rows.where(delivery.connection_id == connection_id)
        return self.scope.many(Delivery, held.order_by(delivery.resource_id))

    def _connection(self, connection_id: str) -> None:
        """A foreign connection must not look like one that has received nothing yet."""
        connection = tables.connection
        rows = self.scope.select(connection, _Known).where(connection.c.id == connection_id)
        if self.scope.one(_Known, rows) is None:
            raise not_found("connection")


@dataclass(frozen=True, slots=True)
class _Known:
    id: str


@dataclass(frozen=True, slots=True)
class _Sent:
    sent_body: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _There:
    resource_id: str
    remote_id: str | None


def _arrived() -> ColumnElement[bool]:
    """It is there, or may be because an answer was lost."""
    delivery = tables.delivery.c
    maybe = and_(delivery.state == "pending", delivery.attempts > 0)
    return or_(delivery.remote_id.is_not(None), maybe)


def _lacking() -> ColumnElement[bool]:
    delivery, resource = tables.delivery.c, tables.resource.c
    return or_(
        delivery.id.is_(None),
        delivery.state.in_(("pending", "sent")),
        delivery.sent_sha256.is_distinct_from(resource.sha256),
    )


def _pair(**row: Any) -> tuple[ResourceRow, Delivery | None]:
    resource = ResourceRow(**{field.name: row[field.name] for field in fields(ResourceRow)})
    if row["delivery_id"] is None:
        return resource, None
    return resource, Delivery(**{f.name: row[f"delivery_{f.name}"] for f in fields(Delivery)})


def _sent_pair(**row: Any) -> tuple[ResourceRow, Delivery]:
    resource, delivery = _pair(**row)
    assert delivery is not None, "an inner join has both"
    return resource, delivery
