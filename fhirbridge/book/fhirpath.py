"""Paths of mapping rows as FHIRPath, in the part of it that SQL on FHIR views may use.

Follows http://hl7.org/fhirpath/N1/ and https://hl7.org/fhir/R4/fhirpath.html: a choice element is
`value.ofType(Quantity)`. Extensions are told by `where`: of several with one url, fhirpathpy 2.2.4
gives but the first for `extension('url')`.
"""

from __future__ import annotations

from collections.abc import Iterable

from fhirbridge.fhir import definitions
from fhirbridge.mapping.path import Path, Selector, Step


def text(value: str) -> str:
    """A string literal.

    >>> text("a'b")
    "'a\\\\'b'"
    """
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def expression(path: Path, resource: str) -> str:
    """FHIRPath of the path, from a resource of the type."""
    parts, here = [], resource
    for step in path.steps:
        part, here = _step(step, here)
        parts.append(part)
    return ".".join(parts)


def _step(step: Step, here: str) -> tuple[str, str]:
    """FHIRPath of one step, and the type or backbone that it leads to."""
    element = definitions.element(here, step.name)
    assert element is not None, f"{here} has {step.name}: the path was checked when it was loaded"
    selector = step.selector
    if selector is not None and selector.key == "resourceType":
        return f"{step.name}.ofType({selector.value})", selector.value
    if element.choice:
        return f"{element.choice}.ofType({element.type})", element.path
    return f"{step.name}{_where(selector) if selector else ''}", element.path


def _where(selector: Selector) -> str:
    if selector.system is None:
        return f".where({selector.key} = {text(selector.value)})"
    return f".where({selector.key}.{coded([(selector.system, selector.value)])})"


def coded(codes: Iterable[tuple[str, str]]) -> str:
    """That one of the codings below is one of these; for a CodeableConcept."""
    return f"coding.where({one_of(codes)}).exists()"


def one_of(codes: Iterable[tuple[str, str]]) -> str:
    """That a coding is one of these.

    >>> one_of([("s", "a"), ("s", "b")])
    "system = 's' and (code = 'a' or code = 'b')"
    """
    systems: dict[str, list[str]] = {}
    for system, code in codes:
        systems.setdefault(system, []).append(f"code = {text(code)}")
    told = [f"system = {text(system)} and {_any(equal)}" for system, equal in systems.items()]
    return told[0] if len(told) == 1 else " or ".join(f"({part})" for part in told)


def _any(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({' or '.join(parts)})"
