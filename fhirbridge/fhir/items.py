"""The values of an element as items with type and path, as FHIRPath would find them.

Gets objects whose JSON shape has been found right (https://hl7.org/fhir/R4/json.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from fhirbridge.fhir import definitions
from fhirbridge.fhir.definitions import Element


class Item(NamedTuple):
    """One value: `value` None of a primitive that has extensions only; `at` as Element.path."""

    value: Any
    shadow: Mapping[str, Any]
    type: str
    at: str
    path: str


def of_resource(resource: Mapping[str, Any], path: str) -> Item:
    kind = str(resource.get("resourceType", ""))
    return Item(resource, {}, kind, kind, path)


@cache
def _elements(at: str, name: str) -> tuple[Element, ...]:
    """The JSON properties behind a name: of a choice, `value[x]` or `value`, one for each type."""
    shape = definitions.shape(at)
    if shape is None:
        return ()
    bare = name.removesuffix("[x]")
    return tuple(e for e in shape.properties.values() if e.group == bare)


def below(item: Item, name: str) -> list[Item]:
    """The values of a child element."""
    if not isinstance(item.value, dict):
        return list(_single_list(item.shadow.get(name), item, name))
    found: list[Item] = []
    for element in _elements(item.at, name):
        if element.name in item.value or _shadowed(element, item.value):
            found += _found(element, item)
    return found


def _shadowed(element: Element, value: Mapping[str, Any]) -> bool:
    return f"_{element.name}" in value and definitions.primitive(element.type)


def _single_list(value: Any, item: Item, name: str) -> Iterator[Item]:
    """id and extension of a primitive."""
    for index, one in enumerate(value if isinstance(value, list) else ()):
        yield Item(one, {}, "Extension", "Extension", f"{item.path}.{name}[{index}]")


def _found(element: Element, parent: Item) -> Iterator[Item]:
    where = f"{parent.path}.{element.group}"
    value = parent.value.get(element.name)
    shadowed = _shadowed(element, parent.value)
    shadow = parent.value[f"_{element.name}"] if shadowed else None
    if not element.is_list:
        yield _item(element, value, shadow, where)
        return
    values, shadows = value or [], shadow or []
    for index in range(max(len(values), len(shadows))):
        one = values[index] if index < len(values) else None
        beside = shadows[index] if index < len(shadows) else None
        yield _item(element, one, beside, f"{where}[{index}]")


def _item(element: Element, value: Any, shadow: Any, path: str) -> Item:
    if element.type == "Resource":
        return of_resource(value, path)
    return Item(value, shadow or {}, element.type, element.path, path)


def holds(value: Any, pattern: Any) -> bool:
    """The value has all that the pattern has; of a list, some entry for each of the pattern's.

    >>> holds({"coding": [{"code": "a"}, {"code": "b"}]}, {"coding": [{"code": "b"}]})
    True
    """
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and holds(value[name], one) for name, one in pattern.items()
        )
    if isinstance(pattern, list):
        listed = isinstance(value, list)
        return listed and all(any(holds(one, wanted) for one in value) for wanted in pattern)
    return same(value, pattern)


def same(value: Any, fixed: Any) -> bool:
    """Equal, and nothing more; numbers by their value."""
    if isinstance(value, bool) or isinstance(fixed, bool):
        return value is fixed
    if isinstance(value, (int, float, Decimal)) and isinstance(fixed, (int, float, Decimal)):
        return Decimal(str(value)) == Decimal(str(fixed))
    if isinstance(value, dict) and isinstance(fixed, dict):
        return value.keys() == fixed.keys() and all(same(value[n], fixed[n]) for n in fixed)
    if isinstance(value, list) and isinstance(fixed, list):
        return len(value) == len(fixed) and all(map(same, value, fixed))
    return bool(value == fixed)


def walk(items: Sequence[Item], name: str) -> list[Item]:
    return [one for item in items for one in below(item, name)]
