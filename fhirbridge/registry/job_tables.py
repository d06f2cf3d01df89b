"""The tables of background work: who may do it, what is to be done, and when it comes again."""

from __future__ import annotations

from sqlalchemy import Index, Integer, Table

from fhirbridge.registry.columns import Choice, Issues, Moment
from fhirbridge.registry.schema import (
    belongs,
    may,
    metadata,
    must,
    optional,
    primary,
    texts,
)

# Who works on a connection. The number grows with each one who takes it, and is never used again:
# what is committed under an older one is refused.
lease = Table(
    "lease",
    metadata,
    *texts("site_id", "connection_id"),
    must("kind", Choice("pull", "deliver")),
    must("holder"),  # "" where nobody has it
    must("number", Integer()),
    must("taken_at", Moment()),
    must("until", Moment()),
    primary("connection_id", "kind"),
    belongs("connection"),
)

# The kind is a plain text: what a newer version has added is left waiting by an older one.
job = Table(
    "job",
    metadata,
    *texts("site_id", "id", "connection_id", "kind"),
    must("state", Choice("waiting", "running", "done", "dead", "cancelled")),
    must("not_before", Moment()),
    must("attempts", Integer()),  # begun and not ended, one after the other
    must("failures", Integer()),  # put off, one after the other
    must("progress", Integer()),  # what the run had counted when the last attempt began
    must("issues", Issues()),
    must("made_by"),
    must("made_at", Moment()),
    may("told_at", Moment()),  # when the broker heard of it
    may("begun_at", Moment()),
    may("ended_at", Moment()),
    *optional("run_id"),
    primary("id"),
    belongs("connection"),
    belongs("sync_run"),
    Index(None, "site_id", "made_at", "id"),
)
# Of a kind one job at most stands open for a connection: what comes while it does is the same work.
Index(
    "uq_job_open",
    job.c.site_id,
    job.c.connection_id,
    job.c.kind,
    unique=True,
    sqlite_where=job.c.ended_at.is_(None),
    postgresql_where=job.c.ended_at.is_(None),
)

schedule = Table(
    "schedule",
    metadata,
    *texts("site_id", "connection_id", "kind", "rule", "zone"),
    must("next_at", Moment()),
    may("last_at", Moment()),
    must("set_by"),
    must("set_at", Moment()),
    primary("connection_id", "kind"),
    belongs("connection"),
)
