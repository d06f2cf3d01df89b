"""Consent: a site's policy, what stays of erased persons; and the sites' own crosswalk lines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_LINE = ("id", "crosswalk", "system", "code", "display", "target", "relationship")
_WHO = ("added_by", "reason", "added_at")
_WITHDRAWN = ("withdrawn_by", "withdrawn_reason", "withdrawn_at")


def upgrade() -> None:
    policy = sa.Column("consent", TEXT, nullable=False, server_default="enrolment")
    op.add_column("site", policy)
    _of_site("tombstone", ("hash", "at"), key="hash")
    _of_site("crosswalk_line", (*_LINE, *_WHO), key="id", empty=_WITHDRAWN)
    active = sa.text("withdrawn_at IS NULL")
    op.create_index(
        "uq_crosswalk_line_code",
        "crosswalk_line",
        ["site_id", "crosswalk", "system", "code"],
        unique=True,
        sqlite_where=active,
        postgresql_where=active,
    )


def _of_site(
    table: str, columns: tuple[str, ...], *, key: str, empty: tuple[str, ...] = ()
) -> None:
    op.create_table(
        table,
        *(sa.Column(name, TEXT, nullable=False) for name in ("site_id", *columns)),
        *(sa.Column(name, TEXT, nullable=True) for name in empty),
        sa.PrimaryKeyConstraint("site_id", key, name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=f"fk_{table}_site_id"),
    )
