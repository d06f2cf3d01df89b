"""What a database error means: one table of codes, and the words for each.

A code that is not in the table is a mistake of the program and stays the error that it is. No text
of the database leaves here: it may hold values.
"""

from __future__ import annotations

import sqlite3

import psycopg
from sqlalchemy import ExceptionContext

from fhirbridge.outcome import BridgeError, Issue

_LATER = "nothing was stored; send again later"

_SQLITE = {  # primary result codes, https://www.sqlite.org/rescode.html
    sqlite3.SQLITE_BUSY: "the database is locked",
    sqlite3.SQLITE_LOCKED: "the database is locked",
    sqlite3.SQLITE_FULL: "the disk of the database is full",
    sqlite3.SQLITE_READONLY: "the database is read-only",
    sqlite3.SQLITE_IOERR: "the disk of the database fails",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
}
_POSTGRESQL = {  # https://www.postgresql.org/docs/current/errcodes-appendix.html
    "08": "the database cannot be reached",
    "25006": "the database is read-only",
    "40": "the database ended a transaction that collided with another",
    "53": "the database has no room or no connection left",
    "55P03": "the database is locked",
    "57": "the database is stopping or starting",
}
_FOREIGN = {sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, "23503"}
_TWICE = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, "23505"}


class Collision(BridgeError):
    """The transaction met another one that was about the same, and was undone: try it again."""


def transient(cause: str) -> BridgeError:
    return BridgeError(Issue("transient", cause, _LATER))


def collision() -> Collision:
    return Collision(Issue("transient", _POSTGRESQL["40"], _LATER))


def tell(context: ExceptionContext) -> None:
    """SQLAlchemy's `handle_error` listener: raises the `BridgeError` that stands for it."""
    fault = context.original_exception
    code = _code(fault)
    if code in _FOREIGN:
        cause = "a row that this one belongs to does not exist in this site"
        raise BridgeError(Issue("not-found", cause)) from fault
    if code in _TWICE:
        raise BridgeError(Issue("duplicate", "there is such a row already")) from fault
    if isinstance(fault, psycopg.DataError) and "NUL" in str(fault):
        cause = "a text holds the character U+0000, which cannot be stored"
        raise BridgeError(Issue("value", cause, "send it without")) from None
    cause = _transient(code)
    if context.is_disconnect or (context.connection is None and code is None):
        cause = cause or "the database cannot be reached"
    if cause and not _reading(context):
        collided = isinstance(code, str) and code.startswith("40")
        raise (collision() if collided else transient(cause)) from fault


def _code(fault: BaseException) -> int | str | None:
    return getattr(fault, "sqlite_errorcode", None) or getattr(fault, "sqlstate", None)


def _transient(code: int | str | None) -> str:
    if isinstance(code, int):
        return _SQLITE.get(code & 0xFF, "")
    if isinstance(code, str):
        return _POSTGRESQL.get(code) or _POSTGRESQL.get(code[:2], "")
    return ""


def _reading(context: ExceptionContext) -> bool:
    """A write through a unit that only reads is refused by the database, too, but is a mistake."""
    readonly = _code(context.original_exception) in (sqlite3.SQLITE_READONLY, "25006")
    connection = context.connection
    return readonly and bool(connection and connection.get_execution_options().get("reads"))
