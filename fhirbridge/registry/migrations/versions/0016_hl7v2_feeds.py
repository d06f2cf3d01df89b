"""Feeds of HL7 v2, and numbers of a person that were merged into another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("subject_identity", sa.Column("retired_at", TEXT, nullable=True))
    op.create_table(
        "feed",
        *(sa.Column(name, TEXT, nullable=False) for name in ("site_id", "id", "name")),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("fingerprint", TEXT, nullable=True),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("ended_at", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("site_id", "id", name="pk_feed"),
        sa.UniqueConstraint("site_id", "name", name="uq_feed_site_id_name"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_feed_site_id"),
    )
    for name in ("port", "fingerprint"):
        open_ones = sa.text("ended_at IS NULL")
        op.create_index(
            f"uq_feed_{name}",
            "feed",
            [name],
            unique=True,
            sqlite_where=open_ones,
            postgresql_where=open_ones,
        )
