"""Statements compiled once, and given to the driver with plain values.

SQLAlchemy makes each statement's text, with its casts, and knows the types of its columns. What it
does anew at each execution (parameters by name, row by row; the members of IN) took more time than
SQLite itself: 4.7 of 8.5 ms for a transaction of 20 entries (`bench steps`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Executable, Select
from sqlalchemy.sql.compiler import SQLCompiler

Process = Callable[[Any], Any]
# Without it the count of an INSERT is forgotten: psycopg then says -1.
_COUNTED = {"preserve_rowcount": True}


@dataclass(frozen=True, slots=True)
class Prepared:
    """`names` are its parameters, in the order of their places for a driver that takes them so.
    `bind` is what must be done to a value, by name, and `read` to a column, by its number."""

    text: str
    names: tuple[str, ...]
    positional: bool
    bind: Mapping[str, Process]
    read: tuple[tuple[int, Process], ...] = ()

    def write(self, connection: Connection, rows: Collection[Mapping[str, Any]]) -> int:
        """The number of rows that it changed."""
        given = [self._given(row) for row in rows]
        return connection.exec_driver_sql(self.text, given, execution_options=_COUNTED).rowcount

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        found = connection.exec_driver_sql(self.text, self._given(values))
        return [self._told(row) for row in found] if self.read else list(found)

    def _given(self, values: Mapping[str, Any]) -> Any:
        bind = self.bind
        if self.positional:
            return tuple([bind[n](values[n]) if n in bind else values[n] for n in self.names])
        return {n: bind[n](values[n]) if n in bind else values[n] for n in self.names}

    def _told(self, row: Sequence[Any]) -> Sequence[Any]:
        made = [*row]
        for number, process in self.read:
            made[number] = process(made[number])
        return made


@lru_cache(maxsize=512)
def writing(dialect: Dialect, statement: Executable, names: tuple[str, ...]) -> Prepared:
    """A statement that writes rows which have these values."""
    return _prepared(dialect, statement.compile(dialect=dialect, column_keys=[*names]))  # type: ignore[attr-defined]


@lru_cache(maxsize=512)
def reading(
    dialect: Dialect, statement: Select[Any], shape: tuple[tuple[str, int], ...]
) -> Prepared:
    """A query by the parameters of this shape: each with the number of its members where it is a
    list, else with 0."""
    some = {name: [""] * many if many else "" for name, many in shape}
    written_out = {"render_postcompile": True}  # as SQLAlchemy does at each execution
    compiled = statement.params(some).compile(dialect=dialect, compile_kwargs=written_out)
    names = [one for name, many in shape for one in _members(name, many)]
    read = [
        (number, process)
        for number, column in enumerate(statement.selected_columns)
        if (process := column.type.dialect_impl(dialect).result_processor(dialect, None))
    ]
    made = _prepared(dialect, compiled, names)
    bind = {
        one: made.bind[name]
        for name, many in shape
        if name in made.bind
        for one in _members(name, many)
    }
    return replace(made, bind=bind, read=tuple(read))


def _prepared(dialect: Dialect, compiled: SQLCompiler, names: Sequence[str] = ()) -> Prepared:
    ordered = compiled.positiontup if compiled.positional else names or [*compiled.binds]
    bind = {
        name: process
        for name, parameter in compiled.binds.items()
        if (process := parameter.type.dialect_impl(dialect).bind_processor(dialect))
    }
    return Prepared(compiled.string, tuple(ordered or ()), compiled.positional, bind)


def _members(name: str, many: int) -> list[str]:
    """What SQLAlchemy calls the members of a list."""
    return [f"{name}_{number}" for number in range(1, many + 1)] if many else [name]


def filled(values: Mapping[str, Any]) -> tuple[tuple[tuple[str, int], ...], dict[str, Any]]:
    """The shape of a query for these values, and its parameters. A list is filled up with its last
    member to a power of two, so that there are few texts, for us to make and for SQLite to parse.
    """
    given: dict[str, Any] = {}
    shape: list[tuple[str, int]] = []
    for name, value in values.items():
        if not isinstance(value, list | set):
            given[name] = value
            shape.append((name, 0))
            continue
        members = [*value]
        many = 1 << (len(members) - 1).bit_length()
        members += members[-1:] * (many - len(members))
        given.update(zip(_members(name, many), members, strict=True))
        shape.append((name, many))
    return tuple(shape), given
