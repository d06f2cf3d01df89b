"""A push from its request to its receipt: body, scopes, key, and one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import g, request

from fhirbridge.outcome import BridgeError
from fhirbridge.registry.faults import Collision
from fhirbridge.registry.receipts import Receipt
from fhirbridge.sync import additions
from fhirbridge.sync.ingest import Incoming, Ingested, ingest, preview
from fhirbridge.web import bodies, entrance, pushed, rehearsing, served

_TRIES = 3
WRITES = "cu"  # a record's key decides whether a push creates or updates: it needs both


@dataclass(frozen=True, slots=True)
class Taken:
    """`fresh`: it was worked off now, and not found as taken before; `made` is what was sent."""

    receipt: Receipt
    fresh: bool
    made: Mapping[str, Any]

    def accepted(self) -> Taken:
        """Raises `BridgeError` with the reasons where the message was refused as a whole."""
        if self.receipt.issues:
            raise BridgeError(*self.receipt.issues)
        return self

    @property
    def headers(self) -> dict[str, str]:
        """None name the receipt of a rehearsal, which is nowhere but in the answer."""
        if g.caller.rehearsal:
            return {}
        id = self.receipt.id
        told = {"X_Receipt": id, "Link": f'</receipts/{id}>; rel="receipt"'}
        return told if self.fresh else {**told, "Idempotent_Replayed": "true"}


def take(kind: str, asked: Mapping[str, str] | None = None) -> Taken:
    """Ingest the request's body in one transaction, which is rolled back where it came with a
    rehearsal key. `kind` and `asked` are those of `Incoming`."""
    incoming = _incoming(kind, asked)
    done = _stored(incoming)
    if g.caller.rehearsal:
        rehearsing.note_of(incoming.kind, done.receipt)
        return Taken(done.receipt, done.fresh, done.made)
    g.receipt_id = done.receipt.id  # an error names it, too
    entrance.ingested(done.receipt, fresh=done.fresh)
    return Taken(done.receipt, done.fresh, done.made)


def _stored(incoming: Incoming, *, tries: int = _TRIES) -> Ingested:
    """Where it collides with another message, it is tried again: the other has ended by then."""
    try:
        return _store(incoming)
    except Collision:
        if tries == 1:
            raise
    return _stored(incoming, tries=tries - 1)


def _store(incoming: Incoming) -> Ingested:
    here = served.service()
    with here.registry.unit(g.caller.site_id, request_id=g.request_id) as unit:
        mappings = additions.mappings(here.library, unit, g.caller.site_name)
        done = ingest(unit, mappings, incoming)
        if g.caller.rehearsal:
            return done  # without its commit, nothing of it was
        here.crash.reach("ingest.before-commit")
        unit.commit()
        here.crash.reach("ingest.after-commit")
    return done


def rehearse(kind: str, asked: Mapping[str, str], body: bytes) -> Receipt:
    """What `take` would answer of this body; nothing is kept."""
    incoming = _incoming(kind, asked, body)
    here = served.service()
    with here.registry.unit(g.caller.site_id) as unit:
        mappings = additions.mappings(here.library, unit, g.caller.site_name)
        return preview(unit, mappings, incoming)


def _incoming(kind: str, asked: Mapping[str, str] | None, body: bytes | None = None) -> Incoming:
    body = bodies.read_body(request) if body is None else body
    if kind.endswith("/Bundle") and not g.caller.scopes.allow("*", WRITES):
        for type in pushed.types(body):
            g.caller.must(WRITES, type)
    key = request.headers.get("Idempotency-Key", "")
    return Incoming(g.caller.source, kind, key, body, asked=asked or {})
