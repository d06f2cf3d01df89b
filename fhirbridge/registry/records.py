"""Records, the study's truth, with every revision of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, select

from fhirbridge.formats import fhir_json
from fhirbridge.registry import tables
from fhirbridge.registry.scope import Scope, conflict

RecordStatus = Literal["active", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Record:
    """One filled form of a subject; `number` is the number of its latest revision."""

    id: str
    subject_id: str
    form: str
    key: str
    fields: Mapping[str, Any]
    status: RecordStatus
    number: int
    mapping_version: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Revision:
    """Who changed what, when and why; `changes` is {field: [old, new]}, None for no value."""

    record_id: str
    number: int
    at: datetime
    actor: str
    reason: str
    message_id: str | None
    mapping_version: str
    status: RecordStatus
    changes: Mapping[str, list[Any]]


@dataclass(frozen=True, slots=True)
class _Named:
    id: str


@dataclass(frozen=True, slots=True)
class Records:
    scope: Scope

    def find(self, subject_id: str, form: str, key: str) -> Record | None:
        record = tables.record.c
        named = (record.subject_id == subject_id, record.form == form, record.key == key)
        return self.scope.one(Record, self._rows().where(*named))

    def get(self, record_id: str) -> Record | None:
        return self.scope.one(Record, self._rows().where(tables.record.c.id == record_id))

    def all(self, form: str | None = None, subject_id: str | None = None) -> list[Record]:
        """Ordered by subject, form and key; withdrawn ones included."""
        record = tables.record.c
        rows = self._rows().order_by(record.subject_id, record.form, record.key)
        rows = rows if form is None else rows.where(record.form == form)
        rows = rows if subject_id is None else rows.where(record.subject_id == subject_id)
        return self.scope.many(Record, rows)

    def study_ids(self, record_ids: Iterable[str]) -> dict[str, str]:
        """Whose the records are, by the study's pseudonyms."""
        record, subject = tables.record, tables.subject
        same = (subject.c.site_id == record.c.site_id) & (subject.c.id == record.c.subject_id)
        rows = self.scope.select(record, _Named).join(subject, same)
        named = rows.where(record.c.id.in_(sorted(set(record_ids))))
        found = self.scope.connection.execute(named.add_columns(subject.c.study_id))
        return {row.id: row.study_id for row in found}

    def save(
        self,
        record_id: str,
        *,
        subject_id: str,
        form: str,
        key: str,
        fields: Mapping[str, Any],
        status: RecordStatus = "active",
        mapping_version: str,
        actor: str,
        reason: str,
        message_id: str | None = None,
    ) -> Record:
        """The record with exactly these fields, and a revision of what that changed.

        Nothing changed: no revision, the same number. Raises `BridgeError` (conflict) where the id
        or the business key belongs to another record.
        """
        now = self.scope.clock()
        made = Record(
            record_id, subject_id, form, key, dict(fields), status, 1, mapping_version, now
        )
        before: Record | None = None
        if not self.scope.add_new(tables.record, **_columns(made)):
            before = self._locked(made)
            changes = changed(before.fields, fields)
            if not changes and before.status == status:
                return before
            made = self._overwrite(made, before.number + 1)
        else:
            changes = changed({}, fields)
        revision = Revision(
            record_id=record_id,
            number=made.number,
            at=now,
            actor=actor,
            reason=reason,
            message_id=message_id,
            mapping_version=mapping_version,
            status=status,
            changes=changes,
        )
        self.scope.add(tables.revision, **_columns(revision))
        return made

    def _locked(self, wanted: Record) -> Record:
        rows = self._rows().where(tables.record.c.id == wanted.id).with_for_update(key_share=True)
        before = self.scope.one(Record, rows)
        named = (wanted.subject_id, wanted.form, wanted.key)
        if before is None or (before.subject_id, before.form, before.key) != named:
            raise conflict("the record's id and its subject, form and key do not belong together")
        return before

    def _overwrite(self, made: Record, number: int) -> Record:
        values = {
            "fields": made.fields,
            "status": made.status,
            "number": number,
            "mapping_version": made.mapping_version,
            "updated_at": made.updated_at,
        }
        row = self.scope.update(tables.record).where(tables.record.c.id == made.id)
        self.scope.affected(row.values(values))
        return Record(**{**_columns(made), "number": number})

    def revisions(self, record_id: str) -> list[Revision]:
        """The oldest first."""
        revision = tables.revision.c
        rows = self.scope.select(tables.revision, Revision).where(revision.record_id == record_id)
        return self.scope.many(Revision, rows.order_by(revision.number))

    def subjects(self, record_ids: Iterable[str]) -> list[str]:
        """The ids of the subjects whose records these are, each once."""
        record = tables.record.c
        whose = select(record.subject_id).distinct().order_by(record.subject_id)
        whose = whose.where(record.site_id == self.scope.site_id, record.id.in_([*record_ids]))
        return list(self.scope.connection.execute(whose).scalars())

    def _rows(self) -> Select[Any]:
        return self.scope.select(tables.record, Record)


def _columns(row: Record | Revision) -> dict[str, Any]:
    return {name: getattr(row, name) for name in type(row).__slots__}


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What differs as it is written: 1.10 is not 1.1, and 1 is not true.

    >>> changed({"side": "left", "size": 1}, {"size": 1, "count": 0})
    {'count': [None, 0], 'side': ['left', None]}
    """
    pairs = {name: [old.get(name), new.get(name)] for name in sorted({*old, *new})}
    return {
        name: [before, after]
        for name, (before, after) in pairs.items()
        if fhir_json.canonical(before) != fhir_json.canonical(after)
    }
