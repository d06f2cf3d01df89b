"""What a resource can refer to without a look-up: its contained resources and its Bundle's entries.

Follows https://hl7.org/fhir/R4/bundle.html#references; fetches nothing. Takes a Bundle of any
shape: what is no entry in it is not found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from fhirbridge.fhir import definitions, references
from fhirbridge.outcome import Issue

Resource = Mapping[str, Any]


class Target(NamedTuple):
    """A resource that a reference means, with what surrounds it."""

    resource: Resource
    around: Surroundings

    @property
    def kind(self) -> str:
        """Its R4 resource type; "" where it says none, or another: that is told of it itself."""
        told = self.resource.get("resourceType")
        return told if isinstance(told, str) and told in definitions.resource_types() else ""


class Entries:
    """The resources of a Bundle by fullUrl, and the fullUrl of each."""

    __slots__ = ("by_url", "urls")

    def __init__(self, bundle: Resource) -> None:
        self.by_url: dict[str, Resource] = {}
        self.urls: dict[int, str] = {}
        listed = bundle.get("entry")
        for entry in listed if isinstance(listed, list) else ():
            url = entry.get("fullUrl") if isinstance(entry, dict) else None
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if isinstance(url, str) and isinstance(resource, dict):
                self.by_url.setdefault(url, resource)
                self.urls[id(resource)] = url


class Surroundings:
    """The root resource with what it contains, and the entries of the Bundle it stands in."""

    __slots__ = ("_by_id", "entries", "root")

    def __init__(self, root: Resource, entries: Entries | None = None) -> None:
        self.root = root
        self.entries = entries
        self._by_id: Mapping[str, Resource] | None = None

    def resolve(self, text: str) -> Target | None:
        """The target of `Reference.reference`, where it is here; None where it is elsewhere."""
        if text[:1] == "#":
            return self._contained(text[1:])
        if self.entries is None or not text:
            return None
        for url in self._absolute(text, self.entries):
            found = self.entries.by_url.get(url)
            if found is not None:
                return Target(found, Surroundings(found, self.entries))
        return None

    def _contained(self, identifier: str) -> Target | None:
        if not identifier:
            return Target(self.root, self)
        if self._by_id is None:
            self._by_id = _by_id(self.root.get("contained"))
        found = self._by_id.get(identifier)
        return None if found is None else Target(found, self)

    def _absolute(self, text: str, entries: Entries) -> tuple[str, ...]:
        """The fullUrls that a reference can mean: relative ones hang on the entry's own server."""
        parts = references.literal(text)
        if parts is None:
            return (text,)
        bare = f"{parts.server}{parts.type}/{parts.id}"
        own = references.literal(entries.urls.get(id(self.root), ""))
        if parts.server or own is None:
            return (text, bare)
        return (f"{own.server}{bare}",)


def _by_id(listed: Any) -> dict[str, Resource]:
    made: dict[str, Resource] = {}
    for one in listed if isinstance(listed, list) else ():
        name = one.get("id") if isinstance(one, dict) else None
        if isinstance(name, str):
            made.setdefault(name, one)
    return made


def check_target(
    reference: Mapping[str, Any], targets: Collection[str], around: Surroundings, path: str
) -> Iterator[Issue]:
    """Issues of a Reference whose text names no type, but means an entry of the Bundle: its type
    is no target, or not the one that the Reference says."""
    text = reference.get("reference", "")
    if around.entries is None or text[:1] == "#" or references.literal(text) is not None:
        return
    found = around.resolve(text)
    if found is None or not found.kind:
        return
    if targets and found.kind not in targets:
        cause = f"a {found.kind} is no target here"
        yield Issue("value", cause, references.one_of(targets), f"{path}.reference")
    if reference.get("type", found.kind) != found.kind:
        cause = "type names another resource type than the entry of the Bundle has"
        yield Issue("value", cause, f"write {found.kind}, or leave type out", f"{path}.type")
