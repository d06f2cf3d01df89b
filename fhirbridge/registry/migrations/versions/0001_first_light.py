"""First light: the tables of the first release."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Text that is compared or ordered is so by its bytes, on PostgreSQL, too.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _people()
    _messages()
    _records()
    _receipts()
    _resources()
    _runs()


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def _optional(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, TEXT, nullable=True) for name in names]


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _in_site(child: str, parent: str, column: str = "", **when: Any) -> sa.ForeignKeyConstraint:
    column = column or f"{parent}_id"
    return sa.ForeignKeyConstraint(
        ["site_id", column],
        [f"{parent}.site_id", f"{parent}.id"],
        name=f"fk_{child}_site_id_{column}",
        **when,
    )


def _people() -> None:
    op.create_table(
        "site",
        *_texts("id", "name", "unmatched", "created_at"),
        _key("site", "id"),
        _unique("site", "name"),
    )
    op.create_table(
        "client",
        *_texts("site_id", "id", "name", "prefix", "secret_hash", "created_at"),
        *_optional("revoked_at"),
        _key("client", "site_id", "id"),
        _unique("client", "prefix"),
        _unique("client", "site_id", "name"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_client_site_id"),
    )
    op.create_table(
        "connection",
        *_texts("site_id", "id", "name", "base_url", "auth_kind"),
        sa.Column("auth_cipher", sa.LargeBinary(), nullable=True),
        *_texts("created_at"),
        _key("connection", "site_id", "id"),
        _unique("connection", "site_id", "name"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_connection_site_id"),
    )
    op.create_table(
        "subject",
        *_texts("site_id", "id", "study_id", "created_at"),
        _key("subject", "site_id", "id"),
        _unique("subject", "site_id", "study_id"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_subject_site_id"),
    )
    op.create_table(
        "subject_identity",
        *_texts("site_id", "hash"),
        sa.Column("cipher", sa.LargeBinary(), nullable=False),
        *_texts("subject_id", "created_at"),
        _key("subject_identity", "site_id", "hash"),
        _in_site("subject_identity", "subject"),
    )
    _index("subject_identity", "site_id", "subject_id")


def _messages() -> None:
    op.create_table(
        "message",
        *_texts("site_id", "id", "source", "kind", "key", "sha256"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        *_texts("received_at", "state"),
        _key("message", "site_id", "id"),
        _unique("message", "site_id", "source", "key"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_message_site_id"),
    )


def _records() -> None:
    op.create_table(
        "record",
        *_texts("site_id", "id", "subject_id", "form", "key", "fields", "status"),
        sa.Column("number", sa.Integer(), nullable=False),
        *_texts("mapping_version", "updated_at"),
        _key("record", "site_id", "id"),
        _unique("record", "site_id", "subject_id", "form", "key"),
        _in_site("record", "subject"),
    )
    op.create_table(
        "revision",
        *_texts("site_id", "record_id"),
        sa.Column("number", sa.Integer(), nullable=False),
        *_texts("at", "actor", "reason"),
        *_optional("message_id"),
        *_texts("mapping_version", "status", "changes"),
        _key("revision", "site_id", "record_id", "number"),
        _in_site("revision", "message"),
        _in_site("revision", "record"),
    )
    op.create_table(
        "origin",
        *_texts("site_id", "id", "source", "resource_type", "source_id"),
        *_optional("version_id", "last_updated"),
        *_texts("sha256"),
        *_optional("subject_id", "record_id"),
        *_texts("seen_at"),
        _key("origin", "site_id", "id"),
        _unique("origin", "site_id", "source", "resource_type", "source_id"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_origin_site_id"),
        _in_site("origin", "record", deferrable=True, initially="DEFERRED"),
        _in_site("origin", "subject"),
    )
    _index("origin", "site_id", "record_id")
    op.create_table(
        "proposal",
        *_texts("site_id", "id", "record_id", "field"),
        sa.Column("number", sa.Integer(), nullable=False),
        *_texts("value", "status"),
        *_optional("origin_id", "message_id"),
        sa.Column("position", sa.Integer(), nullable=True),
        *_optional("path", "rule"),
        *_texts("mapping_version", "at"),
        _key("proposal", "site_id", "id"),
        _unique("proposal", "site_id", "record_id", "field", "number"),
        _in_site("proposal", "message"),
        _in_site("proposal", "origin"),
        _in_site("proposal", "record", deferrable=True, initially="DEFERRED"),
    )
    _index("proposal", "site_id", "status")


def _receipts() -> None:
    op.create_table(
        "receipt",
        *_texts("site_id", "id", "message_id", "state", "counts", "issues", "created_at"),
        _key("receipt", "site_id", "id"),
        _unique("receipt", "site_id", "message_id"),
        _in_site("receipt", "message"),
    )
    op.create_table(
        "receipt_entry",
        *_texts("site_id", "receipt_id"),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        *_texts("fate"),
        *_optional(
            "resource_type", "source_id", "identifier", "record_id", "rule", "mapping_version"
        ),
        *_texts("issues"),
        _key("receipt_entry", "site_id", "receipt_id", "position", "part"),
        _in_site("receipt_entry", "receipt"),
        _in_site("receipt_entry", "record", deferrable=True, initially="DEFERRED"),
    )
    op.create_table(
        "quarantine",
        *_texts("site_id", "id", "message_id"),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        *_optional("resource_type", "source_id"),
        *_texts("issues", "state", "created_at"),
        *_optional("released_at"),
        _key("quarantine", "site_id", "id"),
        _unique("quarantine", "site_id", "message_id", "position", "part"),
        _in_site("quarantine", "message"),
    )
    _index("quarantine", "site_id", "state", "created_at")


def _resources() -> None:
    op.create_table(
        "resource",
        *_texts("site_id", "id", "record_id", "block", "type", "fhir_id"),
        sa.Column("version", sa.Integer(), nullable=False),
        *_texts("last_updated", "body", "sha256"),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        _key("resource", "site_id", "id"),
        _unique("resource", "site_id", "record_id", "block"),
        _unique("resource", "site_id", "type", "fhir_id"),
        _in_site("resource", "record"),
    )
    op.create_table(
        "resource_token",
        *_texts("site_id", "resource_id", "name", "system", "value"),
        _key("resource_token", "site_id", "resource_id", "name", "system", "value"),
        _in_site("resource_token", "resource"),
    )
    _index("resource_token", "site_id", "name", "value", "system")
    op.create_table(
        "resource_date",
        *_texts("site_id", "resource_id", "name", "low", "high"),
        _key("resource_date", "site_id", "resource_id", "name", "low", "high"),
        _in_site("resource_date", "resource"),
    )
    _index("resource_date", "site_id", "name", "low")


def _runs() -> None:
    op.create_table(
        "sync_run",
        *_texts(
            "site_id", "id", "connection_id", "kind", "state", "counts", "reasons", "started_at"
        ),
        *_optional("ended_at"),
        _key("sync_run", "site_id", "id"),
        _in_site("sync_run", "connection"),
    )
    running = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_sync_run_running",
        "sync_run",
        ["site_id", "connection_id", "kind"],
        unique=True,
        sqlite_where=running,
        postgresql_where=running,
    )
    op.create_table(
        "cursor",
        *_texts("site_id", "run_id", "stream", "state"),
        *_optional("next_url"),
        sa.Column("page", sa.Integer(), nullable=False),
        *_texts("updated_at"),
        _key("cursor", "site_id", "run_id", "stream"),
        _in_site("cursor", "sync_run", "run_id"),
    )
    op.create_table(
        "delivery",
        *_texts("site_id", "id", "connection_id", "resource_id", "state"),
        *_optional("remote_id", "remote_version", "sent_sha256"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        *_texts("issues", "updated_at"),
        _key("delivery", "site_id", "id"),
        _unique("delivery", "site_id", "connection_id", "resource_id"),
        _in_site("delivery", "connection"),
        _in_site("delivery", "resource"),
    )
