"""Bundles (https://hl7.org/fhir/R4/bundle.html): making transactions, and reading what came in
one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource of a message. `root` is its FHIRPath in the message, `method` what was asked."""

    position: int
    resource: Mapping[str, Any] | None
    root: str
    full_url: str = ""
    method: str = ""
    url: str = ""
    if_none_exist: str = ""
    if_match: str = ""
    search_mode: str = ""
    if_none_match: str = ""
    if_modified_since: str = ""

    @property
    def request(self) -> str:
        """The FHIRPath of what was asked, where the entry is one of a Bundle."""
        return self.root.removesuffix(".resource") + ".request"


def entries(body: Mapping[str, Any], *, asked: Mapping[str, str] | None = None) -> list[Entry]:
    """The entries of a Bundle; or the one resource that came alone, by the request `asked`, which
    has the members of Bundle.entry.request."""
    if body.get("resourceType") != "Bundle":
        return [_entry(0, {"resource": body, "request": asked or {}}, str(body["resourceType"]))]
    return list(_entries(body))


def _entries(bundle: Mapping[str, Any]) -> Iterator[Entry]:
    for position, entry in enumerate(bundle.get("entry", ())):
        yield _entry(position, entry, f"Bundle.entry[{position}].resource")


def _entry(position: int, entry: Mapping[str, Any], root: str) -> Entry:
    request = entry.get("request", {})
    return Entry(
        position=position,
        resource=entry.get("resource"),
        root=root,
        full_url=entry.get("fullUrl", ""),
        method=request.get("method", ""),
        url=request.get("url", ""),
        if_none_exist=request.get("ifNoneExist", ""),
        if_match=request.get("ifMatch", ""),
        search_mode=entry.get("search", {}).get("mode", ""),
        if_none_match=request.get("ifNoneMatch", ""),
        if_modified_since=request.get("ifModifiedSince", ""),
    )


def upsert(
    resource: Mapping[str, Any], *, full_url: str, system: str, value: str
) -> dict[str, Any]:
    """A transaction entry that makes the resource, or updates the one with this identifier."""
    condition = f"identifier={quote(system, safe='')}|{quote(value, safe='')}"
    return {
        "fullUrl": full_url,
        "resource": dict(resource),
        "request": {"method": "PUT", "url": f"{resource['resourceType']}?{condition}"},
    }


def transaction(made: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": [dict(e) for e in made]}


def searchset(
    found: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    links: Mapping[str, str],
    total: int | None,
    others: Iterable[tuple[str, str, Mapping[str, Any]]] = (),
) -> dict[str, Any]:
    """A search's answer of (fullUrl, resource) pairs, and of (mode, fullUrl, resource) beside."""
    every = [*(("match", url, resource) for url, resource in found), *others]
    entries = [
        {"fullUrl": url, "resource": dict(resource), "search": {"mode": mode}}
        for mode, url, resource in every
    ]
    return _listed("searchset", entries, links=links, total=total)


def history(
    entries: Iterable[Mapping[str, Any]], *, links: Mapping[str, str], total: int
) -> dict[str, Any]:
    """A resource's versions, the newest first, as entries."""
    return _listed("history", [dict(entry) for entry in entries], links=links, total=total)


def _listed(
    type: str, entries: list[dict[str, Any]], *, links: Mapping[str, str], total: int | None
) -> dict[str, Any]:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": type}
    if total is not None:
        bundle["total"] = total
    bundle["link"] = [{"relation": name, "url": url} for name, url in links.items()]
    return {**bundle, "entry": entries} if entries else bundle
