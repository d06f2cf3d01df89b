"""The FHIR resources that records look like, with their search index.

Equal content makes no new version; a deleted resource keeps its id and its last body.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, false, func, insert, select, tuple_

from fhirbridge.formats import fhir_json
from fhirbridge.registry import tables
from fhirbridge.registry.history_tables import resource_version
from fhirbridge.registry.scope import Scope, conflict
from fhirbridge.registry.search import DateFilter, TokenFilter, conditions

Token = tuple[str, str | None, str]  # name, system, value
Interval = tuple[str, str, str]  # name, low, high


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
class _Kept:
    """The columns of a resource that its next version would overwrite."""

    site_id: str
    id: str
    version: int
    last_updated: datetime
    body: Mapping[str, Any]
    sha256: str
    deleted: bool
    revision: int | None


@dataclass(frozen=True, slots=True)
class Resources:
    scope: Scope

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
        if not self.scope.add_new(tables.resource, **_columns(made)):
            before = self._locked(made)
            if before.sha256 == made.sha256 and not before.deleted:
                return before
            made = replace(made, id=before.id, version=before.version + 1)
            self._overwrite(made)
            self._unindex(made.id)
        self._index(made.id, tokens, dates)
        return made

    def _locked(self, wanted: ResourceRow) -> ResourceRow:
        resource = tables.resource.c
        named = (resource.record_id == wanted.record_id, resource.block == wanted.block)
        rows = self._rows().where(*named).with_for_update(key_share=True)
        before = self.scope.one(ResourceRow, rows)
        if before is None or (before.type, before.fhir_id) != (wanted.type, wanted.fhir_id):
            raise conflict(f"{wanted.type}/{wanted.fhir_id} is not the resource of this block")
        return before

    def _overwrite(self, made: ResourceRow) -> None:
        """The version before is kept as it stands in the database, without being read."""
        columns = ["resource_id" if name == "id" else name for name in _Kept.__slots__]
        before = self.scope.select(tables.resource, _Kept).where(tables.resource.c.id == made.id)
        self.scope.affected(insert(resource_version).from_select(columns, before))
        row = self.scope.update(tables.resource).where(tables.resource.c.id == made.id)
        self.scope.affected(row.values(_columns(made)))

    def _unindex(self, resource_id: str) -> None:
        for table in (tables.resource_token, tables.resource_date):
            self.scope.affected(self.scope.delete(table).where(table.c.resource_id == resource_id))

    def _index(self, resource_id: str, tokens: Iterable[Token], dates: Iterable[Interval]) -> None:
        marks = dict.fromkeys((name, system or "", value) for name, system, value in tokens)
        self.scope.add_many(
            tables.resource_token,
            [
                {"resource_id": resource_id, "name": name, "system": system, "value": value}
                for name, system, value in marks
            ],
        )
        self.scope.add_many(
            tables.resource_date,
            [
                {"resource_id": resource_id, "name": name, "low": low, "high": high}
                for name, low, high in dict.fromkeys(dates)
            ],
        )

    def get(self, type: str, fhir_id: str) -> ResourceRow | None:
        """Deleted ones included: that a resource is gone is an answer, too."""
        resource = tables.resource.c
        named = (resource.type == type, resource.fhir_id == fhir_id)
        return self.scope.one(ResourceRow, self._rows().where(*named))

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
        resource = tables.resource.c
        rows = self._rows().where(resource.record_id == record_id)
        return self.scope.many(ResourceRow, rows.order_by(resource.block))

    def of_records(self, record_ids: Collection[str]) -> list[ResourceRow]:
        """Deleted ones included."""
        resource = tables.resource.c
        found: list[ResourceRow] = []
        for some in _portions(record_ids):
            rows = self._rows().where(resource.record_id.in_(some))
            found += self.scope.many(ResourceRow, rows.order_by(resource.record_id, resource.block))
        return found

    def by_identifiers(
        self, values: Collection[str]
    ) -> dict[tuple[str, str, str], list[ResourceRow]]:
        """Those that carry an identifier with one of the values, by type, system and value."""
        token, resource = tables.resource_token.c, tables.resource.c
        marked = and_(token.site_id == resource.site_id, token.resource_id == resource.id)
        found: dict[tuple[str, str, str], list[ResourceRow]] = {}
        for some in _portions(values):
            rows = self._rows().add_columns(token.system.label("token_system"), token.value)
            rows = rows.join(tables.resource_token, marked).where(
                token.name == "identifier", token.value.in_(some)
            )
            for row in self.scope.connection.execute(rows):
                told = dict(row._mapping)
                name = (told["type"], told.pop("token_system"), told.pop("value"))
                found.setdefault(name, []).append(ResourceRow(**told))
        return found

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


def _portions(values: Collection[str]) -> Iterator[list[str]]:
    """SQLite takes 32,766 parameters in a statement, and no planner likes as many."""
    ordered = sorted(values)
    yield from (ordered[at : at + 500] for at in range(0, len(ordered), 500))


def _columns(row: ResourceRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ResourceRow.__slots__}
