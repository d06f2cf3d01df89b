"""Clients that sign: scopes and public keys, used assertions, and access tokens as hashes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("client", sa.Column("scopes", TEXT, nullable=True))
    _of_client("client_key", "kid", "alg", "jwk", key=("client_id", "kid"))
    _of_client("assertion_seen", "jti_hash", "until", key=("client_id", "jti_hash"))
    _of_client("access_token", "hash", "scopes", "until", key=("hash",))
    for table in ("assertion_seen", "access_token"):
        op.create_index(f"ix_{table}_site_id_until", table, ["site_id", "until"])


def _of_client(table: str, *columns: str, key: tuple[str, ...]) -> None:
    names = ("site_id", "client_id", *columns)
    once = [sa.UniqueConstraint("hash", name="uq_access_token_hash")] if key == ("hash",) else []
    op.create_table(
        table,
        *(sa.Column(name, TEXT, nullable=False) for name in names),
        sa.PrimaryKeyConstraint("site_id", *key, name=f"pk_{table}"),
        *once,
        sa.ForeignKeyConstraint(
            ["site_id", "client_id"],
            ["client.site_id", "client.id"],
            name=f"fk_{table}_site_id_client_id",
        ),
    )
