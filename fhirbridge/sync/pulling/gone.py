"""What is there no more: only on evidence, and never because a run could not read.

Evidence is a 410, an entry of a history or of an export that says so, or that two complete readings
of all in a row did not find it and a reading by its id did not, either. The values are then
withdrawn with that reason; the records' history stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError
from fhirbridge.registry.origins import Origin
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.client import Page
from fhirbridge.sync.accept import Context, take_back
from fhirbridge.sync.pulling import others
from fhirbridge.sync.pulling.round import Place, Round, repeated, unserved
from fhirbridge.sync.pulling.search import stamp

_TWICE = 2
DELETED = "deleted at its source"
MOVED = "is another person's at its source"
MISSING = "not found by two complete readings of its source"


def reconcile(round: Round, subjects: Collection[Subject], kind: str, *, stream: str) -> None:
    """After a complete reading of all that these subjects have of the type."""
    if round.done(stream):
        return
    hospital, ids = round.hospital, [one.id for one in subjects]

    def store() -> None:
        with hospital.unit() as unit:
            unit.sightings.miss(hospital.source, round.run.id, kind, ids)
            round.put(unit, Place(stream, "done", None, 0))
            unit.commit()

    repeated(store)
    with hospital.reading() as unit:
        missing = unit.sightings.missing(hospital.source, round.run.id, kind, ids)
    for origin in missing:
        why = ask(round, origin)
        if why:
            withdraw(round, origin, why)


def ask(round: Round, origin: Origin) -> str:
    """Why it is gone; empty where that is not known, and where it is there after all."""
    name = f"{origin.resource_type}/{origin.source_id}"
    try:
        answer = round.hospital.server.get(name)
    except BridgeError as fault:
        if unserved(fault):
            raise
        return ""
    if answer.status == 410:
        return DELETED
    if answer.status == 200:
        body = answer.body or {}
        return taken_again(round, name, body) if _is(body, origin) else ""
    if answer.status not in (404, 405, 501):
        return ""
    with round.hospital.reading() as unit:
        return MISSING if unit.sightings.missed(origin.id) >= _TWICE else ""


def taken_again(round: Round, name: str, resource: Mapping[str, Any]) -> str:
    """It is there, and a search by its patient did not find it: it is whose it says now."""
    url = f"{round.hospital.base}/{name}"
    entry = {"fullUrl": url, "resource": resource, "search": {"mode": "match"}}
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [entry]}
    place = Place(f"again/{name}", "done", None, 1)
    taken = round.page(Page(url, fhir_json.dump(bundle), bundle, None, 1), place)
    return MOVED if taken.foreign else ""


def _is(body: Mapping[str, Any], origin: Origin) -> bool:
    return (body.get("resourceType"), body.get("id")) == (origin.resource_type, origin.source_id)


def withdraw(round: Round, origin: Origin, why: str) -> bool:
    """Take back what the resource gave, and what waits of it; False where it gave nothing."""
    hospital = round.hospital

    def store() -> bool:
        with hospital.unit() as unit:
            done = _taken_back(unit, round, origin, why)
            if done:
                unit.runs.add_counts(round.run.id, {"deleted": 1})
                unit.commit()
            return done

    done = repeated(store)
    if done:
        name = f"{origin.resource_type}/{origin.source_id}"
        round.tell_each(f"{name}: withdrawn because it is {why}")
    return done


def _taken_back(unit: Unit, round: Round, origin: Origin, why: str) -> bool:
    hospital = round.hospital
    context = Context(unit, hospital.mappings, "", hospital.source)
    records = unit.origins.records(origin.id)
    if origin.subject_id:
        unit.hold([origin.subject_id])
    for record_id in records:
        take_back(context, origin, record_id, reason=why)
    context.project()
    kind, id = origin.resource_type, origin.source_id
    waited = unit.quarantine.supersede(origin.source, kind, id, by="")
    if not records and not waited:
        return False
    named = {"subjects": [origin.subject_id] if origin.subject_id else [], "records": records}
    unit.audit.note("U", "pull.deleted", actor=hospital.source, entities=named)
    return True


def by_name(round: Round, kind: str, id: str, why: str) -> bool:
    """Of a resource that the server names as deleted; False where it gave us nothing."""
    with round.hospital.reading() as unit:
        origin = unit.origins.find(round.hospital.source, kind, id)
    return origin is not None and kind != "Patient" and withdraw(round, origin, why)


def by_history(round: Round, kind: str) -> None:
    """The deletions that the type's history tells since the last time. Nothing else of it is looked
    at or kept: it is of everybody."""
    stream = f"history/{kind}"
    if round.done(stream) or kind not in round.asked.recorded:
        return
    with round.hospital.reading() as unit:
        before = unit.readings.get(round.run.connection_id, stream)
    if before is not None and before.since is not None:
        pairs = [("_since", stamp(before.since)), ("_count", str(round.size))]
        try:
            for page in round.hospital.server.pages(f"{kind}/_history", pairs):
                for entry in others.entries(page.bundle):
                    if id := _deleted(entry, kind):
                        by_name(round, kind, id, DELETED)
        except BridgeError as fault:
            if unserved(fault):
                raise
            round.reason(f"{stream}: {fault.issues[0].sentence()}")
            return

    def store() -> None:
        with round.hospital.unit() as unit:
            unit.readings.put(round.run.connection_id, stream, since=round.since())
            round.put(unit, Place(stream, "done", None, 0))
            unit.commit()

    repeated(store)


def _deleted(entry: Any, kind: str) -> str:
    """The id in an entry that tells a deletion."""
    request = entry.get("request") if isinstance(entry, Mapping) else None
    if not isinstance(request, Mapping) or request.get("method") != "DELETE":
        return ""
    parts = str(request.get("url", "")).split("/_history")[0].rstrip("/").split("/")
    return parts[-1] if len(parts) > 1 and parts[-2] == kind else ""
