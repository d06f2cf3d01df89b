"""A status named in the hospital's own language counts by its code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fhirbridge.sync.judge import judge
from tests.sync.ward import Ward, patient
from tests.web.sender import bundle, concept

HL7 = "http://terminology.hl7.org/CodeSystem"


def _metastasis(code: str, display: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/p1"},
        "verificationStatus": _status("condition-ver-status", code, display),
        "code": concept("http://snomed.info/sct", "94222008"),
        "onsetDateTime": "2026-01-02",
    }
    if code != "entered-in-error":
        told["clinicalStatus"] = _status("condition-clinical", "active", "aktiv")
    return told


def _status(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{HL7}/{system}", "code": code, "display": display}]}


def test_a_translated_display_is_told_and_the_code_counts(tmp_path: Path) -> None:
    with Ward.open(tmp_path, patient(), _metastasis("confirmed", "bestätigt")) as ward:
        ward.enrol()
        assert ward.pulled()[1]["Condition/c1"] == "applied"
        assert len(ward.records("lesion")) == 1
        ward.put(_metastasis("entered-in-error", "Fehleingabe"))
        ward.pull()
        assert ward.records("lesion") == []


def test_the_judge_tells_of_it_as_a_warning() -> None:
    made = {**bundle(_metastasis("confirmed", "bestätigt")), "type": "batch"}
    ((_, issues),) = judge(made, kind="push/Bundle").entries
    told = [(i.severity, i.expression.rpartition(".")[2]) for i in issues]
    assert told == [("warning", "display")] * 2
