"""The table of what a hospital's server lets us write, as it declared or as we learned."""

from __future__ import annotations

from sqlalchemy import Boolean, Integer, Table

from fhirbridge.registry.columns import Moment
from fhirbridge.registry.schema import belongs, metadata, must, primary, texts

writability = Table(
    "writability",
    metadata,
    *texts("site_id", "connection_id", "resource_type", "ability"),
    must("allowed", Boolean()),
    must("cause"),
    must("times", Integer()),
    must("learned_at", Moment()),
    primary("connection_id", "resource_type", "ability"),
    belongs("connection"),
)
