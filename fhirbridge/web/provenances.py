"""Provenance at the FHIR door: by its id, or of a resource's versions.

https://hl7.org/fhir/R4/provenance.html. As R4 defines it, `patient` finds those of the Patient
resource itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType

from flask import Blueprint, Response, g, request

from fhirbridge.fhir import bundle
from fhirbridge.fhir.search_parameters import Parameter
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import provenance
from fhirbridge.sync.provenance import TYPE
from fhirbridge.web import bodies, links, searching, served, speaking
from fhirbridge.web.errors import answer
from fhirbridge.web.paging import Pairs
from fhirbridge.web.reading import parameters
from fhirbridge.web.searches import provenances as made_of
from fhirbridge.web.watched import watch

provenances = Blueprint("fhir_provenance", __name__, url_prefix=f"/fhir/{TYPE}")
watch(provenances, "resources")
PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {name: Parameter("reference", ("target",)) for name in ("target", "patient")}
)
_TARGET = re.compile(r"(\w+)/([A-Za-z0-9.-]+)(?:/_history/([1-9][0-9]{0,8}))?", re.ASCII)
Target = tuple[str, str, int | None]  # type, id, version


@provenances.before_request
def must_take_json() -> None:
    speaking.must_take_json(request)


@provenances.get("/<id>")
def read(id: str) -> Response:
    g.caller.must("r", TYPE)
    parameters()
    named = provenance.target_of(id)
    with served.service().registry.read(g.caller.site_id) as unit:
        row = unit.history.get(*named) if named else None
        found = made_of(unit, [row]) if row else []
    if not found:
        raise served.unknown(TYPE)
    return answer(found[0][1])


@provenances.get("")
def search() -> Response:
    g.caller.must("s", TYPE)
    return _search(tuple(request.args.items(multi=True)), hides=False)


@provenances.post("/_search")
def search_by_post() -> Response:
    g.caller.must("s", TYPE)
    form = bodies.read_form(request)
    return _search((*request.args.items(multi=True), *form), hides=True)


def _search(raw: Pairs, *, hides: bool) -> Response:
    with served.service().registry.read(g.caller.site_id) as unit:
        pager = served.pager(unit, TYPE)
        given, page = pager.read(raw)
        wanted = searching.read(
            TYPE, given, base=served.base(), lenient=served.is_lenient(), known=PARAMETERS
        )
        targets = _targets(wanted)
        count = 0 if wanted.counts_only else wanted.count + 1
        rows = list(islice(_rows(unit, targets, page.after if page else "", count), count))
        counts = wanted.total or wanted.counts_only
        total = sum(_total(unit, target) for target in targets) if counts else None
        shown = [row for _, row in rows][: wanted.count]
        found = made_of(unit, shown)
        others = searching.told(wanted, unit.new_id)
    last = f"{rows[len(shown) - 1][0]}.{shown[-1].version}" if len(rows) > len(shown) > 0 else ""
    hides = hides or (page is not None and page.hidden is not None)
    made = links.of(pager, raw, wanted.given, last=last, hides=hides)
    return answer(bundle.searchset(found, links=made, total=total, others=others))


def _targets(wanted: searching.Search) -> list[Target]:
    """What meets every parameter."""
    asked = [[_target(name, value) for _, value in values] for name, values in wanted.tokens]
    if not asked:
        cause, remedy = "a search without it would find everything", "give target=Type/id, or _id"
        raise searching.refused("target", cause, remedy)
    met = dict.fromkeys(found for found in asked[0] if found)
    for more in asked[1:]:
        both = (_both(one, other) for one in met for other in more if other)
        met = dict.fromkeys(found for found in both if found)
    return list(met)


def _target(name: str, value: str) -> Target | None:
    if name == "_id":
        return provenance.target_of(value)
    found = _TARGET.fullmatch(value)
    if found is None or (name == "patient" and found[1] != "Patient"):
        return None
    return found[1], found[2], int(found[3]) if found[3] else None


def _both(one: Target, other: Target) -> Target | None:
    same = one[:2] == other[:2] and (one[2] is None or other[2] in (None, one[2]))
    return (one if one[2] else other) if same else None


def _rows(
    unit: Unit, targets: list[Target], after: str, count: int
) -> Iterator[tuple[int, ResourceRow]]:
    """Each with the number of its target, the newest of each first, after the place of a cursor."""
    first, _, below = after.partition(".")
    for number, (type, id, version) in enumerate(targets):
        if after and number < int(first):
            continue
        under = int(below) if after and number == int(first) else None
        if version is None:
            found = unit.history.of_resource(type, id, count=count, below=under, told=True)
        else:
            row = unit.history.get(type, id, version) if under is None else None
            found = [row] if row and row.revision is not None else []
        yield from ((number, row) for row in found)


def _total(unit: Unit, target: Target) -> int:
    type, id, version = target
    if version is None:
        return unit.history.total(type, id, told=True)
    row = unit.history.get(type, id, version)
    return int(row is not None and row.revision is not None)
