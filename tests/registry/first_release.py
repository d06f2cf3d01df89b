"""A database as the first release left it: the dump beside this, on SQLite or on PostgreSQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, select

from fhirbridge.registry import database
from tests import databases

DUMP = Path(__file__).with_name("first_release.sql")
REVISION = "0001"

Rows = dict[str, list[dict[str, Any]]]


def rows() -> Rows:
    """Every row of the dump by its table."""
    with closing(sqlite3.connect(":memory:")) as dumped:
        dumped.executescript(DUMP.read_text(encoding="utf-8"))
        dumped.row_factory = sqlite3.Row
        names = dumped.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {n: [dict(row) for row in dumped.execute(f'SELECT * FROM "{n}"')] for (n,) in names}


def made(folder: Path) -> str:
    """The URL of the database in that state: what SQLite dumped, or the rows behind revision 1."""
    url = databases.empty(folder)
    engine = database.engine(database.address(url))
    if databases.on_postgresql():
        _fill(engine)
    else:
        with closing(sqlite3.connect(engine.url.database or "")) as file:
            file.executescript(DUMP.read_text(encoding="utf-8"))
    engine.dispose()
    return url


def _fill(engine: Engine) -> None:
    database.upgrade(engine, to=REVISION)
    told, schema = rows(), MetaData()
    with engine.begin() as connection:
        schema.reflect(connection)
        for table in schema.sorted_tables:
            if table.name != "alembic_version":
                kept = [_typed(row) for row in told[table.name]]
                connection.execute(table.insert(), kept)


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """SQLite's truth is a number."""
    return {n: bool(value) if n == "deleted" else value for n, value in row.items()}


def stored(engine: Engine, told: Rows) -> Rows:
    """The columns of the first release as the database has them now."""
    schema, found = MetaData(), {}
    with engine.connect() as connection:
        schema.reflect(connection)
        for name, before in told.items():
            columns = [schema.tables[name].c[column] for column in before[0]]
            read = connection.execute(select(*columns)).mappings()
            found[name] = [dict(row) for row in read]
    return found


def ordered(told: Rows) -> Rows:
    return {name: sorted(map(_typed, before), key=repr) for name, before in told.items()}
