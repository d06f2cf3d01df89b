"""Files of tables that sites upload."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_TEXTS = ("id", "form", "name", "sha256", "asked", "asked_sha256", "mapping_version", "state")


def upgrade() -> None:
    op.create_table(
        "upload",
        *(sa.Column(name, TEXT, nullable=False) for name in ("site_id", *_TEXTS)),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("header", "counts")),
        sa.Column("chunks", sa.Integer(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("created_by", "created_at")),
        *(sa.Column(name, TEXT, nullable=True) for name in ("applied_by", "reason", "applied_at")),
        sa.PrimaryKeyConstraint("site_id", "id", name="pk_upload"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_upload_site_id"),
        sa.UniqueConstraint(
            "site_id",
            "form",
            "sha256",
            "asked_sha256",
            "mapping_version",
            name="uq_upload_site_id_form_sha256_asked_sha256_mapping_version",
        ),
    )
    op.create_index("ix_upload_site_id_created_at_id", "upload", ["site_id", "created_at", "id"])
