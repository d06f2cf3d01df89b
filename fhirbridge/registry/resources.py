"""The FHIR resources that records look like, with their search index.

Equal content makes no new version; a deleted resource keeps its id and its last body.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Select,
    false,
    func,
    insert,
    select,
    tuple_,
)

from fhirbridge.formats import fhir_json
from fhirbridge.registry import tables
from fhirbridge.registry.gathered import portions
from fhirbridge.registry.history_tables import resource_version
from fhirbridge.registry.resource_ways import (
    ADD,
    CHANGED,
    KEEPS,
    MARK,
    REPLACES,
    UNINDEX,
    IndexRows,
    Interval,
    Kept,
    Token,
)
from fhirbridge.registry.scope import Scope, conflict
from fhirbridge.registry.search import DateFilter, TokenFilter, conditions


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """One block of a record's mapping as FHIR; `sha256` is of the canonical body, `revision` the
    number of the record's revision that made this version, where that is known."""

    id: str
    record_id: str
    block: str
    type: str
    fhir_id: str
    version: int
    last_updated: datetime
    body: Mapping[str, Any]
    sha256: str
    deleted: bool
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class _Mark:
    resource_id: str
    system: str
    value: str


@dataclass(frozen=True, slots=True)
class Resources:
    scope: Scope

    def know(self, record_ids: Collection[str], *, none: Collection[str] = ()) -> None:
        """Look up together what will be asked for one by one: all of these records, and that there
        are `none` of others."""
        known = self.scope.gathered.resources
        for id in none:
            known.setdefault(id, {})
        asked = {id for id in record_ids if id not in known}
        rows = self.of_records(asked)
        known.update((id, {}) for id in asked)
        for row in rows:
            known[row.record_id][row.block] = row

    def put(
        self,
        record_id: str,
        block: str,
        type: str,
        fhir_id: str,
        body: Mapping[str, Any],
        *,
        tokens: Iterable[Token],
        dates: Iterable[Interval],
        revision: int | None = None,
    ) -> ResourceRow:
        """The resource of this block, as version 1 or the next; search index rewritten with it.

        Content that is there already: the row as it is. Raises `BridgeError` (conflict) where
        another block has the type and id.
        """
        made = ResourceRow(
            id=self.scope.ids(),
            record_id=record_id,
            block=block,
            type=type,
            fhir_id=fhir_id,
            version=1,
            last_updated=self.scope.clock(),
            body=body,
            sha256=hashlib.sha256(fhir_json.canonical(body)).hexdigest(),
            deleted=False,
            revision=revision,
        )
        known = self.scope.gathered.resources.get(record_id)
        if known is not None:
            return self._gather(made, known, IndexRows(made.id, tokens, dates))
        if not self.scope.add_new(tables.resource, **_columns(made)):
            before = self._locked(made)
            if before.sha256 == made.sha256 and not before.deleted:
                return before
            made = replace(made, id=before.id, version=before.version + 1)
            self._overwrite(made)
            self._unindex(made.id)
        index = IndexRows(made.id, tokens, dates)
        self.scope.add_many(tables.resource_token, [*index.tokens.values()])
        self.scope.add_many(tables.resource_date, [*index.dates.values()])
        return made

    def _gather(
        self, made: ResourceRow, known: dict[str, ResourceRow], index: IndexRows
    ) -> ResourceRow:
        before, later = known.get(made.block), self.scope.later
        if before is None:
            self.scope.add_later(tables.resource, made.id, _columns(made), order=ADD)
        else:
            _same_place(before, made)
            if before.sha256 == made.sha256 and not before.deleted:
                return before
            self.scope.flush()  # one version after the other
            made = replace(made, id=before.id, version=before.version + 1)
            index = replace(index, resource_id=made.id)
            later(KEEPS, made.id, {"of_id": made.id})
            values = {name: getattr(made, name) for name in CHANGED}
            named = {"of_id": made.id, "before": before.version}
            later(REPLACES, made.id, {**values, **named})
            for way in UNINDEX:
                later(way, made.id, {"of_id": made.id})
        for name, row in index.tokens.items():
            self.scope.add_later(tables.resource_token, (made.id, *name), row, order=MARK)
        for name, row in index.dates.items():
            self.scope.add_later(tables.resource_date, (made.id, *name), row, order=MARK)
        known[made.block] = made
        return made

    def _locked(self, wanted: ResourceRow) -> ResourceRow:
        resource = tables.resource.c
        named = (resource.record_id == wanted.record_id, resource.block == wanted.block)
        rows = self._rows().where(*named).with_for_update(key_share=True)
        before = self.scope.one(ResourceRow, rows)
        return _same_place(before, wanted)

    def _overwrite(self, made: ResourceRow) -> None:
        """The version before is kept as it stands in the database, without being read."""
        columns = ["resource_id" if name == "id" else name for name in Kept.__slots__]
        before = self.scope.select(tables.resource, Kept).where(tables.resource.c.id == made.id)
        self.scope.affected(insert(resource_version).from_select(columns, before))
        row = self.scope.update(tables.resource).where(tables.resource.c.id == made.id)
        self.scope.affected(row.values(_columns(made)))

    def _unindex(self, resource_id: str) -> None:
        for table in (tables.resource_token, tables.resource_date):
            self.scope.affected(self.scope.delete(table).where(table.c.resource_id == resource_id))

    def get(self, type: str, fhir_id: str) -> ResourceRow | None:
        """Deleted ones included: that a resource is gone is an answer, too."""
        return self.scope.row(tables.resource, ResourceRow, type=type, fhir_id=fhir_id)

    def among(self, names: Iterable[tuple[str, str]]) -> list[ResourceRow]:
        """Those of these types and ids that are here and not deleted."""
        wanted = sorted(set(names))
        if not wanted:
            return []
        resource = tables.resource.c
        named = tuple_(resource.type, resource.fhir_id).in_(wanted)
        return self.scope.many(ResourceRow, self._rows().where(named, resource.deleted == false()))

    def of_record(self, record_id: str) -> list[ResourceRow]:
        """Deleted ones included."""
        known = self.scope.gathered.resources.get(record_id)
        if known is not None:
            return [known[block] for block in sorted(known)]
        return self.scope.rows(tables.resource, ResourceRow, ("block",), record_id=record_id)

    def of_records(self, record_ids: Collection[str]) -> list[ResourceRow]:
        """Deleted ones included."""
        found: list[ResourceRow] = []
        for some in portions(record_ids):
            order = ("record_id", "block")
            found += self.scope.rows(tables.resource, ResourceRow, order, record_id=some)
        return found

    def by_identifiers(
        self, values: Collection[str]
    ) -> dict[tuple[str, str, str], list[ResourceRow]]:
        """Those that carry an identifier with one of the values, by type, system and value."""
        found: dict[tuple[str, str, str], list[ResourceRow]] = {}
        for some in portions(values):
            marks = self.scope.rows(tables.resource_token, _Mark, name="identifier", value=some)
            # Two queries: SQLite would join by reading every resource of the site.
            rows = {row.id: row for row in self._of_ids({one.resource_id for one in marks})}
            for one in marks:
                row = rows[one.resource_id]
                found.setdefault((row.type, one.system, one.value), []).append(row)
        return found

    def _of_ids(self, ids: Collection[str]) -> list[ResourceRow]:
        order = ("fhir_id",)
        return [
            row
            for some in portions(ids)
            for row in self.scope.rows(tables.resource, ResourceRow, order, id=some)
        ]

    def mark_deleted(
        self, type: str, fhir_id: str, *, revision: int | None = None
    ) -> ResourceRow | None:
        """The resource as a deleted version, out of every search; None where there is none."""
        before = self.get(type, fhir_id)
        if before is None or before.deleted:
            return before
        made = replace(
            before,
            version=before.version + 1,
            last_updated=self.scope.clock(),
            deleted=True,
            revision=revision,
        )
        self._overwrite(made)
        self._unindex(made.id)
        return made

    def search(
        self,
        type: str,
        *,
        tokens: Sequence[TokenFilter] = (),
        dates: Sequence[DateFilter] = (),
        count: int,
        after: str | None = None,
    ) -> list[ResourceRow]:
        """At most `count` resources that meet every filter, by id, those after `after` only."""
        fhir_id = tables.resource.c.fhir_id
        rows = self._rows().where(*conditions(type, tokens, dates, site=self.scope.site_id))
        rows = rows if after is None else rows.where(fhir_id > after)
        return self.scope.many(ResourceRow, rows.order_by(fhir_id).limit(count))

    def total(
        self,
        type: str,
        *,
        tokens: Sequence[TokenFilter] = (),
        dates: Sequence[DateFilter] = (),
    ) -> int:
        found = conditions(type, tokens, dates, site=self.scope.site_id)
        counted = select(func.count()).select_from(tables.resource).where(*found)
        return self.scope.connection.execute(counted).scalar_one()

    def _rows(self) -> Select[Any]:
        return self.scope.select(tables.resource, ResourceRow)


def _same_place(before: ResourceRow | None, wanted: ResourceRow) -> ResourceRow:
    if before is None or (before.type, before.fhir_id) != (wanted.type, wanted.fhir_id):
        raise conflict(f"{wanted.type}/{wanted.fhir_id} is not the resource of this block")
    return before


def _columns(row: ResourceRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ResourceRow.__slots__}
