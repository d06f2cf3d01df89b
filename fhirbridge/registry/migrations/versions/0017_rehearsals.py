"""Keys and feeds whose messages are rehearsed: worked off, answered, thrown away."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    for table in ("client", "feed"):
        op.add_column(
            table,
            sa.Column("rehearsal", sa.Boolean(), nullable=False, server_default=sa.false()),
        )
