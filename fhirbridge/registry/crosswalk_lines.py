"""The lines that a site has added to the study's crosswalks, and those that it took back again.

No line is ever changed or deleted: what was read by it stays explained.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from fhirbridge.registry import consent_tables
from fhirbridge.registry.scope import Scope, duplicate, not_found


@dataclass(frozen=True, slots=True)
class CrosswalkLine:
    """One line, as of `sites/<site>/<crosswalk>.csv`, with who added it and why."""

    id: str
    crosswalk: str
    system: str
    code: str
    display: str
    target: str
    relationship: str
    added_by: str
    reason: str
    added_at: datetime
    withdrawn_by: str | None = None
    withdrawn_reason: str | None = None
    withdrawn_at: datetime | None = None


_line = consent_tables.crosswalk_line.c
_COUNTED = select(func.count(), func.count(_line.withdrawn_at)).where(
    _line.site_id == bindparam("of_site")
)


@dataclass(frozen=True, slots=True)
class CrosswalkLines:
    scope: Scope

    def version(self) -> tuple[int, int]:
        """Another one after each change: lines only grow in number, and so do withdrawn ones."""
        ((lines, withdrawn),) = self.scope.ask(_COUNTED, of_site=self.scope.site_id)
        return lines, withdrawn

    def all(self) -> list[CrosswalkLine]:
        """The oldest first; withdrawn ones included."""
        line = consent_tables.crosswalk_line.c
        return self.scope.many(CrosswalkLine, self._rows().order_by(line.added_at, line.id))

    def active(self) -> list[CrosswalkLine]:
        return [one for one in self.all() if one.withdrawn_at is None]

    def add(self, line: CrosswalkLine) -> None:
        """Raises `BridgeError` (duplicate) where the code has a line in this crosswalk already."""
        values = {name: getattr(line, name) for name in CrosswalkLine.__slots__}
        if not self.scope.add_new(consent_tables.crosswalk_line, **values):
            cause = f"{line.system}|{line.code} has a line in '{line.crosswalk}' already"
            raise duplicate(cause, "withdraw that one first")

    def withdraw(self, line_id: str, *, by: str, reason: str) -> CrosswalkLine:
        """For good; the code may get another line. One that is withdrawn keeps who did it."""
        line = consent_tables.crosswalk_line
        named = self._rows().where(line.c.id == line_id)
        found = self.scope.only(CrosswalkLine, named, "crosswalk line")
        if found.withdrawn_at is not None:
            raise not_found("crosswalk line in use", "it was withdrawn before")
        values = {"withdrawn_by": by, "withdrawn_reason": reason}
        changed = self.scope.update(line).where(line.c.id == line_id)
        self.scope.affected(changed.values(**values, withdrawn_at=self.scope.clock()))
        return self.scope.only(CrosswalkLine, named, "crosswalk line")

    def _rows(self) -> Select[Any]:
        return self.scope.select(consent_tables.crosswalk_line, CrosswalkLine)
