"""The pushing half of the FHIR door (R4 JSON): transactions and resources in.

https://hl7.org/fhir/R4/http.html. What was pushed is kept as a message, and answered as a record.
"""

from __future__ import annotations

import hashlib
from itertools import groupby
from typing import Any

from flask import Blueprint, Response, g, request

from fhirbridge.outcome import BridgeError, Issue, failed, operation_outcome
from fhirbridge.registry.messages import Receipt, ReceiptEntry
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.ingest import Incoming, ingest
from fhirbridge.web import access, bodies, pushed, served
from fhirbridge.web.errors import answer

door = Blueprint("fhir_push", __name__, url_prefix="/fhir")

_TAKEN = ("applied", "unchanged")
_WRITES = "cu"  # a record's key decides whether a push creates or updates: it needs both

Facts = tuple[ReceiptEntry, ...]
"""The lines of a receipt that are about one entry."""


@door.post("/")
@door.post("", strict_slashes=False)
def transaction() -> Response:
    """A transaction Bundle, worked off before the answer."""
    if not g.caller.scopes.allow_somewhere(_WRITES):
        raise access.forbidden(f"system/TYPE.{_WRITES} of any type")
    receipt, fresh = _take()
    with served.service().registry.read(g.caller.site_id) as unit:
        entries = [_response_entry(unit, facts) for facts in _by_entry(receipt)]
    made = {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}
    return answer(made, **_told(receipt, fresh))


@door.post("/<type>")
def create(type: str) -> Response:
    """One resource; or a Bundle, which some clients post to /Bundle."""
    if type == "Bundle":
        return transaction()
    g.caller.must(_WRITES, type)
    _read(type)
    if "If-None-Exist" in request.headers:  # rather refused than not listened to
        cause, remedy = "If-None-Exist is not read here", "send a transaction with ifNoneExist"
        raise BridgeError(Issue("not-supported", cause, remedy, place="If-None-Exist"))
    receipt, fresh = _take(expected=type)
    facts = receipt.entries
    with served.service().registry.read(g.caller.site_id) as unit:
        row = _row_of(unit, facts[0])
        body = served.body(unit, row) if row else {}
    headers = _told(receipt, fresh)
    status = _status(facts, row)
    whole = facts[0].fate in _TAKEN and not status.startswith("202")
    if row is None or row.deleted or not whole:
        return answer(operation_outcome(_issues(facts)), int(status[:3]), **headers)
    made = 201 if fresh and status.startswith("201") else 200
    if not g.caller.scopes.allow(row.type, "r"):  # it may hold more than was sent
        body = operation_outcome(_issues(facts))
    return answer(body, made, **headers, **served.versioned(row))


def _read(type: str) -> None:
    """What the mappings read may be sent, also where it is never served by itself."""
    if not served.service().library.of_site(g.caller.site_name).reads(type):
        served.must_hold(type)


def _take(expected: str = "Bundle") -> tuple[Receipt, bool]:
    """Ingest the request's body in one transaction; the receipt, and whether the message is new."""
    body = bodies.read_body(request)
    if expected == "Bundle" and not g.caller.scopes.allow("*", _WRITES):
        for type in pushed.types(body):
            g.caller.must(_WRITES, type)
    key = request.headers.get("Idempotency-Key", "") or hashlib.sha256(body).hexdigest()
    incoming = Incoming(g.caller.source, f"push/{expected}", key, body)
    here = served.service()
    with here.registry.unit(g.caller.site_id) as unit:
        done = ingest(unit, here.library.of_site(g.caller.site_name), incoming)
        here.crash.reach("ingest.before-commit")
        unit.commit()
        here.crash.reach("ingest.after-commit")
    g.receipt_id = done.receipt.id
    if done.receipt.issues:
        raise BridgeError(*done.receipt.issues)
    return done.receipt, done.fresh


def _told(receipt: Receipt, fresh: bool) -> dict[str, str]:
    told = {"X_Receipt": receipt.id, "Link": f'</receipts/{receipt.id}>; rel="receipt"'}
    return told if fresh else {**told, "Idempotent_Replayed": "true"}


def _row_of(unit: Unit, entry: ReceiptEntry) -> ResourceRow | None:
    """The resource that the entry became: of the record's, the one of the entry's block."""
    rows = unit.resources.of_record(entry.record_id) if entry.record_id else []
    same = [row for row in rows if row.block == entry.rule]
    return next(iter(same or [r for r in rows if r.type == entry.resource_type]), None)


def _by_entry(receipt: Receipt) -> list[Facts]:
    """The lines of each entry, the one that stands for it first."""
    grouped = groupby(receipt.entries, key=lambda line: line.position)
    return [tuple(lines) for _, lines in grouped]


def _response_entry(unit: Unit, facts: Facts) -> dict[str, Any]:
    row, issues = _row_of(unit, facts[0]), _issues(facts)
    told: dict[str, Any] = {"status": _status(facts, row)}
    if row is not None:
        told["location"] = f"{row.type}/{row.fhir_id}/_history/{row.version}"
        told["etag"] = f'W/"{row.version}"'
        told["lastModified"] = row.last_updated.isoformat().replace("+00:00", "Z")
    if issues:
        told["outcome"] = operation_outcome(issues)
    return {"response": told}


def _issues(facts: Facts) -> list[Issue]:
    return list(dict.fromkeys(issue for line in facts for issue in line.issues))


def _status(facts: Facts, row: ResourceRow | None) -> str:
    """The HTTP status of an entry; 202 where it, or a part of it, waits for a person."""
    first = facts[0]
    if first.fate == "refused":
        return "422 Unprocessable Entity"
    if any(f.fate == "quarantined" or (f.fate in _TAKEN and failed(f.issues)) for f in facts):
        return "202 Accepted"
    new = row is not None and first.fate == "applied" and row.version == 1
    return "201 Created" if new else "200 OK"
