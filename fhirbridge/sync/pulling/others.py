"""Leaves out what a server sent of persons who are not of the study, before anything is kept.

Servers ignore filters (https://hl7.org/fhir/R4/search.html#errors), and exports hold everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.registry.subjects import Subject
from fhirbridge.sync.consent import Gate
from fhirbridge.sync.mentions import Mention, within
from fhirbridge.sync.whose import Whose


@dataclass
class Cohort:
    """`others` tells who is nobody of the study; what names no Patient at all is no other's."""

    whose: Whose
    gate: Gate = field(init=False)

    def __post_init__(self) -> None:
        self.gate = Gate(self.whose)

    def subjects(self, resource: Any) -> list[Subject]:
        """Of whom of the study it speaks."""
        found = (self.whose.who(mention) for mention in _named(resource))
        return [*{one.id: one for one in found if one is not None}.values()]

    def others(self, resource: Any) -> bool:
        person, told = _is_person(resource), False
        for mention in _named(resource):
            if mention[0] == "reference" and not self.whose.patient_id(mention[1]):
                continue
            # Who was erased is told as withheld, as in a push.
            if self.whose.who(mention) is not None or self.gate.erased_there(mention):
                return False
            # An identifier may as well be a doctor's, or a stay's.
            told = told or person or mention[0] == "reference"
        return told


def _is_person(resource: Any) -> bool:
    return isinstance(resource, Mapping) and resource.get("resourceType") == "Patient"


def _named(resource: Any) -> list[Mention]:
    own = [("reference", f"Patient/{resource.get('id')}")] if _is_person(resource) else []
    return [*within(resource), *own]


def entries(bundle: Mapping[str, Any]) -> list[Any]:
    given = bundle.get("entry")
    return given if isinstance(given, list) else []


def resource_of(entry: Any) -> Any:
    return entry.get("resource") if isinstance(entry, Mapping) else None


def without(bundle: Mapping[str, Any], positions: Collection[int]) -> dict[str, Any]:
    kept = [one for at, one in enumerate(entries(bundle)) if at not in positions]
    cover = {name: value for name, value in bundle.items() if name != "entry"}
    return {**cover, "entry": kept} if kept else cover
