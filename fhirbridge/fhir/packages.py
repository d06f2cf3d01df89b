"""What HL7's packages say of profiles, extensions, codes and value sets, loaded at first use.

Gives the plain data of the four files that tools/build_profiles.py and tools/build_terminology.py
write; judges nothing (https://hl7.org/fhir/R4/profiling.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirbridge.fhir import definitions

BASE = "http://hl7.org/fhir/StructureDefinition/"
_ABSTRACT = frozenset(("BackboneElement", "Element"))
Node = Mapping[str, Any]
"""What an element asks beyond its base element; the keys are those of tools/build_profiles.py."""


def profile(url: str) -> Mapping[str, Any] | None:
    """The profile of a resource or datatype; none where a version after `|` is another one."""
    found: Mapping[str, Any] | None = definitions.content("profiles.json")["profiles"].get(
        _bare(url)
    )
    return found if found is None or _of_version(url, found["source"]) else None


def claimed_type(url: str) -> str:
    """The type that something of this profile has; "" where that is not known, or any."""
    told = profile(url)
    if told is not None:
        return str(told["type"])
    if extension(_bare(url)) is not None:
        return "Extension" if "|" not in url else ""
    name = _bare(url).removeprefix(BASE)
    known = definitions.primitive(name) or definitions.shape(name) is not None
    return name if known and name not in _ABSTRACT and _of_version(url, "R4 4.0.1") else ""


def _of_version(url: str, source: str) -> bool:
    """No version is asked for, or one that differs from the package's by its patches alone."""
    wanted, known = url.partition("|")[2], source.rpartition(" ")[2]
    return "|" not in url or wanted.split(".")[:2] == known.split(".")[:2]


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
