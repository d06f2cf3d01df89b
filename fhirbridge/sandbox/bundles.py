"""Transaction and batch of the sandbox hospital (https://hl7.org/fhir/R4/http.html#transaction).

A transaction is done whole or not at all; the entries of a batch do not know each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from fhirbridge.outcome import operation_outcome
from fhirbridge.sandbox import search
from fhirbridge.sandbox.interactions import Answer, Interactions, condition, replaced
from fhirbridge.sandbox.store import Refusal, Resource, Store, instant, references

_ORDER = ("DELETE", "POST", "PUT", "GET")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry understood; `id` is where a write goes, `found` that a condition found it there."""

    position: int
    method: str
    kind: str
    id: str
    query: str
    full_url: str
    request: dict[str, Any]
    resource: Resource
    found: bool = False

    @property
    def path(self) -> str:
        return f"{self.kind}/{self.id}"


def answered(
    store: Store, interactions: Interactions, bundle: Resource, *, base: str, echo: bool
) -> Answer:
    """The answer to a Bundle posted to the base. `echo`: written resources are shown too."""
    kind, entries = bundle.get("type"), bundle.get("entry", [])
    if bundle.get("resourceType") != "Bundle" or not isinstance(entries, list):
        raise Refusal("structure", "a Bundle is expected here")
    if kind == "batch":
        answers = [
            _alone(store, interactions, entry, n, base=base, echo=echo)
            for n, entry in enumerate(entries)
        ]
    elif kind == "transaction":
        with store.atomic():
            answers = _together(store, interactions, entries, base=base, echo=echo)
    else:
        raise Refusal("not-supported", f"a Bundle of type {kind} cannot be processed")
    return Answer(200, {"resourceType": "Bundle", "type": f"{kind}-response", "entry": answers})


def _alone(
    store: Store, interactions: Interactions, raw: Resource, position: int, *, base: str, echo: bool
) -> Resource:
    """One entry of a batch: a transaction of its own, its fault told in its own place."""
    try:
        with store.atomic():
            return _together(store, interactions, [raw], base=base, echo=echo, first=position)[0]
    except Refusal as refusal:
        outcome = operation_outcome(refusal.issues)
        return {"response": {"status": _phrase(refusal.status), "outcome": outcome}}


def _together(
    store: Store,
    interactions: Interactions,
    raw: Sequence[Any],
    *,
    base: str,
    echo: bool,
    first: int = 0,
) -> list[Resource]:
    entries = _addressed(store, [_entry(one, first + n) for n, one in enumerate(raw)])
    addresses = {e.full_url: e.path for e in entries if e.full_url and e.resource}
    answers: dict[int, Resource] = {}
    written = []
    for entry in sorted(entries, key=lambda one: _ORDER.index(one.method)):
        answer = _done(store, interactions, entry, addresses, base)
        answers[entry.position] = _dressed(answer, read=entry.method == "GET", echo=echo)
        if entry.method in ("POST", "PUT") and not entry.found and answer.version:
            written.append(answer.version)
    for version in written:
        store.check_references(version.resource or {})
    for entry in entries:
        if entry.method == "DELETE":
            store.refuse_dangling(entry.path)
    return [answers[position] for position in sorted(answers)]


def _entry(raw: Any, position: int) -> _Entry:
    where = f"Bundle.entry[{position}]"
    request = raw.get("request") if isinstance(raw, dict) else None
    method, url = (request or {}).get("method"), (request or {}).get("url")
    if method not in _ORDER or not isinstance(url, str):
        raise Refusal("required", "an entry needs request.method and request.url", expression=where)
    path, _, query = url.partition("?")
    kind, _, id_ = path.strip("/").partition("/")
    if kind not in search.PARAMETERS:
        raise Refusal("not-found", f"unknown resource type '{kind}'", expression=where)
    if method in ("PUT", "DELETE") and (not id_ or query):
        raise Refusal("not-supported", f"{method} needs Type/id as its URL", expression=where)
    resource = raw.get("resource", {})
    if method in ("POST", "PUT") and not resource:
        raise Refusal("required", f"{method} needs a resource", expression=where)
    return _Entry(
        position, method, kind, id_, query, raw.get("fullUrl", ""), dict(request or {}), resource
    )


