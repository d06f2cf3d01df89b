"""The reading half of the FHIR door: a resource as it is, as it was, and what the door can do.

https://hl7.org/fhir/R4/http.html. What is served is computed from the registry's records.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, g, request

from fhirbridge.fhir import bundle, capability
from fhirbridge.fhir.search_parameters import span
from fhirbridge.outcome import Issue, operation_outcome
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.unit import Unit
from fhirbridge.study.records import is_date
from fhirbridge.web import links, searching, served, speaking, trail
from fhirbridge.web.errors import answer
from fhirbridge.web.paging import Pairs
from fhirbridge.web.watched import watch

RELEASED = "2026-11-23"  # the CapabilityStatement's date, which changes with what is wired
reading = Blueprint("fhir", __name__, url_prefix="/fhir")
_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
watch(reading, "resources")


@reading.before_request
def must_take_json() -> None:
    speaking.must_take_json(request)


@reading.get("/metadata")
def metadata() -> Response:
    here = served.service()
    statement = capability.statement(
        base=served.base(),
        version=version("fhirbridge"),
        date=RELEASED,
        token_url=here.token_url,
        max_body=here.settings.max_body,
    )
    return answer(statement)


@reading.get("/<type>/<id>")
def read(type: str, id: str) -> Response:
    g.caller.must("r", type)
    served.must_hold(type)
    parameters()
    with served.service().registry.read(g.caller.site_id) as unit:
        row = served.find(unit, type, id)
        return _one(unit, row, type)


@reading.get("/<type>/<id>/_history/<number>")
def vread(type: str, id: str, number: str) -> Response:
    g.caller.must("r", type)
    served.must_hold(type)
    parameters()
    with served.service().registry.read(g.caller.site_id) as unit:
        asked = _VERSION.fullmatch(number) and served.find(unit, type, id)
        row = unit.history.get(type, id, int(number)) if asked else None
        return _one(unit, row, type)


@reading.get("/<type>/<id>/_history")
def history(type: str, id: str) -> Response:
    """The versions of one resource, the newest first."""
    g.caller.must("r", type)
    served.must_hold(type)
    raw = parameters("_count", "_since", "_cursor")
    path = f"{type}/{id}/_history"
    with served.service().registry.read(g.caller.site_id) as unit:
        if served.find(unit, type, id) is None:
            raise served.unknown(type)
        pager = served.pager(unit, path)
        given, page = pager.read(raw)
        wanted = searching.Search(type, given=given)
        since = _since(wanted, given)
        below = int(page.after) if page else None
        rows = unit.history.of_resource(type, id, count=wanted.count + 1, below=below, since=since)
        total = unit.history.total(type, id, since=since)
        shown = rows[: wanted.count]
        entries = _entries(unit, shown)
    last = str(shown[-1].version) if len(rows) > len(shown) > 0 else ""
    made = links.of(pager, raw, given, last=last, hides=False)
    return answer(bundle.history(entries, links=made, total=total))


def parameters(*known: str) -> Pairs:
    """The URL's parameters without `_format`; one that is not known is refused, or dropped where
    the client is lenient.
    """
    given = [pair for pair in request.args.items(multi=True) if pair[0] != "_format"]
    for name, _ in given:
        if name not in known and not served.is_lenient():
            told = ", ".join((*known, "_format"))
            raise searching.refused(name, "it is not known here", f"use {told}")
    return tuple(pair for pair in given if pair[0] in known)


def _since(wanted: searching.Search, given: Pairs) -> str:
    """Puts `_count` into the search; the instant of `_since` as the registry has it, or ""."""
    since = ""
    for name, text in given:
        if name == "_count":
            searching.take_count(wanted, text)
        elif not is_date(text.replace(" ", "+"), time=True):
            raise searching.refused(name, "it is no instant", "write YYYY-MM-DDThh:mm:ssZ")
        else:
            since = span(text.replace(" ", "+"))[0]
    return since


def _one(unit: Unit, row: ResourceRow | None, type: str) -> Response:
    """The version, or that it is gone, not known, or just what the client has."""
    if row is None:
        raise served.unknown(type)
    trail.shows([row])
    if row.deleted:
        issue = Issue("not-found", "its record was withdrawn", "nothing to do")
        return answer(operation_outcome([issue]), 410)
    headers = served.versioned(row)
    if request.if_none_match.contains_weak(str(row.version)):
        made = Response(status=304)
        made.headers["ETag"] = headers["ETag"]
        return made
    return answer(served.body(unit, row), **headers)


def _entries(unit: Unit, rows: list[ResourceRow]) -> list[dict[str, Any]]:
    bodies = served.bodies(unit, rows)
    base = served.base()
    return [
        {
            "fullUrl": f"{base}/{row.type}/{row.fhir_id}",
            **({} if row.deleted else {"resource": dict(body)}),
            "request": _request(row),
            "response": {
                "status": _status(row),
                "etag": served.etag(row),
                "lastModified": served.instant(row.last_updated),
            },
        }
        for row, body in zip(rows, bodies, strict=True)
    ]


def _request(row: ResourceRow) -> dict[str, str]:
    """What would have made the version: senders push records, not versions."""
    if row.version == 1:
        return {"method": "POST", "url": row.type}
    return {"method": "DELETE" if row.deleted else "PUT", "url": f"{row.type}/{row.fhir_id}"}


def _status(row: ResourceRow) -> str:
    if row.deleted:
        return "204 No Content"
    return "201 Created" if row.version == 1 else "200 OK"
