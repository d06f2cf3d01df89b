"""Finds what the store holds of one person, wherever it came to rest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, select

from fhirbridge.registry import tables
from fhirbridge.registry.messages import Message
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.scope import Scope

_MANY = 500  # values of one statement; SQLite has a limit
Place = tuple[str, int]
"""A message's id and a position in it."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A resource that was sent, and what it is called there."""

    connection: str
    type: str
    fhir_id: str
    remote_id: str | None


@dataclass(frozen=True, slots=True)
class EntryOf:
    """A line of a receipt, as far as it says where it came from."""

    message_id: str
    position: int
    source: str
    resource_type: str | None
    source_id: str | None


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


@dataclass(frozen=True, slots=True)
class _Named:
    resource_id: str
    connection_id: str
    remote_id: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Traces:
    scope: Scope

    def messages(self) -> Iterator[Message]:
        """Every message that has a body, one at a time."""
        message = tables.message.c
        ids = self._ids(tables.message, message.state != "erased")
        rows = self.scope.select(tables.message, Message)
        for id in ids:
            yield self.scope.only(Message, rows.where(message.id == id), "message")

    def refused(self) -> set[str]:
        """The ids of the messages that were refused as a whole."""
        receipt = tables.receipt.c
        rows = select(receipt.message_id.label("id")).where(
            receipt.site_id == self.scope.site_id, receipt.state == "refused"
        )
        return {one.id for one in self.scope.many(_Id, rows)}

    def entries(self, subject_id: str, records: Collection[str]) -> list[EntryOf]:
        """The receipts' lines of the subject, and of its records."""
        entry = tables.receipt_entry.c
        found = self._lines(entry.subject_id == subject_id)
        for some in batches(records):
            found += self._lines(entry.record_id.in_(some))
        return found

    def entries_at(self, places: Collection[Place]) -> list[EntryOf]:
        message = tables.receipt.c.message_id
        found = []
        for id, position in places:
            named = and_(message == id, tables.receipt_entry.c.position == position)
            found += self._lines(named)
        return found

    def _lines(self, named: ColumnElement[bool]) -> list[EntryOf]:
        entry, receipt, message = tables.receipt_entry, tables.receipt, tables.message
        columns = (
            receipt.c.message_id,
            entry.c.position,
            message.c.source,
            entry.c.resource_type,
            entry.c.source_id,
        )
        rows = (
            select(*columns)
            .join(
                receipt,
                and_(receipt.c.site_id == entry.c.site_id, receipt.c.id == entry.c.receipt_id),
            )
            .join(
                message,
                and_(message.c.site_id == receipt.c.site_id, message.c.id == receipt.c.message_id),
            )
            .where(entry.c.site_id == self.scope.site_id, named)
        )
        return self.scope.many(EntryOf, rows)

    def origins(self, subject_id: str, records: Collection[str]) -> list[str]:
        """The ids of the origins that are of the subject, or of nobody and about its records."""
        origin, link = tables.origin.c, tables.origin_record.c
        found = self._ids(tables.origin, origin.subject_id == subject_id)
        for some in batches(records):
            about = select(link.origin_id).where(
                link.site_id == self.scope.site_id, link.record_id.in_(some)
            )
            found += self._ids(
                tables.origin, and_(origin.subject_id.is_(None), origin.id.in_(about))
            )
        return found

    def unread(self, lines: Collection[EntryOf]) -> list[str]:
        """The ids of the origins that were seen as these entries, and are of nobody."""
        origin = tables.origin.c
        found = []
        for one in lines:
            if one.resource_type and one.source_id:
                named = and_(
                    origin.source == one.source,
                    origin.resource_type == one.resource_type,
                    origin.source_id == one.source_id,
                    origin.subject_id.is_(None),
                )
                found += self._ids(tables.origin, named)
        return found

    def patients(self, origins: Collection[str]) -> list[tuple[str, str]]:
        """Source and id of the Patients among them."""
        origin = tables.origin.c
        found: list[tuple[str, str]] = []
        for some in batches(origins):
            rows = select(origin.source, origin.source_id).where(
                origin.site_id == self.scope.site_id,
                origin.id.in_(some),
                origin.resource_type == "Patient",
            )
            found += [(row[0], row[1]) for row in self.scope.connection.execute(rows)]
        return found

    def resources(self, records: Collection[str]) -> list[ResourceRow]:
        found: list[ResourceRow] = []
        for some in batches(records):
            rows = self.scope.select(tables.resource, ResourceRow)
            found += self.scope.many(ResourceRow, rows.where(tables.resource.c.record_id.in_(some)))
        return found

    def delivered(self, resources: Sequence[ResourceRow]) -> list[Delivered]:
        """What was sent, arrived for sure or perhaps."""
        rows = {row.id: row for row in resources}
        found: list[Delivered] = []
        names = {one.id: one.name for one in self._connections()}
        for some in batches(rows):
            named = self.scope.select(tables.delivery, _Named)
            sent = self.scope.many(_Named, named.where(tables.delivery.c.resource_id.in_(some)))
            for one in sent:
                if one.remote_id or one.attempts:
                    row = rows[one.resource_id]
                    where = names[one.connection_id]
                    found.append(Delivered(where, row.type, row.fhir_id, one.remote_id))
        return sorted(found, key=lambda one: (one.connection, one.type, one.fhir_id))

    def _connections(self) -> list[Any]:
        connection = tables.connection.c
        rows = select(connection.id, connection.name).where(
            connection.site_id == self.scope.site_id
        )
        return list(self.scope.connection.execute(rows))

    def _ids(self, table: Table, named: ColumnElement[bool]) -> list[str]:
        rows: Select[Any] = self.scope.select(table, _Id).where(named)
        return [one.id for one in self.scope.many(_Id, rows)]


def batches(values: Collection[Any]) -> Iterator[list[Any]]:
    """As many as one statement takes."""
    given = list(values)
    for start in range(0, len(given), _MANY):
        yield given[start : start + _MANY]
