"""The engine for a database URL: SQLite or PostgreSQL, begun by us, schema upgraded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry import faults as errors
from fhirbridge.registry import statistics

# Seconds for a lock; another number by ?timeout= in a SQLite URL, ?options= in a PostgreSQL one.
_WAIT = 30
# After so many a process that was stopped in the middle of a transaction loses it, with its locks.
_IDLE = 300
_MIGRATIONS = Path(__file__).resolve().parent / "migrations"
_UPGRADE_LOCK = 0x66686972  # any number that nobody else takes


def address(database_url: str) -> URL:
    """The URL checked; SQLite's file is made, for its owner alone, with its folder."""
    try:
        url = make_url(database_url)
    except ArgumentError as fault:
        raise _misconfigured("the database URL is not readable") from fault
    kind = url.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise _misconfigured(f"a database of the kind '{kind}' is not supported")
    if kind == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise _misconfigured("a registry in memory would keep nothing")
        _make(Path(str(url.database)))
    return url


def _make(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))
    except OSError as fault:
        raise _misconfigured(f"the database file cannot be made: {fault.strerror}") from fault


def _misconfigured(cause: str) -> BridgeError:
    return BridgeError(Issue("configuration", cause, "give a URL as sqlite:///data/registry.db"))


def engine(url: URL) -> Engine:
    """A new engine, not connected yet. Errors hide parameters: they may be of patients."""
    sqlite = url.get_backend_name() == "sqlite"
    made = create_engine(
        url,
        hide_parameters=True,
        poolclass=QueuePool,  # connections stay open: the last one to close would empty the WAL
        pool_pre_ping=not sqlite,
        connect_args=_waiting(url),
    )
    event.listen(made, "handle_error", errors.tell)
    if sqlite:
        event.listen(made, "connect", _prepare)
        event.listen(made, "begin", _begin)
    return made


def _waiting(url: URL) -> dict[str, Any]:
    """How long a statement waits for a lock, unless the URL says so itself."""
    if url.get_backend_name() == "sqlite":
        return {} if "timeout" in url.query else {"timeout": _WAIT}
    if "options" in url.query:
        return {}
    told = f"-c lock_timeout={_WAIT}s -c idle_in_transaction_session_timeout={_IDLE}s"
    return {"options": told}


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # pysqlite would begin on its own, late and deferred
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """Writers take the lock at once: a transaction that reads first cannot be told 'too late'."""
    reads = connection.get_execution_options().get("reads", False)
    if connection.info.get("reads") is not reads:  # a connection serves both, in turns
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reads else 'OFF'}")
        connection.info["reads"] = reads
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def options(url: URL, *, reads: bool) -> dict[str, Any]:
    """Execution options of a unit's connection."""
    if reads and url.get_backend_name() == "postgresql":
        return {"reads": True, "postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
    return {"reads": reads}


def head() -> str | None:
    """The revision of the schema that this program speaks."""
    return ScriptDirectory(str(_MIGRATIONS)).get_current_head()


def revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def faults(engine: Engine) -> list[str] | None:
    """What SQLite itself finds wrong with its file; None for PostgreSQL, which has pg_amcheck."""
    if engine.dialect.name != "sqlite":
        return None
    with engine.connect() as connection:
        damaged = connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars().all()
        orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    lost = [f"a row of {row[0]} belongs to a row of {row[2]} that is not there" for row in orphans]
    return [*(line for line in damaged if line != "ok"), *lost[:20]]


def upgrade(engine: Engine, *, to: str = "head") -> None:
    """Bring the schema to the newest version in one transaction; processes take turns."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _UPGRADE_LOCK})
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, to)
        except CommandError as fault:
            cause = "the database is of a newer version than this program"
            raise BridgeError(Issue("configuration", cause, "install that version")) from fault
        if connection.dialect.name == "sqlite" and to == "head":
            statistics.tell(connection)
