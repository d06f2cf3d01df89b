"""Valid synthetic resources, and a way to change them. All people and findings are invented."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from decimal import Decimal
from typing import Any

from fhirbridge.fhir.validate import validate
from fhirbridge.outcome import Issue, failed

GONE = object()
"""In place of a value: take the property away."""

TERM = "http://terminology.hl7.org/CodeSystem/"
DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p>A synthetic patient</p></div>'


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"lastUpdated": "2024-03-05T10:00:00Z"},
    "text": {"status": "generated", "div": DIV},
    "contained": [{"resourceType": "Organization", "id": "o1", "name": "Synthetic Hospital"}],
    "extension": [{"url": "http://example.org/fhir/extension", "valueInteger": 3}],
    "identifier": [{"use": "official", "system": "urn:oid:1.2.3.4.5.6", "value": "12"}],
    "active": True,
    "name": [
        {
            "family": "Test",
            "given": ["Ada", None],
            "_given": [
                None,
                {
                    "id": "g2",
                    "extension": [{"url": "http://example.org/fhir/absent", "valueCode": "masked"}],
                },
            ],
        }
    ],
    "telecom": [{"system": "phone", "value": "+00 000", "rank": 1}],
    "gender": "female",
    "birthDate": "1960-02",
    "deceasedBoolean": False,
    "address": [{"city": "Testville", "period": {"start": "2000", "end": "2010-05"}}],
    "photo": [{"contentType": "text/plain", "data": "aGVsbG8=", "size": 5}],
    "contact": [{"name": {"text": "A contact"}}],
    "communication": [{"language": {"text": "Danish"}}],
    "managingOrganization": {"reference": "#o1"},
    "link": [{"other": {"reference": "Patient/p0", "type": "Patient"}, "type": "replaces"}],
}

CONDITION: dict[str, Any] = {
    "resourceType": "Condition",
    "id": "c1",
    "clinicalStatus": coded(TERM + "condition-clinical", "active"),
    "verificationStatus": coded(TERM + "condition-ver-status", "confirmed"),
    "code": coded("http://snomed.info/sct", "94222008"),
    "subject": {"reference": "Patient/p1"},
    "onsetDateTime": "2024-01-05",
    "stage": [{"summary": {"text": "IV"}}],
    "evidence": [{"detail": [{"reference": "http://example.org/fhir/Observation/9"}]}],
}

PROCEDURE: dict[str, Any] = {
    "resourceType": "Procedure",
    "id": "s1",
    "instantiatesCanonical": ["http://example.org/fhir/PlanDefinition/1|2"],
    "status": "completed",
    "code": {"text": "Intramedullary nailing"},
    "subject": {"reference": "Patient/p1"},
    "performedPeriod": {"start": "2024-03-05T10:00:00+01:00", "end": "2024-03-05T11:30:00+01:00"},
    "performer": [{"actor": {"reference": "Practitioner/1"}}],
    "focalDevice": [{"manipulated": {"reference": "Device/1"}}],
}

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "b1",
    "status": "final",
    "code": coded("http://loinc.org", "72514-3"),
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2024-03-05T10:00:00+01:00",
    "issued": "2024-03-05T10:00:00.5Z",
    "valueQuantity": {
        "value": Decimal("7.50"),
        "unit": "score",
        "system": "http://unitsofmeasure.org",
        "code": "{score}",
    },
    "referenceRange": [{"low": {"value": 0}, "high": {"value": 10}}],
    "component": [{"code": {"text": "at night"}, "valueInteger": 4}],
}

BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "fullUrl": "http://example.org/fhir/Patient/p1",
            "resource": {"resourceType": "Patient", "id": "p1"},
        },
        {
            "fullUrl": "http://example.org/fhir/Condition/c1",
            "resource": {
                "resourceType": "Condition",
                "id": "c1",
                "subject": {"reference": "Patient/p1"},
            },
        },
    ],
}

TRANSACTION: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {
            "fullUrl": "urn:uuid:0b5f4ba1-6d37-4c2b-9f5a-0d7a3a1c2e4f",
            "resource": {"resourceType": "Patient"},
            "request": {"method": "POST", "url": "Patient"},
        }
    ],
}

SEARCHSET: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "searchset",
    "link": [{"relation": "self", "url": "http://example.org/fhir/Patient?name=Test"}],
    "entry": [
        {
            "fullUrl": "http://example.org/fhir/Patient/p1",
            "resource": {"resourceType": "Patient", "id": "p1"},
            "search": {"mode": "match"},
        }
    ],
}

BASES: Mapping[str, dict[str, Any]] = {
    "Patient": PATIENT,
    "Condition": CONDITION,
    "Procedure": PROCEDURE,
    "Observation": OBSERVATION,
    "Bundle": BUNDLE,
    "Transaction": TRANSACTION,
    "Searchset": SEARCHSET,
}


def changed(resource: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with the values at the dotted paths set, or removed where the value is GONE."""
    made: dict[str, Any] = deepcopy(dict(resource))
    for path, value in changes.items():
        place: Any = made
        *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
        for step in parents:
            place = place[step]
        if value is GONE:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value
    return made


def deep_extension(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {"url": "http://example.org/fhir/leaf", "valueBoolean": True}
    for _ in range(levels):
        made = {"url": "http://example.org/fhir/nest", "extension": [made]}
    return made


def faults(resource: dict[str, Any], *, path: str | None = None) -> list[Issue]:
    """The judge's errors; warnings and information left out."""
    return [issue for issue in validate(resource, path=path) if failed([issue])]
