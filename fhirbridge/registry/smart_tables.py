"""The tables of SMART Backend Services, beside the others as these fill their file."""

from __future__ import annotations

from sqlalchemy import Index, Table, UniqueConstraint

from fhirbridge.registry.columns import Json, Moment
from fhirbridge.registry.schema import belongs, may, metadata, must, primary, texts

client_key = Table(
    "client_key",
    metadata,
    *texts("site_id", "client_id", "kid", "alg"),
    must("jwk", Json()),
    primary("client_id", "kid"),
    belongs("client"),
)

# Where a client publishes its keys itself. Those that were fetched stand in client_key.
client_jwks = Table(
    "client_jwks",
    metadata,
    *texts("site_id", "client_id", "url"),
    may("tried_at", Moment()),
    may("fresh_until", Moment()),
    primary("client_id"),
    belongs("client"),
)

assertion_seen = Table(
    "assertion_seen",
    metadata,
    *texts("site_id", "client_id", "jti_hash"),
    must("until", Moment()),
    primary("client_id", "jti_hash"),
    belongs("client"),
    Index(None, "site_id", "until"),
)

access_token = Table(
    "access_token",
    metadata,
    *texts("site_id", "client_id", "hash", "scopes"),
    must("until", Moment()),
    primary("hash"),
    UniqueConstraint("hash"),
    belongs("client"),
    Index(None, "site_id", "until"),
)
