"""The judge of R4 resources: walks a resource along its element tree and tells every fault.

Follows https://hl7.org/fhir/R4/validation.html for the base specification; knows no profile,
refuses no unknown modifier extension, and looks nothing up.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from fhirbridge.fhir import (
    bindings,
    bundle_rules,
    contained,
    definitions,
    demands,
    primitives,
)
from fhirbridge.fhir.definitions import Element
from fhirbridge.fhir.invariants import INVARIANTS
from fhirbridge.outcome import Issue

DEEPEST = 64
_ANCHORS = frozenset(("canonical", "uri", "url"))
_SUGGESTIONS = 20  # difflib is slow: a thousand unknown names must not buy a minute of work
_ABSENT = object()


def validate(resource: Mapping[str, Any], *, path: str | None = None) -> list[Issue]:
    """Every issue of the resource, contained and Bundle entries included; none: it is valid R4.

    `path` stands for the resource in the expressions instead of its type name.
    """
    issues: list[Issue] = []
    _Judge(issues).resource(resource, path, depth=1)
    return issues


class _Judge:
    """The walk over one resource and what it contains; a Bundle's entry gets a judge of its own."""

    __slots__ = ("anchors", "broken", "contained", "ids", "inside", "issues", "unknown")

    def __init__(self, issues: list[Issue]) -> None:
        self.issues = issues
        self.contained: Mapping[str, str] = {}
        self.anchors: list[str] = []  # every #… reference, for dom-3
        self.inside = False  # in a contained resource
        self.ids: set[str] = set()  # of elements
        self.broken = 0  # faults of shape: rules that read the parts would stumble
        self.unknown = 0

    def tell(self, category: str, path: str, cause: str, remedy: str) -> None:
        self.issues.append(Issue(category, cause, remedy, path))

    def misshapen(self, path: str, cause: str, remedy: str, *, category: str = "structure") -> None:
        self.broken += 1
        self.tell(category, path, cause, remedy)

    # -- resources

    def resource(self, resource: Mapping[str, Any], path: str | None, *, depth: int) -> None:
        """Judge a resource that contains others, and the rules of containment."""
        self.contained = contained.types(resource)
        self.body(resource, path, depth=depth)
        if self.broken == 0 and "contained" in resource:
            where = path or resource["resourceType"]
            for index, one in enumerate(resource["contained"]):
                at = f"{where}.contained[{index}]"
                if "id" in one:
                    self.distinct(f"#{one['id']}", at)
                self.issues.extend(contained.check_orphan(one, at, anchors=self.anchors))

    def body(self, resource: Mapping[str, Any], path: str | None, *, depth: int) -> None:
        name = resource.get("resourceType")
        if name is None:
            remedy = "name the type, for example Patient"
            self.misshapen(path or "", "resourceType is missing", remedy)
        elif not isinstance(name, str):
            self.misshapen(path or "", "resourceType is no text", "write the name of the type")
        elif name not in definitions.resource_types():
            near = difflib.get_close_matches(name[:64], definitions.resource_types(), n=1)
            remedy = f"did you mean {near[0]}?" if near else "send a resource type of R4"
            cause = "resourceType is no R4 resource type"
            self.misshapen(path or "", cause, remedy, category="not-supported")
        else:
            self.members(resource, name, path or name, depth=depth)
            if name == "Bundle" and self.broken == 0:
                self.issues.extend(bundle_rules.check(resource, path or name))

    def inner(
        self, resource: Mapping[str, Any], path: str, *, depth: int, is_contained: bool
    ) -> None:
        if not is_contained:
            judge = _Judge(self.issues)
            judge.resource(resource, path, depth=depth)
            self.broken += judge.broken
            return
        before, seen, around = self.broken, len(self.anchors), (self.inside, self.ids)
        self.inside, self.ids = True, set()
        self.body(resource, path, depth=depth)
        self.inside, self.ids = around
        if "#" in self.anchors[seen:]:
            self.anchors.append(f"#{resource.get('id')}")
        if self.broken == before:
            self.issues.extend(contained.check(resource, path))

    # -- the members of an object

    def members(self, value: Mapping[str, Any], at: str, path: str, *, depth: int) -> None:
        """Judge the properties of an object of the type or backbone `at`, then its rules."""
        shape = definitions.shape(at)
        if depth > DEEPEST or shape is None:
            cause, remedy = f"deeper than {DEEPEST} levels", "nest less deep"
            return self.misshapen(path[:200], cause, remedy)
        before, chosen = self.broken, dict[str, str]()
        properties = shape.properties
        for name, item in value.items():
            element = properties.get(name)
            if element is None:
                element = self.shadowed(name, value, at, path)
                if element is None:
                    continue
                item = _ABSENT
            group = element.group
            where = f"{path}.{group}"
            if chosen.setdefault(group, element.name) != element.name:
                cause = f"{group}[x] is given in more than one type"
                self.misshapen(where, cause, "keep one of them")
            elif element.type in primitives.FORMS:
                self.primitive(element, item, value.get(f"_{element.name}"), where, depth=depth)
            else:
                self.complex(element, item, where, depth=depth)
                if element.type == "Extension" and at != "Extension":
                    self.issues.extend(demands.extension_urls(item, where))
        for group in shape.required:
            if group not in chosen:
                self.tell("required", f"{path}.{group}", f"{group} is missing", "add it")
        if self.broken == before:
            self.rules(value, at, path)

    def shadowed(self, name: str, value: Mapping[str, Any], at: str, path: str) -> Element | None:
        """The primitive element of `_name` that has no value beside it; tells unknown names."""
        element = definitions.element(at, name[1:]) if name[:1] == "_" else None
        if element is not None and element.type in primitives.FORMS:
            return None if name[1:] in value else element
        if name == "resourceType" and at in definitions.resource_types():
            return None
        self.unknown += 1
        known = definitions.shape(at)
        near: list[str] = []
        if known is not None and self.unknown <= _SUGGESTIONS:
            near = difflib.get_close_matches(name[:64], known.properties, n=1, cutoff=0.7)
        remedy = f"did you mean {near[0]}?" if near else "remove it, or send it as an extension"
        self.tell("structure", f"{path}.{name[:64]}", f"{at} has no such property", remedy)
        return None

    def rules(self, value: Mapping[str, Any], at: str, path: str) -> None:
        for rule in INVARIANTS.get(at, ()):
            if not rule.holds(value):
                self.tell("invariant", path, f"{rule.cause} ({rule.key})", rule.remedy)

    # -- complex values

    def complex(self, element: Element, item: Any, where: str, *, depth: int) -> None:
        if not element.is_list:
            self.whole(element, item, where, depth=depth)
        elif not isinstance(item, list):
            self.misshapen(where, f"{element.name} is a list", "put the value into an array")
        else:
            self.count(element, len(item), where)
            for index, one in enumerate(item):
                self.whole(element, one, f"{where}[{index}]", depth=depth)

    def count(self, element: Element, found: int, where: str) -> None:
        if found == 0:
            self.misshapen(where, "the array is empty", "leave the property out")
        elif element.max is not None and found > element.max:
            cause = f"{found} values, at most {element.max} allowed"
            self.misshapen(where, cause, "remove the others")

    def whole(self, element: Element, one: Any, where: str, *, depth: int) -> None:
        """One object: its members, then what its element asks of it."""
        if not isinstance(one, dict):
            cause = f"an object ({element.type or element.name}) must stand here"
            return self.misshapen(where, cause, f"send an object, not {_told(one)}")
        if element.type == "Resource":
            is_contained = element.name == "contained"
            return self.inner(one, where, depth=depth + 1, is_contained=is_contained)
        if not one:
            return self.misshapen(where, "the object is empty", "leave the property out")
        before = self.broken
        self.members(one, element.path, where, depth=depth + 1)
        if self.broken == before:
            self.anchored(element, one)
            self.issues.extend(
                demands.check(
                    element, one, path=where, contained=self.contained, inside=self.inside
                )
            )
            if "id" in one and element.type != "ElementDefinition":  # snapshot and differential
                self.distinct(one["id"], where)

    def anchored(self, element: Element, one: Mapping[str, Any]) -> None:
        text = one.get("reference", "") if element.type == "Reference" else ""
        if text[:1] == "#":
            self.anchors.append(text)

    def distinct(self, identifier: str, where: str) -> None:
        if identifier in self.ids:
            cause = "another element of the resource has this id"
            self.tell("value", f"{where}.id", cause, "give it an id of its own, or none")
        self.ids.add(identifier)

    # -- primitive values

    def primitive(
        self, element: Element, item: Any, shadow: Any, where: str, *, depth: int
    ) -> None:
        """Judge `name` together with `_name`, which holds its id and extensions."""
        if not element.is_list:
            if item is None or (item is _ABSENT and shadow is None):
                self.misshapen(where, "null stands here", "leave the property out")
            else:
                self.single(element, item, shadow, where, depth=depth)
            return
        items = [] if item is _ABSENT else item
        shadows = [] if shadow is None else shadow
        if not isinstance(items, list) or not isinstance(shadows, list):
            return self.misshapen(where, f"{element.name} is a list", "put the value into an array")
        length = max(len(items), len(shadows))
        self.count(element, length, where)
        for index in range(length):
            one = items[index] if index < len(items) else None
            beside = shadows[index] if index < len(shadows) else None
            if one is None and beside is None:
                cause = "null stands here with nothing beside it"
                self.misshapen(f"{where}[{index}]", cause, "leave the entry out")
            else:
                one = _ABSENT if one is None else one
                self.single(element, one, beside, f"{where}[{index}]", depth=depth)

    def single(self, element: Element, one: Any, shadow: Any, where: str, *, depth: int) -> None:
        if one is not _ABSENT:
            self.simple(element, one, where)
        if shadow is None:
            return
        if not isinstance(shadow, dict) or not shadow:
            cause = f"_{element.name} holds an object with id or extension"
            return self.misshapen(where, cause, f"send an object, not {_told(shadow)}")
        self.members(shadow, "Element", where, depth=depth + 1)
        if one is _ABSENT and element.type == "code" and element.binding:
            self.issues.extend(bindings.check_no_code(element.binding, where))
        if one is _ABSENT and "extension" not in shadow:
            cause = "the element has neither a value nor an extension (ele-1)"
            self.tell("invariant", where, cause, "add a value or leave the property out")

    def simple(self, element: Element, one: Any, where: str) -> None:
        """A value's JSON kind, its format, and its code's binding."""
        kind = element.type
        if isinstance(one, (dict, list)):
            cause = f"a single value ({kind}) must stand here"
            return self.misshapen(where, cause, f"send a value, not {_told(one)}")
        form = primitives.FORMS[kind]
        if not primitives.of_kind(kind, one):
            cause = f"{_told(one)} is no {kind}"
            return self.misshapen(where, cause, form.remedy, category="value")
        if not form.test(one):
            cause = "the text is empty" if one == "" else f"the value is no {kind}"
            return self.tell("value", where, cause, form.remedy)
        if kind in _ANCHORS and one[0] == "#":
            self.anchors.append(one)
        elif kind == "code" and element.binding:
            self.issues.extend(bindings.check_code(one, element.binding, path=where))


def _told(value: Any) -> str:
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
