"""The words that the tables are written in.

Primary keys start with the site and foreign keys carry it, so that no row can point into another
site.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    PrimaryKeyConstraint,
    UniqueConstraint,
    false,
)
from sqlalchemy.types import TypeEngine

from fhirbridge.registry.columns import TEXT

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def must(name: str, kind: TypeEngine[Any] = TEXT) -> Column[Any]:
    return Column(name, kind, nullable=False)


def may(name: str, kind: TypeEngine[Any] = TEXT) -> Column[Any]:
    return Column(name, kind, nullable=True)


def flag(name: str) -> Column[Any]:
    """False in rows that were there before the column."""
    return Column(name, Boolean(), nullable=False, server_default=false())


def texts(*names: str) -> list[Column[Any]]:
    return [must(name) for name in names]


def optional(*names: str) -> list[Column[Any]]:
    return [may(name) for name in names]


def to_site() -> Column[Any]:
    return Column("site_id", TEXT, ForeignKey("site.id"), nullable=False)


def primary(*names: str) -> PrimaryKeyConstraint:
    return PrimaryKeyConstraint("site_id", *names)


def unique(*names: str) -> UniqueConstraint:
    return UniqueConstraint("site_id", *names)


def belongs(parent: str, *, checked: str | None = None) -> ForeignKeyConstraint:
    """The row's parent in its own site; `checked="DEFERRED"` at commit, so that order is free."""
    return ForeignKeyConstraint(
        ["site_id", "run_id" if parent == "sync_run" else f"{parent}_id"],
        [f"{parent}.site_id", f"{parent}.id"],
        deferrable=True if checked else None,
        initially=checked,
    )
