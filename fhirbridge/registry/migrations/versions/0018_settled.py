"""A mark beside each origin that need not be read again as long as it comes as it came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("origin", sa.Column("settled", TEXT, nullable=True))
