"""What every repository works through: a connection, a site, and statements that carry it.

A repository never writes a `where site_id = …` of its own, so none can forget it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
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
    and_,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import MultipleResultsFound

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry import prepared, tables
from fhirbridge.registry.faults import collision
from fhirbridge.registry.gathered import Gathered, Way
from fhirbridge.registry.vault import Vault

Row = TypeVar("Row")
Insert = sqlite.Insert | postgresql.Insert


@dataclass(frozen=True, slots=True)
class Scope:
    """A connection in a transaction, and whose rows it may see.

    Every statement goes by `connection`, which writes first what was gathered; `raw` is for those
    that are known not to ask for it.
    """

    raw: Connection
    site: str | None
    clock: Callable[[], datetime]
    ids: Callable[[], str]
    vault: Vault
    gathered: Gathered = field(default_factory=Gathered)

    @property
    def connection(self) -> Connection:
        self.flush()
        return self.raw

    @property
    def alone(self) -> bool:
        """Whether nobody else writes before this transaction has ended, as with SQLite."""
        return self.raw.dialect.name == "sqlite"

    def flush(self) -> None:
        """Write what was gathered. Raises `BridgeError` where somebody else was there first."""
        if not self.gathered.waiting:
            return
        for way, rows in self.gathered.take():
            changed = self.write(way.statement, rows)
            if way.exact and changed != len(rows):
                if self.alone:
                    raise conflict(f"a row of '{way.table.name}' belongs to another one already")
                raise collision()

    def add_later(self, table: Table, key: Any, values: dict[str, Any], *, order: int) -> Way:
        """Gather a new row; the way by which it will be written."""
        way = adding(self.raw.dialect.name, table, order)
        self.later(way, key, values)
        return way

    def later(self, way: Way, key: Any, values: dict[str, Any]) -> None:
        """Gather a row: a second one of the same key replaces the first."""
        self.gathered.later(way, key, {way.site: self.site_id, **values})

    def forget(self) -> None:
        """What is known of rows may not be so any more."""
        self.flush()
        self.gathered.forget()

    def _written(self, table: Any) -> None:
        if table in _KNOWN:
            self.forget()

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
        self._written(table)
        self.connection.execute(self._insert(table), {"site_id": self.site_id, **values})

    def add_new(self, table: Table, *, once: tuple[str, ...] = (), **values: Any) -> bool:
        """False, and nothing written, where a row with these `once` columns (or any key) exists."""
        self._written(table)
        made = {"site_id": self.site_id, **values}
        self.flush()
        return self.write(self._insert(table, once=once, told=()), [made]) == 1

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
        self._written(table)
        statement = self._insert(table, once=once, told=told, kept=kept)
        self.connection.execute(statement, {"site_id": self.site_id, **values})

    def add_many(self, table: Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._written(table)
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
        return insertion(self.raw.dialect.name, table, once, told, kept)

    def affected(self, statement: Executable, values: dict[str, Any] | None = None) -> int:
        """Execute; the number of rows that it changed."""
        self._written(getattr(statement, "table", None))
        return self.connection.execute(statement, values).rowcount

    def row(self, table: Table, kind: Callable[..., Row], **named: Any) -> Row | None:
        """The row of the site with these values, by a statement that is made once."""
        found = self.rows(table, kind, **named)
        if len(found) > 1:
            raise MultipleResultsFound("one row was asked for, and several are there")
        return found[0] if found else None

    def rows(
        self, table: Table, kind: Callable[..., Row], order: tuple[str, ...] = (), **named: Any
    ) -> list[Row]:
        """Those with these values; of a list or a set with one of them."""
        if any(isinstance(value, list | set) and not value for value in named.values()):
            return []
        many = tuple(name for name, value in named.items() if isinstance(value, list | set))
        statement = _selection(table, kind, tuple(named), many, order)
        # Of one table alone: what waits for another one may wait.
        connection = self.connection if table in self.gathered.tables else self.raw
        values = {"of_site": self.site_id, **named}
        shape, given = prepared.filled(values)
        query = prepared.reading(connection.dialect, statement, shape)
        return [kind(*row) for row in query.rows(connection, given)]

    def ask(self, statement: Select[*tuple[Any, ...]], **values: Any) -> list[Sequence[Any]]:
        """The rows of a statement that is made once; of tables alone whose rows are not gathered.

        The caller's statement names the site.
        """
        shape, given = prepared.filled(values)
        return prepared.reading(self.raw.dialect, statement, shape).rows(self.raw, given)

    def write(self, statement: Executable, rows: list[dict[str, Any]]) -> int:
        """The same for one that writes rows, all with the same columns; how many it changed."""
        made = prepared.writing(self.raw.dialect, statement, tuple(rows[0]))
        return made.write(self.raw, rows)

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
def _selection(
    table: Table,
    kind: Callable[..., Any],
    names: tuple[str, ...],
    many: tuple[str, ...],
    order: tuple[str, ...],
) -> Select[Any]:
    made = _columns_of(table, kind).where(table.c.site_id == bindparam("of_site"))
    for name in names:
        if name in many:
            made = made.where(table.c[name].in_(bindparam(name, expanding=True)))
        else:
            made = made.where(table.c[name] == bindparam(name))
    return made.order_by(*(table.c[name] for name in order))


@cache
def insertion(
    dialect: str,
    table: Table,
    once: tuple[str, ...],
    told: tuple[str, ...] | None,
    kept: tuple[str, ...] = (),
    same: tuple[str, ...] = (),
) -> Insert:
    """Made once each: to build a statement takes SQLAlchemy longer than SQLite takes to run it.

    `once`, `told` and `kept` are those of `Scope.put`; a row that is there and differs in the
    columns `same` stays as it is.
    """
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
    if not same:
        return made.on_conflict_do_update(index_elements=unique, set_=written)
    meant = and_(*(made.excluded[name] == table.c[name] for name in same))
    return made.on_conflict_do_update(index_elements=unique, set_=written, where=meant)


@cache
def adding(dialect: str, table: Table, order: int) -> Way:
    """New rows, gathered."""
    return Way(order, table, insertion(dialect, table, (), ()), site="site_id")


# Of what is in these a unit may know the rows.
_KNOWN = frozenset(
    (tables.origin, tables.origin_record, tables.record, tables.proposal, tables.resource)
)


def not_found(noun: str, remedy: str = "") -> BridgeError:
    """A row of another site and a row that never was: the same answer."""
    return BridgeError(Issue("not-found", f"there is no such {noun}", remedy))


def conflict(cause: str, remedy: str = "") -> BridgeError:
    return BridgeError(Issue("conflict", cause, remedy))


def duplicate(cause: str, remedy: str = "") -> BridgeError:
    return BridgeError(Issue("duplicate", cause, remedy))
