"""Judges a resource by a profile: what tools/build_profiles.py kept of its snapshot.

Gets resources whose base rules hold; follows https://hl7.org/fhir/R4/profiling.html. Must-support
asks nothing of a resource.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from fhirbridge.fhir import (
    codings,
    definitions,
    items,
    packages,
    profile_remedies,
    references,
    slicing,
)
from fhirbridge.fhir.items import Item
from fhirbridge.fhir.packages import Node
from fhirbridge.fhir.profile_invariants import RULES
from fhirbridge.fhir.surroundings import Surroundings
from fhirbridge.outcome import Issue, Severity, failed

_CODES = frozenset(("CodeableConcept", "Coding", "code"))
BASE = packages.BASE
LONGEST_CHAIN = 16  # of targets by profile, each seen from the one before


class Profiler:
    """Judges by profiles within one resource's surroundings; remembers which targets conform."""

    def __init__(
        self,
        around: Surroundings,
        seen: dict[tuple[int, str], bool],
        whole: Collection[int],
        *,
        hops: int = 0,
    ) -> None:
        """`seen`: id and profile -> conforms; `whole`: ids of resources of right shape; `hops`: how
        many references lead here."""
        self.around = around
        self.seen = seen
        self.whole = whole
        self.hops = hops
        self.slicer = slicing.Slicer(around, self.one_of, whole)

    def resource(self, resource: Mapping[str, Any], url: str, path: str) -> Iterator[Issue]:
        """Issues by one profile that the resource claims, or is asked to have."""
        told = packages.profile(url)
        kind, claimed = resource.get("resourceType"), packages.claimed_type(url)
        if claimed not in ("", kind):
            name = told["title"] if told else url.rpartition("/")[2]
            cause, remedy = f"'{name}' is a profile of {claimed}", f"claim a profile of {kind}"
            yield Issue("value", cause, remedy, f"{path}.meta.profile")
        elif told is None:
            cause = "the profile, or this version of it, is not known here, and was not checked"
            remedy = "check its URL, or leave it out of meta.profile"
            yield Issue("not-supported", cause, remedy, f"{path}.meta.profile", severity="warning")
        else:
            yield from self.item(told["node"], items.of_resource(resource, path), told["title"])

    # -- one value

    def item(self, node: Node, item: Item, by: str) -> Iterator[Issue]:
        """Issues of a value by what its element, or slice, asks."""
        if "types" in node and item.type not in node["types"]:
            cause = f"{item.type} is not allowed here ('{by}')"
            yield Issue("value", cause, f"send {' or '.join(node['types'])}", item.path)
            return
        yield from self.wanted(node, item, by)
        if "binding" in node:
            yield from bound(node["binding"], item, by)
        for key in node.get("rules", ()):
            yield from self.rule(key, item, by)
        yield from self.shaped(node, item, by)
        if item.type == "Reference" and "targets" in node:
            yield from self.target(node["targets"], item, by)
        yield from self.children(node, item, by)

    def wanted(self, node: Node, item: Item, by: str) -> Iterator[Issue]:
        if "fixed" in node and not items.same(item.value, node["fixed"]):
            cause = f"'{by}' wants exactly {_told(node['fixed'])}"
            yield Issue("value", cause, "write just that", item.path)
        if "pattern" in node and not items.holds(item.value, node["pattern"]):
            cause = f"'{by}' wants {_told(node['pattern'])} in it"
            yield Issue("value", cause, "add it, others may stand beside it", item.path)

    def rule(self, key: str, item: Item, by: str) -> Iterator[Issue]:
        holds, told = RULES.get(key), packages.invariant(key)
        if holds is not None and not holds(item, self.around):
            cause = f"{told['human']} ({key.partition('#')[0]}, '{by}')"
            severity: Severity = "warning" if told["severity"] == "warning" else "error"
            remedy = profile_remedies.remedy(key)
            yield Issue("invariant", cause, remedy, item.path, severity=severity)

    def shaped(self, node: Node, item: Item, by: str) -> Iterator[Issue]:
        """By the profile of the value's own type; where several are allowed, by one of them."""
        urls = node.get("profiles", {}).get(item.type, ())
        if item.type == "Extension" or not urls:
            return  # extensions are judged by their own definition
        if len(urls) == 1 and (told := packages.profile(urls[0])) is not None:
            yield from self.item(told["node"], item, f"{by}: {told['title']}")
        elif len(urls) > 1 and not self.one_of(item, urls, self.around):
            cause = f"'{by}' wants one of {len(urls)} profiles, and none fits"
            yield Issue("value", cause, f"conform to {' or '.join(urls)}", item.path)

    def target(self, urls: Sequence[str], item: Item, by: str) -> Iterator[Issue]:
        """By the profiles of what the reference means, its type at least."""
        value = item.value if isinstance(item.value, dict) else {}
        types = {target_type(url) for url in urls} - {""}
        pointed = pointed_type(value, self.around)
        path = f"{item.path}.reference" if "reference" in value else item.path
        if pointed and types and pointed not in types:
            cause = f"a {pointed} is no target here ('{by}')"
            yield Issue("value", cause, f"refer to {' or '.join(sorted(types))}", path)
            return
        found = self.around.resolve(value.get("reference", ""))
        if found is not None:
            here = items.of_resource(found.resource, path)
            if not self.one_of(here, urls, found.around):
                cause = f"the target conforms to none of the profiles that '{by}' allows"
                yield Issue("value", cause, f"let it conform to {' or '.join(urls)}", path)

    def one_of(self, item: Item, urls: Sequence[str], around: Surroundings) -> bool:
        return any(self.conforms(item, url, around) for url in urls)

    def conforms(self, item: Item, url: str, around: Surroundings) -> bool:
        """True also of a profile that is not known here, and of a circle of references; False at
        the end of a long chain, which is not followed."""
        told = packages.profile(url)
        if told is None or not isinstance(item.value, dict):
            return not url.startswith(BASE) or target_type(url) in ("", item.type)
        if told["type"] != item.type:
            return False
        if (
            item.at == item.type
            and "resourceType" in item.value
            and id(item.value) not in self.whole
        ):
            return True  # misshapen, which is told elsewhere
        key = (id(item.value), url)
        if key not in self.seen:
            if self.hops >= LONGEST_CHAIN:
                return False
            self.seen[key] = True
            other = Profiler(around, self.seen, self.whole, hops=self.hops + 1)
            self.seen[key] = not failed(other.item(told["node"], item, told["title"]))
        return self.seen[key]

    # -- elements below

    def children(self, node: Node, item: Item, by: str) -> Iterator[Issue]:
        for name, child in node.get("children", {}).items():
            path = f"{item.path}.{name.removesuffix('[x]')}"
            yield from self.element(child, items.below(item, name), path, by)

    def element(self, node: Node, found: Sequence[Item], path: str, by: str) -> Iterator[Issue]:
        """Issues of all values of one element: their number, their slices, each of them."""
        yield from _counted(node, len(found), path, by)
        if "slices" not in node:
            for item in found:
                yield from self.item(node, item, by)
            return
        placed = self.slicer.sort(node, found)
        yield from slicing.check(node, placed, path=path, by=by)
        for item, chosen in placed:
            yield from self.item(node if chosen is None else chosen, item, by)


