"""Required bindings: is a code, or one of the codings, in the value set that R4 demands.

Judges required sets whose codes R4 itself publishes (https://hl7.org/fhir/R4/terminologies.html#required);
never extensible or preferred ones, and never a display.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fhirbridge.fhir import definitions
from fhirbridge.fhir.definitions import ValueSet
from fhirbridge.outcome import Issue

_LISTED = 12  # a longer list of codes helps nobody in a message


def check_code(code: str, binding: str, *, path: str) -> Iterator[Issue]:
    """Issue of a `code` outside its set."""
    bound = definitions.value_set(binding)
    if bound is not None and code not in bound.codes:
        cause = f"the code is not in the required value set {_name(bound)}"
        yield Issue("value", cause, _remedy(bound), path)


def check_no_code(binding: str, path: str) -> Iterator[Issue]:
    """Issue of a `code` with an extension in place of its value: a required set wants a code."""
    bound = definitions.value_set(binding)
    if bound is not None:
        cause = f"a code of the required value set {_name(bound)} is missing"
        yield Issue("value", cause, _remedy(bound), path)


def check_concept(concept: Mapping[str, Any], binding: str, *, path: str) -> Iterator[Issue]:
    """Issue of a CodeableConcept without a coding of its set; text alone does not do."""
    bound = definitions.value_set(binding)
    if bound is None:
        return
    codings = concept.get("coding", ())
    if not codings:
        cause = f"a coding of the required value set {_name(bound)} is missing"
        yield Issue("value", cause, _remedy(bound), path)
    elif not _any_in(codings, bound):
        cause = f"no coding is in the required value set {_name(bound)}"
        yield Issue("value", cause, _remedy(bound), f"{path}.coding")


def check_coding(coding: Mapping[str, Any], binding: str, *, path: str) -> Iterator[Issue]:
    """Issue of a Coding outside its set."""
    bound = definitions.value_set(binding)
    if bound is not None and not _any_in([coding], bound):
        cause = f"the coding is not in the required value set {_name(bound)}"
        yield Issue("value", cause, _remedy(bound), path)


def _any_in(codings: Sequence[Mapping[str, Any]], bound: ValueSet) -> bool:
    return any(c.get("code") in bound.systems.get(c.get("system", ""), ()) for c in codings)


def _name(bound: ValueSet) -> str:
    return bound.url.rpartition("/")[2]


def _remedy(bound: ValueSet) -> str:
    if len(bound.codes) > _LISTED:
        return f"take a code of {bound.url}"
    systems = ", ".join(system for system in bound.systems)
    return f"take one of {', '.join(sorted(bound.codes))} ({systems})"
