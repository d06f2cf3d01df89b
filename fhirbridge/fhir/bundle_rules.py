"""R4's rules of a Bundle and between its entries: bdl-1 to bdl-12, fullUrl, relative references.

Follows https://hl7.org/fhir/R4/bundle.html; the entries' resources are judged elsewhere. Gets a
Bundle whose JSON shape has been found right.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from fhirbridge.fhir import definitions, primitives, references
from fhirbridge.fhir.datatype_rules import has
from fhirbridge.outcome import Issue

Bundle = Mapping[str, Any]

_TARGET = re.compile(r"[^/]+/[^/]+")

_REQUESTS = frozenset(("batch", "transaction", "history"))
_RESPONSES = frozenset(("batch-response", "transaction-response", "history"))
_NAMELESS = frozenset(("batch", "transaction", "batch-response", "transaction-response"))
_CONDITIONAL = frozenset(("batch", "transaction"))  # references may be searches there
# Who posts may leave fullUrl out, says R4; the reference validator refuses that too where the
# resource refers to anything.
_UPDATES = frozenset(("PUT", "PATCH"))
_FIRST = {"document": ("Composition", "bdl-11"), "message": ("MessageHeader", "bdl-12")}


def check(bundle: Bundle, path: str) -> Iterator[Issue]:
    """Issues of the Bundle as a whole, then of its entries, then between them."""
    kind = bundle.get("type", "")
    entries = bundle.get("entry", [])
    yield from _whole(bundle, kind, path)
    for index, entry in enumerate(entries):
        where = f"{path}.entry[{index}]"
        yield from _entry(entry, kind, where)
        yield from _full_url(entry, kind, where)
    if kind != "history":
        yield from _distinct(entries, path)
    if kind not in _CONDITIONAL:
        yield from _formless(entries, path)
    if kind == "searchset":
        yield from _search_results(bundle, entries, path)
    if kind in _FIRST:  # documents and messages hang together by their references
        yield from _mismatched(entries, path)


def without(bundle: Bundle, broken: Collection[int]) -> Bundle:
    """The Bundle in which a resource that is broken (by id) is only known by its type and id."""
    if not broken:
        return bundle
    return {**bundle, "entry": [_without(one, broken) for one in bundle.get("entry", ())]}


def _without(entry: Mapping[str, Any], broken: Collection[int]) -> Mapping[str, Any]:
    held = entry.get("resource")
    if id(held) not in broken or held is None:
        return entry
    told = {name: held.get(name) for name in ("resourceType", "id")}
    texts = {name: value for name, value in told.items() if isinstance(value, str)}
    return {**entry, "resource": texts}


def _broken(key: str, path: str, cause: str, remedy: str) -> Issue:
    return Issue("invariant", f"{cause} ({key})", remedy, path)


def _whole(bundle: Bundle, kind: str, path: str) -> Iterator[Issue]:
    if has(bundle, "total") and kind not in ("searchset", "history"):
        cause = "total belongs to a searchset or history"
        yield _broken("bdl-1", f"{path}.total", cause, "leave it out")
    relations = [link.get("relation") for link in bundle.get("link", ())]
    if kind == "searchset" and len(relations) != len(set(relations)):
        yield Issue("value", "two links of one relation", "keep one of them", f"{path}.link")
    if kind == "document":
        identifier = bundle.get("identifier", {})
        if not (has(identifier, "system") and has(identifier, "value")):
            cause = "a document has an identifier with system and value"
            yield _broken("bdl-9", f"{path}.identifier", cause, "add it")
        if "timestamp" not in bundle:
            cause = "a document has a timestamp"
            yield _broken("bdl-10", f"{path}.timestamp", cause, "add it")
    if kind in _FIRST:
        wanted, key = _FIRST[kind]
        first = (bundle.get("entry") or [{}])[0].get("resource", {})
        if first.get("resourceType") != wanted:
            cause = f"a {kind} starts with a {wanted}"
            yield _broken(key, f"{path}.entry[0]", cause, f"put the {wanted} first")


def _entry(entry: Mapping[str, Any], kind: str, where: str) -> Iterator[Issue]:
    if has(entry, "search") and kind != "searchset":
        cause = "search belongs to a searchset"
        yield _broken("bdl-2", f"{where}.search", cause, "leave it out")
    for name, key, kinds in (("request", "bdl-3", _REQUESTS), ("response", "bdl-4", _RESPONSES)):
        if has(entry, name) and kind not in kinds:
            cause = f"{name} does not belong to this type of Bundle"
            yield _broken(key, f"{where}.{name}", cause, "leave it out, or correct Bundle.type")
        if kind in kinds and not has(entry, name):
            cause = f"an entry of a {kind} needs a {name}"
            yield _broken(key, f"{where}.{name}", cause, "add it, or correct Bundle.type")
    if not has(entry, "resource", "request", "response"):
        cause = "the entry holds no resource, request or response"
        yield _broken("bdl-5", where, cause, "remove it")


def _full_url(entry: Mapping[str, Any], kind: str, where: str) -> Iterator[Issue]:
    url = entry.get("fullUrl")
    resource = entry.get("resource")
    path = f"{where}.fullUrl"
    if url is None:
        remedy = "add the resource's absolute URL or a urn:uuid"
        if kind not in _NAMELESS:
            cause = "fullUrl is missing; only transactions and batches do without"
            yield Issue("required", cause, remedy, path)
        elif entry.get("request", {}).get("method") in _UPDATES and _refers(resource or {}):
            cause = "fullUrl is missing, and what is updated refers to others"
            yield Issue("required", cause, remedy, path)
        return
    if not primitives.is_absolute(url):
        remedy = "write the resource's absolute URL or a urn:uuid"
        yield Issue("value", "fullUrl is not absolute", remedy, path)
    if "/_history/" in url:
        cause = "fullUrl names a version"
        yield _broken("bdl-8", path, cause, "cut it before /_history/")
    yield from _identity(url, resource or {}, path)


def _identity(url: str, resource: Mapping[str, Any], path: str) -> Iterator[Issue]:
    """A RESTful fullUrl ends in the type and id of its resource, which has one."""
    named = references.literal(url)
    told = (resource.get("resourceType"), resource.get("id"))
    if named and named.server and resource and (named.type, named.id) != told:
        cause = "fullUrl ends in another type or id than the resource has"
        yield Issue("value", cause, "make it end in resourceType/id", path)


def _distinct(entries: list[Any], path: str) -> Iterator[Issue]:
    seen: set[tuple[str, str]] = set()
    for index, entry in enumerate(entries):
        if "fullUrl" not in entry:
            continue
        version = entry.get("resource", {}).get("meta", {}).get("versionId", "")
        key = (entry["fullUrl"], version)
        if key in seen:
            cause = "another entry has this fullUrl and version"
            where = f"{path}.entry[{index}].fullUrl"
            yield _broken("bdl-7", where, cause, "send each resource once")
        seen.add(key)


def _search_results(bundle: Bundle, entries: list[Any], path: str) -> Iterator[Issue]:
    """What entry.search.mode says of an entry, against its resource and the search itself."""
    searched = _searched(bundle)
    for index, entry in enumerate(entries):
        mode, resource = entry.get("search", {}).get("mode"), entry.get("resource")
        where = f"{path}.entry[{index}].resource"
        if mode is None or resource is None:
            continue
        kind = resource.get("resourceType", "")
        if mode == "outcome" and kind != "OperationOutcome":
            cause = f"a {kind} is no outcome of a search"
            yield Issue("value", cause, "write match or include as its search.mode", where)
        elif mode != "outcome" and "id" not in resource:
            cause = "what a search has found has an id"
            yield Issue("required", cause, "add it", f"{where}.id")
        if mode == "match" and searched and kind not in searched:
            cause = f"a {kind} is no match of a search for {' or '.join(sorted(searched))}"
            yield Issue("value", cause, "correct search.mode, or the link self", where)


def _searched(bundle: Bundle) -> frozenset[str]:
    """The types that the link `self` searches for; none where it does not say, or is of an
    operation, which finds what it wants."""
    urls = [one.get("url", "") for one in bundle.get("link", ()) if one.get("relation") == "self"]
    base, _, query = urls[0].partition("?") if urls else ("", "", "")
    last = base.rstrip("/").rpartition("/")[2]
    if last in definitions.resource_types():
        return frozenset((last,))
    if last.startswith("$"):
        return frozenset()
    asked = (part[6:] for part in query.split("&") if part.startswith("_type="))
    return frozenset(name for one in asked for name in unquote(one).split(",") if name)


class _Named(NamedTuple):
    """What the entries can be found by."""

    urls: frozenset[str]
    identities: frozenset[tuple[str, str]]


def _mismatched(entries: list[Any], path: str) -> Iterator[Issue]:
    """Relative references that mean an entry by type and id, but not by its fullUrl."""
    held = [entry.get("resource", {}) for entry in entries]
    named = _Named(
        frozenset(entry.get("fullUrl", "") for entry in entries),
        frozenset((r.get("resourceType", ""), r.get("id", "")) for r in held),
    )
    for index, (entry, resource) in enumerate(zip(entries, held, strict=True)):
        own = references.literal(entry.get("fullUrl", ""))
        server = own.server if own else ""
        for where, text in _references(resource, f"{path}.entry[{index}].resource"):
            parts = references.literal(text)
            if parts is None or parts.server or (parts.type, parts.id) not in named.identities:
                continue
            if f"{server}{parts.type}/{parts.id}" not in named.urls:
                cause = "the target is in the Bundle, but under another fullUrl"
                yield Issue("value", cause, "refer to it by its fullUrl", where)


def _formless(entries: list[Any], path: str) -> Iterator[Issue]:
    """Relative references that are not of the form Type/id."""
    for index, entry in enumerate(entries):
        held = entry.get("resource", {})
        for where, text in _references(held, f"{path}.entry[{index}].resource"):
            bare = text.partition("/_history/")[0]
            if text[:1] != "#" and not primitives.has_scheme(text) and not _TARGET.fullmatch(bare):
                cause = "a relative reference has the form Type/id"
                yield Issue("value", cause, "write Type/id, or the target's fullUrl", where)


def _refers(resource: Mapping[str, Any]) -> bool:
    """To anything but what it contains."""
    return any(text[:1] != "#" for _, text in _references(resource, ""))


def _references(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every `reference` text with its path; nested Bundles have names of their own."""
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from _references(one, f"{path}[{index}]")
    elif isinstance(value, dict) and value.get("resourceType") != "Bundle":
        for name, one in value.items():
            if name == "reference" and isinstance(one, str):
                yield f"{path}.reference", one
            elif isinstance(one, (dict, list)):
                yield from _references(one, f"{path}.{name}")
