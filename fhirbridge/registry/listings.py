"""Pages of what a site holds, for people and programs that look through it.

A page is found by the row after which it begins (keyset), so that it costs the same wherever it
stands. A mark of another site is as unknown as one that never was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Select, literal, select, tuple_, type_coerce

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry import consent_tables, tables
from fhirbridge.registry.columns import TEXT
from fhirbridge.registry.crosswalk_lines import CrosswalkLine
from fhirbridge.registry.job_tables import job as job_table
from fhirbridge.registry.jobs import Job
from fhirbridge.registry.messages import Held
from fhirbridge.registry.proposals import WAITS, Proposal
from fhirbridge.registry.records import Record
from fhirbridge.registry.scope import Scope
from fhirbridge.registry.subjects import Subject

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Wanted:
    """`after` is the id of the row before the page."""

    after: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """`next` is the `after` of the next page; None on the last one."""

    items: list[Row]
    next: str | None


@dataclass(frozen=True, slots=True)
class MessageHead:
    """A message without its bytes."""

    id: str
    source: str
    kind: str
    key: str
    sha256: str
    received_at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class ReceiptHead:
    """A receipt without its entries, and what its message is known by."""

    id: str
    message_id: str
    state: str
    counts: Mapping[str, int]
    created_at: datetime
    source: str
    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class DeliveryHead:
    """A delivery, what it carries and where to."""

    id: str
    connection: str
    connection_id: str
    resource_id: str
    type: str
    fhir_id: str
    record_id: str
    deleted: bool
    state: str
    cause: str | None
    attempts: int
    failures: int
    not_before: datetime | None
    remote_id: str | None
    remote_version: str | None
    issues: tuple[Issue, ...]
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Listings:
    scope: Scope

    def message(self, message_id: str) -> MessageHead | None:
        rows = self.scope.select(tables.message, MessageHead)
        return self.scope.one(MessageHead, rows.where(tables.message.c.id == message_id))

    def messages(self, wanted: Wanted, *, source: str | None = None) -> Page[MessageHead]:
        """The newest first."""
        message = tables.message.c
        rows = self.scope.select(tables.message, MessageHead)
        rows = rows if source is None else rows.where(message.source == source)
        return self._page(MessageHead, rows, (message.received_at, message.id), wanted, newest=True)

    def receipts(
        self,
        wanted: Wanted,
        *,
        source: str | None = None,
        key: str | None = None,
        identifier: str | None = None,
        source_id: tuple[str, str] | None = None,
    ) -> Page[ReceiptHead]:
        """Those of the newest messages first; `source_id` is a resource's type and id as sent."""
        receipt, message, entry = tables.receipt.c, tables.message.c, tables.receipt_entry.c
        joined = tables.receipt.join(
            tables.message,
            (receipt.site_id == message.site_id) & (receipt.message_id == message.id),
        )
        told = (receipt.id, receipt.message_id, receipt.state, receipt.counts, receipt.created_at)
        rows = select(*told, message.source, message.kind, message.key).select_from(joined)
        rows = rows.where(receipt.site_id == self.scope.site_id)
        filters = [message.source == source] if source is not None else []
        filters += [message.key == key] if key is not None else []
        if identifier is not None:
            filters.append(receipt.id.in_(self._entries(entry.identifier == identifier)))
        if source_id is not None:
            type, id = source_id
            named = (entry.source_id == id, entry.resource_type == type)
            filters.append(receipt.id.in_(self._entries(*named)))
        order = (message.received_at, message.id)
        mark = select(*order).select_from(joined).where(receipt.site_id == self.scope.site_id)
        after = mark.where(receipt.id == wanted.after)
        return self._page(
            ReceiptHead, rows.where(*filters), order, wanted, newest=True, after=after
        )

    def _entries(self, *named: ColumnElement[bool]) -> Select[Any]:
        entry = tables.receipt_entry.c
        return select(entry.receipt_id).where(entry.site_id == self.scope.site_id, *named)

    def quarantine(
        self,
        wanted: Wanted,
        *,
        state: str = "waiting",
        category: str | None = None,
        resource_type: str | None = None,
        message_id: str | None = None,
    ) -> Page[Held]:
        """The longest waiting first."""
        held = tables.quarantine.c
        rows = self.scope.select(tables.quarantine, Held).where(held.state == state)
        if category is not None:
            # As `Json` writes it. A quotation mark inside a text would stand there escaped.
            written = type_coerce(held.issues, TEXT)
            rows = rows.where(written.contains(f'"category":"{category}"', autoescape=True))
        rows = rows if resource_type is None else rows.where(held.resource_type == resource_type)
        rows = rows if message_id is None else rows.where(held.message_id == message_id)
        return self._page(Held, rows, (held.created_at, held.id), wanted)

    def held(self, quarantine_id: str) -> Held | None:
        rows = self.scope.select(tables.quarantine, Held)
        return self.scope.one(Held, rows.where(tables.quarantine.c.id == quarantine_id))

    def subjects(self, wanted: Wanted) -> Page[Subject]:
        """By study id."""
        subject = tables.subject.c
        rows = self.scope.select(tables.subject, Subject)
        return self._page(Subject, rows, (subject.study_id, subject.id), wanted)

    def records(
        self,
        wanted: Wanted,
        *,
        subject_id: str | None = None,
        form: str | None = None,
        status: str | None = None,
    ) -> Page[Record]:
        """By id, which is derived and tells no order of time."""
        record = tables.record.c
        rows = self.scope.select(tables.record, Record)
        rows = rows if subject_id is None else rows.where(record.subject_id == subject_id)
        rows = rows if form is None else rows.where(record.form == form)
        rows = rows if status is None else rows.where(record.status == status)
        return self._page(Record, rows, (record.id,), wanted)

    def proposals(
        self, wanted: Wanted, *, status: str = "waiting", record_id: str | None = None
    ) -> Page[Proposal]:
        """The oldest first."""
        proposal = tables.proposal.c
        named = WAITS if status == "waiting" else proposal.status == status
        rows = self.scope.select(tables.proposal, Proposal).where(named)
        rows = rows if record_id is None else rows.where(proposal.record_id == record_id)
        return self._page(Proposal, rows, (proposal.at, proposal.id), wanted)

    def proposals_of(self, record_id: str) -> list[Proposal]:
        """Of every status, field by field, in their order."""
        proposal = tables.proposal.c
        rows = self.scope.select(tables.proposal, Proposal).where(proposal.record_id == record_id)
        return self.scope.many(Proposal, rows.order_by(proposal.field, proposal.number))

    def crosswalk_lines(self, wanted: Wanted) -> Page[CrosswalkLine]:
        """The oldest first; withdrawn ones included."""
        line = consent_tables.crosswalk_line.c
        rows = self.scope.select(consent_tables.crosswalk_line, CrosswalkLine)
        return self._page(CrosswalkLine, rows, (line.added_at, line.id), wanted)

    def jobs(
        self, wanted: Wanted, *, state: str | None = None, connection_id: str | None = None
    ) -> Page[Job]:
        """The newest first."""
        job = job_table.c
        rows = self.scope.select(job_table, Job)
        rows = rows if state is None else rows.where(job.state == state)
        rows = rows if connection_id is None else rows.where(job.connection_id == connection_id)
        return self._page(Job, rows, (job.made_at, job.id), wanted, newest=True)

    def deliveries(
        self,
        wanted: Wanted,
        *,
        connection: str | None = None,
        states: Collection[str] | None = None,
        cause: str | None = None,
        ids: Collection[str] | None = None,
    ) -> Page[DeliveryHead]:
        """By id. `connection` is its name."""
        delivery, resource, there = tables.delivery.c, tables.resource.c, tables.connection.c
        site = self.scope.site_id
        joined = tables.delivery.join(
            tables.resource,
            (delivery.site_id == resource.site_id) & (delivery.resource_id == resource.id),
        ).join(
            tables.connection,
            (delivery.site_id == there.site_id) & (delivery.connection_id == there.id),
        )
        of_resource = (resource.type, resource.fhir_id, resource.record_id, resource.deleted)
        plain = [delivery[name] for name in DeliveryHead.__slots__ if name in delivery]
        rows = select(*plain, *of_resource, there.name.label("connection")).select_from(joined)
        rows = rows.where(delivery.site_id == site)
        rows = rows if connection is None else rows.where(there.name == connection)
        rows = rows if states is None else rows.where(delivery.state.in_(sorted(states)))
        rows = rows if cause is None else rows.where(delivery.cause == cause)
        rows = rows if ids is None else rows.where(delivery.id.in_(sorted(ids)))
        return self._page(DeliveryHead, rows, (delivery.id,), wanted)

    def _page(
        self,
        kind: type[Row],
        rows: Select[Any],
        order: Sequence[Column[Any]],
        wanted: Wanted,
        *,
        newest: bool = False,
        after: Select[Any] | None = None,
    ) -> Page[Row]:
        """One row more than asked is read, to know whether there is a next page."""
        if wanted.after is not None:
            columns = order[0].table.c
            mark = select(*order).where(columns.site_id == self.scope.site_id)
            named = mark.where(columns.id == wanted.after) if after is None else after
            rows = rows.where(self._beyond(named, order, newest=newest))
        sorted_by = [column.desc() if newest else column for column in order]
        found = self.scope.many(kind, rows.order_by(*sorted_by).limit(wanted.limit + 1))
        items = found[: wanted.limit]
        more = len(found) > len(items)
        last: Any = items[-1] if more else None
        return Page(items, last.id if more else None)

    def _beyond(
        self, mark: Select[Any], order: Sequence[Column[Any]], *, newest: bool
    ) -> ColumnElement[bool]:
        row = self.scope.connection.execute(mark).one_or_none()
        if row is None:
            remedy = "take it from 'next' of the page before"
            raise BridgeError(Issue("value", "no such page is known here", remedy, place="after"))
        at = tuple_(
            *(literal(value, column.type) for value, column in zip(row, order, strict=True))
        )
        here = tuple_(*order)
        return here < at if newest else here > at