def _addressed(store: Store, entries: Sequence[_Entry]) -> list[_Entry]:
    """The entries, every POST now with the id that it gets or that its condition finds."""
    chosen: dict[tuple[str, str], str] = {}
    done = [_given_id(store, entry, chosen) for entry in entries]
    writes = [e.path for e in done if e.method in ("PUT", "DELETE", "POST") and not e.found]
    doubled = {path for path in writes if writes.count(path) > 1}
    if doubled:
        raise Refusal("structure", f"the transaction has {', '.join(sorted(doubled))} twice")
    return done


def _given_id(store: Store, entry: _Entry, chosen: dict[tuple[str, str], str]) -> _Entry:
    if entry.method != "POST":
        return entry
    wanted = entry.request.get("ifNoneExist")
    if not wanted:
        return _with_id(entry, store.allocate(entry.kind), found=False)
    found = search.one(store, entry.kind, condition(entry.kind, wanted))
    # Two entries of one condition become one resource (HAPI FHIR 8.4.0, seen November 2026).
    again = chosen.get((entry.kind, wanted))
    id_ = found.id if found else again or store.allocate(entry.kind)
    chosen[entry.kind, wanted] = id_
    return _with_id(entry, id_, found=bool(found or again))


def _with_id(entry: _Entry, id_: str, *, found: bool) -> _Entry:
    return replace(entry, id=id_, found=found)


def _done(
    store: Store, interactions: Interactions, entry: _Entry, addresses: dict[str, str], base: str
) -> Answer:
    if entry.method == "DELETE":
        return interactions.delete(entry.kind, entry.id, dangling=True)
    if entry.method == "GET":
        return _got(interactions, entry, base)
    if entry.found:
        found = store.current(entry.kind, entry.id)
        return Answer(200, found.resource or {}, found)
    resource = interactions.resolved(replaced(entry.resource, addresses))
    _refuse_unknown_placeholders(resource, entry)
    if entry.method == "POST":
        version = store.create(entry.kind, resource, entry.id)
        return Answer(201, version.resource or {}, version)
    before = store.latest(entry.kind, entry.id)
    version = store.update(entry.kind, entry.id, resource, if_match=entry.request.get("ifMatch"))
    there = before is not None and before.resource is not None
    status = 200 if there else 201
    return Answer(status, version.resource or {}, version)


def _got(interactions: Interactions, entry: _Entry, base: str) -> Answer:
    if not entry.id:
        return interactions.search(entry.kind, parse_qsl(entry.query, keep_blank_values=True), base)
    id_, history, number = entry.id.partition("/_history/")
    return (
        interactions.vread(entry.kind, id_, number)
        if history
        else interactions.read(entry.kind, id_)
    )


def _refuse_unknown_placeholders(resource: Resource, entry: _Entry) -> None:
    for node, path in references(resource, f"Bundle.entry[{entry.position}].resource"):
        if node["reference"].startswith("urn:"):
            told = f"no entry has the fullUrl {node['reference']}"
            raise Refusal("value", told, expression=path)


def _dressed(answer: Answer, *, read: bool, echo: bool) -> Resource:
    """As HAPI FHIR 8.4.0 (November 2026): `etag` a bare number, `lastModified` of 201 only."""
    if answer.body.get("resourceType") == "OperationOutcome":  # a deletion
        response: dict[str, Any] = {"status": _phrase(204), "outcome": answer.body}
    else:
        response = {"status": _phrase(answer.status)}
    if answer.version and not read:
        response["location"] = answer.version.versioned_path
        response["etag"] = str(answer.version.number)
        if answer.status == 201:
            response["lastModified"] = instant(answer.version.updated)
    shown = "outcome" not in response and (read or echo)
    return {"resource": answer.body, "response": response} if shown else {"response": response}


def _phrase(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
