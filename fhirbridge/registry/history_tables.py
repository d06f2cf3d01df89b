"""What a resource was before, beside the other tables as these fill their file."""

from __future__ import annotations

from sqlalchemy import Boolean, Index, Integer, Table

from fhirbridge.registry import tables
from fhirbridge.registry.columns import Json, Moment
from fhirbridge.registry.schema import belongs, may, metadata, must, primary, texts

resource_version = Table(
    "resource_version",
    metadata,
    *texts("site_id", "resource_id"),
    must("version", Integer()),
    must("last_updated", Moment()),
    must("body", Json()),
    must("sha256"),
    must("deleted", Boolean()),
    may("revision", Integer()),
    primary("resource_id", "version"),
    belongs("resource"),
)

Index(
    "ix_resource_site_id_type_last_updated",
    tables.resource.c.site_id,
    tables.resource.c.type,
    tables.resource.c.last_updated,
)
