"""Damage to Bundles: types, fullUrls, requests, responses (https://hl7.org/fhir/R4/bundle.html)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench.damage.edits import GONE, put, put_all
from bench.damage.mutant import Harm, Kind, Pool
from bench.damage.source import Source

_TYPES = (
    "document",
    "message",
    "transaction",
    "transaction-response",
    "batch",
    "batch-response",
    "history",
    "searchset",
    "collection",
)
_REQUEST = {"method": "GET", "url": "Patient/1"}


def _retyped(source: Source, _: Pool) -> Iterator[Harm]:
    if source.type == "Bundle":
        for new in _TYPES:
            yield ("type",), put(source.resource, ("type",), new)


def _entries(*changes: tuple[str, Any]) -> Callable[[Source, Pool], Iterator[Harm]]:
    """A property of an entry set or removed; a function gets the entry."""

    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        for index, entry in enumerate(_of(source)):
            for name, new in changes:
                value = new(entry) if callable(new) else new
                if value is not None and not (value is GONE and name not in entry):
                    at = ("entry", index, name)
                    yield at, put(source.resource, at, value)

    return harm


def _of(source: Source) -> list[dict[str, Any]]:
    return source.resource.get("entry", []) if source.type == "Bundle" else []


def _whole(*changes: tuple[str, Any]) -> Callable[[Source, Pool], Iterator[Harm]]:
    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        for name, new in changes if source.type == "Bundle" else ():
            yield (name,), put(source.resource, (name,), new)

    return harm


def _versioned(entry: dict[str, Any]) -> str | None:
    return entry["fullUrl"] + "/_history/1" if "fullUrl" in entry else None


def _of_other_id(entry: dict[str, Any]) -> str | None:
    name = entry.get("resource", {}).get("resourceType")
    return f"http://example.org/fhir/{name}/of-another" if name else None


def _of_other_type(entry: dict[str, Any]) -> str | None:
    one = entry.get("resource", {})
    return f"http://example.org/fhir/Slot/{one['id']}" if "id" in one else None


def _doubled_url(source: Source, _: Pool) -> Iterator[Harm]:
    entries = _of(source)
    for index, entry in enumerate(entries[1:], 1):
        if "fullUrl" in entries[0] and "resource" in entry:
            url = entries[0]["fullUrl"]
            yield ("entry", index), put(source.resource, ("entry", index, "fullUrl"), url)
    for index, entry in enumerate(entries):
        yield ("entry", index), put(source.resource, ("entry", len(entries)), entry)


def _emptied(source: Source, _: Pool) -> Iterator[Harm]:
    for index, entry in enumerate(_of(source)):
        bare = {"fullUrl": entry["fullUrl"]} if "fullUrl" in entry else {"id": "x"}
        yield ("entry", index), put(source.resource, ("entry", index), bare)
        plain = {"resource": entry["resource"]} if "resource" in entry else None
        if plain:
            yield ("entry", index), put(source.resource, ("entry", index), plain)


def _ids_moved(source: Source, _: Pool) -> Iterator[Harm]:
    for index, entry in enumerate(_of(source)):
        if "resource" in entry:
            at = ("entry", index, "resource", "id")
            yield at, put(source.resource, at, "moved")
            yield at, put(source.resource, at, GONE)


def _moved_home(source: Source, _: Pool) -> Iterator[Harm]:
    """Every fullUrl on another server: relative references no longer lead to the entries."""
    for index, entry in enumerate(_of(source)):
        one = entry.get("resource", {})
        if "id" in one:
            url = f"http://elsewhere.example.org/fhir/{one['resourceType']}/{one['id']}"
            at = ("entry", index, "fullUrl")
            yield at, put(source.resource, at, url)


def _first_moved(source: Source, _: Pool) -> Iterator[Harm]:
    entries = _of(source)
    if len(entries) > 1:
        turned = [*entries[1:], entries[0]]
        yield ("entry",), put(source.resource, ("entry",), turned)
        yield ("entry", 0), put(source.resource, ("entry",), entries[1:])


def _as_document(source: Source, _: Pool) -> Iterator[Harm]:
    if source.type == "Bundle":
        named = {"system": "http://example.org/documents", "value": "1"}
        parts = ((("type",), "document"), (("identifier",), named))
        yield ("type",), put_all(source.resource, *parts)


KINDS: tuple[Kind, ...] = (
    Kind("Bundle of another type", "structural", _retyped),
    Kind("document that is none (bdl-11)", "structural", _as_document),
    Kind("Bundle with a total (bdl-1)", "structural", _whole(("total", 3))),
    Kind("Bundle part removed", "structural",
         _whole(("type", GONE), ("identifier", GONE), ("timestamp", GONE), ("entry", GONE))),
    Kind("Bundle link wrong", "structural",
         _whole(("link", [{"relation": "self"}]), ("link", [{"url": "http://example.org"}]))),
    Kind("fullUrl removed", "structural", _entries(("fullUrl", GONE))),
    Kind("fullUrl relative", "structural", _entries(("fullUrl", "Patient/1"), ("fullUrl", "x"))),
    Kind("fullUrl malformed", "structural",
         _entries(("fullUrl", "urn:uuid:1"), ("fullUrl", "urn:oid:1.2.3"),
                  ("fullUrl", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"))),
    Kind("fullUrl of another id", "structural", _entries(("fullUrl", _of_other_id))),
    Kind("fullUrl of another type", "structural", _entries(("fullUrl", _of_other_type))),
    Kind("fullUrl with a version (bdl-8)", "structural", _entries(("fullUrl", _versioned))),
    Kind("fullUrl given twice (bdl-7)", "structural", _doubled_url),
    Kind("fullUrl of another server", "structural", _moved_home),
    Kind("entry's id moved", "structural", _ids_moved),
    Kind("entry emptied (bdl-5)", "structural", _emptied),
    Kind("entry with search (bdl-2)", "structural", _entries(("search", {"mode": "match"}))),
    Kind("entry with request (bdl-3)", "structural", _entries(("request", _REQUEST))),
    Kind("entry without request (bdl-3)", "structural", _entries(("request", GONE))),
    Kind("request incomplete", "structural",
         _entries(("request", {"method": "POST"}), ("request", {"url": "Patient"}),
                  ("request", {"method": "FETCH", "url": "Patient"}))),
    Kind("request for another resource", "structural",
         _entries(("request", {"method": "PUT", "url": "Slot/1"}))),
    Kind("entry with response (bdl-4)", "structural", _entries(("response", {"status": "200"}))),
    Kind("entry without response (bdl-4)", "structural", _entries(("response", GONE))),
    Kind("entry's resource removed", "structural", _entries(("resource", GONE))),
    Kind("entry's resource of another type", "structural",
         _entries(("resource", {"resourceType": "Foo", "id": "x"}))),
    Kind("first entry moved (bdl-11, bdl-12)", "structural", _first_moved),
)  # fmt: skip
