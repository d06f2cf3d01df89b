"""The rules of contained resources, dom-2 to dom-5 (https://hl7.org/fhir/R4/domainresource.html)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fhirbridge.outcome import Issue


def types(resource: Mapping[str, Any]) -> dict[str, str]:
    """Id -> resource type of what the resource contains, as far as it is readable; "": itself."""
    listed = resource.get("contained")
    if not isinstance(listed, list):
        return {}
    readable = (one for one in (*listed, {**resource, "id": ""}) if isinstance(one, dict))
    pairs = ((one.get("id"), one.get("resourceType")) for one in readable)
    return {i: t for i, t in pairs if isinstance(i, str) and isinstance(t, str)}


def check(one: Mapping[str, Any], path: str) -> Iterator[Issue]:
    """Issues of one contained resource as such: nested, nameless, versioned, labelled."""
    if "id" not in one:
        cause = "a contained resource needs an id, or nothing can refer to it"
        yield Issue("required", cause, "give it an id", f"{path}.id")
    if "contained" in one:
        remedy = "move the inner resource up beside this one"
        yield _rule("dom-2", "a contained resource contains another", remedy, f"{path}.contained")
    meta = one.get("meta", {})
    for name in ("versionId", "lastUpdated"):
        if name in meta or f"_{name}" in meta:
            cause = "a contained resource has no version of its own"
            yield _rule("dom-4", cause, "leave it out", f"{path}.meta.{name}")
    if "security" in meta:
        cause = "a contained resource has no security label of its own"
        yield _rule("dom-5", cause, "label the resource around it", f"{path}.meta.security")


def check_orphan(one: Mapping[str, Any], path: str, *, anchors: Collection[str]) -> Iterator[Issue]:
    """dom-3, given every `#…` reference of the whole resource."""
    if f"#{one.get('id')}" not in anchors:
        cause = "nothing refers to the contained resource"
        yield _rule("dom-3", cause, "refer to it by # and its id, or remove it", path)


def _rule(key: str, cause: str, remedy: str, path: str) -> Issue:
    return Issue("invariant", f"{cause} ({key})", remedy, path)
