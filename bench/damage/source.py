"""An unharmed resource and its places: every property, value and object with its R4 element."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bench.damage.edits import Path, told
from fhirbridge.fhir import definitions
from fhirbridge.fhir.definitions import Element


@dataclass(frozen=True, slots=True)
class Place:
    """One property with all its values (a slot), or one of its values (an item)."""

    path: Path
    element: Element
    value: Any
    owner: str  # the type or backbone path that has the property
    siblings: int  # properties of the same object, this one too

    @property
    def type(self) -> str:
        return self.element.type

    @property
    def in_list(self) -> bool:
        return isinstance(self.path[-1], int)


@dataclass(frozen=True, slots=True)
class Thing:
    """One object: a resource, a backbone element or a value of a complex type."""

    path: Path
    at: str  # resource type, type, or backbone path
    value: Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """A resource to be harmed. `id` names the package and the resource."""

    id: str
    resource: dict[str, Any] = field(hash=False)

    @property
    def type(self) -> str:
        return str(self.resource["resourceType"])

    @cached_property
    def profiles(self) -> tuple[str, ...]:
        return tuple(self.resource.get("meta", {}).get("profile", ()))

    @cached_property
    def slots(self) -> tuple[Place, ...]:
        return tuple(p for p in self._places if not p.in_list)

    @cached_property
    def items(self) -> tuple[Place, ...]:
        return tuple(p for p in self._places if p.in_list or not isinstance(p.value, list))

    @cached_property
    def things(self) -> tuple[Thing, ...]:
        return tuple(_things(self))

    @cached_property
    def _places(self) -> tuple[Place, ...]:
        return tuple(_walk(self.resource, self.type, ()))

    def told(self, path: Path) -> str:
        return told(self.type, path)


def _things(source: Source) -> Iterator[Thing]:
    yield Thing((), source.type, source.resource)
    for place in source.items:
        if isinstance(place.value, dict):
            at = place.element.path
            yield Thing(place.path, place.value.get("resourceType", at), place.value)


def _walk(value: Mapping[str, Any], at: str, path: Path) -> Iterator[Place]:
    for name, one in value.items():
        element = definitions.element(at, name)
        if element is None:
            continue
        here = (*path, name)
        yield Place(here, element, one, at, len(value))
        if not isinstance(one, list):
            yield from _below(one, element, here)
            continue
        for index, item in enumerate(one):
            if item is not None:
                yield Place((*here, index), element, item, at, len(value))
                yield from _below(item, element, (*here, index))


def _below(item: Any, element: Element, path: Path) -> Iterator[Place]:
    if isinstance(item, dict):
        yield from _walk(item, item.get("resourceType", element.path), path)
