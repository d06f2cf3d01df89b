"""The R4 element trees and required value sets of r4.json (tools/build_r4.py), as frozen nouns.

Knows the base specification only, no profile (https://hl7.org/fhir/R4/elementdefinition.html).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Element:
    """One JSON property: of a choice, the one for this type (`valueInteger`)."""

    name: str
    type: str  # FHIR type code; "" for a backbone
    path: str  # definition of the children: the type, or the path of the backbone
    min: int
    max: int | None  # None: no limit
    targets: frozenset[str]  # resource types a Reference may point to; empty: any
    binding: str  # canonical of the required value set, or ""
    extensible: str  # canonical of the extensible value set, or ""
    choice: str  # "value" for valueInteger, else ""
    profile: str  # SimpleQuantity, or ""
    owner: str  # the type or backbone path that it is a child of

    @property
    def is_list(self) -> bool:
        return self.max is None or self.max > 1

    @property
    def group(self) -> str:
        """The name that FHIRPath and the minimum count by: one for all types of a choice."""
        return self.choice or self.name


@dataclass(frozen=True, slots=True)
class Shape:
    """Children of a type or backbone: by JSON property name, and the groups that must be there."""

    properties: Mapping[str, Element]
    required: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ValueSet:
    """Every code of a required value set, by system and, for `code` elements, without."""

    url: str
    systems: Mapping[str, frozenset[str]]
    codes: frozenset[str]


@cache
def content(name: str) -> Mapping[str, Any]:
    """One of the data files of this room, which the tools make; read once."""
    text = resources.files("fhirbridge.fhir").joinpath(name).read_text(encoding="utf-8")
    made: Mapping[str, Any] = json.loads(text)
    return made


def _content() -> Mapping[str, Any]:
    return content("r4.json")


@cache
def resource_types() -> frozenset[str]:
    return frozenset(_content()["resources"])


@cache
def _primitives() -> frozenset[str]:
    return frozenset(_content()["primitives"])


def primitive(type_name: str) -> bool:
    return type_name in _primitives()


@cache
def value_set(url: str) -> ValueSet | None:
    """The value set; None where R4 leaves its codes to others (media types, currencies, UCUM)."""
    told = _content()["valueSets"].get(url)
    if told is None:
        return None
    systems = {system: frozenset(codes) for system, codes in told.items()}
    return ValueSet(url, MappingProxyType(systems), frozenset().union(*systems.values()))


@cache
def shape(path: str) -> Shape | None:
    """The children under a type or backbone path; None of a primitive, Resource or unknown name."""
    told = _content()["elements"].get(path)
    if told is None:
        return None
    made: dict[str, Element] = {}
    for name, entry in told.items():
        made |= {element.name: element for element in _elements(path, name, entry)}
    required = tuple(dict.fromkeys(e.group for e in made.values() if e.min))
    return Shape(MappingProxyType(made), required)


def _elements(parent: str, name: str, entry: Mapping[str, Any]) -> Iterable[Element]:
    choice = name.removesuffix("[x]") if name.endswith("[x]") else ""
    inline = entry.get("content", f"{parent}.{name}")
    for code in entry.get("types", [""]):
        limit = entry.get("max", 1)
        yield Element(
            name=choice + code[0].upper() + code[1:] if choice else name,
            type=code,
            path=code or inline,
            min=entry.get("min", 0),
            max=None if limit == "*" else limit,
            targets=frozenset(entry.get("targets", ()) if code == "Reference" else ()),
            binding=entry.get("binding", ""),
            extensible=entry.get("extensible", ""),
            choice=choice,
            profile=entry.get("profile", "") if code == "Quantity" else "",
            owner=parent,
        )


def element(type_name: str, name: str) -> Element | None:
    """The element behind a JSON property of a type or of an `Element.path`; `_birthDate` is none.

    >>> element("Observation", "valueInteger").type
    'integer'
    """
    found = shape(type_name)
    return found.properties.get(name) if found else None


def walk(type_name: str, names: Iterable[str]) -> Element | None:
    """The element at the end of a path of JSON property names; None where a step does not exist.

    >>> walk("Condition", ["bodySite", "extension", "valueCodeableConcept", "coding"]).type
    'Coding'
    """
    path, found = type_name, None
    for name in names:
        found = element(path, name)
        if found is None:
            return None
        path = found.path
    return found


def shape_paths() -> Iterable[str]:
    """Every type and backbone path that has a shape."""
    return tuple(_content()["elements"])
