"""A delivery waits for its time, keeps what it sent and why it ended; what a server lets us
write.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for name in ("cause", "remote_sha256", "not_before", "sent_body"):
        op.add_column("delivery", sa.Column(name, TEXT, nullable=True))
    failures = sa.Column("failures", sa.Integer(), nullable=False, server_default="0")
    op.add_column("delivery", failures)
    named = ("site_id", "connection_id", "resource_type", "ability", "cause", "learned_at")
    op.create_table(
        "writability",
        *(sa.Column(name, TEXT, nullable=False) for name in named),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "site_id", "connection_id", "resource_type", "ability", name="pk_writability"
        ),
        sa.ForeignKeyConstraint(
            ["site_id", "connection_id"],
            ["connection.site_id", "connection.id"],
            name="fk_writability_site_id_connection_id",
        ),
    )
