"""Medications that stand beside their orders; parts that wait alone; the scores of one day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhirbridge.sync.beside import inlined
from tests.sync.ward import Ward, chart, patient
from tests.web.sender import concept

RX = "http://www.nlm.nih.gov/research/umls/rxnorm"
SCT = "http://snomed.info/sct"
CODE = concept(RX, "993449")
DRUG = {"resourceType": "Medication", "id": "d1", "code": CODE}


def _order(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        **more,
    }


@pytest.mark.parametrize(
    "order",
    [
        _order(medicationReference={"reference": "Medication/d1"}),
        _order(medicationReference={"reference": "#d1"}, contained=[DRUG]),
    ],
)
def test_a_medication_is_read_where_its_order_refers_to_it(order: dict[str, Any]) -> None:
    made = inlined(order, {"Medication/d1": DRUG})
    assert made["medicationCodeableConcept"] == CODE
    assert "medicationReference" not in made


def test_a_medication_that_is_not_here_is_not_guessed() -> None:
    order = _order(medicationReference={"reference": "Medication/other", "display": "denosumab"})
    assert inlined(order, {"Medication/d1": DRUG}) is order


def test_a_pull_asks_for_the_medications_of_orders(tmp_path: Path) -> None:
    order = _order(medicationReference={"reference": "Medication/d1"})
    with Ward.open(tmp_path, patient(), DRUG, order) as ward:
        ward.enrol()
        ward.pull()
        assert [one["agent"] for one in ward.records("medication")] == ["denosumab"]


def test_scores_of_one_day_are_one_assessment(tmp_path: Path) -> None:
    karnofsky = {"code": concept("http://loinc.org", "89243-0"), "valueInteger": 60}
    early = chart("o1", effectiveDateTime="2026-02-01T08:00:00+01:00")
    late = chart("o2", **karnofsky, effectiveDateTime="2026-02-01T15:30:00+01:00") | {
        "valueInteger": 60
    }
    with Ward.open(tmp_path, patient(), early, late) as ward:
        ward.enrol()
        ward.pull()
        (one,) = ward.records()
        assert (one["ecog"], one["karnofsky"]) == (2, 60)
        assert one["assessed_on"] == "2026-02-01T08:00:00+01:00"
        assert ward.held() == []


def test_a_part_that_cannot_stand_alone_waits_alone(tmp_path: Path) -> None:
    course = {
        "resourceType": "Procedure",
        "id": "r1",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "code": concept("http://www.cms.gov/Medicare/Coding/ICD10", "DP091ZZ"),
        "performedPeriod": {"start": "2026-02-01", "end": "2026-02-05"},
    }
    with Ward.open(tmp_path, patient(), course) as ward:
        ward.enrol()
        ward.pull()
        (one,) = ward.records("radiotherapy")
        assert one["bone"] == "femur"
        assert "modality" not in one
        (held,) = ward.held()
        assert "technique" in held.issues[0].cause


def test_a_complication_finds_the_operation_that_comes_after_it(tmp_path: Path) -> None:
    due = {
        "url": "http://hl7.org/fhir/StructureDefinition/condition-dueTo",
        "valueReference": {"reference": "Procedure/s1"},
    }
    wrong = {
        "resourceType": "Condition",
        "id": "c1",
        "extension": [due],
        "subject": {"reference": "Patient/p1"},
        "code": concept(SCT, "33910007"),
        "onsetDateTime": "2026-02-20",
    }
    nail = {
        "resourceType": "Procedure",
        "id": "s1",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "code": concept(SCT, "89344001"),
        "performedDateTime": "2026-02-01",
    }
    with Ward.open(tmp_path, patient(), nail, wrong) as ward:
        ward.enrol()
        ward.pull()
        (surgery,), (one,) = ward.records("surgery"), ward.records("complication")
        assert (one["kind"], one["surgery"]) == ("infection", surgery["surgery_id"])
        assert ward.held() == []
