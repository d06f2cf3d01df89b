"""What a resource keeps in another that is of no patient: the medication of an order, inside it or
beside it in the message (https://hl7.org/fhir/R4/medicationrequest.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fhirbridge.fhir.bundle import Entry

ORDERS = ("MedicationRequest", "MedicationAdministration", "MedicationStatement")
"""Types whose medication may stand in a resource of its own."""
_REFERENCE, _CONCEPT = "medicationReference", "medicationCodeableConcept"


def medications(entries: Iterable[Entry]) -> dict[str, Mapping[str, Any]]:
    """The Medications of a message by every name that a reference in it may use."""
    found: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        resource = entry.resource
        if isinstance(resource, Mapping) and resource.get("resourceType") == "Medication":
            found |= dict.fromkeys(_names(entry.full_url, resource), resource)
    return found


def _names(full_url: str, resource: Mapping[str, Any]) -> Iterator[str]:
    if full_url:
        yield full_url
    if isinstance(resource.get("id"), str):
        yield f"Medication/{resource['id']}"


def inlined(
    resource: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The order with its medication's code where it refers to one that is here; else as it is."""
    if resource.get("resourceType") not in ORDERS or _REFERENCE not in resource:
        return resource
    named = resource[_REFERENCE]
    text = named.get("reference") if isinstance(named, Mapping) else None
    if not isinstance(text, str):
        return resource
    found = _contained(resource, text[1:]) if text.startswith("#") else known.get(text)
    code = found.get("code") if found else None
    if not isinstance(code, Mapping):
        return resource
    return {**{n: v for n, v in resource.items() if n != _REFERENCE}, _CONCEPT: code}


def _contained(resource: Mapping[str, Any], id: str) -> Mapping[str, Any] | None:
    given = resource.get("contained")
    for one in given if isinstance(given, list) else ():
        if isinstance(one, Mapping) and (one.get("resourceType"), one.get("id")) == (
            "Medication",
            id,
        ):
            return one
    return None
