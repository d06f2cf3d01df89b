"""Synthetic study records: the same for the same number, and of nobody."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from fhirbridge.study.records import Absent, Identifier, Record, Value

MRN = "https://hospital.example.org/mrn"
FIRST_OPERATION = date(2026, 1, 12)
_VISITS = {"baseline": -3, "week 6": 42, "month 3": 91}
_PLACES = (
    ("femur", "proximal", "intramedullary_nail"),
    ("femur", "shaft", "plate"),
    ("humerus", "shaft", "intramedullary_nail"),
    ("tibia", "proximal", "curettage_and_cement"),
    ("thoracic_spine", None, "vertebroplasty"),
    ("acetabulum", None, "arthroplasty"),
)


def study_id(number: int) -> str:
    return f"MBD-A-{number:03d}"


def mrn(number: int) -> str:
    return f"M{number:05d}"


def operated_on(number: int) -> date:
    return FIRST_OPERATION + timedelta(days=3 * number)


def records(subjects: int) -> Iterator[Record]:
    """For each subject its person, one lesion, one operation and an assessment at three visits."""
    for number in range(1, subjects + 1):
        yield subject(number)
        yield lesion(number)
        yield surgery(number)
        yield from assessments(number)


def subject(number: int) -> Record:
    dice = random.Random(number)
    fields: dict[str, Value] = {
        "study_id": study_id(number),
        "hospital_ids": (Identifier(MRN, mrn(number)),),
        "sex": dice.choice(("female", "male")),
        "birth_date": dice.choice(("1948", "1951-07", "1957-03-09", "1962-11-30")),
    }
    return Record(study_id(number), "subject", fields, "synthetic")


def lesion(number: int) -> Record:
    dice = random.Random(1000 + number)
    bone, region, _ = _PLACES[number % len(_PLACES)]
    fields: dict[str, Value] = {
        "lesion_id": f"{study_id(number)}-L1",
        "bone": bone,
        "laterality": "midline" if "spine" in bone else dice.choice(("right", "left")),
        "diagnosed_on": dice.choice(("2025", "2025-11", "2025-12-04")),
        "clinical_status": "active",
        "verification": "confirmed",
        "fracture_status": dice.choice(("impending", "actual")),
    }
    if region:
        fields["bone_region"] = region
    return Record(study_id(number), "lesion", fields, "synthetic")


def surgery(number: int) -> Record:
    there = lesion(number).fields
    impending = there["fracture_status"] == "impending"
    fields: dict[str, Value] = {
        "surgery_id": f"{study_id(number)}-O1",
        "performed_on": operated_on(number).isoformat(),
        "procedure": _PLACES[number % len(_PLACES)][2],
        "purpose": "prophylactic" if impending else "fracture_fixation",
        "intent": "palliative",
        "bone": there["bone"],
        "laterality": there["laterality"],
        "text": "synthetic operation",
    }
    return Record(study_id(number), "surgery", fields, "synthetic")


def assessments(number: int) -> Iterator[Record]:
    """Pain falls and function rises after the operation; now and then a score is not there."""
    dice = random.Random(2000 + number)
    for step, days in enumerate(_VISITS.values()):
        activity = max(0, 8 - 3 * step + dice.randint(-1, 1))
        function = Decimal("29.10") + 5 * step + Decimal(dice.randint(0, 40)) / 10
        fields: dict[str, Value] = {
            "assessed_on": (operated_on(number) + timedelta(days=days)).isoformat(),
            "pain_rest": max(0, activity - 4),
            "pain_activity": activity,
            "promis_pf_t": Absent("not-asked") if dice.random() < 0.1 else function,
            "ecog": dice.randint(1, 3),
        }
        if fields["promis_pf_t"] == function:
            fields["promis_pf_version"] = "v2_0"
        yield Record(study_id(number), "assessment", fields, "synthetic")
