"""Synthetic patients as hospitals store them: local codes, text alone, several codings, partial
dates.

The habits are those seen in public implementations (mCODE, US Core, vendors' documentation); every
person and every value is made up.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from fhirbridge.sandbox import synthetic

SCT, LOINC = "http://snomed.info/sct", "http://loinc.org"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
LOCAL = "https://hospital.example.org/catalogue"
_MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
_OBSERVED = "http://terminology.hl7.org/CodeSystem/observation-category"
_UCUM = "http://unitsofmeasure.org"
_SCORE = {"unit": "{score}", "system": _UCUM, "code": "{score}"}

Resource = dict[str, Any]


def concept(*codings: tuple[str, str], text: str = "") -> Resource:
    made: Resource = {}
    if codings:
        made["coding"] = [{"system": system, "code": code} for system, code in codings]
    return {**made, "text": text} if text else made


def hospital_resources(patients: int) -> list[Resource]:
    """Everything that the hospital holds, patients first."""
    numbers = range(1, patients + 1)
    people = [_person(number) for number in numbers]
    return [*people, *(r for number in numbers for r in _chart(number))]


def _person(number: int) -> Resource:
    known = synthetic.subject(number).fields
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "identifier": [{"system": synthetic.MRN, "value": synthetic.mrn(number)}],
        "name": [{"family": f"Synthetic{number:03d}", "given": ["Nobody"]}],
        "gender": known["sex"],
        "birthDate": known["birth_date"],
    }


def _chart(number: int) -> Iterator[Resource]:
    """One of five habits of documenting a patient, and what has nothing to do with the study."""
    habit = (_tidy, _american, _pre_coordinated, _by_text, _by_local_code)[number % 5]
    for count, resource in enumerate([*habit(number), *_besides(number)], start=1):
        yield {
            "resourceType": resource["resourceType"],
            "id": f"{resource['resourceType'].lower()}-{number}-{count}",
            "subject": {"reference": f"Patient/p{number}"},
            **{name: value for name, value in resource.items() if name != "resourceType"},
        }


def _condition(code: Resource, **more: Any) -> Resource:
    return {
        "resourceType": "Condition",
        "clinicalStatus": concept((_CLINICAL, "active")),
        "verificationStatus": concept((_VERIFIED, "confirmed")),
        "category": [concept((_CATEGORY, "problem-list-item"))],
        "code": code,
        **more,
    }


def _procedure(number: int, code: Resource, **more: Any) -> Resource:
    day = synthetic.operated_on(number).isoformat()
    made = {"resourceType": "Procedure", "status": "completed", "code": code}
    return {**made, "performedDateTime": f"{day}T08:30:00+01:00", **more}


def _observation(number: int, code: Resource, **value: Any) -> Resource:
    day = synthetic.operated_on(number).isoformat()
    made = {"resourceType": "Observation", "status": "final", "code": code}
    return {**made, "effectiveDateTime": f"{day}T07:00:00+01:00", **value}


def _site(code: str, side: str | None = None) -> Resource:
    made = concept((SCT, code))
    if side:
        url = f"{_MCODE}/mcode-laterality-qualifier"
        made["extension"] = [{"url": url, "valueCodeableConcept": concept((SCT, side))}]
    return made


def _tidy(number: int) -> Iterator[Resource]:
    """As mCODE would have it."""
    place = _site("71341001", "24028007")
    yield _condition(concept((SCT, "94222008")), bodySite=[place], onsetDateTime="2025-12")
    yield _procedure(number, concept((SCT, "89344001")), bodySite=[place])
    yield _observation(number, concept((LOINC, "89247-1")), valueInteger=2)
    quantity = {"value": Decimal("41.30"), **_SCORE}
    yield _observation(number, concept((LOINC, "91721-1")), valueQuantity=quantity)


def _american(number: int) -> Iterator[Resource]:
    """A billing code beside the hospital's own, the side inside the procedure code."""
    code = concept((LOCAL, "DX-7731"), (ICD, "C79.51"), text="Metastasis to bone")
    yield _condition(code, bodySite=[_site("310651003")], recordedDate="2025-11-20")
    yield _procedure(number, concept((LOCAL, "OR-204"), (PCS, "0QH606Z")))
    yield _observation(
        number, concept((SCT, "423740007")), valueCodeableConcept=concept((SCT, "422894000"))
    )
    score = {"value": 6, **_SCORE}
    yield _observation(number, concept((LOINC, "72514-3")), valueQuantity=score)


def _pre_coordinated(number: int) -> Iterator[Resource]:
    """One code says it all, and dates are vague."""
    yield _condition(concept((SCT, "94300004")), onsetDateTime="2025")
    yield _procedure(number, concept((SCT, "713086005")), performedDateTime="2026-02")
    yield _observation(number, concept((LOINC, "89247-1")), valueString="1")


def _by_text(number: int) -> Iterator[Resource]:
    """Nothing is coded: a person has to read it."""
    yield _condition(concept(text="Knochenmetastase Femur links"))
    yield _procedure(number, concept(text="Marknagelung Femur links"))
    yield _observation(number, concept(text="ECOG"), valueInteger=2)


def _by_local_code(number: int) -> Iterator[Resource]:
    """The hospital's own catalogue: a crosswalk line away from being understood."""
    yield _condition(concept((LOCAL, "KM-HUM")), bodySite=[_site("85050009", "7771000")])
    yield _procedure(number, concept((LOCAL, "OP-PLATTE")), bodySite=[_site("85050009")])
    yield _observation(number, concept((LOCAL, "NRS-BELASTUNG")), valueInteger=7)


def _besides(number: int) -> Iterator[Resource]:
    """What a chart also holds, and what must not become a record."""
    yield _condition(concept((SCT, "94225005")))  # a metastasis, in the brain
    pulse = {"value": 75, "unit": "/min", "system": _UCUM, "code": "/min"}
    yield {
        **_observation(number, concept((LOINC, "8867-4")), valueQuantity=pulse),
        "category": [concept((_OBSERVED, "vital-signs"))],  # R4 asks for it of a heart rate
    }
    yield _procedure(number, concept((SCT, "71651007")), status="not-done")
    if number % 3 == 0:
        code = concept((LOINC, "89247-1"))
        yield {**_observation(number, code, valueInteger=3), "status": "preliminary"}
