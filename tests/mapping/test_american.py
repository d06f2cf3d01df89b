"""What ICD-10-PCS says of an operation by its characters, and orders that are none."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.library import Library
from fhirbridge.mapping.decode import Decoded, decode, interpret

MAPPINGS = Library(Path(__file__).resolve().parents[2] / "mappings").of_site("north")
PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ANYBODY = {"reference": "Patient/p1"}


def _read(resource: dict[str, Any]) -> Decoded:
    """As generated code reads it, which is as the interpreter does."""
    source = f"a|{resource['resourceType']}/{resource['id']}"
    (told,) = decode(MAPPINGS, resource, source=source)
    assert interpret(MAPPINGS, resource, source=source) == [told]
    return told


def _operation(code: str) -> Decoded:
    return _read(
        {
            "resourceType": "Procedure",
            "id": "o1",
            "status": "completed",
            "subject": ANYBODY,
            "code": {"coding": [{"system": PCS, "code": code}]},
            "performedDateTime": "2026-02-10",
        }
    )


@pytest.mark.parametrize(
    ("code", "region", "side", "approach"),
    [
        ("0QH606Z", "proximal", "right", "open"),
        ("0QH736Z", "proximal", "left", "percutaneous"),
        ("0QH936Z", "shaft", "left", "percutaneous"),
        ("0PHC06Z", "proximal", "right", "open"),
        ("0PHF36Z", None, "right", "percutaneous"),  # PCS counts the distal humerus to its shaft
    ],
)
def test_a_code_says_part_side_and_approach(
    code: str, region: str | None, side: str, approach: str
) -> None:
    fields = _operation(code).fields
    told = (fields.get("bone_region"), fields["laterality"], fields["approach"])
    assert told == (region, side, approach)


def test_what_is_put_back_into_place_was_broken_and_what_is_put_in_may_have_been() -> None:
    reposition, insertion = _operation("0QS606Z"), _operation("0QH606Z")
    assert reposition.fields["purpose"] == "fracture_fixation"
    assert not reposition.traces["purpose"].review
    assert insertion.fields["purpose"] == "prophylactic"
    assert insertion.traces["purpose"].review


def _order(**changes: Any) -> Decoded:
    return _read(
        {
            "resourceType": "MedicationRequest",
            "id": "m1",
            "status": "active",
            "intent": "order",
            "subject": ANYBODY,
            "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "993449"}]},
            "authoredOn": "2026-02-10T10:00:00-05:00",
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("intent", "fate"),
    [("order", "record"), ("instance-order", "record"), ("plan", "hold"), ("proposal", "hold")],
)
def test_only_what_was_ordered_counts(intent: str, fate: str) -> None:
    assert _order(intent=intent).fate == fate


def test_an_order_begins_when_it_says_and_else_when_it_was_written() -> None:
    told = _order()
    assert told.fields["started_on"] == "2026-02-10T10:00:00-05:00"
    assert not told.traces["started_on"].review
    period = {"repeat": {"boundsPeriod": {"start": "2026-02-12"}}}
    given = _order(dosageInstruction=[{"timing": period}])
    assert given.fields["started_on"] == "2026-02-12"


def test_feet_and_inches_are_exact() -> None:
    walked = {
        "resourceType": "Observation",
        "id": "w1",
        "status": "final",
        "subject": ANYBODY,
        "code": {"coding": [{"system": "http://loinc.org", "code": "64098-7"}]},
        "effectiveDateTime": "2026-02-10",
        "valueQuantity": {
            "value": 1000,
            "unit": "ft",
            "system": "http://unitsofmeasure.org",
            "code": "[ft_i]",
        },
    }
    assert _read(walked).fields["walk_6min_m"] == Decimal("304.8")
