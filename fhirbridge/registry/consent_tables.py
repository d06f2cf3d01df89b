"""The tables of withdrawn persons and of the sites' own crosswalk lines, beside the others as these
fill their file.
"""

from __future__ import annotations

from sqlalchemy import Index, Table

from fhirbridge.registry.columns import Moment
from fhirbridge.registry.schema import may, metadata, must, optional, primary, texts, to_site

# What stays of a person who was erased: keyed hashes, so that what comes again is known, and no
# more. No foreign key leads to a subject: there is none any more.
tombstone = Table(
    "tombstone",
    metadata,
    to_site(),
    must("hash"),
    must("at", Moment()),
    primary("hash"),
)

crosswalk_line = Table(
    "crosswalk_line",
    metadata,
    to_site(),
    *texts("id", "crosswalk", "system", "code", "display", "target", "relationship"),
    *texts("added_by", "reason"),
    must("added_at", Moment()),
    *optional("withdrawn_by", "withdrawn_reason"),
    may("withdrawn_at", Moment()),
    primary("id"),
)
# Of two persons who add a line for one code at the same time the second is refused.
Index(
    "uq_crosswalk_line_code",
    crosswalk_line.c.site_id,
    crosswalk_line.c.crosswalk,
    crosswalk_line.c.system,
    crosswalk_line.c.code,
    unique=True,
    sqlite_where=crosswalk_line.c.withdrawn_at.is_(None),
    postgresql_where=crosswalk_line.c.withdrawn_at.is_(None),
)
