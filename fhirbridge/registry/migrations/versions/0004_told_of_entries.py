"""A receipt's entry knows whose it is, and what the sender was answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for name in ("subject_id", "answer"):
        op.add_column("receipt_entry", sa.Column(name, TEXT, nullable=True))
