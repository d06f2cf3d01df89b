"""The resources that a source showed us, as seen last, and which records they are of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, func, select

from fhirbridge.registry import tables
from fhirbridge.registry.gathered import Way, portions
from fhirbridge.registry.scope import Scope, insertion, not_found


@dataclass(frozen=True, slots=True)
class Origin:
    """A resource of a source, in the version that we saw last, and whose it is."""

    id: str
    source: str
    resource_type: str
    source_id: str
    version_id: str | None
    last_updated: datetime | None
    sha256: str
    subject_id: str | None
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Origins:
    scope: Scope

    def know(self, source: str, wanted: Iterable[tuple[str, str]]) -> None:
        """Look up together what will be asked for one by one: the origins of these types and ids,
        and what they are about."""
        known = self.scope.gathered
        asked = {one for one in wanted if (source, *one) not in known.origins}
        known.origins.update(((source, *one), None) for one in asked)
        for some in portions(asked):
            types, ids = {one[0] for one in some}, {one[1] for one in some}
            rows = self.scope.rows(
                tables.origin, Origin, source=source, resource_type=types, source_id=ids
            )
            here = [row for row in rows if (row.resource_type, row.source_id) in asked]
            known.origins.update(((source, r.resource_type, r.source_id), r) for r in here)
            known.links.update((row.id, set()) for row in here)
            about = {row.id for row in here}
            for link in (
                self.scope.rows(tables.origin_record, _Link, origin_id=about) if here else ()
            ):
                known.links[link.origin_id].add(link.record_id)

    def find(self, source: str, resource_type: str, source_id: str) -> Origin | None:
        known, name = self.scope.gathered.origins, (source, resource_type, source_id)
        if name in known:
            found: Origin | None = known[name]
            return found
        return self.scope.row(
            tables.origin,
            Origin,
            source=source,
            resource_type=resource_type,
            source_id=source_id,
        )

    def put(
        self,
        source: str,
        resource_type: str,
        source_id: str,
        *,
        version_id: str | None,
        last_updated: datetime | None,
        sha256: str,
        subject_id: str | None = None,
    ) -> Origin:
        """The origin in this version. A known subject stays unless another is given."""
        known, name = self.scope.gathered, (source, resource_type, source_id)
        before: Origin | None = known.origins.get(name)
        made = Origin(
            id=before.id if before else self.scope.ids(),
            source=source,
            resource_type=resource_type,
            source_id=source_id,
            version_id=version_id,
            last_updated=last_updated,
            sha256=sha256,
            subject_id=subject_id or (before.subject_id if before else None),
            seen_at=self.scope.clock(),
        )
        if name in known.origins:
            known.origins[name] = made
            known.links.setdefault(made.id, set())
            self.scope.later(_putting(self.scope.raw.dialect.name), name, _columns(made))
            return made
        self.scope.put(tables.origin, once=_NAMED, told=_TOLD, kept=_KEPT, **_columns(made))
        found = self.find(source, resource_type, source_id)
        if found is None:
            raise not_found("origin")
        return found

    def link(self, origin_id: str, record_id: str) -> None:
        """The origin is about this record. The record need not be saved yet, but must be when the
        unit commits."""
        about = self.scope.gathered.links.get(origin_id)
        row = {"origin_id": origin_id, "record_id": record_id}
        if about is None:
            self.scope.add_new(tables.origin_record, once=("origin_id", "record_id"), **row)
        elif record_id not in about:
            about.add(record_id)
            self.scope.add_later(tables.origin_record, (origin_id, record_id), row, order=_LINK)

    def unlink(self, origin_id: str, record_id: str) -> bool:
        """False where it is not about the record (any more)."""
        link = tables.origin_record
        named = (link.c.origin_id == origin_id, link.c.record_id == record_id)
        return self.scope.affected(self.scope.delete(link).where(*named)) == 1

    def records(self, origin_id: str) -> list[str]:
        """The ids of the records that the origin is about: a resource may tell several facts."""
        known = self.scope.gathered.links.get(origin_id)
        if known is not None:
            return sorted(known)
        rows = self.scope.rows(tables.origin_record, _Link, ("record_id",), origin_id=origin_id)
        return [one.record_id for one in rows]

    def forget(self, source: str, resource_type: str, source_id: str) -> bool:
        """A resource that was seen and never read: no record and no proposal is of it. False where
        one is."""
        origin, link = tables.origin, tables.origin_record
        found = self.find(source, resource_type, source_id)
        if found is None or self.records(found.id):
            return False
        proposal = tables.proposal.c
        named = (proposal.site_id == self.scope.site_id, proposal.origin_id == found.id)
        used = select(func.count()).select_from(tables.proposal).where(*named)
        if self.scope.connection.execute(used).scalar_one():
            return False
        self.scope.affected(self.scope.delete(link).where(link.c.origin_id == found.id))
        return self.scope.affected(self.scope.delete(origin).where(origin.c.id == found.id)) == 1

    def of_record(self, record_id: str) -> list[Origin]:
        origin, link = tables.origin.c, tables.origin_record.c
        about = select(link.origin_id).where(
            link.site_id == self.scope.site_id, link.record_id == record_id
        )
        rows = self._rows().where(origin.id.in_(about))
        return self.scope.many(
            Origin, rows.order_by(origin.source, origin.resource_type, origin.source_id)
        )

    def _rows(self) -> Select[Any]:
        return self.scope.select(tables.origin, Origin)


@dataclass(frozen=True, slots=True)
class _Link:
    origin_id: str
    record_id: str


_NAMED = ("source", "resource_type", "source_id")
_TOLD = ("version_id", "last_updated", "sha256", "seen_at")
_KEPT = ("subject_id",)
_PUT, _LINK = 0, 4  # the order in which they are written: records lie between


@cache
def _putting(dialect: str) -> Way:
    """An origin that got another id in the meantime is none of ours."""
    made = insertion(dialect, tables.origin, _NAMED, _TOLD, _KEPT, same=("id",))
    return Way(_PUT, tables.origin, made, site="site_id")


def _columns(row: Origin) -> dict[str, Any]:
    return {name: getattr(row, name) for name in Origin.__slots__}
