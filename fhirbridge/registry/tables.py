"""The schema of the registry, on SQLite and on PostgreSQL.

A change comes with a new file in `migrations/versions`; a test holds the two equal.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, UniqueConstraint, text

from fhirbridge.registry.columns import TEXT, Choice, Issues, Json, Moment, Strings
from fhirbridge.registry.schema import (
    belongs,
    flag,
    may,
    metadata,
    must,
    optional,
    primary,
    texts,
    to_site,
    unique,
)

site = Table(
    "site",
    metadata,
    Column("id", TEXT, primary_key=True),
    must("name"),
    must("unmatched", Choice("hold", "enrol", "refuse")),
    must("consent", Choice("enrolment", "record")),
    must("created_at", Moment()),
    UniqueConstraint("name"),
)

client = Table(
    "client",
    metadata,
    to_site(),
    *texts("id", "name", "prefix", "secret_hash"),
    must("created_at", Moment()),
    may("revoked_at", Moment()),
    may("scopes"),  # None: an API key, which has all of its site
    flag("rehearsal"),  # what comes with it is thrown away
    primary("id"),
    unique("name"),
    UniqueConstraint("prefix"),
)

connection = Table(
    "connection",
    metadata,
    to_site(),
    *texts("id", "name", "base_url", "auth_kind"),
    may("auth_cipher", LargeBinary()),
    must("options", Json()),
    must("login", Json()),  # client id, pinned token URL, scopes, public keys
    must("learned", Json()),  # what a check has seen of the server
    must("created_at", Moment()),
    primary("id"),
    unique("name"),
)

subject = Table(
    "subject",
    metadata,
    to_site(),
    *texts("id", "study_id"),
    must("created_at", Moment()),
    primary("id"),
    unique("study_id"),
)

subject_identity = Table(
    "subject_identity",
    metadata,
    *texts("site_id", "hash"),
    must("cipher", LargeBinary()),
    must("subject_id"),
    must("created_at", Moment()),
    may("retired_at", Moment()),  # merged into another number of the same person
    primary("hash"),
    belongs("subject"),
    Index(None, "site_id", "subject_id"),
)

message = Table(
    "message",
    metadata,
    to_site(),
    *texts("id", "source", "kind", "key", "sha256", "state"),
    must("body", LargeBinary()),
    must("received_at", Moment()),
    primary("id"),
    unique("source", "key"),
    Index(None, "site_id", "received_at", "id"),
)

receipt = Table(
    "receipt",
    metadata,
    *texts("site_id", "id", "message_id", "state"),
    must("counts", Json()),
    must("issues", Issues()),
    must("created_at", Moment()),
    primary("id"),
    unique("message_id"),
    belongs("message"),
)

receipt_entry = Table(
    "receipt_entry",
    metadata,
    *texts("site_id", "receipt_id"),
    must("position", Integer()),
    must("part", Integer()),
    must("fate"),
    *optional("resource_type", "source_id", "identifier", "record_id", "rule", "mapping_version"),
    *optional("subject_id", "answer"),
    must("issues", Issues()),
    primary("receipt_id", "position", "part"),
    belongs("receipt"),
    belongs("record", checked="DEFERRED"),
    Index(None, "site_id", "identifier"),
    Index(None, "site_id", "source_id"),
    sqlite_with_rowid=False,
)

record = Table(
    "record",
    metadata,
    *texts("site_id", "id", "subject_id", "form", "key"),
    must("fields", Json()),
    must("status", Choice("active", "withdrawn")),
    must("number", Integer()),
    must("mapping_version"),
    must("updated_at", Moment()),
    primary("id"),
    unique("subject_id", "form", "key"),
    belongs("subject"),
)

revision = Table(
    "revision",
    metadata,
    *texts("site_id", "record_id"),
    must("number", Integer()),
    must("at", Moment()),
    *texts("actor", "reason"),
    may("message_id"),
    must("mapping_version"),
    must("status", Choice("active", "withdrawn")),
    must("changes", Json()),
    primary("record_id", "number"),
    belongs("record"),
    belongs("message"),
    sqlite_with_rowid=False,
)

origin = Table(
    "origin",
    metadata,
    to_site(),
    *texts("id", "source", "resource_type", "source_id"),
    may("version_id"),
    may("last_updated", Moment()),
    must("sha256"),
    # record_id is of the first release: `origin_record` has what was in it. It stays because SQLite
    # could drop it only by rebuilding the table and all that points at it.
    *optional("subject_id", "record_id"),
    must("seen_at", Moment()),
    may("seen_in"),
    may("settled"),
    # Complete readings in a row that did not find it.
    Column("missed", Integer, nullable=False, server_default="0"),
    primary("id"),
    unique("source", "resource_type", "source_id"),
    belongs("subject"),
    belongs("record", checked="DEFERRED"),
)
Index(
    "ix_origin_site_id_record_id",
    origin.c.site_id,
    origin.c.record_id,
    sqlite_where=origin.c.record_id.is_not(None),
    postgresql_where=origin.c.record_id.is_not(None),
)

origin_record = Table(
    "origin_record",
    metadata,
    *texts("site_id", "origin_id", "record_id"),
    primary("origin_id", "record_id"),
    belongs("origin"),
    belongs("record", checked="DEFERRED"),
    Index(None, "site_id", "record_id"),
    sqlite_with_rowid=False,
)

proposal = Table(
    "proposal",
    metadata,
    *texts("site_id", "id", "record_id", "field"),
    must("number", Integer()),
    must("value", Json()),
    must("status", Choice("accepted", "waiting", "refused", "superseded")),
    *optional("origin_id", "message_id"),
    may("position", Integer()),
    *optional("path", "rule", "decided_by", "decided_because"),
    must("mapping_version"),
    must("at", Moment()),
    primary("id"),
    unique("record_id", "field", "number"),
    belongs("record", checked="DEFERRED"),
    belongs("origin"),
    belongs("message"),
    sqlite_with_rowid=False,
)
# Few wait, and the others are never looked for by their status alone.
Index(
    "ix_proposal_waiting",
    proposal.c.site_id,
    proposal.c.record_id,
    sqlite_where=text("status = 'waiting'"),
    postgresql_where=text("status = 'waiting'"),
)

resource = Table(
    "resource",
    metadata,
    *texts("site_id", "id", "record_id", "block", "type", "fhir_id", "sha256"),
    must("version", Integer()),
    must("last_updated", Moment()),
    must("body", Json()),
    must("deleted", Boolean()),
    may("revision", Integer()),  # the record's that made this version
    primary("id"),
    unique("type", "fhir_id"),
    unique("record_id", "block"),
    belongs("record"),
)

resource_token = Table(
    "resource_token",
    metadata,
    *texts("site_id", "resource_id", "name"),
    must("system"),  # "" where the token has none
    must("value"),
    primary("resource_id", "name", "system", "value"),
    belongs("resource"),
    Index(None, "site_id", "name", "value", "system"),
    sqlite_with_rowid=False,
)

resource_date = Table(
    "resource_date",
    metadata,
    *texts("site_id", "resource_id", "name", "low", "high"),
    primary("resource_id", "name", "low", "high"),
    belongs("resource"),
    Index(None, "site_id", "name", "low"),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    metadata,
    *texts("site_id", "id", "message_id"),
    must("position", Integer()),
    must("part", Integer()),
    *optional("resource_type", "source_id"),
    must("issues", Issues()),
    must("state", Choice("waiting", "released")),
    must("created_at", Moment()),
    may("released_at", Moment()),
    primary("id"),
    unique("message_id", "position", "part"),
    belongs("message"),
    Index(None, "site_id", "state", "created_at"),
)

sync_run = Table(
    "sync_run",
    metadata,
    *texts("site_id", "id", "connection_id"),
    must("kind", Choice("pull", "deliver")),
    must("state", Choice("running", "complete", "incomplete", "failed")),
    must("counts", Json()),
    must("reasons", Strings()),
    must("started_at", Moment()),
    may("ended_at", Moment()),
    must("facts", Json()),
    primary("id"),
    belongs("connection"),
)
# At most one run of a kind goes on for a connection, whoever starts it.
Index(
    "uq_sync_run_running",
    sync_run.c.site_id,
    sync_run.c.connection_id,
    sync_run.c.kind,
    unique=True,
    sqlite_where=sync_run.c.ended_at.is_(None),
    postgresql_where=sync_run.c.ended_at.is_(None),
)

cursor = Table(
    "cursor",
    metadata,
    *texts("site_id", "run_id", "stream"),
    must("state", Choice("open", "done")),
    may("next_url"),
    must("page", Integer()),
    must("updated_at", Moment()),
    primary("run_id", "stream"),
    belongs("sync_run"),
)

# How far each stream of a connection has been read, over all runs.
reading = Table(
    "reading",
    metadata,
    *texts("site_id", "connection_id", "stream"),
    *(may(name, Moment()) for name in ("since", "full_at")),
    may("full_in"),
    must("updated_at", Moment()),
    primary("connection_id", "stream"),
    belongs("connection"),
)

delivery = Table(
    "delivery",
    metadata,
    *texts("site_id", "id", "connection_id", "resource_id"),
    must("state", Choice("pending", "sent", "verified", "conflict", "dead")),
    *optional("remote_id", "remote_version", "sent_sha256"),
    must("attempts", Integer()),
    must("issues", Issues()),
    must("updated_at", Moment()),
    *optional("cause", "remote_sha256"),  # of what was read back there, without its stamps
    must("failures", Integer()),
    may("not_before", Moment()),
    may("sent_body", Json()),
    primary("id"),
    unique("connection_id", "resource_id"),
    belongs("connection"),
    belongs("resource"),
)