def _counted(node: Node, count: int, path: str, by: str) -> Iterator[Issue]:
    least, most = node.get("min", 0), node.get("max", "*")
    if count < least:
        cause = f"'{by}' needs {'this' if least == 1 else least}, {count} found"
        yield Issue("required", cause, "add it", path)
    elif most != "*" and count > most:
        cause = f"'{by}' allows {most or 'none'}, {count} found"
        yield Issue("structure", cause, "remove the others" if most else "remove it", path)


def bound(binding: Mapping[str, Any], item: Item, by: str) -> Iterator[Issue]:
    """Issues of a value outside its value set.

    Among several types (`coded`) only codes are bound, as the reference validator has it.
    """
    if binding.get("coded") and item.type not in _CODES:
        return
    if item.value is None:
        if binding["strength"] == "required" and item.type == "code":
            yield Issue("value", f"'{by}' wants a code here", "add it", item.path)
        return
    membership = codings.of_value(item.value, item.type, binding["valueSet"])
    most = binding.get("most")
    if membership == "out":
        required = binding["strength"] == "required"
        name = binding["valueSet"].rpartition("/")[2]
        cause = f"not in the {binding['strength']} value set {name} ('{by}')"
        severity: Severity = "error" if required else "warning"
        remedy = codings.told(binding["valueSet"])
        yield Issue("value", cause, remedy, item.path, severity=severity)
    if most and codings.of_value(item.value, item.type, most) == "out":
        cause = f"not in the value set {most.rpartition('/')[2]}, the widest that '{by}' allows"
        yield Issue("value", cause, codings.told(most), item.path)


def target_type(url: str) -> str:
    """The resource type behind a target profile; "" where it is not known here."""
    told = packages.profile(url)
    if told is not None:
        return str(told["type"])
    name = url.removeprefix(BASE)
    return name if name in definitions.resource_types() else ""


def pointed_type(reference: Mapping[str, Any], around: Surroundings) -> str:
    """The resource type that a reference surely means, or ""."""
    text = reference.get("reference", "")
    found = around.resolve(text)
    if found is not None:
        return found.kind
    parts = references.literal(text)
    return parts.type if parts else ""


def _told(value: Any) -> str:
    if isinstance(value, dict):
        codes = value.get("coding", [value])
        told = [f"{c.get('code', '')} ({c.get('system', '')})" for c in codes]
        return ", ".join(told)
    return f"'{value}'"
