"""The registry's front door: opened once, then a `with registry.unit(site_id)` a transaction."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from sqlalchemy import URL, Connection, Engine, select
from sqlalchemy.exc import TimeoutError as PoolTimeout

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry import database, faults, tables
from fhirbridge.registry.scope import Scope
from fhirbridge.registry.subjects import identity_place
from fhirbridge.registry.unit import Unit
from fhirbridge.registry.vault import Vault


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _uuid() -> str:
    """A UUID of version 7 (RFC 9562, section 5.7), which begins with the time: rows that are new
    together stand together in each index. Of version 4, each lay on a page of its own.
    """
    milliseconds, chance = time.time_ns() // 1_000_000, os.urandom(10).hex()
    variant = "89ab"[int(chance[3], 16) & 3]
    made = f"{milliseconds:012x}7{chance[:3]}{variant}{chance[4:19]}"
    return f"{made[:8]}-{made[8:12]}-{made[12:16]}-{made[16:20]}-{made[20:]}"


class Registry:
    """Usable from threads, and after a fork: each process makes its own engine at first use."""

    def __init__(
        self, url: URL, *, vault: Vault, clock: Callable[[], datetime], ids: Callable[[], str]
    ) -> None:
        self._url = url
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._engines: dict[int, Engine] = {}  # by process id

    @classmethod
    def open(
        cls,
        database_url: str,
        *,
        key: bytes,
        clock: Callable[[], datetime] = _utc_now,
        ids: Callable[[], str] = _uuid,
    ) -> Registry:
        """Makes or upgrades the database, and sees that the key is the one it was made with."""
        registry = cls(database.address(database_url), vault=Vault(key), clock=clock, ids=ids)
        with ExitStack() as undo:
            undo.callback(registry.close)
            database.upgrade(registry.engine)
            registry._try_key()
            undo.pop_all()
        return registry

    @property
    def engine(self) -> Engine:
        """This process's engine. A parent's one is kept but never touched: a SQLite connection must
        not be closed in a child, either (https://www.sqlite.org/howtocorrupt.html, section 2.6).
        """
        process = os.getpid()
        if process not in self._engines:
            self._engines[process] = database.engine(self._url)
        return self._engines[process]

    @property
    def vault(self) -> Vault:
        return self._vault

    def now(self) -> datetime:
        return self._clock()

    def faults(self) -> list[str] | None:
        """What the database finds wrong with itself; None where it cannot be asked."""
        return database.faults(self.engine)

    def close(self) -> None:
        """Close this process's connections; the next use opens new ones."""
        self.engine.dispose()

    def compact(self) -> None:
        """Rebuild SQLite's file without what was deleted in it. PostgreSQL does so by itself, in
        time. Raises `BridgeError` (transient) while another process is at work."""
        if self.engine.dialect.name != "sqlite":
            return
        raw = self.engine.raw_connection()
        try:
            raw.info.pop("reads", None)  # the next transaction says anew what it may
            for statement in ("PRAGMA query_only=OFF", "VACUUM"):
                raw.driver_connection.execute(statement)  # type: ignore[union-attr]
            done = raw.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
            busy = bool(done.fetchone()[0])
        except sqlite3.OperationalError:
            busy = True
        finally:
            raw.close()
        if busy:
            cause = "what was erased may still stand in the database file, which is in use"
            raise BridgeError(Issue("transient", cause, "give the same command again"))

    @contextmanager
    def unit(self, site_id: str | None = None, *, request_id: str | None = None) -> Iterator[Unit]:
        """A transaction that writes. Left without `commit`, it never was.

        `request_id` is told by the audit of what the unit does.
        """
        with self._unit(site_id, writes=True, request_id=request_id) as unit:
            yield unit

    @contextmanager
    def read(self, site_id: str | None = None) -> Iterator[Unit]:
        """One consistent view; it waits for no writer and holds none up."""
        with self._unit(site_id, writes=False) as unit:
            yield unit

    @contextmanager
    def _unit(
        self, site_id: str | None, *, writes: bool, request_id: str | None = None
    ) -> Iterator[Unit]:
        with self.connect(writes=writes) as connection:
            connection.begin()
            scope = Scope(connection, site_id, self._clock, self._ids, self._vault)
            yield Unit(scope, writes=writes, request_id=request_id)

    def connect(self, *, writes: bool) -> Connection:
        """A bare connection, for what is of no site; a unit is what all else uses."""
        chosen = self.engine.execution_options(**database.options(self._url, reads=not writes))
        try:
            return chosen.connect()
        except PoolTimeout as fault:
            raise faults.transient("every database connection is in use") from fault

    def _try_key(self) -> None:
        """A wrong key would not fail at look-ups: it would find nobody."""
        identity = tables.subject_identity.c
        with self.connect(writes=False) as connection:
            rows = select(identity.site_id, identity.subject_id, identity.cipher).limit(1)
            for site_id, subject_id, cipher in connection.execute(rows):
                self._vault.unseal(cipher, place=identity_place(site_id, subject_id))
