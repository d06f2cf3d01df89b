"""Takes every row of one person out of the store, and nothing of anybody else's.

What it takes is a list of tables: one that is added and holds something of a person gets a line
here. Receipts keep their lines and counts, so that ledgers tie.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, select

from fhirbridge.outcome import Issue
from fhirbridge.registry import history_tables, tables
from fhirbridge.registry.scope import Scope
from fhirbridge.registry.traces import batches

# Children before their parents. Each by the column that leads to what is erased.
_OF_RESOURCES: tuple[tuple[Table, str], ...] = (
    (tables.delivery, "resource_id"),
    (tables.resource_token, "resource_id"),
    (tables.resource_date, "resource_id"),
    (history_tables.resource_version, "resource_id"),
    (tables.resource, "id"),
)
_OF_RECORDS: tuple[tuple[Table, str], ...] = (
    (tables.proposal, "record_id"),
    (tables.origin_record, "record_id"),
    (tables.revision, "record_id"),
)
_OF_ORIGINS: tuple[tuple[Table, str], ...] = (
    (tables.origin_record, "origin_id"),
    (tables.origin, "id"),
)
_OF_SUBJECT: tuple[tuple[Table, str], ...] = (
    (tables.record, "subject_id"),
    (tables.subject_identity, "subject_id"),
    (tables.subject, "id"),
)


@dataclass(frozen=True, slots=True)
class Erasures:
    scope: Scope

    def take(
        self,
        subject_id: str,
        *,
        records: Collection[str],
        resources: Collection[str],
        origins: Collection[str],
    ) -> dict[str, int]:
        """Delete the rows; how many of each table. What another's record was proposed by an origin
        that goes stays, without it."""
        gone: dict[str, int] = {}
        self._delete(_OF_RESOURCES, resources, gone)
        self._delete(_OF_RECORDS, records, gone)
        for some in batches(origins):
            others = self.scope.update(tables.proposal).where(tables.proposal.c.origin_id.in_(some))
            self.scope.affected(others.values(origin_id=None))
        self._delete(_OF_ORIGINS, origins, gone)
        self._delete(_OF_SUBJECT, [subject_id], gone)
        return gone

    def _delete(
        self,
        listed: tuple[tuple[Table, str], ...],
        values: Collection[str],
        gone: dict[str, int],
    ) -> None:
        for table, column in listed:
            for some in batches(values):
                rows = self.scope.delete(table).where(table.c[column].in_(some))
                gone[table.name] = gone.get(table.name, 0) + self.scope.affected(rows)

    def blank(self, message_id: str, positions: Collection[int], why: Issue) -> int:
        """The receipt's lines and the quarantine's without what they tell of a person: what became
        of the entries stays, and the counts. Returns how many lines that are."""
        receipts = select(tables.receipt.c.id).where(
            tables.receipt.c.site_id == self.scope.site_id,
            tables.receipt.c.message_id == message_id,
        )
        entry, held = tables.receipt_entry, tables.quarantine
        names = ("source_id", "identifier", "record_id", "subject_id", "answer", "rule")
        empty = dict.fromkeys(names) | {"issues": (why,)}
        blanked = 0
        for some in batches(positions):
            lines = self.scope.update(entry).where(
                entry.c.receipt_id.in_(receipts), entry.c.position.in_(some)
            )
            blanked += self.scope.affected(lines.values(**empty))
            waits = self.scope.delete(held).where(
                held.c.message_id == message_id, held.c.position.in_(some)
            )
            self.scope.affected(waits)
        return blanked

    def blank_whole(self, message_id: str, why: Issue) -> int:
        """What the receipt says of the message as a whole is told no more."""
        receipt = tables.receipt
        named = self.scope.update(receipt).where(receipt.c.message_id == message_id)
        return self.scope.affected(named.values(issues=(why,)))

    def forget_runs(self, study_id: str, patients: Collection[str]) -> int:
        """Where pulls were in the subject's streams, and why they were incomplete for it; how
        many rows that are."""
        forgotten = 0
        cursor, run = tables.cursor, tables.sync_run
        streams = self.scope.select(cursor, _Stream)
        for one in self.scope.many(_Stream, streams):
            if one.stream.startswith(f"{study_id}/"):
                named = self.scope.delete(cursor).where(
                    cursor.c.run_id == one.run_id, cursor.c.stream == one.stream
                )
                forgotten += self.scope.affected(named)
        for read in self.scope.many(_Reading, self.scope.select(tables.reading, _Reading)):
            if read.stream.startswith(f"{study_id}/"):
                reading = tables.reading.c
                named = self.scope.delete(tables.reading).where(
                    reading.connection_id == read.connection_id, reading.stream == read.stream
                )
                forgotten += self.scope.affected(named)
        signs = (f"{study_id}:", f"{study_id}/", *(f"Patient/{id}" for id in patients))
        for ended in self.scope.many(_Reasons, self.scope.select(run, _Reasons)):
            reasons = tuple(_blanked(ended.reasons, signs))
            facts = {
                name: list(_blanked(told, signs)) if isinstance(told, list) else told
                for name, told in ended.facts.items()
            }
            if (reasons, facts) != (ended.reasons, ended.facts):
                changed = self.scope.update(run).where(run.c.id == ended.id)
                forgotten += self.scope.affected(changed.values(reasons=reasons, facts=facts))
        return forgotten


def _blanked(told: Iterable[Any], signs: Collection[str]) -> Iterator[Any]:
    """What names the subject, without it."""
    for one in told:
        named = isinstance(one, str) and any(sign in one for sign in signs)
        yield "of a subject who was erased" if named else one


@dataclass(frozen=True, slots=True)
class _Stream:
    run_id: str
    stream: str


@dataclass(frozen=True, slots=True)
class _Reading:
    connection_id: str
    stream: str


@dataclass(frozen=True, slots=True)
class _Reasons:
    id: str
    reasons: tuple[str, ...]
    facts: Mapping[str, Any]
