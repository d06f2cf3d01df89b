"""Leases with a fencing number, jobs, and the schedules that make them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _of_connection(
        "lease",
        ("kind", "holder", "taken_at", "until"),
        numbers=("number",),
        key=("connection_id", "kind"),
    )
    _of_connection(
        "job",
        ("id", "kind", "state", "not_before", "issues", "made_by", "made_at"),
        numbers=("attempts", "failures", "progress"),
        empty=("told_at", "begun_at", "ended_at", "run_id"),
        key=("id",),
        more=[_belongs("job", "run_id", "sync_run")],
    )
    op.create_index("ix_job_site_id_made_at_id", "job", ["site_id", "made_at", "id"])
    standing = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_job_open",
        "job",
        ["site_id", "connection_id", "kind"],
        unique=True,
        sqlite_where=standing,
        postgresql_where=standing,
    )
    _of_connection(
        "schedule",
        ("kind", "rule", "zone", "next_at", "set_by", "set_at"),
        empty=("last_at",),
        key=("connection_id", "kind"),
    )


def _of_connection(
    table: str,
    columns: tuple[str, ...],
    *,
    key: tuple[str, ...],
    numbers: tuple[str, ...] = (),
    empty: tuple[str, ...] = (),
    more: list[sa.ForeignKeyConstraint] | None = None,
) -> None:
    names = ("site_id", "connection_id", *columns)
    op.create_table(
        table,
        *(sa.Column(name, TEXT, nullable=False) for name in names),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in numbers),
        *(sa.Column(name, TEXT, nullable=True) for name in empty),
        sa.PrimaryKeyConstraint("site_id", *key, name=f"pk_{table}"),
        _belongs(table, "connection_id", "connection"),
        *(more or []),
    )


def _belongs(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["site_id", column],
        [f"{parent}.site_id", f"{parent}.id"],
        name=f"fk_{table}_site_id_{column}",
    )
