"""HL7 v2 feeds: by which port, or with which client certificate, a site's messages come in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.feed_tables import feed as table
from fhirbridge.registry.scope import Scope, duplicate, not_found


@dataclass(frozen=True, slots=True)
class Feed:
    """`fingerprint` is the SHA-256 of the client certificate in hexadecimal digits. `rehearsal`:
    what comes by it is worked off, answered and thrown away."""

    id: str
    site_id: str
    name: str
    port: int | None
    fingerprint: str | None
    created_at: datetime
    ended_at: datetime | None
    rehearsal: bool = False

    @property
    def source(self) -> str:
        """How messages and origins name it."""
        return f"feed:{self.name}"


@dataclass(frozen=True, slots=True)
class Feeds:
    """All sites' for a unit without a site; its own alone for a unit with one."""

    scope: Scope

    def add(
        self, name: str, *, port: int | None, fingerprint: str | None, rehearsal: bool = False
    ) -> Feed:
        """Raises `BridgeError` (duplicate) where the name, the port or the certificate is taken."""
        made = Feed(
            id=self.scope.ids(),
            site_id=self.scope.site_id,
            name=name,
            port=port,
            fingerprint=fingerprint,
            created_at=self.scope.clock(),
            ended_at=None,
            rehearsal=rehearsal,
        )
        values = {n: getattr(made, n) for n in Feed.__slots__ if n != "site_id"}
        if not self.scope.add_new(table, **values):
            raise duplicate(f"the feed name '{name}', its port or its certificate is taken")
        return made

    def end(self, name: str) -> Feed:
        """For good: its port and certificate are free for another."""
        named = self._rows().where(table.c.name == name, table.c.ended_at.is_(None))
        found = self.scope.one(Feed, named)
        if found is None:
            raise not_found(f"feed as '{name}'", "see 'fhirbridge feed list'")
        changed = self.scope.update(table).where(table.c.id == found.id)
        self.scope.affected(changed.values(ended_at=self.scope.clock()))
        return found

    def must_be_open(self, feed_id: str) -> None:
        """Raises `BridgeError` (forbidden) where the feed has ended."""
        named = self._rows().where(table.c.id == feed_id, table.c.ended_at.is_(None))
        if self.scope.one(Feed, named) is None:
            raise BridgeError(Issue("forbidden", "the feed has ended", "add another"))

    def all(self) -> list[Feed]:
        """Those that have not ended, by name."""
        open_ones = self._rows().where(table.c.ended_at.is_(None))
        return self.scope.many(Feed, open_ones.order_by(table.c.site_id, table.c.name))

    def _rows(self) -> Select[Any]:
        rows = select(*(table.c[name] for name in Feed.__slots__))
        return rows if self.scope.site is None else rows.where(table.c.site_id == self.scope.site)
