"""What an element asks of its object beyond the type's own rules: binding, targets, absolute URIs.

Gets objects whose JSON shape has been found right (https://hl7.org/fhir/R4/elementdefinition.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fhirbridge.fhir import bindings, primitives, references
from fhirbridge.fhir.definitions import Element
from fhirbridge.outcome import Issue

_WITH_SYSTEM = frozenset(("Age", "Count", "Distance", "Duration", "Identifier", "Quantity"))


def check(
    element: Element,
    one: Mapping[str, Any],
    *,
    path: str,
    contained: Mapping[str, str],
    inside: bool,
) -> Iterable[Issue]:
    """Issues of one object; `contained` and `inside` as in `references.check`."""
    if len(one) == 1 and "id" in one:
        cause = "the element has an id and no content (ele-1)"
        return [Issue("invariant", cause, "add content", path)]
    kind = element.type
    if kind == "Reference":
        targets = element.targets
        return references.check(one, targets, path=path, contained=contained, inside=inside)
    if element.binding and kind == "CodeableConcept":
        return bindings.check_concept(one, element.binding, path=path)
    if element.binding and kind == "Coding":
        return bindings.check_coding(one, element.binding, path=path)
    return _quantity(element, one, path) if kind in _WITH_SYSTEM else ()


def _quantity(element: Element, one: Mapping[str, Any], path: str) -> Iterator[Issue]:
    if element.profile == "SimpleQuantity" and ("comparator" in one or "_comparator" in one):
        cause = "a comparator is not allowed on this quantity (sqty-1)"
        yield Issue("invariant", cause, "leave it out", f"{path}.comparator")
    if element.type == "Identifier" or "code" in one:  # a system of no code says nothing
        yield from _absolute(one.get("system"), f"{path}.system")


def extension_urls(extensions: Any, path: str) -> Iterator[Issue]:
    """Issues of relative URLs; the parts of a complex extension, which may have them, left out."""
    for index, one in enumerate(extensions if isinstance(extensions, list) else ()):
        if isinstance(one, dict):
            yield from _absolute(one.get("url"), f"{path}[{index}].url")


def _absolute(uri: Any, path: str) -> Iterator[Issue]:
    if isinstance(uri, str) and not primitives.is_absolute(uri):
        yield Issue("value", "the URI is not absolute", "write the full URI", path)
