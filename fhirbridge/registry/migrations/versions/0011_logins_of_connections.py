"""A connection keeps how its token is had, and what was seen of its server."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for name in ("login", "learned"):
        column = sa.Column(name, TEXT, nullable=False, server_default="{}")
        op.add_column("connection", column)
