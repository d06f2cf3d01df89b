"""The judge of R4 resources: walks a resource along its element tree and tells every fault.

Follows https://hl7.org/fhir/R4/validation.html: first the base specification, then, of what is
whole, profiles and extensions. Refuses nothing that it does not know, and looks nothing up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fhirbridge.fhir import (
    bundle_rules,
    codings,
    contained,
    definitions,
    demands,
    extensions,
    primitives,
)
from fhirbridge.fhir.definitions import Element
from fhirbridge.fhir.findings import Findings
from fhirbridge.fhir.invariants import INVARIANTS
from fhirbridge.fhir.primitive_walk import ABSENT, PrimitiveWalk, told
from fhirbridge.fhir.second_pass import Pending
from fhirbridge.fhir.surroundings import Entries, Surroundings, check_target
from fhirbridge.outcome import Issue

DEEPEST = 64


def validate(
    resource: Mapping[str, Any], *, path: str | None = None, profiles: Sequence[str] = ()
) -> list[Issue]:
    """Every issue of the resource, contained and Bundle entries included, as far as findings.py
    tells them.

    Valid is what has no issue of severity error. `path` stands for the resource in the expressions
    instead of its type name; `profiles` are asked of it beside those in its meta.profile.
    """
    issues = Findings(path or _name(resource))
    pending = Pending()
    _Judge(issues, pending, profiles).resource(resource, path, depth=1)
    pending.judge()
    return issues.issues


def _name(resource: Mapping[str, Any]) -> str:
    told = resource.get("resourceType")
    return told if isinstance(told, str) and told in definitions.resource_types() else ""


class _Judge(PrimitiveWalk):
    """The walk over one resource and what it contains; a Bundle's entry gets a judge of its own.

    What reads the parts of a value (rules, demands, profiles) may trust their shape: it is called
    only where `broken` did not rise while the value was walked. Then every property is one of the
    type, of the JSON kind that the definitions say, a list where they say so, and no deeper than
    DEEPEST; what is required may be missing, and a text may say anything.
    """

    __slots__ = (
        "around",
        "broken_entries",
        "contained",
        "inside",
        "pending",
        "profiles",
    )

    def __init__(
        self,
        issues: Findings,
        pending: Pending,
        profiles: Sequence[str] = (),
        entries: Entries | None = None,
    ) -> None:
        super().__init__(issues)
        self.pending = pending
        self.profiles = profiles  # asked of the root
        self.around = Surroundings({}, entries)
        self.contained: Mapping[str, str] = {}
        self.inside = False  # in a contained resource
        self.broken_entries: set[int] = set()  # ids of resources that have a judge of their own

    # -- resources

    def resource(self, resource: Mapping[str, Any], path: str | None, *, depth: int) -> None:
        """Judge a resource that contains others, and the rules of containment."""
        self.contained = contained.types(resource)
        self.around = Surroundings(resource, self.around.entries)
        if resource.get("resourceType") == "Bundle":
            self.around.entries = Entries(resource)
        self.body(resource, path, depth=depth)
        if self.broken == 0 and "contained" in resource:
            where = path or resource["resourceType"]
            anchors = frozenset(self.anchors)
            for index, one in enumerate(resource["contained"]):
                at = f"{where}.contained[{index}]"
                if "id" in one:
                    self.distinct(f"#{one['id']}", at)
                self.issues.extend(contained.check_orphan(one, at, anchors=anchors))

    def body(self, resource: Mapping[str, Any], path: str | None, *, depth: int) -> None:
        name = resource.get("resourceType")
        if name is None:
            remedy = "name the type, for example Patient"
            self.misshapen(path or "", "resourceType is missing", remedy)
        elif not isinstance(name, str):
            self.misshapen(path or "", "resourceType is no text", "write the name of the type")
        elif name not in definitions.resource_types():
            near = self.issues.near(name, definitions.resource_types())
            remedy = f"did you mean {near}?" if near else "send a resource type of R4"
            cause = "resourceType is no R4 resource type"
            self.misshapen(path or "", cause, remedy, category="not-supported")
        else:
            before = self.broken
            self.members(resource, name, path or name, depth=depth)
            if name == "Bundle" and self.broken == 0:
                whole = bundle_rules.without(resource, self.broken_entries)
                self.issues.extend(bundle_rules.check(whole, path or name))
            if self.broken == before and not self.broken_entries:
                profiles = () if self.inside else self.profiles
                at, issues = path or name, self.issues
                self.pending.resource(resource, at, self.around, profiles, issues=issues)

    def inner(
        self, resource: Mapping[str, Any], path: str, *, depth: int, is_contained: bool
    ) -> None:
        if not is_contained:
            issues = Findings(path, within=self.issues)
            judge = _Judge(issues, self.pending, entries=self.around.entries)
            judge.resource(resource, path, depth=depth)
            if judge.broken or judge.broken_entries:
                self.broken_entries.add(id(resource))
            return
        before, seen, around = self.broken, len(self.anchors), (self.inside, self.ids)
        self.inside, self.ids = True, set()
        self.body(resource, path, depth=depth)
        self.inside, self.ids = around
        own = f"#{resource.get('id')}"
        inner = [anchor for anchor in self.anchors[seen:] if anchor != own]  # not by itself
        self.anchors[seen:] = [*inner, own] if "#" in inner else inner
        if self.broken == before:
            self.issues.extend(contained.check(resource, path))

    # -- the members of an object

    def members(
        self,
        value: Mapping[str, Any],
        at: str,
        path: str,
        *,
        depth: int,
        on: Element | None = None,
    ) -> None:
        """Judge the properties of an object of the type or backbone `at`, then its rules.

        `on`: the element whose value it is.
        """
        shape = definitions.shape(at)
        if depth > DEEPEST or shape is None:
            cause, remedy = f"deeper than {DEEPEST} levels", "nest less deep"
            return self.misshapen(path[:200], cause, remedy)
        before, chosen = self.broken, dict[str, str]()
        properties = shape.properties
        for name, item in value.items():
            if self.stopped():
                return None
            element = properties.get(name)
            if element is None:
                element = self.shadowed(name, value, at, path)
                if element is None:
                    continue
                item = ABSENT
            group = element.group
            where = f"{path}.{group}"
            if chosen.setdefault(group, element.name) != element.name:
                cause = f"{group}[x] is given in more than one type"
                self.misshapen(where, cause, "keep one of them")
            elif element.type in primitives.FORMS:
                self.primitive(element, item, value.get(f"_{element.name}"), where, depth=depth)
            else:
                self.complex(element, item, where, depth=depth)
                if element.type == "Extension":
                    self.extended(value, name, item, where, at=at, on=on)
        for group in shape.required:
            if group not in chosen:
                self.tell("required", f"{path}.{group}", f"{group} is missing", "add it")
        if self.broken == before:
            self.rules(value, at, path)

    def extended(
        self,
        value: Mapping[str, Any],
        name: str,
        item: Any,
        where: str,
        *,
        at: str,
        on: Element | None,
    ) -> None:
        """Keep extensions for the second pass; in an extension, relative URLs name parts."""
        if at != "Extension":
            self.issues.extend(demands.extension_urls(item, where))
        if self.broken == 0:
            places = extensions.places(at, on, value)
            for index, one in enumerate(item):
                if primitives.is_absolute(one.get("url", "")):
                    self.pending.extension(
                        one,
                        f"{where}[{index}]",
                        self.around,
                        places,
                        modifier=name == "modifierExtension",
                        issues=self.issues,
                    )

    def shadowed(self, name: str, value: Mapping[str, Any], at: str, path: str) -> Element | None:
        """The primitive element of `_name` that has no value beside it; tells unknown names."""
        element = definitions.element(at, name[1:]) if name[:1] == "_" else None
        if element is not None and element.type in primitives.FORMS:
            if name[1:] not in value:
                return element
            if value[name] is None:
                self.misshapen(f"{path}.{element.group}", f"{name} is null", "leave it out")
            return None
        if name == "resourceType" and at in definitions.resource_types():
            return None
        known = definitions.shape(at)
        near = self.issues.near(name, known.properties if known else (), cutoff=0.7)
        remedy = f"did you mean {near}?" if near else "remove it, or send it as an extension"
        self.misshapen(f"{path}.{name[:64]}", f"{at} has no such property", remedy)
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
                if self.stopped():
                    return
                self.whole(element, one, f"{where}[{index}]", depth=depth)

    def whole(self, element: Element, one: Any, where: str, *, depth: int) -> None:
        """One object: its members, then what its element asks of it."""
        if not isinstance(one, dict):
            cause = f"an object ({element.type or element.name}) must stand here"
            return self.misshapen(where, cause, f"send an object, not {told(one)}")
        if element.type == "Resource":
            is_contained = element.name == "contained"
            return self.inner(one, where, depth=depth + 1, is_contained=is_contained)
        if not one:
            return self.misshapen(where, "the object is empty", "leave the property out")
        before = self.broken
        self.members(one, element.path, where, depth=depth + 1, on=element)
        if self.broken == before:
            self.anchored(element, one, where)
            self.issues.extend(
                demands.check(
                    element, one, path=where, contained=self.contained, inside=self.inside
                )
            )
            if element.type in codings.CODED:
                self.issues.extend(codings.check_element(element, one, where))
            if "id" in one and element.type != "ElementDefinition":  # snapshot and differential
                self.distinct(one["id"], where)

    def anchored(self, element: Element, one: Mapping[str, Any], where: str) -> None:
        """Keep what refers to contained resources; judge what means an entry of the Bundle."""
        if element.type != "Reference" or "reference" not in one:
            return
        if one["reference"][:1] == "#":
            self.anchors.append(one["reference"])
        else:
            self.issues.extend(check_target(one, element.targets, self.around, where))
