"""Records, the study's truth, with every revision of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Select, bindparam, select, update

from fhirbridge.formats import fhir_json
from fhirbridge.registry import tables
from fhirbridge.registry.gathered import Way, portions
from fhirbridge.registry.scope import Scope, adding, conflict

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


class Name(NamedTuple):
    """A record's business key."""

    subject_id: str
    form: str
    key: str


_CHANGED = ("fields", "status", "number", "mapping_version", "updated_at")
_ADD, _CHANGE, _REVISE = 1, 2, 3  # the order in which they are written
_OVERWRITE = (
    update(tables.record)
    .where(
        tables.record.c.site_id == bindparam("of_site"),
        tables.record.c.id == bindparam("of_id"),
        tables.record.c.number == bindparam("before"),
    )
    .values({name: bindparam(name) for name in _CHANGED})
)
_CHANGES = Way(_CHANGE, tables.record, _OVERWRITE)


@dataclass(frozen=True, slots=True)
class Records:
    scope: Scope

    def know(self, wanted: Mapping[Name, str]) -> dict[str, Record | None]:
        """Look up together what will be asked for one by one: records by their business keys, with
        the ids that new ones get. By id what was not known until now."""
        known = self.scope.gathered
        asked = {name: id for name, id in wanted.items() if name not in known.names}
        found: dict[Name, Record] = {}
        for some in portions(asked):
            subjects, forms, keys = (list(dict.fromkeys(part)) for part in zip(*some, strict=True))
            rows = self.scope.rows(tables.record, Record, subject_id=subjects, form=forms, key=keys)
            found |= {Name(row.subject_id, row.form, row.key): row for row in rows}
        told = {(row.id if (row := found.get(name)) else id): row for name, id in asked.items()}
        known.records |= told
        known.names.update((name, row.id if (row := found.get(name)) else None) for name in asked)
        return told

    def find(self, subject_id: str, form: str, key: str) -> Record | None:
        known, name = self.scope.gathered, Name(subject_id, form, key)
        if name in known.names:
            found: Record | None = known.records.get(known.names[name] or "")
            return found
        return self.scope.row(tables.record, Record, subject_id=subject_id, form=form, key=key)

    def get(self, record_id: str) -> Record | None:
        found: Record | None = self.scope.gathered.records.get(record_id)
        return found or self.scope.row(tables.record, Record, id=record_id)

    def all(self, form: str | None = None, subject_id: str | None = None) -> list[Record]:
        """Ordered by subject, form and key; withdrawn ones included."""
        given = {"form": form, "subject_id": subject_id}
        named = {name: value for name, value in given.items() if value is not None}
        return self.scope.rows(tables.record, Record, ("subject_id", "form", "key"), **named)

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
        gathers = self._gathers(made)
        if gathers:
            before: Record | None = self.scope.gathered.records[record_id]
        else:
            fresh = self.scope.add_new(tables.record, **_columns(made))
            before = None if fresh else self._locked(made)
        changes = changed(before.fields if before else {}, fields)
        if before is not None:
            if not changes and before.status == status:
                return before
            made = replace(made, number=before.number + 1)
        if gathers:
            self._gather(made, before)
        elif before is not None:
            self._overwrite(made)
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
        if gathers:
            named = (record_id, revision.number)
            self.scope.add_later(tables.revision, named, _columns(revision), order=_REVISE)
        else:
            self.scope.add(tables.revision, **_columns(revision))
        return made

    def _gathers(self, made: Record) -> bool:
        """Whether all that has to be known of the record is."""
        known, name = self.scope.gathered, Name(made.subject_id, made.form, made.key)
        return made.id in known.records and known.names.get(name, "") in (None, made.id)

    def _gather(self, made: Record, before: Record | None) -> None:
        """As one row, however often the record is saved."""
        known = self.scope.gathered
        known.records[made.id] = made
        known.names[Name(made.subject_id, made.form, made.key)] = made.id
        adds = adding(self.scope.raw.dialect.name, tables.record, _ADD)
        if before is None or known.waits(adds, made.id):
            self.scope.later(adds, made.id, _columns(made))
            return
        values = {name: getattr(made, name) for name in _CHANGED}
        waits = known.waits(_CHANGES, made.id)
        stored = waits["before"] if waits else before.number
        self.scope.later(_CHANGES, made.id, {**values, "of_id": made.id, "before": stored})

    def _locked(self, wanted: Record) -> Record:
        rows = self._rows().where(tables.record.c.id == wanted.id).with_for_update(key_share=True)
        before = self.scope.one(Record, rows)
        named = (wanted.subject_id, wanted.form, wanted.key)
        if before is None or (before.subject_id, before.form, before.key) != named:
            raise conflict("the record's id and its subject, form and key do not belong together")
        return before

    def _overwrite(self, made: Record) -> None:
        values = {name: getattr(made, name) for name in _CHANGED}
        row = self.scope.update(tables.record).where(tables.record.c.id == made.id)
        self.scope.affected(row.values(values))

    def revisions(self, record_id: str) -> list[Revision]:
        """The oldest first."""
        revision = tables.revision.c
        rows = self.scope.select(tables.revision, Revision).where(revision.record_id == record_id)
        return self.scope.many(Revision, rows.order_by(revision.number))

    def begun(self, subject_id: str) -> dict[str, datetime]:
        """When each of the subject's records was first written, by its id."""
        record, revision = tables.record, tables.revision
        same = (record.c.site_id == revision.c.site_id) & (record.c.id == revision.c.record_id)
        rows = select(revision.c.record_id, revision.c.at).join(record, same)
        named = rows.where(record.c.site_id == self.scope.site_id, revision.c.number == 1)
        found = self.scope.connection.execute(named.where(record.c.subject_id == subject_id))
        return {row.record_id: row.at for row in found}

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
        if before is not after and fhir_json.canonical(before) != fhir_json.canonical(after)
    }
