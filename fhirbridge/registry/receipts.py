"""Receipts: of each message what became of it, entry by entry."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select

from fhirbridge.outcome import Issue
from fhirbridge.registry import tables
from fhirbridge.registry.gathered import portions
from fhirbridge.registry.scope import Scope, not_found


@dataclass(frozen=True, slots=True)
class ReceiptEntry:
    """What became of one fact of one entry of a message. Its facts have the parts 0, 2, 4 ...; the
    first is that of which most became, and stands for the entry."""

    position: int
    part: int
    fate: str
    resource_type: str | None = None
    source_id: str | None = None
    identifier: str | None = None
    record_id: str | None = None
    rule: str | None = None
    mapping_version: str | None = None
    issues: tuple[Issue, ...] = ()
    subject_id: str | None = None
    answer: str | None = None  # `status|location|lastModified`, as the sender was told


@dataclass(frozen=True, slots=True)
class Receipt:
    id: str
    message_id: str
    state: str
    counts: Mapping[str, int]
    issues: tuple[Issue, ...]
    created_at: datetime
    entries: tuple[ReceiptEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class _ReceiptRow:
    id: str
    message_id: str
    state: str
    counts: Mapping[str, int]
    issues: tuple[Issue, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class _Sent:
    receipt_id: str
    resource_type: str | None
    record_id: str | None
    rule: str | None


@dataclass(frozen=True, slots=True)
class Receipts:
    scope: Scope

    def first(self, receipt: Receipt) -> Receipt:
        """That of a message which has none yet, gathered."""
        own = {name: getattr(receipt, name) for name in _ReceiptRow.__slots__}
        self.scope.add_later(tables.receipt, receipt.id, own, order=_FIRST)
        for each in receipt.entries:
            row = {"receipt_id": receipt.id, **_flat(each)}
            named = (receipt.id, each.position, each.part)
            self.scope.add_later(tables.receipt_entry, named, row, order=_LINES)
        return receipt

    def save(self, receipt: Receipt) -> Receipt:
        """The receipt as stored. A message's second receipt replaces the first and keeps its id."""
        self.scope.put(
            tables.receipt,
            once=("message_id",),
            told=("state", "counts", "issues", "created_at"),
            id=receipt.id,
            message_id=receipt.message_id,
            state=receipt.state,
            counts=dict(receipt.counts),
            issues=receipt.issues,
            created_at=receipt.created_at,
        )
        stored = self.scope.row(tables.receipt, _ReceiptRow, message_id=receipt.message_id)
        if stored is None:
            raise not_found("receipt")
        entry = tables.receipt_entry
        self.scope.affected(self.scope.delete(entry).where(entry.c.receipt_id == stored.id))
        rows = [{"receipt_id": stored.id, **_flat(each)} for each in receipt.entries]
        self.scope.add_many(entry, rows)
        return self._whole(stored)

    def get(self, receipt_id: str) -> Receipt | None:
        found = self.scope.row(tables.receipt, _ReceiptRow, id=receipt_id)
        return None if found is None else self._whole(found)

    def of_message(self, message_id: str) -> Receipt | None:
        found = self.scope.row(tables.receipt, _ReceiptRow, message_id=message_id)
        return None if found is None else self._whole(found)

    def named(self, source: str, resource_type: str, identifier: str) -> list[tuple[str, str]]:
        """Record and rule of what this source sent under its own identifier, each pair once."""
        sent = [
            one
            for one in self.scope.rows(tables.receipt_entry, _Sent, identifier=identifier)
            if one.record_id and one.resource_type == resource_type
        ]
        if not sent:
            return []
        # A query of its own: in one, SQLite would begin with every message of the source.
        own = self._of_source(source, {one.receipt_id for one in sent})
        told = [(one.record_id or "", one.rule or "") for one in sent if one.receipt_id in own]
        return list(dict.fromkeys(told))

    def _of_source(self, source: str, receipt_ids: set[str]) -> set[str]:
        receipt, message = tables.receipt.c, tables.message.c
        of_message = and_(message.site_id == receipt.site_id, message.id == receipt.message_id)
        found: set[str] = set()
        for some in portions(receipt_ids):
            rows = select(receipt.id, message.source).join(tables.message, of_message)
            rows = rows.where(receipt.site_id == self.scope.site_id, receipt.id.in_(some))
            found.update(id for id, by in self.scope.connection.execute(rows) if by == source)
        return found

    def subjects(self, message_ids: Collection[str]) -> list[str]:
        """The ids of everyone of whom these messages told, each once."""
        entry, receipt = tables.receipt_entry.c, tables.receipt.c
        of_receipt = and_(receipt.site_id == entry.site_id, receipt.id == entry.receipt_id)
        whose = select(entry.subject_id).join(tables.receipt, of_receipt).distinct()
        found = whose.where(
            entry.site_id == self.scope.site_id,
            receipt.message_id.in_([*message_ids]),
            entry.subject_id.is_not(None),
        )
        return list(self.scope.connection.execute(found.order_by(entry.subject_id)).scalars())

    def _whole(self, row: _ReceiptRow) -> Receipt:
        order = ("position", "part")
        rows = self.scope.rows(tables.receipt_entry, ReceiptEntry, order, receipt_id=row.id)
        entries = tuple(rows)
        return Receipt(
            row.id, row.message_id, row.state, row.counts, row.issues, row.created_at, entries
        )


def _flat(entry: ReceiptEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in ReceiptEntry.__slots__}


_FIRST, _LINES = 11, 12  # the order in which they are written: behind all that they tell of
