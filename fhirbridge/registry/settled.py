"""Which resources of a source need not be read again as long as they come as they came.

A mark stands beside the origin; what it is made of, and so when it holds, its maker knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, select

from fhirbridge.registry import tables
from fhirbridge.registry.gathered import portions
from fhirbridge.registry.scope import Scope

Standing = tuple[tuple[str, int], ...]
"""Id and number of each record that an origin is about."""


@dataclass(frozen=True, slots=True)
class Marked:
    id: str
    resource_type: str
    source_id: str
    settled: str | None


@dataclass(frozen=True, slots=True)
class Settled:
    scope: Scope

    def known(self, source: str, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Marked]:
        """The origins of these types and ids, by type and id."""
        by_type: dict[str, set[str]] = {}
        for kind, id in names:
            by_type.setdefault(kind, set()).add(id)
        found: list[Marked] = []
        for kind, ids in by_type.items():
            for some in portions(ids):
                found += self.scope.rows(
                    tables.origin, Marked, source=source, resource_type=kind, source_id=some
                )
        return {(one.resource_type, one.source_id): one for one in found}

    def standing(self, origin_ids: Collection[str]) -> dict[str, Standing]:
        """The records that the origins are about, as they are now; nothing of those that are about
        none."""
        link, record = tables.origin_record.c, tables.record.c
        joined = and_(record.site_id == link.site_id, record.id == link.record_id)
        rows = (
            select(link.origin_id, link.record_id, record.number)
            .join(tables.record, joined)
            .order_by(link.origin_id, link.record_id)
        )
        found: dict[str, Standing] = {}
        for some in portions(origin_ids):
            own = rows.where(link.site_id == self.scope.site_id, link.origin_id.in_(some))
            for origin_id, record_id, number in self.scope.connection.execute(own):
                found[origin_id] = (*found.get(origin_id, ()), (record_id, number))
        return found

    def settle(self, marks: Mapping[str, str]) -> int:
        """Marks by origin; how many origins there are of them."""
        if not marks:
            return 0
        named = tables.origin.c.id == bindparam("origin")
        written = self.scope.update(tables.origin).where(named).values(settled=bindparam("mark"))
        rows = [{"origin": id, "mark": mark} for id, mark in sorted(marks.items())]
        return self.scope.connection.execute(written, rows).rowcount
