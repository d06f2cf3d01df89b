"""The database of a test: SQLite in its folder, or one of its own on the tests' PostgreSQL.

`pytest --database postgresql` starts that server for the session; its URL goes by a variable to the
processes that xdist starts. Each database is a copy of one that was migrated once.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, inspect, make_url, text

from fhirbridge.registry import database
from fhirbridge.settings import Settings

SERVER = "TESTS_POSTGRESQL"  # not FHIRBRIDGE_...: that would be a setting
_TEMPLATE, _LOCK = "migrated", 1


def on_postgresql() -> bool:
    return SERVER in os.environ


def setting(folder: Path, *, kept: bool = False) -> str:
    """The value of the setting `database` that serves this folder: empty is SQLite's file in it."""
    made = url(folder, kept=kept)
    return made if on_postgresql() else ""


def settings(folder: Path, *, kept: bool = False, **more: Any) -> Settings:
    """The service's settings with its data in the folder. `kept`: for more tests than one."""
    return Settings(data=folder, database=setting(folder, kept=kept), **more)


def url(folder: Path, *, kept: bool = False) -> str:
    """The folder's database, the same at every call."""
    if on_postgresql():
        return _made(folder, _TEMPLATE, kept=kept)
    file = folder / "registry.db"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(_migrated_file())
    return _file(folder)


def empty(folder: Path) -> str:
    """A database without a table."""
    return _made(folder, "template0") if on_postgresql() else _file(folder)


def contents(folder: Path) -> bytes:
    """All that the database holds: SQLite's files as they are, of PostgreSQL every value."""
    if not on_postgresql():
        return b"".join(path.read_bytes() for path in folder.glob("registry.db*"))
    engine = create_engine(url(folder))
    values = rows(engine)
    engine.dispose()
    return values


def rows(engine: Engine) -> bytes:
    """Every value of every row that is there, a line each with its table, in one order."""
    with engine.connect() as connection:
        found = [
            f"{name} {row}"
            for name in sorted(_tables(connection))
            for row in sorted(map(repr, connection.execute(text(f'SELECT * FROM "{name}"'))))
        ]
    return "\n".join(found).encode()


def _tables(connection: Connection) -> list[str]:
    return inspect(connection).get_table_names()


def _file(folder: Path) -> str:
    return f"sqlite:///{folder / 'registry.db'}"


@cache
def _migrated_file() -> bytes:
    """SQLite's file, made once for each process."""
    with tempfile.TemporaryDirectory() as name:
        engine = database.engine(make_url(_file(Path(name))))
        database.upgrade(engine)
        engine.dispose()  # the last connection empties the log into the file
        return (Path(name) / "registry.db").read_bytes()


def _name(folder: Path, *, kept: bool) -> str:
    return (
        ("kept_" if kept else "") + _mine() + hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]
    )


def _mine() -> str:
    return f"of_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_"


def _server() -> URL:
    return make_url(os.environ[SERVER])


def _made(folder: Path, template: str, *, kept: bool = False) -> str:
    name = _name(folder, kept=kept)
    made = _server().set(database=name).render_as_string(hide_password=False)
    engine = create_engine(_server(), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if not _there(connection, name):
            if template == _TEMPLATE:
                _migrated(connection)
            connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    engine.dispose()
    return made


def _there(connection: Connection, name: str) -> bool:
    found = connection.execute(text("SELECT 1 FROM pg_database WHERE datname = :n"), {"n": name})
    return found.first() is not None


def _migrated(connection: Connection) -> None:
    """Make the template, once for all processes of the session."""
    connection.execute(text("SELECT pg_advisory_lock(:n)"), {"n": _LOCK})
    if not _there(connection, _TEMPLATE):
        connection.execute(text("CREATE DATABASE migrating TEMPLATE template0"))
        engine = database.engine(_server().set(database="migrating"))
        database.upgrade(engine)
        engine.dispose()
        connection.execute(text(f"ALTER DATABASE migrating RENAME TO {_TEMPLATE}"))
    connection.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": _LOCK})


def drop_mine() -> None:
    """Drop what this process's tests have made so far, and not what is kept for others."""
    engine = create_engine(_server(), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        names = connection.execute(text("SELECT datname FROM pg_database")).scalars().all()
        for name in names:
            if name.startswith(_mine()):
                connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()
