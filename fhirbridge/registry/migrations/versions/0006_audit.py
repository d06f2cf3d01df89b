"""The audit trail, to which rows can be added and nothing else be done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_SQLITE = """
CREATE TRIGGER audit_not_{name} BEFORE {event} ON audit {when}
BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END
"""
# REPLACE INTO deletes without the trigger of DELETE; only the insertion can be told.
_TAKEN = "WHEN EXISTS (SELECT 1 FROM audit WHERE site_id = NEW.site_id AND seq = NEW.seq)"
_POSTGRESQL = """
CREATE FUNCTION audit_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit trail is only added to'; END $$;
CREATE TRIGGER audit_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_added_to()
"""


def upgrade() -> None:
    _table("audit_head", *_numbered(), *_texts("hash"), key=("site_id",))
    _table(
        "audit",
        *_numbered(),
        *_texts("at", "actor", "action", "event", "outcome", "entities"),
        sa.Column("request_id", TEXT, nullable=True),
        *_texts("previous", "hash"),
        key=("site_id", "seq"),
    )
    op.execute("INSERT INTO audit_head (site_id, seq, hash) SELECT id, 0, '' FROM site")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_POSTGRESQL)
        return
    for name, event, when in (
        ("changed", "UPDATE", ""),
        ("deleted", "DELETE", ""),
        ("replaced", "INSERT", _TAKEN),
    ):
        op.execute(_SQLITE.format(name=name, event=event, when=when))


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def _numbered() -> list[sa.Column[str] | sa.Column[int]]:
    return [*_texts("site_id"), sa.Column("seq", sa.Integer(), nullable=False)]


def _table(name: str, *columns: sa.Column[str] | sa.Column[int], key: tuple[str, ...]) -> None:
    op.create_table(
        name,
        *columns,
        sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=f"fk_{name}_site_id"),
    )
