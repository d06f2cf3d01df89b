"""What is listed is found by an index; who decided a proposal is kept; clients may publish their
keys at a URL.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for name in ("decided_by", "decided_because"):
        op.add_column("proposal", sa.Column(name, TEXT, nullable=True))
    for table, *columns in (
        ("message", "received_at", "id"),
        ("receipt_entry", "identifier"),
        ("receipt_entry", "source_id"),
    ):
        op.create_index(
            f"ix_{table}_{'_'.join(['site_id', *columns])}", table, ["site_id", *columns]
        )
    op.create_table(
        "client_jwks",
        *(sa.Column(name, TEXT, nullable=False) for name in ("site_id", "client_id", "url")),
        *(sa.Column(name, TEXT, nullable=True) for name in ("tried_at", "fresh_until")),
        sa.PrimaryKeyConstraint("site_id", "client_id", name="pk_client_jwks"),
        sa.ForeignKeyConstraint(
            ["site_id", "client_id"],
            ["client.site_id", "client.id"],
            name="fk_client_jwks_site_id_client_id",
        ),
    )
