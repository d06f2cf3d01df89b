"""One synthetic patient as three formats say her: FHIR resources, tables and HL7 v2 messages, each
written as a hospital writes it and not by our own mapping.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

MRN, NUMBER, SUBJECT = "urn:oid:2.999.1.1", "0004711", "MBD-A-001"
NAMES = "https://fhirbridge.example.org/fhir"
LOINC, SCT = "http://loinc.org", "http://snomed.info/sct"
CM, PCS = "http://hl7.org/fhir/sid/icd-10-cm", "http://www.cms.gov/Medicare/Coding/ICD10"
UCUM = "http://unitsofmeasure.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
STUDY = f"{NAMES}/CodeSystem/mbd-study"
HL7V2 = """\
timezone: Europe/Berlin
sending_facility: [NORTH]
assigning_authorities: { NORTH: "urn:oid:2.999.1.1" }
coding_systems: { 99MBD: "https://fhirbridge.example.org/fhir/CodeSystem/mbd-study" }
"""
"""The site's file for its feed: the study's own codes come as those of 99MBD."""

_VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_WHOSE = {"identifier": {"system": MRN, "value": NUMBER}}

# What is written in all three: each score as its code, its value, and its column in the table.
Score = tuple[str, str, str, str]
BASELINE, WEEK_6 = "2026-02-09", "2026-03-24"
SCORES: dict[str, list[Score]] = {
    BASELINE: [
        (STUDY, "pain-nrs-rest", "pain_rest", "6"),
        (STUDY, "pain-nrs-activity", "pain_activity", "9"),
        (LOINC, "91721-1", "promis_pf_t", "31.40"),
        (LOINC, "89247-1", "ecog", "2"),
    ],
    WEEK_6: [
        (STUDY, "pain-nrs-rest", "pain_rest", "0"),
        (STUDY, "pain-nrs-activity", "pain_activity", "4"),
        (LOINC, "91721-1", "promis_pf_t", "40.10"),
        (LOINC, "89247-1", "ecog", "1"),
    ],
}
CORRECTED: Score = (LOINC, "91721-1", "promis_pf_t", "41.0")
WITHDRAWN: Score = (STUDY, "pain-nrs-activity", "pain_activity", "4")


TRUTH: dict[tuple[str, str], dict[str, Any]] = {
    ("subject", ""): {"study_id": SUBJECT, "sex": "female", "birth_date": "1958-04-17"},
    ("primary_cancer", "D1"): {
        "primary_id": "D1",
        "site": "breast",
        "code": [{"system": CM, "value": "C50.911"}],
        "diagnosed_on": "2023",
    },
    ("lesion", "D2"): {
        "lesion_id": "D2",
        "bone": "femur",
        "diagnosed_on": "2026-01-20",
        "verification": "confirmed",
    },
    ("surgery", "OP1"): {
        "surgery_id": "OP1",
        "performed_on": "2026-02-10",
        "index": True,
        "procedure": "intramedullary_nail",
        "codes": [{"system": PCS, "value": "0QH606Z"}],
        "purpose": "prophylactic",
        "bone": "femur",
        "bone_region": "proximal",
        "laterality": "right",
        "approach": "open",
        "duration_min": 85,
    },
    ("complication", "D3"): {
        "complication_id": "D3",
        "kind": "infection",
        "code": [{"system": SCT, "value": "33910007"}],
        "started_on": "2026-02-24",
    },
    ("medication", "RX1"): {
        "medication_id": "RX1",
        "agent": "zoledronic_acid",
        "code": [{"system": RXNORM, "value": "77655"}],
        "started_on": "2026-02-25",
        "dose": 4,
        "dose_unit": "mg",
    },
    ("assessment", BASELINE): {
        "assessed_on": BASELINE,
        "visit": "baseline",
        "pain_rest": 6,
        "pain_activity": 9,
        "promis_pf_t": Decimal("31.40"),
        "promis_pf_version": "v2_0",
        "ecog": 2,
    },
    ("assessment", WEEK_6): {
        "assessed_on": WEEK_6,
        "visit": "week_6",
        "pain_rest": 0,
        "pain_activity": 4,
        "promis_pf_t": Decimal("40.10"),
        "promis_pf_version": "v2_0",
        "ecog": 1,
    },
}
"""What the study must hold of her at each site, by form and key."""


# --- FHIR --------------------------------------------------------------------------------------


def bundle(*resources: dict[str, Any], moment: str) -> dict[str, Any]:
    stamped = [{**one, "meta": {"lastUpdated": moment}} for one in resources]
    entries = [
        {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
        for r in stamped
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def fhir() -> dict[str, Any]:
    scores = [observation(day, score) for day, some in SCORES.items() for score in some]
    return bundle(
        _patient(),
        *_conditions(),
        _operation(),
        _infusion(),
        *scores,
        moment="2026-03-25T08:00:00Z",
    )


def fhir_corrected() -> dict[str, Any]:
    changed = observation(WEEK_6, CORRECTED) | {"status": "corrected"}
    return bundle(changed, moment="2026-03-26T08:00:00Z")


def fhir_withdrawn() -> dict[str, Any]:
    gone = observation(WEEK_6, WITHDRAWN) | {"status": "entered-in-error"}
    return bundle(gone, moment="2026-03-27T08:00:00Z")


def observation(day: str, score: Score) -> dict[str, Any]:
    system, code, _, value = score
    number: dict[str, Any] = {"valueInteger": int(value)} if value.isdecimal() else {}
    if "." in value:
        number = {"valueQuantity": {"value": Decimal(value), "unit": "{score}"}}
    return {
        "resourceType": "Observation",
        "id": f"{code}-{day}",
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": _WHOSE,
        "effectiveDateTime": day,
        **number,
    }


def _patient() -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": MRN, "value": NUMBER}],
        "gender": "female",
        "birthDate": "1958-04-17",
    }


def _condition(id: str, kind: str, system: str, code: str, when: str) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": id,
        "identifier": [{"system": f"{NAMES}/sid/{kind}", "value": id}],
        "verificationStatus": {"coding": [{"system": _VERIFIED, "code": "confirmed"}]},
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": _WHOSE,
        "onsetDateTime": when,
    }


def _conditions() -> list[dict[str, Any]]:
    return [
        _condition("D1", "primary-cancer", CM, "C50.911", "2023"),
        _condition("D2", "lesion", SCT, "94300004", "2026-01-20"),
        _condition("D3", "complication", SCT, "33910007", "2026-02-24"),
    ]


def _operation() -> dict[str, Any]:
    said = [
        ("index-operation", {"valueBoolean": True}),
        ("fixation-purpose", _word("purpose-prophylactic")),
        ("approach", _word("approach-open")),
        ("duration", {"valueQuantity": {"value": 85, "system": UCUM, "code": "min"}}),
    ]
    told = [{"url": f"{NAMES}/StructureDefinition/{name}", **value} for name, value in said]
    return {
        "resourceType": "Procedure",
        "id": "OP1",
        "identifier": [{"system": f"{NAMES}/sid/surgery", "value": "OP1"}],
        "extension": told,
        "status": "completed",
        "code": {"coding": [{"system": PCS, "code": "0QH606Z"}]},
        "subject": _WHOSE,
        "performedDateTime": "2026-02-10",
    }


def _word(code: str) -> dict[str, Any]:
    return {"valueCodeableConcept": {"coding": [{"system": STUDY, "code": code}]}}


def _infusion() -> dict[str, Any]:
    dose = {"value": 4, "unit": "mg", "system": UCUM, "code": "mg"}
    return {
        "resourceType": "MedicationAdministration",
        "id": "RX1",
        "identifier": [{"system": f"{NAMES}/sid/medication", "value": "RX1"}],
        "status": "completed",
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "77655"}]},
        "subject": _WHOSE,
        "effectiveDateTime": "2026-02-25",
        "dosage": {"dose": dose},
    }


# --- tables ------------------------------------------------------------------------------------


def tables() -> Iterator[tuple[str, str]]:
    """Form, and the file."""
    yield "subject", f"study_id,sex,birth_date\n{SUBJECT},female,1958-04-17\n"
    yield (
        "primary_cancer",
        f"study_id,primary_id,site,code,diagnosed_on\n{SUBJECT},D1,breast,{CM}|C50.911,2023\n",
    )
    yield (
        "lesion",
        "study_id,lesion_id,bone,diagnosed_on,verification\n"
        f"{SUBJECT},D2,femur,2026-01-20,confirmed\n",
    )
    yield (
        "surgery",
        "study_id,surgery_id,performed_on,procedure,codes,bone,bone_region,laterality,purpose,"
        "approach,index,duration_min\n"
        f"{SUBJECT},OP1,2026-02-10,intramedullary_nail,{PCS}|0QH606Z,femur,proximal,right,"
        "prophylactic,open,true,85\n",
    )
    yield (
        "complication",
        "study_id,complication_id,kind,code,started_on\n"
        f"{SUBJECT},D3,infection,{SCT}|33910007,2026-02-24\n",
    )
    yield (
        "medication",
        "study_id,medication_id,agent,code,started_on,dose,dose_unit\n"
        f"{SUBJECT},RX1,zoledronic_acid,{RXNORM}|77655,2026-02-25,4,mg\n",
    )
    names = [name for _, _, name, _ in SCORES[BASELINE]]
    rows = [
        ",".join((SUBJECT, day, "v2_0", *(value for _, _, _, value in some)))
        for day, some in SCORES.items()
    ]
    head = ",".join(("study_id", "assessed_on", "promis_pf_version", *names))
    yield "assessment", "\n".join((head, *rows, ""))


INDEX = f"study_id,surgery_id,index\n{SUBJECT},OP1,true\n"
"""What HL7 v2 has no word for, as staff say it by a table."""


def one_cell(field: str, cell: str) -> str:
    return f"study_id,assessed_on,{field}\n{SUBJECT},{WEEK_6},{cell}\n"


# --- HL7 v2 ------------------------------------------------------------------------------------


def message(type: str, id: str, day: str, *segments: str) -> bytes:
    told = [
        rf"MSH|^~\&|EHR|NORTH|FHIRBRIDGE|MBD|{day}0900||{type}|{id}|P|2.5.1",
        f"PID|1||{NUMBER}^^^NORTH^MR||||19580417|F",
        *segments,
    ]
    return ("\r".join(told) + "\r").encode()


def hl7v2() -> Iterator[bytes]:
    yield message(
        "ADT^A08^ADT_A01",
        "M1",
        "20260325",
        _diagnosis(1, "C50.911^^I10C", "2023", "D1"),
        _diagnosis(2, "94300004^^SCT", "20260120", "D2"),
        _diagnosis(3, "33910007^^SCT", "20260224", "D3"),
        "PR1|1||0QH606Z^^I10P||20260210||85||||||||||||OP1",
    )
    orders = []
    for day, some in SCORES.items():
        orders.append(f"OBR|1||F{_plain(day)}|PROS^^99MBD|||{_plain(day)}")
        orders += [obx(n, day, score) for n, score in enumerate(some, start=1)]
    yield message("ORU^R01^ORU_R01", "M2", "20260325", *orders)
    yield message(
        "RAS^O17^RAS_O17",
        "M3",
        "20260325",
        "ORC|RE|RX1",
        "RXA|0|1|20260225||77655^^RXNORM|4|mg^^UCUM|||||||||||||CP|A",
    )


def hl7v2_corrected() -> Iterator[bytes]:
    yield _result("M4", "20260326", obx(1, WEEK_6, CORRECTED, "C"))


def hl7v2_withdrawn() -> Iterator[bytes]:
    yield _result("M5", "20260327", obx(1, WEEK_6, WITHDRAWN, "D"))


def _result(id: str, day: str, segment: str) -> bytes:
    order = f"OBR|1||F{_plain(WEEK_6)}|PROS^^99MBD|||{_plain(WEEK_6)}"
    return message("ORU^R01^ORU_R01", id, day, order, segment)


def _plain(day: str) -> str:
    return day.replace("-", "")


def _diagnosis(number: int, code: str, when: str, id: str) -> str:
    return f"DG1|{number}||{code}||{when}|F||||||||||||||{id}"


def obx(number: int, day: str, score: Score, status: str = "F") -> str:
    system, code, _, value = score
    name = {LOINC: "LN", STUDY: "99MBD"}[system]
    return f"OBX|{number}|NM|{code}^^{name}||{value}||||||{status}|||{_plain(day)}"
