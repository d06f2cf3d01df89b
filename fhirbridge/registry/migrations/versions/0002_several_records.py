"""One resource of a source may be about several records: a link for each in place of one column."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "origin_record",
        *(sa.Column(name, TEXT, nullable=False) for name in ("site_id", "origin_id", "record_id")),
        sa.PrimaryKeyConstraint("site_id", "origin_id", "record_id", name="pk_origin_record"),
        sa.ForeignKeyConstraint(
            ["site_id", "origin_id"],
            ["origin.site_id", "origin.id"],
            name="fk_origin_record_site_id_origin_id",
        ),
        sa.ForeignKeyConstraint(
            ["site_id", "record_id"],
            ["record.site_id", "record.id"],
            name="fk_origin_record_site_id_record_id",
            deferrable=True,
            initially="DEFERRED",
        ),
    )
    columns = ["site_id", "record_id"]
    op.create_index("ix_origin_record_site_id_record_id", "origin_record", columns)
    op.execute(
        "INSERT INTO origin_record (site_id, origin_id, record_id) "
        "SELECT site_id, id, record_id FROM origin WHERE record_id IS NOT NULL"
    )
