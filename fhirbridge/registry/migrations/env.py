"""Alembic's entrance: migrates on the connection and in the transaction of `database.upgrade`.

Refuses to run alone: the connection's pragmas and locks belong to the migration.
"""

from __future__ import annotations

from alembic import context

from fhirbridge.registry import tables


def _migrate() -> None:
    context.configure(
        connection=context.config.attributes["connection"], target_metadata=tables.site.metadata
    )
    with context.begin_transaction():
        context.run_migrations()


if hasattr(context, "config"):  # not so where a tool only imports the file, as doctest does
    _migrate()
