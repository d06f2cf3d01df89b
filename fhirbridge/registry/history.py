"""What resources were: the versions before the present one, and which revision made each.

A version that was overwritten before this table was made is not known, and none is made up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, func, literal, select, tuple_

from fhirbridge.registry import tables
from fhirbridge.registry.columns import TEXT
from fhirbridge.registry.history_tables import resource_version
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.scope import Scope

_LATER = ("version", "last_updated", "body", "sha256", "deleted", "revision")


@dataclass(frozen=True, slots=True)
class Making:
    """A revision of a record, without what it changed: who made a version of its resources."""

    record_id: str
    number: int
    at: datetime
    actor: str
    reason: str
    message_id: str | None
    mapping_version: str


Makings = Mapping[tuple[str, int | None], Making]
"""By record and number of its revision."""


@dataclass(frozen=True, slots=True)
class History:
    scope: Scope

    def get(self, type: str, fhir_id: str, version: int) -> ResourceRow | None:
        """The resource as it was in that version; None where that is not known."""
        row = self._present().where(*_named(type, fhir_id), tables.resource.c.version == version)
        before = self._before().where(*_named(type, fhir_id), resource_version.c.version == version)
        return self.scope.one(ResourceRow, row) or self.scope.one(ResourceRow, before)

    def of_resource(
        self,
        type: str,
        fhir_id: str,
        *,
        count: int,
        below: int | None = None,
        since: str = "",
        told: bool = False,
    ) -> list[ResourceRow]:
        """At most `count` versions, the newest first: those below a number, those not older than
        the UTC text `since`, and where `told` those whose revision is known.
        """
        found: list[ResourceRow] = []
        for rows, table in self._both(type, fhir_id, since=since, told=told):
            wanted = rows if below is None else rows.where(table.c.version < below)
            ordered = wanted.order_by(table.c.version.desc()).limit(count - len(found))
            found += self.scope.many(ResourceRow, ordered)
        return found

    def total(self, type: str, fhir_id: str, *, since: str = "", told: bool = False) -> int:
        """How many versions are known."""
        both = self._both(type, fhir_id, since=since, told=told)
        counted = (select(func.count()).select_from(rows.subquery()) for rows, _ in both)
        return sum(self.scope.connection.execute(count).scalar_one() for count in counted)

    def makings(self, rows: Iterable[ResourceRow]) -> Makings:
        """Of each version whose revision is known, that revision."""
        revision = tables.revision.c
        keys = {(row.record_id, row.revision) for row in rows if row.revision is not None}
        if not keys:
            return {}
        wanted = self.scope.select(tables.revision, Making).where(
            tuple_(revision.record_id, revision.number).in_(sorted(keys))
        )
        found = self.scope.many(Making, wanted)
        return {(making.record_id, making.number): making for making in found}

    def _both(
        self, type: str, fhir_id: str, *, since: str, told: bool
    ) -> Iterator[tuple[Select[Any], Table]]:
        """The present version and those before it, each with the table that its number is in."""
        of = ((self._present(), tables.resource), (self._before(), resource_version))
        for rows, table in of:
            wanted = rows.where(*_named(type, fhir_id))
            if since:
                wanted = wanted.where(table.c.last_updated >= literal(since, TEXT))
            yield (wanted.where(table.c.revision.is_not(None)) if told else wanted), table

    def _present(self) -> Select[Any]:
        return self.scope.select(tables.resource, ResourceRow)

    def _before(self) -> Select[Any]:
        version, resource = resource_version.c, tables.resource
        columns = [
            version[name] if name in _LATER else resource.c[name] for name in ResourceRow.__slots__
        ]
        same = (resource.c.site_id == version.site_id) & (resource.c.id == version.resource_id)
        joined = select(*columns).join_from(resource_version, resource, same)
        return joined.where(version.site_id == self.scope.site_id)


def _named(type: str, fhir_id: str) -> tuple[ColumnElement[bool], ...]:
    resource = tables.resource.c
    return resource.type == type, resource.fhir_id == fhir_id
