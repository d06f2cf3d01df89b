"""The coverage forecast: which fields of the study can be had from a server, by the mappings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from fhirbridge.mapping.spec import FormMapping, MappingSet, Row


@dataclass(frozen=True, slots=True)
class Forecast:
    """A field, the resource types that can carry it, and why none of them can be had here."""

    form: str
    field: str
    types: tuple[str, ...]
    why_not: str  # empty: it can be had


def forecast(mappings: MappingSet, lacking: Callable[[str], str]) -> list[Forecast]:
    """Of each field that the mappings read from hospitals, in the study's order. `lacking` says of
    a type why it cannot be had, empty where it can.
    """
    return [
        Forecast(form.name, name, types, _why_not(types, lacking))
        for form in mappings.study.forms.values()
        for name in form.fields
        if (types := tuple(sorted(set(_types(mappings, form.name, name)))))
    ]


def unread(mappings: MappingSet) -> int:
    """The fields that no hospital is asked for: the study captures them itself."""
    every = sum(len(form.fields) for form in mappings.study.forms.values())
    return every - len(forecast(mappings, lambda _: ""))


def _why_not(types: Iterable[str], lacking: Callable[[str], str]) -> str:
    reasons = {name: lacking(name) for name in types}
    if not all(reasons.values()):
        return ""
    return "; ".join(f"{name}: {why}" for name, why in reasons.items())


def _types(mappings: MappingSet, form: str, field: str) -> Iterator[str]:
    for mapping in mappings.of_form(form):
        if mapping.pulled and (mapping.patient is not None or mapping.resource == "Patient"):
            yield from (kind for kind, row in _rows(mapping) if row.field.name == field)


def _rows(mapping: FormMapping) -> Iterator[tuple[str, Row]]:
    """Each reading row with the type of resource that it reads."""
    for block in mapping.blocks:
        yield from ((mapping.resource, row) for row in block.rows if row.readings)
    for inside in mapping.inside:
        rows = [*inside.shared, *(row for rows in inside.rows.values() for row in rows)]
        yield from ((inside.resource, row) for row in rows)
