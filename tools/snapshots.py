"""Reads HL7's snapshots: the definitions of packages, an element as a tree, what one element says.

For the tools that make the judge's data (https://hl7.org/fhir/R4/elementdefinition.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.build_r4 import FHIR_TYPE, PREFIX, Definition, read_package

VERSIONS = "http://hl7.org/fhir/StructureDefinition/version-specific-use"
MOST = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"


@dataclass(slots=True)
class Node:
    """An element of a snapshot with the elements and slices below it."""

    element: Definition
    children: dict[str, Node] = field(default_factory=dict)
    slices: dict[str, Node] = field(default_factory=dict)


class Packages:
    """Every StructureDefinition by URL, and the elements of the base types by path."""

    def __init__(self, places: Sequence[Path]) -> None:
        self.sources: list[dict[str, str]] = []
        self.definitions: dict[str, Definition] = {}
        self.of: dict[str, str] = {}
        for place in places:
            self._take(read_package(place))
        self.types: dict[str, dict[str, Definition]] = {}
        for one in self.definitions.values():
            if one.get("derivation") != "constraint" and "snapshot" in one:
                elements = one["snapshot"]["element"]
                self.types[one["type"]] = {e["path"]: e for e in elements}

    def _take(self, files: dict[str, Definition]) -> None:
        package = files["package.json"]
        source = f"{package['name']} {package['version']}"
        self.sources.append({"source": source, "licence": package["license"]})
        for one in files.values():
            if one.get("resourceType") == "StructureDefinition":
                self.definitions[one["url"]] = one
                self.of[one["url"]] = source

    def constraints(self) -> Iterator[Definition]:
        for url in sorted(self.definitions):
            one = self.definitions[url]
            if one.get("derivation") == "constraint" and "snapshot" in one:
                yield one

    def children(self, path: str, types: Sequence[str]) -> str:
        """Under which path the base types hold the children of an element."""
        own = self.types.get(path.split(".")[0], {}).get(path, {})
        if "contentReference" in own:
            return str(own["contentReference"]).removeprefix("#")
        inline = not types or types[0] in ("BackboneElement", "Element")
        return path if inline else types[0]


def tree(elements: Sequence[Definition]) -> Node:
    """The snapshot as a tree; slices hang beside the children, re-slices as slices."""
    root = Node(elements[0])
    for element in elements[1:]:
        at = root
        steps = element["id"].split(".")[1:]
        for number, step in enumerate(steps, start=1):
            name, _, sliced = step.partition(":")
            last = number == len(steps)
            at = at.children.setdefault(name, Node(element if last and not sliced else {}))
            if sliced:
                at = at.slices.setdefault(sliced, Node(element if last else {}))
    return root


def of_r4(context: Definition) -> bool:
    """Some contexts of the extension pack begin with a later version of FHIR."""
    told = [
        part["valueCode"]
        for one in context.get("extension", [])
        if one["url"] == VERSIONS
        for part in one["extension"]
        if part["url"] == "startFhirVersion"
    ]
    return all(version <= "4.0" for version in told)


def limits(element: Definition, base: Definition, *, sliced: bool) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if not element:  # a parent that the snapshot passes over
        return made
    least, most = element["min"], element["max"]
    if least and (sliced or least != base.get("min", 0)):
        made["min"] = least
    if most != ("*" if sliced else base.get("max", "*")):
        made["max"] = most if most == "*" else int(most)
    return made


def types(element: Definition) -> list[str]:
    return [code(t) for t in element.get("type", [])]


def code(one: Definition) -> str:
    told = [e["valueUrl"] for e in one.get("extension", []) if e["url"] == FHIR_TYPE]
    code: str = told[0] if told else one["code"]
    return "string" if code.startswith("http:") else code


def values(element: Definition) -> dict[str, Any]:
    """fixed and pattern, whatever their type."""
    made = {}
    for name, value in element.items():
        for kind in ("fixed", "pattern"):
            if name.startswith(kind) and name[len(kind) : len(kind) + 1].isupper():
                made[kind] = value
    return made


def type_profiles(element: Definition, base: Definition) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for one in element.get("type", []):
        old: Definition = next((t for t in base.get("type", []) if t["code"] == one["code"]), {})
        if one.get("profile", old.get("profile")) != old.get("profile"):
            made.setdefault("profiles", {})[one["code"]] = bare(one["profile"])
        wanted, known = bare(one.get("targetProfile", [])), bare(old.get("targetProfile", []))
        if one["code"] == "Reference" and wanted != known and f"{PREFIX}Resource" not in wanted:
            made["targets"] = wanted
    return made


def bare(urls: Sequence[str]) -> list[str]:
    return [url.split("|")[0] for url in urls]


def binding(element: Definition, base: Definition) -> dict[str, Any]:
    told = bound(element)
    return {"binding": told} if told and told != bound(base) else {}


def bound(element: Definition) -> dict[str, str]:
    binding = element.get("binding", {})
    if binding.get("strength") not in ("required", "extensible") or "valueSet" not in binding:
        return {}
    made = {"strength": binding["strength"], "valueSet": binding["valueSet"].split("|")[0]}
    for one in binding.get("extension", []):
        if one["url"] == MOST:
            made["most"] = one.get("valueCanonical", one.get("valueUri", "")).split("|")[0]
    return made
