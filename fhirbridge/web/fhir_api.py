"""The FHIR door (R4 JSON): transactions and resources in, the registry's view of its records out.

https://hl7.org/fhir/R4/http.html. What was pushed is kept as a message; what is served is computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from email.utils import format_datetime
from importlib.metadata import version
from itertools import groupby
from typing import Any

from flask import Blueprint, Response, current_app, g, request

from fhirbridge.fhir import bundle, capability
from fhirbridge.fhir.search_parameters import PARAMETERS
from fhirbridge.outcome import BridgeError, Issue, failed, operation_outcome
from fhirbridge.registry.messages import Receipt, ReceiptEntry
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import project
from fhirbridge.sync.ingest import Incoming, ingest
from fhirbridge.web import access, pushed, searching
from fhirbridge.web.errors import answer
from fhirbridge.web.service import Service

RELEASED = "2026-11-22"  # the CapabilityStatement's date, which changes with what is wired
door = Blueprint("fhir", __name__, url_prefix="/fhir")

_JSON_TYPES = ("application/fhir+json", "application/json", "application/json+fhir", "")
_TAKEN = ("applied", "unchanged")
_WRITES = "cu"  # a record's key decides whether a push creates or updates: it needs both

Facts = tuple[ReceiptEntry, ...]
"""The lines of a receipt that are about one entry."""


def service() -> Service:
    made: Service = current_app.extensions["fhirbridge"]
    return made


def _base() -> str:
    return service().fhir_base(request.host_url)


@door.get("/metadata")
def metadata() -> Response:
    base = _base()
    return answer(
        capability.statement(
            PARAMETERS,
            base=base,
            version=version("fhirbridge"),
            date=RELEASED,
            token_url=service().token_url,
        )
    )


@door.post("/")
@door.post("", strict_slashes=False)
def transaction() -> Response:
    """A transaction Bundle, worked off before the answer."""
    if not g.caller.scopes.allow_somewhere(_WRITES):
        raise access.forbidden(f"system/TYPE.{_WRITES} of any type")
    receipt, fresh = _take()
    with service().registry.read(g.caller.site_id) as unit:
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
    with service().registry.read(g.caller.site_id) as unit:
        row = _row_of(unit, facts[0])
        body = _served_body(unit, row) if row else {}
    headers = _told(receipt, fresh)
    status = _status(facts, row)
    whole = facts[0].fate in _TAKEN and not status.startswith("202")
    if row is None or row.deleted or not whole:
        return answer(operation_outcome(_issues(facts)), int(status[:3]), **headers)
    made = 201 if fresh and status.startswith("201") else 200
    if not g.caller.scopes.allow(row.type, "r"):  # it may hold more than was sent
        body = operation_outcome(_issues(facts))
    return answer(body, made, **headers, **_versioned(row))


@door.get("/<type>/<id>")
def read(type: str, id: str) -> Response:
    g.caller.must("r", type)
    _served(type)
    with service().registry.read(g.caller.site_id) as unit:
        row = unit.resources.get(type, id)
        body = _served_body(unit, row) if row else {}
    if row is None:
        cause = f"there is no {type} with this id"
        raise BridgeError(Issue("not-found", cause, "search by identifier"))
    if row.deleted:
        issue = Issue("not-found", "its record was withdrawn", "nothing to do")
        return answer(operation_outcome([issue]), 410)
    return answer(body, **_versioned(row))


@door.get("/<type>")
def search(type: str) -> Response:
    g.caller.must("s", type)
    return _search(type, list(request.args.items(multi=True)))


@door.post("/<type>/_search")
def search_by_post(type: str) -> Response:
    g.caller.must("s", type)
    given = [*request.args.items(multi=True), *request.form.items(multi=True)]
    return _search(type, given)


def _search(type: str, given: list[tuple[str, str]]) -> Response:
    """Its callers have looked at the scopes before they read parameters."""
    _served(type)
    wanted = searching.read(type, given)
    filters: dict[str, Any] = {"tokens": wanted.tokens, "dates": wanted.dates}
    with service().registry.read(g.caller.site_id) as unit:
        rows = unit.resources.search(type, **filters, count=wanted.count + 1, after=wanted.after)
        total = unit.resources.total(type, **filters) if wanted.total else None
        page = rows[: wanted.count]
        bodies = [_served_body(unit, row) for row in page]
    base = _base()
    links = {"self": wanted.url(base, after=wanted.after)}
    if len(rows) > len(page):
        links["next"] = wanted.url(base, after=page[-1].fhir_id)
    urls = [f"{base}/{row.type}/{row.fhir_id}" for row in page]
    found = zip(urls, bodies, strict=True)
    return answer(bundle.searchset(found, links=links, total=total))


def _served(type: str) -> None:
    if type not in PARAMETERS:
        cause = f"the registry holds no '{type}'"
        raise BridgeError(Issue("not-found", cause, f"it holds {', '.join(PARAMETERS)}"))


def _read(type: str) -> None:
    """What the mappings read may be sent, also where it is never served by itself."""
    if not service().library.of_site(g.caller.site_name).reads(type):
        _served(type)


def _take(expected: str = "Bundle") -> tuple[Receipt, bool]:
    """Ingest the request's body in one transaction; the receipt, and whether the message is new."""
    if request.mimetype not in _JSON_TYPES:
        cause = f"'{request.mimetype}' is not read here"
        raise BridgeError(Issue("media-type", cause, "send application/fhir+json"))
    body = request.get_data()
    if expected == "Bundle" and not g.caller.scopes.allow("*", _WRITES):
        for type in pushed.types(body):
            g.caller.must(_WRITES, type)
    key = request.headers.get("Idempotency-Key", "") or hashlib.sha256(body).hexdigest()
    incoming = Incoming(g.caller.source, f"push/{expected}", key, body)
    here = service()
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


def _served_body(unit: Unit, row: ResourceRow) -> Mapping[str, Any]:
    linked = project.linked(unit, service().library.of_site(g.caller.site_name), row)
    stamp = row.last_updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    meta = {**linked.get("meta", {}), "versionId": str(row.version), "lastUpdated": stamp}
    body = {name: value for name, value in linked.items() if name not in ("resourceType", "meta")}
    return {"resourceType": row.type, "id": row.fhir_id, "meta": meta, **body}


def _versioned(row: ResourceRow) -> dict[str, str]:
    return {
        "ETag": f'W/"{row.version}"',
        "Location": f"{_base()}/{row.type}/{row.fhir_id}/_history/{row.version}",
        "Last_Modified": format_datetime(row.last_updated, usegmt=True),
    }
