"""The FHIR interactions of the sandbox hospital (https://hl7.org/fhir/R4/http.html), undressed.

One request in, one `Answer` out; the server and the Bundle entries dress it in their own ways.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, quote

from fhirbridge.outcome import Issue, operation_outcome
from fhirbridge.sandbox import search
from fhirbridge.sandbox.store import Refusal, Resource, Store, Version, instant, references, target

Pairs = Sequence[tuple[str, str]]

_PAGES_LIVE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an interaction comes to: `version` is what ETag and Location tell of."""

    status: int
    body: Resource
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class _Result:
    """The matches of a search as they were when it ran: pages show what is still there of them."""

    made: datetime
    keys: list[tuple[str, str]]
    include: str = ""


class Interactions:
    """Read, write and search on one store, for one base URL a call."""

    def __init__(self, store: Store, *, page_size: int, new_id: Callable[[], str]) -> None:
        self._store = store
        self._page_size = page_size
        self._new_id = new_id
        self._results: dict[str, _Result] = {}

    def read(self, kind: str, id_: str) -> Answer:
        return _shown(200, self._store.current(_known(kind), id_))

    def vread(self, kind: str, id_: str, number: str) -> Answer:
        return _shown(200, self._store.version(_known(kind), id_, number))

    def history(self, kind: str, id_: str, base: str) -> Answer:
        """Newest first; a deletion is an entry without resource."""
        versions = self._store.versions(_known(kind), id_)
        return Answer(200, self._bundle("history", [_historic(v, base) for v in versions]))

    def histories(self, kind: str, since: str, base: str) -> Answer:
        """Every version of the type since then, newest first, on one page."""
        first = search.interval(since)[0] if since and search.interval(since) else None  # type: ignore[index]
        found = [v for v in self._store.recorded(_known(kind)) if not first or v.updated >= first]
        return Answer(200, self._bundle("history", [_historic(v, base) for v in found]))

    def search(self, kind: str, pairs: Pairs, base: str) -> Answer:
        pairs = self._store.weather.asked(pairs)
        asked = search.understand(_known(kind), pairs)
        found = search.run(self._store, asked)
        if asked.count == 0:
            return Answer(200, {**self._bundle("searchset", []), "total": len(found)})
        result = _Result(self._store.now(), [(v.kind, v.id) for v in found], asked.include)
        id_ = self._new_id()
        count = asked.count or self._page_size
        if len(found) > count:
            self._results[id_] = result
        query = "&".join(f"{quote(name)}={quote(text, safe='|,:/')}" for name, text in pairs)
        address = f"{base}/{kind}" + (f"?{query}" if query else "")
        bundle = self._page(id_, result, 0, count, base, address=address)
        return Answer(200, {**bundle, "total": len(found)} if asked.total else bundle)

    def everything(self, kind: str, id_: str, pairs: Pairs, base: str) -> Answer:
        """The Patient and all that refers to it; `_type` and `_count` are looked at, `_since` is
        not, as by HAPI FHIR 8.4.0 (November 2026)."""
        if kind != "Patient":
            raise Refusal("not-supported", f"there is no $everything of {kind}")
        self._store.current(kind, id_)
        asked = dict(pairs)
        types = asked.get("_type", "").split(",") if asked.get("_type") else [*search.PARAMETERS]
        holders = [(kind, id_), *self._store.referrers(f"Patient/{id_}")]
        keys = [key for key in dict.fromkeys(holders) if key[0] in types]
        result, name = _Result(self._store.now(), keys), self._new_id()
        count = int(asked["_count"]) if asked.get("_count", "").isdigit() else self._page_size
        if len(keys) > count:
            self._results[name] = result
        query = "&".join(f"{quote(n)}={quote(text, safe='')}" for n, text in pairs)
        address = f"{base}/{kind}/{id_}/$everything?{query}"
        return Answer(200, self._page(name, result, 0, count, base, address=address))

    def page(self, id_: str, offset: str, count: str, base: str) -> Answer:
        """A later page of a search; an hour after it the links are gone, as HAPI's are."""
        result = self._results.get(id_)
        if result is None or self._store.now() - result.made > _PAGES_LIVE:
            raise Refusal("not-found", f"the search {id_} is not here any more", status=410)
        if not (offset.isdigit() and count.isdigit() and int(count)):
            raise Refusal("value", "this is no page link that this server gave")
        address = f"{base}?_getpages={id_}&_getpagesoffset={offset}&_count={count}"
        page = self._page(id_, result, int(offset), int(count), base, address=address)
        return Answer(200, page)

    def _page(
        self, id_: str, result: _Result, offset: int, count: int, base: str, *, address: str
    ) -> Resource:
        keys = result.keys[offset : offset + count]
        present = [v for kind, one in keys for v in self._store.live(kind, [one])]
        along = self._along(present, result.include) if result.include else []
        shown = [_match(v, base) for v in present]
        shown += [{**_match(v, base), "search": {"mode": "include"}} for v in along]
        bundle = self._bundle("searchset", shown)
        bundle["link"] = [{"relation": "self", "url": address}]
        if offset + count < len(result.keys):
            query = f"_getpages={id_}&_getpagesoffset={offset + count}&_count={count}"
            bundle["link"].append({"relation": "next", "url": f"{base}?{query}"})
        return bundle

    def _along(self, found: list[Version], element: str) -> list[Version]:
        """What the element of these refers to, each once."""
        named: dict[tuple[str, str], None] = {}
        for version in found:
            given = (version.resource or {}).get(f"{element}Reference", {})
            key = target(given.get("reference", ""))
            if key:
                named[key] = None
        return [v for kind, id_ in named for v in self._store.live(kind, [id_])]

    def _bundle(self, type_: str, entries: list[Resource]) -> Resource:
        bundle: Resource = {
            "resourceType": "Bundle",
            "id": self._new_id(),
            "meta": {"lastUpdated": instant(self._store.now())},
            "type": type_,
        }
        if type_ == "history":
            bundle["total"] = len(entries)
        return {**bundle, "entry": entries} if entries else bundle

    def create(self, kind: str, resource: Resource, *, if_none_exist: str | None = None) -> Answer:
        """201, or 200 with the one resource that the condition finds."""
        if if_none_exist:
            pairs = condition(kind, if_none_exist)
            found = search.one(self._store, _known(kind), pairs)
            if found:
                return _shown(200, found)
        with self._store.atomic():
            version = self._store.create(_known(kind), self.resolved(resource))
            self._store.check_references(version.resource or {})
            if if_none_exist and not search.one(self._store, kind, pairs):
                raise Refusal("value", "the resource does not satisfy its own condition")
        return _shown(201, version)

    def update(
        self, kind: str, id_: str, resource: Resource, *, if_match: str | None = None
    ) -> Answer:
        """201 where there was nothing, 200 else: the version of before where nothing changes."""
        before = self._store.latest(_known(kind), id_)
        with self._store.atomic():
            version = self._store.update(kind, id_, self.resolved(resource), if_match=if_match)
            self._store.check_references(version.resource or {})
        there = before is not None and before.resource is not None
        return _shown(200 if there else 201, version)

    def delete(self, kind: str, id_: str, *, dangling: bool = False) -> Answer:
        """200 whether it was there or not. `dangling`: who refers to it is looked at later."""
        before = self._store.latest(_known(kind), id_)
        if not dangling:
            self._store.refuse_dangling(f"{kind}/{id_}")
        after = self._store.delete(kind, id_)
        told = "was not there" if after is before else "is deleted"
        issue = Issue("not-found", f"{kind}/{id_} {told}.", severity="information")
        return Answer(200, operation_outcome([issue]), after)

    def resolved(self, resource: Resource) -> Resource:
        """The resource with its references by search (`Patient?identifier=…`) made literal.

        No match is 404, several are 412 (HAPI FHIR 8.4.0, seen November 2026).
        """
        found = {}
        for node, path in references(resource, str(resource.get("resourceType"))):
            text = node["reference"]
            kind, mark, query = text.partition("?")
            if mark and kind in search.PARAMETERS and text not in found:
                version = search.one(self._store, kind, condition(kind, query))
                if version is None:
                    raise Refusal("not-found", f"nothing matches {text}", expression=path)
                found[text] = version.path
        return replaced(resource, found) if found else resource


