"""Plain shapes of another format as FHIR R4: each item of a shape to its element, by rows.

A row says which item (`take`), at which path, and in which form; the form is all that the format
has not in common with FHIR. What a resource then means is read by the mapping of its type, as if
it had come by FHIR. Each element remembers where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol

from fhirbridge.mapping.path import Path

Json = dict[str, Any]


class Item(Protocol):
    """A value of a shape, and where it stands."""

    @property
    def value(self) -> Any: ...

    @property
    def at(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ShapeRow:
    take: str
    path: Path
    form: str
    words: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ShapeMapping:
    """One file of rows: a shape, or the parts that the items of a group are (`parts`), and the
    resource that they become. `fixed` stands in every one; `warn` is said of each."""

    name: str
    shape: str
    resource: str
    rows: tuple[ShapeRow, ...]
    fixed: tuple[tuple[Path, Any], ...] = ()
    parts: frozenset[str] = frozenset()
    warn: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """A resource, and of its elements the place that each came from; `at` is that of the whole."""

    resource: Json
    at: str
    places: tuple[tuple[str, str], ...]
    strange: tuple[tuple[str, str], ...] = ()  # item and place of words that the rows do not know

    def place(self, expression: str, cause: str = "") -> str:
        """Where an element stood: that of the longest known path that leads to it; what is said of
        the record (a field by its name) stands where the whole does."""
        found = [(len(e), at) for e, at in self.places if _leads(e, expression)]
        unit = [at for e, at in self.places if e.endswith("#unit") and _leads(e[:-5], expression)]
        if "the unit" in cause and unit:
            return unit[0]
        return max(found)[1] if found else self.at


def _leads(known: str, expression: str) -> bool:
    return expression == known or expression.startswith((f"{known}.", f"{known}["))


def made(
    mapping: ShapeMapping, items: Mapping[str, Item], at: str, systems: Callable[[str], str]
) -> Placed:
    """The resource of a shape. `systems` gives the URI of a coding system by its name there."""
    resource: Json = {"resourceType": mapping.resource}
    for path, value in mapping.fixed:
        path.write(resource, value)
    places: list[tuple[str, str]] = []
    strange: list[tuple[str, str]] = []
    for row in mapping.rows:
        item = items.get(row.take)
        if item is None:
            continue
        value = _formed(row, item.value, systems)
        if value is None:
            strange.append((row.take, item.at))
            continue
        row.path.write(resource, value)
        places += _where(row, resource, item)
    return Placed(resource, at, tuple(places), tuple(strange))


def _where(row: ShapeRow, resource: Json, item: Item) -> Iterator[tuple[str, str]]:
    found = next(row.path.read(resource, root=str(resource["resourceType"])), None)
    if found is not None:
        yield found.expression, item.at
        if row.form == "quantity":  # the unit stands in the field behind: OBX-5, OBX-6
            head, _, number = item.at.rpartition("-")
            yield f"{found.expression}#unit", f"{head}-{int(number) + 1}"


def _formed(row: ShapeRow, value: Any, systems: Callable[[str], str]) -> Any:
    if row.words:
        return row.words.get(str(value))
    return FORMS[row.form](value, systems)


def _concept(value: Any, systems: Callable[[str], str]) -> Json | None:
    codings = [_coding(code, system, systems) for code, _, system in value.codings]
    text = {"text": value.text} if value.text and not _licensed(value) else {}
    return ({"coding": codings} if codings else {}) | text or None


_LICENSED = ("C4", "CPT", "CPTM", "CPT4")


def _licensed(value: Any) -> bool:
    """The descriptors of CPT are not ours to keep."""
    return any(system in _LICENSED for _, _, system in value.codings)


def _coding(code: str, system: str, systems: Callable[[str], str]) -> Json:
    """Without its text: matching is by code, and displays of senders are what they are."""
    uri = systems(system) if system else ""
    return ({"system": uri} if uri else {}) | {"code": code}


def _quantity(value: Any, systems: Callable[[str], str]) -> Json:
    unit: Json = {"unit": value.unit, "code": value.unit} if value.unit else {}
    if value.unit and value.unit_system:
        unit["system"] = systems(value.unit_system)
    comparator = {"comparator": value.comparator} if value.comparator else {}
    return {"value": _whole(value.value), **comparator, **unit}


def _whole(value: Decimal) -> Decimal | int:
    return int(value) if value == value.to_integral_value() and "." not in str(value) else value


def _number(value: Any, _: Callable[[str], str]) -> Any:
    return _whole(value.value) if hasattr(value, "comparator") and not value.comparator else None


def _as_it_is(value: Any, _: Callable[[str], str]) -> Any:
    return value


def _reason(value: Any, _: Callable[[str], str]) -> Json:
    return {"coding": [{"system": _ABSENT, "code": value}]}


def _verification(value: Any, _: Callable[[str], str]) -> Json:
    return {"coding": [{"system": _VERIFICATION, "code": value}]}


def _reference(value: Any, _: Callable[[str], str]) -> Json:
    """To a record by its key: the identifier that the record's resource bears."""
    return {"type": value[0], "identifier": {"system": value[1], "value": value[2]}}


_TERMS = "http://terminology.hl7.org/CodeSystem"
_ABSENT, _VERIFICATION = f"{_TERMS}/data-absent-reason", f"{_TERMS}/condition-ver-status"
FORMS: Mapping[str, Callable[[Any, Callable[[str], str]], Any]] = MappingProxyType(
    {
        "text": _as_it_is,
        "time": _as_it_is,
        "yes": _as_it_is,
        "concept": _concept,
        "quantity": _quantity,
        "number": _number,
        "reason": _reason,
        "verification": _verification,
        "reference": _reference,
    }
)
"""How an item stands in FHIR; the docs name each."""
