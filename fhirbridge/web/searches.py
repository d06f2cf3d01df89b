"""Searches of the FHIR door, by GET and by POST: https://hl7.org/fhir/R4/search.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from flask import Blueprint, Response, g, request

from fhirbridge.fhir import bundle
from fhirbridge.fhir.search_parameters import PARAMETERS
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import provenance
from fhirbridge.web import bodies, links, searching, served, speaking, trail
from fhirbridge.web.errors import answer
from fhirbridge.web.paging import Pairs
from fhirbridge.web.searching import PROVENANCE, Search
from fhirbridge.web.watched import watch

searches = Blueprint("fhir_search", __name__, url_prefix="/fhir")
watch(searches, "resources")
Other = tuple[str, str, Mapping[str, Any]]  # mode, fullUrl, resource


@searches.before_request
def must_take_json() -> None:
    speaking.must_take_json(request)


@searches.get("/<type>")
def search(type: str) -> Response:
    g.caller.must("s", type)
    return _search(type, tuple(request.args.items(multi=True)), hides=False)


@searches.post("/<type>/_search")
def search_by_post(type: str) -> Response:
    """Nothing of what was asked comes into the URL of a link."""
    g.caller.must("s", type)
    served.must_hold(type)
    form = bodies.read_form(request)
    return _search(type, (*request.args.items(multi=True), *form), hides=True)


def _search(type: str, raw: Pairs, *, hides: bool) -> Response:
    """Its callers have looked at the scopes before they read parameters."""
    served.must_hold(type)
    with served.service().registry.read(g.caller.site_id) as unit:
        pager = served.pager(unit, type)
        given, page = pager.read(raw)
        wanted = searching.read(type, given, base=served.base(), lenient=served.is_lenient())
        _may_include(wanted)
        filters: dict[str, Any] = {"tokens": wanted.tokens, "dates": wanted.dates}
        after = page.after or None if page else None
        rows: list[ResourceRow] = []
        if not wanted.counts_only:
            rows = unit.resources.search(type, **filters, count=wanted.count + 1, after=after)
        counts = wanted.total or wanted.counts_only
        total = unit.resources.total(type, **filters) if counts else None
        shown = rows[: wanted.count]
        found = zip(map(_url, shown), served.bodies(unit, shown), strict=True)
        others = [*_included(unit, wanted, shown), *searching.told(wanted, unit.new_id)]
    last = shown[-1].fhir_id if len(rows) > len(shown) else ""
    hides = hides or (page is not None and page.hidden is not None)
    made = links.of(pager, raw, wanted.given, last=last, hides=hides)
    return answer(bundle.searchset(found, links=made, total=total, others=others))


def _url(row: ResourceRow) -> str:
    return f"{served.base()}/{row.type}/{row.fhir_id}"


def _may_include(wanted: Search) -> None:
    """What comes beside the matches must be allowed, too."""
    for name in wanted.includes:
        g.caller.must("r", provenance.TYPE if name == PROVENANCE else "Patient")


def _included(unit: Unit, wanted: Search, rows: Sequence[ResourceRow]) -> list[Other]:
    if not wanted.includes or not rows:
        return []
    others: list[Other] = []
    elements = {
        element
        for name in wanted.includes
        if name != PROVENANCE
        for element in PARAMETERS[wanted.type][name].elements
    }
    patients = unit.resources.among(_references(rows, elements))
    bodies = served.bodies(unit, patients)
    others += [("include", _url(p), b) for p, b in zip(patients, bodies, strict=True)]
    if PROVENANCE in wanted.includes:
        others += [("include", url, made) for url, made in provenances(unit, rows)]
    return others


def _references(rows: Sequence[ResourceRow], elements: set[str]) -> list[tuple[str, str]]:
    values = chain.from_iterable((row.body.get(element) for element in elements) for row in rows)
    named = [value["reference"] for value in values if value and "reference" in value]
    parts = (reference.partition("/") for reference in named)
    return [(type, id) for type, _, id in parts if type == "Patient"]


def provenances(unit: Unit, rows: Sequence[ResourceRow]) -> list[tuple[str, Mapping[str, Any]]]:
    """(fullUrl, Provenance) of those of the versions whose revision is known."""
    makings = unit.history.makings(rows)
    told = [(row, making) for row in rows if (making := makings.get((row.record_id, row.revision)))]
    trail.shows(row for row, _ in told)
    site, mappings, base = g.caller.site_name, served.mappings(), served.base()
    return [
        (
            f"{base}/{provenance.TYPE}/{provenance.id_of(row)}",
            provenance.resource(mappings, row, making, site=site),
        )
        for row, making in told
    ]
