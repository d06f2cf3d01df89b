"""Paths of a mapping row: dotted element names with selectors, that read and write.

`extension[url=$laterality].valueCodeableConcept`: reading filters a list by its selector, writing
makes the item with it. No functions and no conditions: small enough to have an inverse. Each name
is checked against HL7's R4 element tree when the mapping is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhirbridge.fhir import definitions
from fhirbridge.study.definition import near

_STEP = re.compile(r"(?P<name>[A-Za-z_]\w*)(\[(?P<key>\w+)=(?P<value>[^\]]+)\])?", re.ASCII)


class PathError(ValueError):
    """A path that does not fit the resource; its text says how, `remedy` what to do."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Step:
    """One element: its JSON name, whether it is a list, and what an item of the list must hold."""

    name: str
    is_list: bool
    selector: tuple[str, str] | None = None


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

    def extend(self, resource: dict[str, Any], items: Iterable[Any]) -> None:
        """Add items to the list at the end of the path."""
        *way, last = self.steps
        here = resource
        for step in way:
            here = _enter(here, step)
        here.setdefault(last.name, []).extend(items)


def parse(text: str, *, resource: str, names: Mapping[str, str]) -> Path:
    """Check the path against the R4 element tree; `$name` in a selector stands for a URL of
    `names`.
    """
    steps: list[Step] = []
    element_type = resource
    walked: list[str] = []
    rest = text
    while rest:
        found = _STEP.match(rest)
        if found is None:
            raise PathError(f"'{rest}' is no element name", "write name or name[key=value]")
        rest = rest[found.end() :]
        if rest and not (rest.startswith(".") and len(rest) > 1):
            raise PathError(f"'{rest}' does not go on with an element", "divide names by one dot")
        rest = rest[1:]
        walked.append(found["name"])
        element = definitions.walk(resource, walked)
        if element is None:
            known = ", ".join(walked[:-1]) or resource
            raise PathError(f"{known} has no element '{walked[-1]}' in R4", "see hl7.org/fhir/R4")
        selector = _selector(found, names, is_list=element.is_list)
        if selector and definitions.walk(resource, [*walked, selector[0]]) is None:
            raise PathError(
                f"{found['name']} has no element '{selector[0]}'", "see hl7.org/fhir/R4"
            )
        steps.append(Step(found["name"], element.is_list, selector))
        element_type = element.type
    if not steps:
        raise PathError("an empty path", "name an element")
    return Path(text, tuple(steps), element_type)


def _selector(
    found: re.Match[str], names: Mapping[str, str], *, is_list: bool
) -> tuple[str, str] | None:
    key, value = found["key"], found["value"]
    if key is None:
        return None
    if not is_list:
        raise PathError(f"{found['name']} is no list, it has no selector", "take [...] away")
    if value.startswith("$"):
        if value[1:] not in names:
            raise PathError(f"'{value}' is not among the names", near(value[1:], names))
        value = names[value[1:]]
    return key, value


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
        if step.selector and not (
            isinstance(item, Mapping) and item.get(step.selector[0]) == step.selector[1]
        ):
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
        if step.selector is None or item.get(step.selector[0]) == step.selector[1]:
            return item
    items.append({step.selector[0]: step.selector[1]} if step.selector else {})
    return items[-1]
