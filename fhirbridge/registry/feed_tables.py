"""The table of HL7 v2 feeds, beside the others as these fill their file."""

from __future__ import annotations

from sqlalchemy import Index, Integer, Table

from fhirbridge.registry.columns import Moment
from fhirbridge.registry.schema import flag, may, metadata, must, primary, texts, to_site, unique

# MLLP carries no identity: what came in by which port, or with which certificate, says whose it is.
feed = Table(
    "feed",
    metadata,
    to_site(),
    *texts("id", "name"),
    may("port", Integer()),
    may("fingerprint"),
    must("created_at", Moment()),
    may("ended_at", Moment()),
    flag("rehearsal"),  # what comes by it is answered, and thrown away
    primary("id"),
    unique("name"),
)
# A port or a certificate is of one feed, whichever site's; what has ended frees it.
Index(
    "uq_feed_port",
    feed.c.port,
    unique=True,
    sqlite_where=feed.c.ended_at.is_(None),
    postgresql_where=feed.c.ended_at.is_(None),
)
Index(
    "uq_feed_fingerprint",
    feed.c.fingerprint,
    unique=True,
    sqlite_where=feed.c.ended_at.is_(None),
    postgresql_where=feed.c.ended_at.is_(None),
)
