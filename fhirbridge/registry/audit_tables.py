"""The tables of the audit trail. That nothing of `audit` can be changed, its migration's triggers
hold; that nobody changed it all the same, its chain of hashes tells.
"""

from __future__ import annotations

from sqlalchemy import Integer, Table

from fhirbridge.registry.columns import Choice, Json, Moment
from fhirbridge.registry.schema import may, metadata, must, primary, texts, to_site

ACTIONS = ("C", "R", "U", "D", "E")  # https://hl7.org/fhir/R4/valueset-audit-event-action.html
OUTCOMES = ("done", "refused", "failed")

audit = Table(
    "audit",
    metadata,
    to_site(),
    must("seq", Integer()),
    must("at", Moment()),
    must("actor"),
    must("action", Choice(*ACTIONS)),
    must("event"),
    must("outcome", Choice(*OUTCOMES)),
    must("entities", Json()),
    may("request_id"),
    *texts("previous", "hash"),
    primary("seq"),
)

# The last row's number and hash, from which the next goes on; locked until the commit.
audit_head = Table(
    "audit_head",
    metadata,
    to_site(),
    must("seq", Integer()),
    must("hash"),
    primary(),
)
