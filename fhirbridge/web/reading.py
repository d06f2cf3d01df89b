"""The reading half of the FHIR door: read, search, and what the door can do.

https://hl7.org/fhir/R4/http.html. What is served is computed from the registry's records.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, g, request

from fhirbridge.fhir import bundle, capability
from fhirbridge.fhir.search_parameters import PARAMETERS
from fhirbridge.outcome import BridgeError, Issue, operation_outcome
from fhirbridge.web import searching, served
from fhirbridge.web.errors import answer

RELEASED = "2026-11-22"  # the CapabilityStatement's date, which changes with what is wired
reading = Blueprint("fhir", __name__, url_prefix="/fhir")


@reading.get("/metadata")
def metadata() -> Response:
    base = served.base()
    return answer(
        capability.statement(
            PARAMETERS,
            base=base,
            version=version("fhirbridge"),
            date=RELEASED,
            token_url=served.service().token_url,
        )
    )


@reading.get("/<type>/<id>")
def read(type: str, id: str) -> Response:
    g.caller.must("r", type)
    served.must_hold(type)
    with served.service().registry.read(g.caller.site_id) as unit:
        row = unit.resources.get(type, id)
        body = served.body(unit, row) if row else {}
    if row is None:
        cause = f"there is no {type} with this id"
        raise BridgeError(Issue("not-found", cause, "search by identifier"))
    if row.deleted:
        issue = Issue("not-found", "its record was withdrawn", "nothing to do")
        return answer(operation_outcome([issue]), 410)
    return answer(body, **served.versioned(row))


@reading.get("/<type>")
def search(type: str) -> Response:
    g.caller.must("s", type)
    return _search(type, list(request.args.items(multi=True)))


@reading.post("/<type>/_search")
def search_by_post(type: str) -> Response:
    g.caller.must("s", type)
    given = [*request.args.items(multi=True), *request.form.items(multi=True)]
    return _search(type, given)


def _search(type: str, given: list[tuple[str, str]]) -> Response:
    """Its callers have looked at the scopes before they read parameters."""
    served.must_hold(type)
    wanted = searching.read(type, given)
    filters: dict[str, Any] = {"tokens": wanted.tokens, "dates": wanted.dates}
    with served.service().registry.read(g.caller.site_id) as unit:
        rows = unit.resources.search(type, **filters, count=wanted.count + 1, after=wanted.after)
        total = unit.resources.total(type, **filters) if wanted.total else None
        page = rows[: wanted.count]
        bodies = [served.body(unit, row) for row in page]
    base = served.base()
    links = {"self": wanted.url(base, after=wanted.after)}
    if len(rows) > len(page):
        links["next"] = wanted.url(base, after=page[-1].fhir_id)
    urls = [f"{base}/{row.type}/{row.fhir_id}" for row in page]
    found = zip(urls, bodies, strict=True)
    return answer(bundle.searchset(found, links=links, total=total))
