"""What HL7's packages say of profiles, extensions, codes and value sets, loaded at first use.

Gives the plain data of the four files that tools/build_profiles.py and tools/build_terminology.py
write; judges nothing (https://hl7.org/fhir/R4/profiling.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirbridge.fhir import definitions

Node = Mapping[str, Any]
"""What an element asks beyond its base element; the keys are those of tools/build_profiles.py."""


def profile(url: str) -> Mapping[str, Any] | None:
    """The profile of a resource or datatype; a version after `|` is not looked at."""
    found: Mapping[str, Any] | None = definitions.content("profiles.json")["profiles"].get(
        _bare(url)
    )
    return found


def extension(url: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = extensions().get(url)
    return found


def extensions() -> Mapping[str, Any]:
    known: Mapping[str, Any] = definitions.content("extensions.json")["extensions"]
    return known


def invariant(key: str) -> Mapping[str, str]:
    told: Mapping[str, str] = definitions.content("profiles.json")["invariants"][key]
    return told


def invariants() -> Mapping[str, Mapping[str, str]]:
    told: Mapping[str, Mapping[str, str]] = definitions.content("profiles.json")["invariants"]
    return told


def code_system(url: str) -> Mapping[str, Any] | None:
    """A system whose codes are all known: `codes` code -> display, `anyCase`."""
    found: Mapping[str, Any] | None = definitions.content("code_systems.json")["codeSystems"].get(
        url
    )
    return found


def value_set(url: str) -> Mapping[str, Any] | None:
    """`codes` system -> list, or True for the whole system; `open`: systems not listed here."""
    found: Mapping[str, Any] | None = definitions.content("value_sets.json")["valueSets"].get(
        _bare(url)
    )
    return found


def _bare(url: str) -> str:
    return url.partition("|")[0]
