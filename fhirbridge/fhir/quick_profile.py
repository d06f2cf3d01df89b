"""What the compiled profiles ask of values at run time.

As in quick.py: True, or a rule that holds, only where the slow pass finds no error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from fhirbridge.fhir import definitions, primitives
from fhirbridge.fhir.profile_invariants import modality

_OBSERVATION = definitions.shape("Observation")
ANSWERS = frozenset(("component", "hasMember", "dataAbsentReason")) | frozenset(
    e.name
    for e in (_OBSERVATION.properties.values() if _OBSERVATION else ())
    if e.choice == "value"
)
_ANSWERED = "not {x}.keys().isdisjoint(ANSWERS)"
_EFFECTIVE = '"effectiveDateTime" in {x} or "effectivePeriod" in {x}'

# (key of an invariant, type or "" for any) -> condition under which it surely holds.
HOLDS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("us-core-1", "Instant"): "True",
        ("us-core-1", "Period"): "True",
        ("us-core-1", "Timing"): "True",
        ("us-core-1", "dateTime"): "len({x}) >= 10",
        ("vs-1", "Period"): "True",
        ("vs-1", "dateTime"): "len({x}) >= 8",
        ("vs-1#2", "Period"): "True",
        ("vs-1#2", "dateTime"): "len({x}) >= 10",
        ("mcode-reason-required", ""): '"reasonCode" in {x} or "reasonReference" in {x}',
        ("us-core-10", ""): _EFFECTIVE,
        ("us-core-2", "Observation"): _ANSWERED,
        ("us-core-6#2", ""): '"family" in {x} and "extension" not in {x}',
        ("us-core-7", ""): '"performedDateTime" in {x} or "performedPeriod" in {x}',
        ("us-core-8", ""): _EFFECTIVE,
        ("vs-2", "Observation"): _ANSWERED,
    }
)


def surely(key: str, kind: str) -> str | None:
    """The condition on `{x}`, of that type, under which the rule surely holds."""
    code = modality(key)
    if code and kind == "Extension":
        return f"not has_modality({{x}}, {code!r})"
    return HOLDS.get((key, kind)) or HOLDS.get((key, ""))


def has_modality(extension: Mapping[str, Any], code: str) -> bool:
    """A part of the extension has the code: it may ask for one of its techniques."""
    for part in extension.get("extension", ()):
        if "valueCodeableConcept" in part:
            for coding in part["valueCodeableConcept"].get("coding", ()):
                if coding.get("code") == code:
                    return True
    return False


def has_coding(concept: Mapping[str, Any], system: str, code: str) -> bool:
    """A coding of the concept has both; others may stand beside it."""
    for coding in concept.get("coding", ()):
        if coding.get("code") == code and coding.get("system") == system:
            return True
    return False


def has_system(concept: Mapping[str, Any], systems: Collection[str]) -> bool:
    """A coding of the concept is of one of the systems, and has a code."""
    for coding in concept.get("coding", ()):
        if "code" in coding and coding.get("system") in systems:
            return True
    return False


def known_parts(extension: Mapping[str, Any], parts: Mapping[str, Any]) -> bool:
    """Every part is one of the definition's, or an extension with a URL of its own.

    `parts` is url -> the parts of that part, None where anything may follow.
    """
    for part in extension.get("extension", ()):
        url = part.get("url", "")
        if url in parts:
            below = parts[url] if "extension" in part else None
            if below is not None and not known_parts(part, below):
                return False
        elif not primitives.is_absolute(url):
            return False
    return True
