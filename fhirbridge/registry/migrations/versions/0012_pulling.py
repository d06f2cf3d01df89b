"""How far each stream of a connection was read, and what a run has found out about its server."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = ("connection_id", "stream")


def upgrade() -> None:
    facts = sa.Column("facts", TEXT, nullable=False, server_default="{}")
    op.add_column("sync_run", facts)
    op.add_column("origin", sa.Column("seen_in", TEXT, nullable=True))
    missed = sa.Column("missed", sa.Integer(), nullable=False, server_default="0")
    op.add_column("origin", missed)
    op.create_table(
        "reading",
        *(sa.Column(name, TEXT, nullable=False) for name in ("site_id", *_KEY)),
        *(sa.Column(name, TEXT, nullable=True) for name in ("since", "full_at", "full_in")),
        sa.Column("updated_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("site_id", *_KEY, name="pk_reading"),
        sa.ForeignKeyConstraint(
            ["site_id", "connection_id"],
            ["connection.site_id", "connection.id"],
            name="fk_reading_site_id_connection_id",
        ),
    )
