"""Checks a path as a mapping file writes it against HL7's R4 element tree."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fhirbridge.fhir import definitions
from fhirbridge.mapping.crosswalk import check_digit_ok
from fhirbridge.mapping.path import Path, Selector, Step
from fhirbridge.study.definition import near

_STEP = re.compile(r"(?P<name>[A-Za-z_]\w*)(\[(?P<key>\w+)=(?P<value>[^\]]+)\])?", re.ASCII)


class PathError(ValueError):
    """A path that does not fit the resource; its text says how, `remedy` what to do."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.remedy = remedy


def parse(text: str, *, resource: str, names: Mapping[str, str]) -> Path:
    """Check the path against the R4 element tree; `$name` in a selector stands for a URL of
    `names`. A step without selector in a list means its first item in writing, every item in
    reading.
    """
    steps: list[Step] = []
    element_type, here = resource, resource
    rest = text
    while rest:
        found = _STEP.match(rest)
        if found is None:
            raise PathError(f"'{rest}' is no element name", "write name or name[key=value]")
        rest = rest[found.end() :]
        if rest and not (rest.startswith(".") and len(rest) > 1):
            raise PathError(f"'{rest}' does not go on with an element", "divide names by one dot")
        rest = rest[1:]
        element = definitions.element(here, found["name"])
        if element is None:
            raise PathError(f"{here} has no element '{found['name']}' in R4", "see hl7.org/fhir/R4")
        into = found["key"] == "resourceType"
        selector = _selector(found, names, element.is_list, "" if into else element.path)
        steps.append(Step(found["name"], element.is_list, selector))
        element_type, here = element.type, element.path
        if into and selector is not None:
            element_type = here = selector.value
            if selector.value not in definitions.resource_types():
                raise PathError(f"R4 has no resource type '{selector.value}'", "name one of R4")
    if not steps:
        raise PathError("an empty path", "name an element")
    return Path(text, tuple(steps), element_type)


def _selector(
    found: re.Match[str], names: Mapping[str, str], is_list: bool, below: str
) -> Selector | None:
    """`below` is the definition of the item; empty where it is a resource chosen by its type."""
    key, value = found["key"], found["value"]
    if key is None:
        return None
    if not is_list:
        raise PathError(f"{found['name']} is no list, it has no selector", "take [...] away")
    if not below:
        return Selector(key, value)
    element = definitions.element(below, key)
    if element is None:
        raise PathError(f"{found['name']} has no element '{key}'", "see hl7.org/fhir/R4")
    if element.type != "CodeableConcept":
        return Selector(key, _url(value, names))
    system, bar, code = value.partition("|")
    if not bar or not code:
        raise PathError(f"'{value}' is no coding", "write [code=$system|code]")
    url = _url(system, names)
    if not check_digit_ok(url, code):
        raise PathError(f"{code} fails its check digit", "copy the code again from its source")
    return Selector(key, code, url)


def _url(value: str, names: Mapping[str, str]) -> str:
    if not value.startswith("$"):
        return value
    if value[1:] not in names:
        raise PathError(f"'{value}' is not among the names", near(value[1:], names))
    return names[value[1:]]
