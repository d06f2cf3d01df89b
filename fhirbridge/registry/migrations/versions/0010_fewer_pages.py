"""A push changes fewer pages: each of its many rows lies in as few trees as it is looked for by.

On SQLite a table whose key is no number lies in two trees, the rows and the key's; WITHOUT ROWID
they are one (https://www.sqlite.org/withoutrowid.html). Nothing points at these tables, so they can
be rebuilt. What the index of searches held twice, or a column holds, is taken out of it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_OWN_KEYS = (
    "receipt_entry",
    "revision",
    "origin_record",
    "proposal",
    "resource_token",
    "resource_date",
)
_TWICE = "('_id', 'subject', 'individual')"


def upgrade() -> None:
    op.drop_index("ix_proposal_site_id_status", "proposal")
    _partial("ix_proposal_waiting", "proposal", "status = 'waiting'")
    op.drop_index("ix_origin_site_id_record_id", "origin")
    _partial("ix_origin_site_id_record_id", "origin", "record_id IS NOT NULL")
    op.execute(f"DELETE FROM resource_token WHERE name IN {_TWICE}")
    if op.get_bind().dialect.name == "sqlite":
        for table in _OWN_KEYS:
            _without_rowid(table)


def _partial(name: str, table: str, told: str) -> None:
    where = sa.text(told)
    columns = ["site_id", "record_id"]
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def _without_rowid(table: str) -> None:
    """The table as it is, made anew in one tree; its indexes with it."""
    bind = op.get_bind()
    told = "SELECT sql FROM sqlite_schema WHERE tbl_name = ? AND type = ? AND sql IS NOT NULL"
    (made,) = bind.exec_driver_sql(told, (table, "table")).scalars()
    indexes = [*bind.exec_driver_sql(told, (table, "index")).scalars()]
    _, _, body = made.partition("(")
    op.execute(f"CREATE TABLE new_{table} ({body} WITHOUT ROWID")
    op.execute(f"INSERT INTO new_{table} SELECT * FROM {table}")
    op.execute(f"DROP TABLE {table}")
    op.execute(f"ALTER TABLE new_{table} RENAME TO {table}")
    for index in indexes:
        op.execute(index)
