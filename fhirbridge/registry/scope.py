"""What every repository works through: a connection, a site, and statements that carry it.

A repository never writes a `where site_id = …` of its own, so none can forget it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import (
    Connection,
    Delete,
    Executable,
    Select,
    Table,
    Update,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry import tables
from fhirbridge.registry.vault import Vault

Row = TypeVar("Row")
Insert = sqlite.Insert | postgresql.Insert


@dataclass(frozen=True, slots=True)
class Scope:
    """A connection in a transaction, and whose rows it may see."""

    connection: Connection
    site: str | None
    clock: Callable[[], datetime]
    ids: Callable[[], str]
    vault: Vault

    @property
    def site_id(self) -> str:
        if self.site is None:
            cause = "a unit without a site reads and writes sites only"
            raise BridgeError(Issue("configuration", cause, "open the unit for one site"))
        return self.site

    def select(self, table: Table, kind: Callable[..., Any]) -> Select[Any]:
        """The site's rows of the table, with the columns that the dataclass `kind` names."""
        return _columns_of(table, kind).where(table.c.site_id == self.site_id)

    def update(self, table: Table) -> Update:
        return update(table).where(table.c.site_id == self.site_id)

    def delete(self, table: Table) -> Delete:
        return delete(table).where(table.c.site_id == self.site_id)

    def add(self, table: Table, **values: Any) -> None:
        self.connection.execute(self._insert(table), {"site_id": self.site_id, **values})

    def add_new(self, table: Table, *, once: tuple[str, ...] = (), **values: Any) -> bool:
        """False, and nothing written, where a row with these `once` columns (or any key) exists."""
        statement = self._insert(table, once=once, told=())
        return self.affected(statement, {"site_id": self.site_id, **values}) == 1

    def add_site(self, **values: Any) -> bool:
        """The one row that lies in no site. False where the name is taken."""
        return self.affected(self._insert(tables.site, told=()), values) == 1

    def put(
        self,
        table: Table,
        *,
        once: tuple[str, ...],
        told: tuple[str, ...],
        kept: tuple[str, ...] = (),
        **values: Any,
    ) -> None:
        """Add, or write the columns `told` to the row with these `once` columns.

        Of the columns `kept` a value that is there outlives None.
        """
        statement = self._insert(table, once=once, told=told, kept=kept)
        self.connection.execute(statement, {"site_id": self.site_id, **values})

    def add_many(self, table: Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            filled = [{"site_id": self.site_id, **row} for row in rows]
            self.connection.execute(self._insert(table), filled)

    def _insert(
        self,
        table: Table,
        *,
        once: tuple[str, ...] = (),
        told: tuple[str, ...] | None = None,
        kept: tuple[str, ...] = (),
    ) -> Insert:
        return _insert(self.connection.dialect.name, table, once, told, kept)

    def affected(self, statement: Executable, values: dict[str, Any] | None = None) -> int:
        """Execute; the number of rows that it changed."""
        return self.connection.execute(statement, values).rowcount

    def one(self, kind: Callable[..., Row], statement: Executable) -> Row | None:
        row = self.connection.execute(statement).one_or_none()
        return None if row is None else kind(**row._mapping)

    def many(self, kind: Callable[..., Row], statement: Executable) -> list[Row]:
        return [kind(**row._mapping) for row in self.connection.execute(statement)]

    def only(self, kind: Callable[..., Row], statement: Executable, noun: str) -> Row:
        """The one row that the statement names; `BridgeError` (not-found) where there is none."""
        row = self.one(kind, statement)
        if row is None:
            raise not_found(noun)
        return row


@cache
def _columns_of(table: Table, kind: Callable[..., Any]) -> Select[Any]:
    return select(*(table.c[field.name] for field in fields(cast(type[Any], kind))))


@cache
def _insert(
    dialect: str,
    table: Table,
    once: tuple[str, ...],
    told: tuple[str, ...] | None,
    kept: tuple[str, ...],
) -> Insert:
    """Made once each: to build a statement takes SQLAlchemy longer than SQLite takes to run it."""
    made = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    # Without this option the count of an INSERT is forgotten: psycopg then says -1.
    made = made.execution_options(preserve_rowcount=True)
    if told is None:
        return made
    unique = ["site_id", *once] if once else None
    if not told:
        return made.on_conflict_do_nothing(index_elements=unique)
    written: dict[str, Any] = {name: made.excluded[name] for name in told}
    written |= {name: func.coalesce(made.excluded[name], table.c[name]) for name in kept}
    return made.on_conflict_do_update(index_elements=unique, set_=written)


def not_found(noun: str, remedy: str = "") -> BridgeError:
    """A row of another site and a row that never was: the same answer."""
    return BridgeError(Issue("not-found", f"there is no such {noun}", remedy))


def conflict(cause: str, remedy: str = "") -> BridgeError:
    return BridgeError(Issue("conflict", cause, remedy))


def duplicate(cause: str, remedy: str = "") -> BridgeError:
    return BridgeError(Issue("duplicate", cause, remedy))