def condition(kind: str, text: str) -> list[tuple[str, str]]:
    """The search of `If-None-Exist` and the like: with or without `Type?` before it."""
    query = text.removeprefix(f"{kind}?").removeprefix("?")
    return parse_qsl(query, keep_blank_values=True)


def replaced(resource: Resource, new: dict[str, str]) -> Resource:
    """A copy with literal references replaced by those in `new`."""
    return {name: _replaced(value, new) for name, value in resource.items()}


def _replaced(node: object, new: dict[str, str]) -> object:
    if isinstance(node, list):
        return [_replaced(value, new) for value in node]
    if not isinstance(node, dict):
        return node
    copy = {name: _replaced(value, new) for name, value in node.items()}
    text = copy.get("reference")
    return {**copy, "reference": new[text]} if isinstance(text, str) and text in new else copy


def _known(kind: str) -> str:
    if kind not in search.PARAMETERS:
        raise Refusal("not-found", f"unknown resource type '{kind}'")
    return kind


def _shown(status: int, version: Version) -> Answer:
    return Answer(status, version.resource or {}, version)


def _match(version: Version, base: str) -> Resource:
    return {
        "fullUrl": f"{base}/{version.path}",
        "resource": version.resource,
        "search": {"mode": "match"},
    }


def _historic(version: Version, base: str) -> Resource:
    shown = {"resource": version.resource} if version.resource else {}
    status = "201 Created" if version.method == "POST" or version.number == 1 else "200 OK"
    return {
        "fullUrl": f"{base}/{version.path}",
        **shown,
        "request": {"method": version.method, "url": version.versioned_path},
        "response": {
            "status": status,
            "etag": f'W/"{version.number}"',
            "lastModified": instant(version.updated),
        },
    }
