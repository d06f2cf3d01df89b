"""Versions of a resource before its present one, and which revision of the record made each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TEXTS = ("site_id", "resource_id", "last_updated", "body", "sha256")


def upgrade() -> None:
    op.add_column("resource", sa.Column("revision", sa.Integer(), nullable=True))
    op.create_index(
        "ix_resource_site_id_type_last_updated", "resource", ["site_id", "type", "last_updated"]
    )
    op.create_table(
        "resource_version",
        *(sa.Column(name, TEXT, nullable=False) for name in _TEXTS),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("site_id", "resource_id", "version", name="pk_resource_version"),
        sa.ForeignKeyConstraint(
            ["site_id", "resource_id"],
            ["resource.site_id", "resource.id"],
            name="fk_resource_version_site_id_resource_id",
        ),
    )
