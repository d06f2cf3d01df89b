"""Extensions by their definitions: where they may stand, what they may hold.

Knows those of R4, HL7's extension pack, US Core and mCODE; of others nothing is refused
(https://hl7.org/fhir/R4/defining-extensions.html).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any

from fhirbridge.fhir import definitions, packages, primitives
from fhirbridge.fhir.definitions import Element
from fhirbridge.fhir.items import Item
from fhirbridge.fhir.packages import Node
from fhirbridge.fhir.profiles import Profiler
from fhirbridge.outcome import Issue

_ANYWHERE = frozenset(("Element", "Any"))
_NOT_DOMAIN = frozenset(("Bundle", "Parameters", "Binary"))


def places(at: str, on: Element | None, value: Mapping[str, Any]) -> Collection[str]:
    """The context expressions that fit an element: its path, its type and what that derives from.

    `at` and `on` as in the walk: the children's path, and the element, None of a resource itself.
    """
    known = _of_resource(at) if on is None else _of_element(on, at)
    url = value.get("url") if at == "Extension" else None
    return known | {url} if isinstance(url, str) else known


@cache
def _of_resource(kind: str) -> frozenset[str]:
    found = {kind, "Resource"} if kind in _NOT_DOMAIN else {kind, "Resource", "DomainResource"}
    if definitions.element(kind, "url") and definitions.element(kind, "status"):
        found |= {"CanonicalResource", "MetadataResource"}
    return frozenset(found)


@cache
def _of_element(on: Element, at: str) -> frozenset[str]:
    owners = {on.owner, "Resource", "DomainResource"}
    owners = owners if on.owner in definitions.resource_types() else {on.owner}
    names = {on.name, on.group, f"{on.group}[x]"} if on.choice else {on.name}
    paths = {f"{owner}.{name}" for owner in owners for name in names}
    kind = on.type or "BackboneElement"
    return frozenset({*paths, kind, at} - {"Element"})


def check(
    extension: Mapping[str, Any],
    profiler: Profiler,
    *,
    path: str,
    around: Collection[str],
    modifier: bool,
) -> Iterator[Issue]:
    """Issues of one extension; `around`: the contexts that fit the element that it stands on.

    Gets absolute URLs only; the parts of a complex extension are judged with it.
    """
    url = extension["url"]
    told = packages.extension(url)
    if told is None and packages.extension(url.partition("|")[0]) is not None:
        cause = "the url of an extension has no version"
        yield Issue("value", cause, "leave out the version and |", f"{path}.url")
        return
    if told is None:
        cause = "the extension is not known here, and was not checked"
        remedy = "nothing, if it is your own; else check the URL"
        yield Issue("not-supported", cause, remedy, f"{path}.url", severity="information")
        return
    if not _fits(told["context"], around):
        cause = f"'{told['title']}' does not belong here"
        remedy = f"it belongs to {', '.join(sorted(c[1] for c in told['context']))}"
        yield Issue("structure", cause, remedy, path)
    if bool(told.get("modifier")) != modifier:
        wanted = "modifierExtension" if told.get("modifier") else "extension"
        cause = f"'{told['title']}' belongs to {wanted}"
        yield Issue("structure", cause, "move it there", path)
    yield from body(told["node"], extension, profiler, path=path, by=told["title"])


def body(
    node: Node, extension: Mapping[str, Any], profiler: Profiler, *, path: str, by: str
) -> Iterator[Issue]:
    """Issues of the value or the parts."""
    item = Item(extension, {}, "Extension", "Extension", path)
    yield from profiler.item(node, item, by)
    yield from _undefined(node, extension, path=path, by=by)


def _undefined(node: Node, extension: Mapping[str, Any], *, path: str, by: str) -> Iterator[Issue]:
    """Parts that the definition does not have; a part may hold parts of its own."""
    parts = node.get("children", {}).get("extension", {})
    known = {_url(one): one for one in parts.get("slices", ())}
    for index, part in enumerate(extension.get("extension", ())):
        url, where = part.get("url", ""), f"{path}.extension[{index}]"
        if url in known:
            if "children" in known[url]:
                yield from _undefined(known[url], part, path=where, by=by)
        elif not primitives.is_absolute(url):
            cause = f"'{by}' has no part of this name"
            remedy = f"parts: {', '.join(sorted(known))}" if known else "send a value, not parts"
            yield Issue("structure", cause, remedy, f"{where}.url")


def _url(one: Node) -> str:
    return next((str(t["fixed"]) for t in one["match"] if t["path"] == ["url"]), "")


def _fits(contexts: Collection[list[str]], around: Collection[str]) -> bool:
    return any(
        kind == "fhirpath" or expression in _ANYWHERE or expression in around
        for kind, expression in contexts
    )
