"""Which resources of a source were seen in which run: what tells that one is there no more.

No clock decides: a run that saw it is named, and complete readings that did not find it are
counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select

from fhirbridge.registry import tables
from fhirbridge.registry.gathered import portions
from fhirbridge.registry.origins import Origin
from fhirbridge.registry.scope import Scope


@dataclass(frozen=True, slots=True)
class _Missed:
    missed: int


@dataclass(frozen=True, slots=True)
class Sightings:
    scope: Scope

    def see(self, source: str, run_id: str, names: Iterable[tuple[str, str]]) -> int:
        """These types and ids were there in this run, whatever became of them; how many of them
        are known."""
        by_type: dict[str, set[str]] = {}
        for kind, id in names:
            by_type.setdefault(kind, set()).add(id)
        origin, known = tables.origin, 0
        for kind, ids in by_type.items():
            for some in portions(ids):
                named = (origin.c.source == source, origin.c.resource_type == kind)
                seen = self.scope.update(origin).where(*named, origin.c.source_id.in_(some))
                known += self.scope.affected(seen.values(seen_in=run_id, missed=0))
        return known

    def belong(self, source: str, kind: str, ids: Collection[str], subject_id: str) -> int:
        """Those of which nothing was taken yet are this subject's: how many were nobody's."""
        origin, found = tables.origin, 0
        for some in portions(ids):
            named = (origin.c.source == source, origin.c.resource_type == kind)
            nobodys = self.scope.update(origin).where(
                *named, origin.c.source_id.in_(some), origin.c.subject_id.is_(None)
            )
            found += self.scope.affected(nobodys.values(subject_id=subject_id))
        return found

    def miss(self, source: str, run_id: str, kind: str, subjects: Collection[str]) -> int:
        """A complete reading of all that these subjects have of the type has ended; how many of
        them it has not found."""
        origin, unseen_now = tables.origin, 0
        for some in portions(subjects):
            unseen = self.scope.update(origin).where(_unseen(source, run_id, kind, some))
            unseen_now += self.scope.affected(unseen.values(missed=origin.c.missed + 1))
        return unseen_now

    def missing(
        self, source: str, run_id: str, kind: str, subjects: Collection[str]
    ) -> list[Origin]:
        """Those that the run has not seen, and that have given something, or wait."""
        origin, link, held = tables.origin.c, tables.origin_record.c, tables.quarantine.c
        gave = select(link.origin_id).where(link.site_id == self.scope.site_id)
        waits = select(held.source_id).where(
            held.site_id == self.scope.site_id, held.state == "waiting", held.resource_type == kind
        )
        found: list[Origin] = []
        for some in portions(subjects):
            rows = self.scope.select(tables.origin, Origin).where(
                _unseen(source, run_id, kind, some),
                or_(origin.id.in_(gave), origin.source_id.in_(waits)),
            )
            found += self.scope.many(Origin, rows.order_by(origin.source_id))
        return found

    def missed(self, origin_id: str) -> int:
        """How many complete readings in a row have not found it."""
        found = self.scope.row(tables.origin, _Missed, id=origin_id)
        return found.missed if found else 0


def _unseen(source: str, run_id: str, kind: str, subjects: Collection[str]) -> ColumnElement[bool]:
    origin = tables.origin.c
    return and_(
        origin.source == source,
        origin.resource_type == kind,
        origin.subject_id.in_(subjects),
        or_(origin.seen_in.is_(None), origin.seen_in != run_id),
    )
