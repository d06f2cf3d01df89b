"""Resources as hospitals send them. Every person and every value is made up."""

from __future__ import annotations

from typing import Any

SCT, LOINC = "http://snomed.info/sct", "http://loinc.org"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
LOCAL = "https://hospital.example.org/catalogue"
STUDY = "https://fhirbridge.example.org/fhir/CodeSystem/mbd-study"
MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition"
TERM = "http://terminology.hl7.org/CodeSystem"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

Resource = dict[str, Any]


def concept(*codings: tuple[str, str], text: str = "", **more: Any) -> Resource:
    made: Resource = {"coding": [{"system": s, "code": c} for s, c in codings]} if codings else {}
    return {**made, **({"text": text} if text else {}), **more}


def clean(resource: Resource) -> Resource:
    """Without what is None: a way to take an element away."""
    return {name: value for name, value in resource.items() if value is not None}


def condition(**more: Any) -> Resource:
    made = {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/p1"},
        "clinicalStatus": concept((f"{TERM}/condition-clinical", "active")),
        "code": concept((SCT, "94222008")),
    }
    return clean({**made, **more})


def procedure(**more: Any) -> Resource:
    made = {
        "resourceType": "Procedure",
        "id": "s1",
        "subject": {"reference": "Patient/p1"},
        "status": "completed",
        "code": concept((SCT, "274478003")),
        "performedDateTime": "2024-05-01",
    }
    return clean({**made, **more})


def observation(**more: Any) -> Resource:
    made = {
        "resourceType": "Observation",
        "id": "o1",
        "subject": {"reference": "Patient/p1"},
        "status": "final",
        "code": concept((LOINC, "89247-1")),
        "effectiveDateTime": "2024-05-01",
    }
    return clean({**made, **more})


def quantity(value: Any, code: str = "{score}", **more: Any) -> Resource:
    return {"value": value, "system": "http://unitsofmeasure.org", "code": code, **more}


def site(code: str, *sides: str) -> Resource:
    url = f"{MCODE}/mcode-laterality-qualifier"
    beside = [{"url": url, "valueCodeableConcept": concept((SCT, side))} for side in sides]
    made = concept((SCT, code))
    return {**made, "extension": beside} if beside else made
