"""What a verification reads, page by page, so that memory stays flat: messages with what their
receipts counted, and records with their resources and search index as they are stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Table, and_, func, select

from fhirbridge.registry import tables
from fhirbridge.registry.records import Record
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.scope import Scope


@dataclass(frozen=True, slots=True)
class Counted:
    """A message; its receipt, if there is one; and the receipt's entries, each once, by fate."""

    message_id: str
    receipt_id: str | None
    counts: Mapping[str, int]
    entries: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Projected:
    """A resource, and its marks in the search index as (name, system or low, value or high)."""

    row: ResourceRow
    tokens: frozenset[tuple[str, str, str]]
    dates: frozenset[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Whole:
    record: Record
    resources: tuple[Projected, ...]


@dataclass(frozen=True, slots=True)
class Ledger:
    scope: Scope

    def messages(self, *, after: str = "", limit: int = 500) -> list[Counted]:
        """By id, those behind `after` only."""
        message, receipt = tables.message.c, tables.receipt.c
        of = and_(receipt.site_id == message.site_id, receipt.message_id == message.id)
        rows = select(message.id, receipt.id.label("receipt_id"), receipt.counts)
        rows = rows.outerjoin(tables.receipt, of).order_by(message.id).limit(limit)
        rows = rows.where(message.site_id == self.scope.site_id, message.id > after)
        found = self.scope.connection.execute(rows).all()
        entries = self._entries([row.receipt_id for row in found if row.receipt_id])
        return [
            Counted(row.id, row.receipt_id, row.counts or {}, entries[row.receipt_id or ""])
            for row in found
        ]

    def _entries(self, receipt_ids: list[str]) -> Mapping[str, Mapping[str, int]]:
        entry = tables.receipt_entry.c
        rows = select(entry.receipt_id, entry.fate, func.count().label("number"))
        rows = rows.where(entry.site_id == self.scope.site_id, entry.part == 0)
        rows = rows.where(entry.receipt_id.in_(receipt_ids))
        told: dict[str, dict[str, int]] = defaultdict(dict)
        for row in self.scope.connection.execute(rows.group_by(entry.receipt_id, entry.fate)):
            told[row.receipt_id][row.fate] = row.number
        return told

    def records(self, *, after: str = "", limit: int = 200) -> list[Whole]:
        """By id, those behind `after` only; withdrawn records and deleted resources included."""
        record, resource = tables.record.c, tables.resource.c
        rows = self.scope.select(tables.record, Record).where(record.id > after)
        records = self.scope.many(Record, rows.order_by(record.id).limit(limit))
        about = self.scope.select(tables.resource, ResourceRow)
        about = about.where(resource.record_id.in_([one.id for one in records]))
        found = self.scope.many(ResourceRow, about.order_by(resource.record_id, resource.block))
        ids = [row.id for row in found]
        tokens = self._marks(tables.resource_token, ("name", "system", "value"), ids)
        dates = self._marks(tables.resource_date, ("name", "low", "high"), ids)
        held: dict[str, list[Projected]] = defaultdict(list)
        for row in found:
            marks = frozenset(tokens[row.id]), frozenset(dates[row.id])
            held[row.record_id].append(Projected(row, *marks))
        return [Whole(one, tuple(held[one.id])) for one in records]

    def _marks(
        self, table: Table, columns: tuple[str, str, str], ids: Iterable[str]
    ) -> Mapping[str, set[tuple[str, str, str]]]:
        rows = select(table.c.resource_id, *(table.c[name] for name in columns))
        rows = rows.where(table.c.site_id == self.scope.site_id, table.c.resource_id.in_(ids))
        told: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
        for id, first, second, third in self.scope.connection.execute(rows):
            told[id].add((first, second, third))
        return told
