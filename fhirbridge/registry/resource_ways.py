"""How a resource and its search index are written: the rows, and the statements in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, insert, select, update

from fhirbridge.registry import tables
from fhirbridge.registry.gathered import Way
from fhirbridge.registry.history_tables import resource_version

Token = tuple[str, str | None, str]  # name, system, value
Interval = tuple[str, str, str]  # name, low, high


@dataclass(frozen=True, slots=True)
class Kept:
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
class IndexRows:
    """The rows of a resource's search index, each once."""

    resource_id: str
    marks: Iterable[Token]
    spans: Iterable[Interval]

    @property
    def tokens(self) -> dict[tuple[str, ...], dict[str, str]]:
        names = dict.fromkeys((name, system or "", value) for name, system, value in self.marks)
        return {one: self._row(("name", "system", "value"), one) for one in names}

    @property
    def dates(self) -> dict[tuple[str, ...], dict[str, str]]:
        return {one: self._row(("name", "low", "high"), one) for one in dict.fromkeys(self.spans)}

    def _row(self, columns: tuple[str, ...], values: tuple[str, ...]) -> dict[str, str]:
        return {"resource_id": self.resource_id, **dict(zip(columns, values, strict=True))}


def _mine(table: Table, name: str) -> ColumnElement[bool]:
    of_site = table.c.site_id == bindparam("of_site")
    return and_(of_site, table.c[name] == bindparam("of_id"))


ADD, _KEEP, _REPLACE, _EMPTY, MARK = 6, 7, 8, 9, 10  # the order in which they are written
CHANGED = ("version", "last_updated", "body", "sha256", "deleted", "revision")
_KEPT = ["resource_id" if name == "id" else name for name in Kept.__slots__]
_BEFORE = select(*(tables.resource.c[n] for n in Kept.__slots__)).where(
    _mine(tables.resource, "id")
)
KEEPS = Way(
    _KEEP, resource_version, insert(resource_version).from_select(_KEPT, _BEFORE), exact=False
)
REPLACES = Way(
    _REPLACE,
    tables.resource,
    update(tables.resource)
    .where(_mine(tables.resource, "id"), tables.resource.c.version == bindparam("before"))
    .values({name: bindparam(name) for name in CHANGED}),
)
UNINDEX = [
    Way(_EMPTY, table, delete(table).where(_mine(table, "resource_id")), exact=False)
    for table in (tables.resource_token, tables.resource_date)
]
