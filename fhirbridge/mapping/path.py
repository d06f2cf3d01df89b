"""Paths of a mapping row: dotted element names with selectors, that read and write.

`extension[url=$laterality].valueCodeableConcept`: reading filters a list by its selector, writing
makes the item with it. `component[code=$study|mirels-site].valueInteger` selects by a coding,
`contained[resourceType=BodyStructure].location` goes into a contained resource. No functions and no
conditions: small enough to have an inverse. `mapping/parse_path.py` checks each name against HL7's
R4 element tree when the mapping is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhirbridge.fhir import definitions


@dataclass(frozen=True, slots=True)
class Selector:
    """What an item of a list must hold: a plain value at `key`, or with `system` a coding of the
    CodeableConcept there. `display` goes out with the coding and is never compared."""

    key: str
    value: str
    system: str | None = None
    display: str = field(default="", compare=False)

    def fits(self, item: Any) -> bool:
        if not isinstance(item, Mapping):
            return False
        held = item.get(self.key)
        if self.system is None:
            return bool(held == self.value)
        codings = held.get("coding") if isinstance(held, Mapping) else None
        return isinstance(codings, list) and any(
            isinstance(c, Mapping) and (c.get("system"), c.get("code")) == (self.system, self.value)
            for c in codings
        )

    def made(self) -> dict[str, Any]:
        """A new item that fits."""
        if self.system is None:
            return {self.key: self.value}
        coding = {"system": self.system, "code": self.value}
        return {
            self.key: {"coding": [coding | ({"display": self.display} if self.display else {})]}
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One element: its JSON name, whether it is a list, and what an item of the list must hold."""

    name: str
    is_list: bool
    selector: Selector | None = None

    def showing(self, display: str) -> Step:
        """The same, its new items' codes with that display."""
        return replace(self, selector=self.selector and replace(self.selector, display=display))


@dataclass(frozen=True, slots=True)
class Found:
    """An element as it was found: the value, its primitive's shadow (`_name`), where it stands."""

    value: Any
    shadow: Any
    expression: str


@dataclass(frozen=True, slots=True)
class Path:
    """A checked path of one resource type. `type` is the FHIR type of its last element."""

    text: str
    steps: tuple[Step, ...]
    type: str

    @property
    def primitive(self) -> bool:
        return definitions.primitive(self.type)

    def read(self, resource: Mapping[str, Any], *, root: str) -> Iterator[Found]:
        """Every occurrence; `root` is the FHIRPath of the resource."""
        yield from _read(resource, self.steps, root)

    def write(self, resource: dict[str, Any], value: Any) -> None:
        """Put the value there, and make what leads to it; an object joins an object that is
        there.
        """
        *way, last = self.steps
        here = resource
        for step in way:
            here = _enter(here, step)
        if isinstance(value, dict):
            _enter(here, last).update(value)
        else:
            here[last.name] = [value] if last.is_list else value

    def write_each(self, resource: dict[str, Any], values: Iterable[Any]) -> None:
        """Put each value into an item of its own of the last list on the way."""
        lists = [number for number, step in enumerate(self.steps) if step.is_list]
        here = resource
        for step in self.steps[: lists[-1]]:
            here = _enter(here, step)
        repeated, rest = self.steps[lists[-1]], self.steps[lists[-1] + 1 :]
        items = here.setdefault(repeated.name, [])
        for value in values:
            if not rest and not isinstance(value, dict):
                items.append(value)
                continue
            items.append(repeated.selector.made() if repeated.selector else {})
            if rest:
                replace(self, steps=rest).write(items[-1], value)
            else:
                items[-1].update(value)

    def write_absence(self, resource: dict[str, Any], reason: Mapping[str, Any]) -> None:
        """Put an extension in place of the value: into the shadow of a primitive, or beside what
        else the object holds."""
        *way, last = self.steps
        here = resource
        for step in way:
            here = _enter(here, step)
        if self.primitive:
            here = _enter(here, replace(last, name=f"_{last.name}"))
        else:
            here = _enter(here, last)
        here.setdefault("extension", []).append(dict(reason))


def _read(here: Mapping[str, Any], steps: tuple[Step, ...], expression: str) -> Iterator[Found]:
    step, rest = steps[0], steps[1:]
    value, shadow = here.get(step.name), here.get(f"_{step.name}")
    at = f"{expression}.{step.name}"
    if not step.is_list:
        if rest and isinstance(value, Mapping):
            yield from _read(value, rest, at)
        elif not rest and (value is not None or shadow is not None):
            yield Found(value, shadow, at)
        return
    for number, item in enumerate(value if isinstance(value, list) else ()):
        if step.selector and not step.selector.fits(item):
            continue
        if not rest:
            yield Found(item, None, f"{at}[{number}]")
        elif isinstance(item, Mapping):
            yield from _read(item, rest, f"{at}[{number}]")


def _enter(here: dict[str, Any], step: Step) -> dict[str, Any]:
    """The object below the step: the first item that fits its selector, made where it is not
    there.
    """
    if not step.is_list:
        below: dict[str, Any] = here.setdefault(step.name, {})
        return below
    items: list[dict[str, Any]] = here.setdefault(step.name, [])
    for item in items:
        if step.selector is None or step.selector.fits(item):
            return item
    items.append(step.selector.made() if step.selector else {})
    return items[-1]
