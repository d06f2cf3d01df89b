"""The table of uploads, beside the others as these fill their file."""

from __future__ import annotations

from sqlalchemy import Index, Integer, LargeBinary, Table

from fhirbridge.registry.columns import Choice, Json, Moment
from fhirbridge.registry.schema import (
    may,
    metadata,
    must,
    optional,
    primary,
    texts,
    to_site,
    unique,
)

upload = Table(
    "upload",
    metadata,
    to_site(),
    *texts("id", "form", "name", "sha256", "asked", "asked_sha256", "mapping_version"),
    must("state", Choice("rehearsed", "applying", "applied")),
    must("body", LargeBinary()),  # empty: not kept any more
    must("header", Json()),
    must("counts", Json()),
    must("chunks", Integer()),  # those that are committed
    must("created_by"),
    must("created_at", Moment()),
    *optional("applied_by", "reason"),
    may("applied_at", Moment()),
    primary("id"),
    # A data dictionary is longer than an index row of PostgreSQL may be (8191 bytes): by its hash.
    unique("form", "sha256", "asked_sha256", "mapping_version"),
    Index(None, "site_id", "created_at", "id"),
)
