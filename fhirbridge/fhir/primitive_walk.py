"""The walk over the values of primitive elements: JSON kind, format, and what stands beside them.

Follows https://hl7.org/fhir/R4/json.html#primitive; the elements around them are walked elsewhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from fhirbridge.fhir import bindings, definitions, languages, primitives
from fhirbridge.fhir.definitions import Element
from fhirbridge.fhir.findings import Findings
from fhirbridge.outcome import Issue

ABSENT = object()
_ANCHORS = frozenset(("canonical", "uri", "url"))


class PrimitiveWalk(ABC):
    """Judges primitive elements, and keeps what the whole walk has found."""

    __slots__ = ("anchors", "broken", "ids", "issues")

    def __init__(self, issues: Findings) -> None:
        self.issues = issues
        self.anchors: list[str] = []  # every #… reference, for dom-3
        self.broken = 0  # faults of shape: what reads the parts gets none that has one
        self.ids: set[str] = set()  # of elements

    @abstractmethod
    def members(
        self,
        value: Mapping[str, Any],
        at: str,
        path: str,
        *,
        depth: int,
        on: Element | None = None,
    ) -> None:
        """Judge the properties of an object: the walk that takes this one in says how."""

    # -- findings

    def tell(self, category: str, path: str, cause: str, remedy: str) -> None:
        self.issues.append(Issue(category, cause, remedy, path))

    def misshapen(self, path: str, cause: str, remedy: str, *, category: str = "structure") -> None:
        self.broken += 1
        self.tell(category, path, cause, remedy)

    def stopped(self) -> bool:
        """Enough is told. What was not looked at counts as broken, so that no rule reads it."""
        if self.issues.full:
            self.broken += 1
        return self.issues.full

    def distinct(self, identifier: str, where: str) -> None:
        if identifier in self.ids:
            cause = "another element of the resource has this id"
            self.tell("value", f"{where}.id", cause, "give it an id of its own, or none")
        self.ids.add(identifier)

    def count(self, element: Element, found: int, where: str) -> None:
        if found == 0:
            self.misshapen(where, "the array is empty", "leave the property out")
        elif element.max is not None and found > element.max:
            cause = f"{found} values, at most {element.max} allowed"
            self.misshapen(where, cause, "remove the others")

    # -- primitive values

    def primitive(
        self, element: Element, item: Any, shadow: Any, where: str, *, depth: int
    ) -> None:
        """Judge `name` together with `_name`, which holds its id and extensions."""
        if not element.is_list:
            if item is None or (item is ABSENT and shadow is None):
                self.misshapen(where, "null stands here", "leave the property out")
            else:
                self.single(element, item, shadow, where, depth=depth)
            return
        items = [] if item is ABSENT else item
        shadows = [] if shadow is None else shadow
        if not isinstance(items, list) or not isinstance(shadows, list):
            return self.misshapen(where, f"{element.name} is a list", "put the value into an array")
        length = max(len(items), len(shadows))
        self.count(element, length, where)
        for index in range(length):
            if self.stopped():
                return None
            one = items[index] if index < len(items) else None
            beside = shadows[index] if index < len(shadows) else None
            if one is None and beside is None:
                cause = "null stands here with nothing beside it"
                self.misshapen(f"{where}[{index}]", cause, "leave the entry out")
            else:
                one = ABSENT if one is None else one
                self.single(element, one, beside, f"{where}[{index}]", depth=depth)

    def single(self, element: Element, one: Any, shadow: Any, where: str, *, depth: int) -> None:
        if one is not ABSENT:
            self.simple(element, one, where)
        if shadow is None:
            return
        if not isinstance(shadow, dict) or not shadow:
            cause = f"_{element.name} holds an object with id or extension"
            return self.misshapen(where, cause, f"send an object, not {told(shadow)}")
        self.members(shadow, "Element", where, depth=depth + 1, on=element)
        if one is ABSENT and element.type == "code" and element.binding:
            self.issues.extend(bindings.check_no_code(element.binding, where))
        if one is ABSENT and "extension" not in shadow:
            cause = "the element has neither a value nor an extension (ele-1)"
            self.tell("invariant", where, cause, "add a value or leave the property out")

    def simple(self, element: Element, one: Any, where: str) -> None:
        """A value's JSON kind, its format, and its code's binding."""
        kind = element.type
        if isinstance(one, (dict, list)):
            cause = f"a single value ({kind}) must stand here"
            return self.misshapen(where, cause, f"send a value, not {told(one)}")
        form = primitives.FORMS[kind]
        if not primitives.of_kind(kind, one):
            cause = f"{told(one)} is no {kind}"
            return self.misshapen(where, cause, form.remedy, category="value")
        if not form.test(one):
            cause = "the text is empty" if one == "" else f"the value is no {kind}"
            return self.tell("value", where, cause, form.remedy)
        if kind in _ANCHORS and one[0] == "#":
            self.anchors.append(one)
        elif kind == "code" and element.binding:
            self.issues.extend(bindings.check_code(one, element.binding, path=where))
        elif element.name == "language" and not _right_language(element, one):
            self.tell("value", where, "this is no language", "write a tag, for example en-US")


def _right_language(element: Element, tag: str) -> bool:
    """Of a resource; Attachment.language and its like are only bound by preference."""
    return element.owner not in definitions.resource_types() or languages.is_tag(tag)


def told(value: Any) -> str:
    """What kind of JSON value it is: never the value itself, which may name a patient."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    return "a number"
