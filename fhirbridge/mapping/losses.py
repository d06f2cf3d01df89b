"""The loss report: every element of a resource that no row reads, and that is nowhere else kept.

Only places are told, never values: they may name a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.fhir import definitions
from fhirbridge.mapping.codecs import WHOLE, Fault, Remark, There
from fhirbridge.mapping.path import Path
from fhirbridge.mapping.read_row import absence
from fhirbridge.mapping.recognise import recognise
from fhirbridge.mapping.spec import Block, FormMapping, Inside, MappingSet, Reading, Row
from fhirbridge.mapping.within import items, recognised

_INDEX = re.compile(r"\[\d+\]")
_ENVELOPE = frozenset({"resourceType", "id", "meta", "implicitRules", "language", "text"})
"""What belongs to the copy of a resource, not to what it says; `text` is made from the rest."""


def losses(mappings: MappingSet, resource: Mapping[str, Any], *, root: str = "") -> list[str]:
    """FHIRPath of every primitive in the resource that decoding does not read, in their order. A
    resource that no mapping recognises is lost as a whole: its root is told."""
    root = root or str(resource.get("resourceType"))
    kept = _Kept(resource, root)
    known = False
    for mapping in mappings.of_resource(str(resource.get("resourceType"))):
        block, _, _ = recognise(mapping, resource, root)
        if block is not None:
            known = True
            kept.whole(mappings, mapping, block)
    for mapping, inside in mappings.inside_of(str(resource.get("resourceType"))):
        known = kept.inside(mapping, inside) or known
    return [at for at in _leaves(resource, root) if not kept.has(at)] if known else [root]


def _leaves(here: Any, at: str, *, outer: bool = True) -> Iterator[str]:
    if isinstance(here, Mapping):
        for name, value in here.items():
            if not (outer and name in _ENVELOPE):
                yield from _leaves(value, f"{at}.{name.removeprefix('_')}", outer=False)
    elif isinstance(here, list):
        for number, item in enumerate(here):
            yield from _leaves(item, f"{at}[{number}]", outer=False)
    elif here is not None:
        yield at


@dataclass
class _Kept:
    """The places that are read, each with the parts that its codec understands."""

    resource: Mapping[str, Any]
    root: str
    places: dict[str, set[str]] = field(default_factory=dict)

    def has(self, leaf: str) -> bool:
        """Whether a place on the way to the leaf is read in a part that holds it."""
        at = leaf
        while at:
            rest = _INDEX.sub("", leaf[len(at) :]).removeprefix(".")
            if any(rest == part or rest.startswith(f"{part}.") for part in self.places.get(at, ())):
                return True
            if self.places.get(at) == {"*"}:
                return True
            at = at[: max(at.rfind("."), at.rfind("["))] if "." in at or "[" in at else ""
        return False

    def keep(self, at: str, parts: frozenset[str]) -> None:
        self.places.setdefault(at, set()).update(parts)

    def everything(self, at: str) -> None:
        self.places[at] = {"*"}

    def whole(self, mappings: MappingSet, mapping: FormMapping, block: Block) -> None:
        for row in block.rows:
            self.row(row, self.resource, self.root)
        if mapping.recogniser is not None:
            self.path(mapping.recogniser.path, mapping.recogniser.codec.parts)
        for gate in (mapping.gate, mapping.where, mapping.review):
            if gate is not None:
                self.path(gate.path, frozenset({"", "coding"}))
        for path in mapping.patients:
            for found in path.read(self.resource, root=self.root):
                self.everything(found.expression)
        for fixed in block.fixed:  # what is written again is not lost
            for found in fixed.path.read(self.resource, root=self.root):
                if _same(found.value, fixed.value):
                    self.everything(found.expression)
                    self.selected(fixed.path, self.resource, self.root)
        self.own_identifier(mappings)

    def own_identifier(self, mappings: MappingSet) -> None:
        element = definitions.element(str(self.resource.get("resourceType")), "identifier")
        given = self.resource.get("identifier")
        if element is None or given is None:
            return
        for number, one in enumerate(given if isinstance(given, list) else [given]):
            if isinstance(one, Mapping) and one.get("system") == mappings.record_system:
                place = f"{self.root}.identifier"
                self.everything(f"{place}[{number}]" if element.is_list else place)

    def inside(self, mapping: FormMapping, inside: Inside) -> bool:
        """Whether an item was known; keeps what is read of it and of what stands around it."""
        known = False
        for item, at in items(self.resource, inside.items, self.root):
            block, _ = recognised(mapping, inside, item, self.resource, at)
            if block is None:
                continue
            known = True
            self.keep(at, frozenset({inside.code}))
            for row in inside.rows[block.name]:
                self.row(row, item, at)
        if known:
            for row in inside.shared:
                self.row(row, self.resource, self.root)
            for path in (inside.system, inside.gate.path if inside.gate else None):
                if path is not None:
                    self.path(path, WHOLE)
            for found in inside.patient.read(self.resource, root=self.root):
                self.everything(found.expression)
        return known

    def row(self, row: Row, here: Mapping[str, Any], root: str) -> None:
        for reading in (*row.readings, *((row.absent,) if row.absent else ())):
            for found in reading.path.read(here, root=root):
                self.keep(found.expression, reading.codec.parts)
                if _again(reading, found.value) == found.value:
                    self.everything(found.expression)
                if absence(found) is not None:
                    self.everything(f"{found.expression}.extension")
            self.selected(reading.path, here, root)

    def path(self, path: Path, parts: frozenset[str]) -> None:
        for found in path.read(self.resource, root=self.root):
            self.keep(found.expression, parts)

    def selected(self, path: Path, here: Mapping[str, Any], root: str) -> None:
        """What an item is chosen by, is read."""
        for number, step in enumerate(path.steps):
            if step.selector is not None:
                way = Path(path.text, path.steps[: number + 1], "")
                for found in way.read(here, root=root):
                    self.everything(f"{found.expression}.{step.selector.key}")


def _again(reading: Reading, given: Any) -> Any:
    """What would be written of what is read; None where it is not read or not written."""
    read = reading.codec.read(given) if isinstance(given, Mapping) else None
    if read is None or isinstance(read, Fault | Remark | tuple) or isinstance(reading.codec, There):
        return None
    return reading.codec.write(read)


def _same(given: Any, written: Any) -> bool:
    """Whether all that is written there stands there."""
    if isinstance(written, Mapping):
        return isinstance(given, Mapping) and dict(given) == dict(written)
    return bool(given == written)
