"""In which slice of a profile an item is: discriminators as tests, and the counts per slice.

The tests are those that tools/build_profiles.py has resolved
(https://hl7.org/fhir/R4/profiling.html#slicing).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from fhirbridge.fhir import codings, items
from fhirbridge.fhir.items import Item
from fhirbridge.fhir.packages import Node
from fhirbridge.fhir.surroundings import Surroundings
from fhirbridge.outcome import Issue

Conforms = Callable[[Item, Sequence[str], Surroundings], bool]
Pair = tuple[Item, Surroundings]


class Slicer:
    """Sorts the items of an element; `conforms` tells whether one is of one of some profiles."""

    def __init__(
        self, around: Surroundings, conforms: Conforms, whole: Collection[int] = ()
    ) -> None:
        """`whole`: ids of the resources of right shape, which alone are looked into."""
        self.around = around
        self.conforms = conforms
        self.whole = whole

    def sort(self, node: Node, found: Sequence[Item]) -> list[tuple[Item, Node | None]]:
        """Each item with its slice, the first that it fits; None: in no slice."""
        slices: Sequence[Node] = node["slices"]
        return [
            (item, next((s for s in slices if self.fits(item, s["match"])), None)) for item in found
        ]

    def fits(self, item: Item, match: Sequence[Mapping[str, Any]]) -> bool:
        return bool(match) and all(self.passes(item, test) for test in match)

    def passes(self, item: Item, test: Mapping[str, Any]) -> bool:
        found = self.at([(item, self.around)], test["path"])
        if "exists" in test:
            wanted: bool = test["exists"]
            return bool(found) == wanted
        return any(self.meets(one, around, test) for one, around in found)

    def at(self, found: list[Pair], steps: Sequence[str]) -> list[Pair]:
        for step in steps:
            if step == "resolve()":
                found = [pair for one in found for pair in self.resolved(one)]
            else:
                found = [(b, around) for item, around in found for b in items.below(item, step)]
        return found

    def resolved(self, pair: Pair) -> Iterator[Pair]:
        item, around = pair
        text = item.value.get("reference", "") if isinstance(item.value, dict) else ""
        target = around.resolve(text)
        if target is not None and id(target.resource) in self.whole:
            yield items.of_resource(target.resource, item.path), target.around

    def meets(self, item: Item, around: Surroundings, test: Mapping[str, Any]) -> bool:
        if "types" in test:
            return item.type in test["types"]
        if "profiles" in test:
            return self.conforms(item, test["profiles"], around)
        if "valueSet" in test:
            return codings.of_value(item.value, item.type, test["valueSet"]) == "in"
        if "fixed" in test:
            return items.same(item.value, test["fixed"])
        return items.holds(item.value, test["pattern"])


def check(
    node: Node, placed: Sequence[tuple[Item, Node | None]], *, path: str, by: str
) -> Iterator[Issue]:
    """Issues of the counts, the order and what is in no slice; `by`: the profile's title."""
    told = node["slicing"]
    for one in node["slices"]:
        count = sum(1 for _, chosen in placed if chosen is one)
        yield from _counted(one, count, path=path, by=by)
    if told["rules"] == "closed":
        for item, chosen in placed:
            if chosen is None:
                cause = f"this is none of the kinds that '{by}' allows here"
                remedy = f"keep {_names(node)} only"
                yield Issue("value", cause, remedy, item.path)
    if told.get("ordered"):
        yield from _ordered(node, placed, path=path, by=by)


def _counted(one: Node, count: int, *, path: str, by: str) -> Iterator[Issue]:
    least, most = one.get("min", 0), one.get("max", "*")
    if count < least:
        cause = f"{path}: {least} of the kind '{one['name']}' needed, {count} found ('{by}')"
        yield Issue("required", cause, f"add {_described(one)}", path)
    elif most != "*" and count > most:
        cause = f"at most {most} of the kind '{one['name']}' allowed, {count} found ('{by}')"
        yield Issue("structure", cause, "remove the others", path)


def _ordered(
    node: Node, placed: Sequence[tuple[Item, Node | None]], *, path: str, by: str
) -> Iterator[Issue]:
    order = [node["slices"].index(chosen) for _, chosen in placed if chosen is not None]
    if order != sorted(order):
        yield Issue("structure", f"wrong order ('{by}')", f"order: {_names(node)}", path)


def _names(node: Node) -> str:
    return ", ".join(one["name"] for one in node["slices"])


def _described(one: Node) -> str:
    """What an item of the slice looks like, as far as a sentence can say."""
    for test in one["match"]:
        where = ".".join(test["path"]) or "it"
        for key, verb in (("fixed", "is"), ("pattern", "has"), ("valueSet", "is a code of")):
            if key in test:
                return f"one of which {where} {verb} {_short(test[key])}"
        if "types" in test:
            return "one of the type " + " or ".join(test["types"])
        if "profiles" in test:
            return "one that conforms to " + " or ".join(test["profiles"])
    return "it"


def _short(value: Any) -> str:
    codes = value.get("coding", [value]) if isinstance(value, dict) else []
    parts = [f"{c.get('code')} ({c.get('system')})" for c in codes if isinstance(c, dict)]
    return ", ".join(parts) or str(value)
