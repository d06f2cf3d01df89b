"""Short invariants of rare resources: for each key what holds, and what breaks it.

HL7's validator accepts the one and refuses the other, in every row.
"""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.fhir import verdict
from fhirbridge.fhir.rare_rules import RARE_RULES
from fhirbridge.fhir.validate import validate
from fhirbridge.outcome import failed
from tests.fhir.synthetic import GONE

UCUM = {"system": "http://unitsofmeasure.org", "code": "%"}
PATIENT = {"reference": "Patient/1"}
CODED = {"text": "x"}
AT, LATER = "2024-03-05T10:00:00Z", "2024-03-05T11:00:00Z"


def made(kind: str, **given: Any) -> dict[str, Any]:
    return {"resourceType": kind, **given}


MEETING = made(
    "Appointment",
    status="booked",
    start=AT,
    end=LATER,
    participant=[{"actor": PATIENT, "status": "accepted"}],
)
ANSWER = made(
    "AppointmentResponse",
    appointment={"reference": "Appointment/1"},
    actor=PATIENT,
    participantStatus="accepted",
)
AUDIT = made(
    "AuditEvent",
    type={"system": "http://example.org", "code": "x"},
    recorded=AT,
    agent=[{"requestor": True}],
    source={"observer": PATIENT},
    entity=[{"name": "x"}],
)
GOAL = made("Goal", lifecycleStatus="active", description=CODED, subject=PATIENT)
GROUP = made("Group", type="person", actual=True, member=[{"entity": PATIENT}])
LIST = made("List", status="current", mode="working", entry=[{"item": PATIENT, "date": "2024"}])
SHOT = made(
    "Immunization",
    status="completed",
    vaccineCode=CODED,
    patient=PATIENT,
    occurrenceDateTime="2024",
    education=[{"reference": "http://example.org"}],
)
LINKED = [{"type": "source", "resource": PATIENT}, {"type": "alternate", "resource": PATIENT}]
SEQUENCE = made(
    "MolecularSequence",
    coordinateSystem=0,
    referenceSeq={"referenceSeqString": "A", "windowStart": 1},
)
REQUESTS = made("RequestGroup", status="draft", intent="plan", action=[{"resource": PATIENT}])
RISK = made("RiskAssessment", status="final", subject=PATIENT)
LIBRARY = made("Library", status="draft", type=CODED)


def needs(**part: Any) -> dict[str, Any]:
    return {"dataRequirement": [{"type": "Patient", **part}]}


def triggered(**trigger: Any) -> dict[str, Any]:
    """A PlanDefinition's action with such a trigger."""
    return {"action": [{"trigger": [trigger]}]}


PLAN = made("PlanDefinition", status="draft", **triggered(type="named-event", name="x"))
DATA = [{"type": "Patient"}]
RULE = {"language": "text/cql", "expression": "true"}

ROWS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("app-1", MEETING, {"participant": [{"status": "accepted"}]}),
    ("app-2", MEETING | {"status": "proposed"}, {"end": GONE}),
    ("app-3", MEETING, {"start": GONE, "end": GONE}),
    ("app-4", MEETING, {"cancelationReason": CODED}),
    ("apr-1", ANSWER, {"actor": GONE}),
    ("drq-1", LIBRARY | needs(codeFilter=[{"path": "code"}]), needs(codeFilter=[{"valueSet": "x:y"}])),
    ("drq-2", LIBRARY | needs(dateFilter=[{"path": "a"}]), needs(dateFilter=[{"valueDateTime": "2024"}])),
    ("gol-1", GOAL | {"target": [{"measure": CODED, "detailString": "x"}]}, {"target": [{"detailString": "x"}]}),
    ("grp-1", GROUP, {"actual": False}),
    ("imm-1", SHOT, {"education": [{"publicationDate": "2024"}]}),
    ("ipn-1", made("InsurancePlan", name="x"), {"name": GONE, "status": "draft"}),
    ("lnk-1", made("Linkage", item=LINKED), {"item": LINKED[:1]}),
    ("lst-2", LIST, {"entry": [{"item": PATIENT, "deleted": True}]}),
    ("lst-3", LIST, {"mode": "snapshot"}),
    ("msq-3", SEQUENCE, {"coordinateSystem": 2}),
    ("msq-5", SEQUENCE, {"referenceSeq": {"referenceSeqString": "A", "chromosome": CODED}}),
    ("msq-6", SEQUENCE, {"referenceSeq": {"windowStart": 1}}),
    ("ras-1", RISK | {"prediction": [{"probabilityRange": {"low": {"value": 1, **UCUM}}}]},
     {"prediction": [{"probabilityRange": {"low": {"value": 1}}}]}),
    ("ras-2", RISK | {"prediction": [{"probabilityDecimal": 100}]}, {"prediction": [{"probabilityDecimal": 101}]}),
    ("rqg-1", REQUESTS, {"action": [{"title": "x"}]}),
    ("sev-1", AUDIT, {"entity": [{"name": "x", "query": "eHg="}]}),
    ("trd-1", PLAN, triggered(type="data-added", data=DATA, timingDate="2024")),
    ("trd-2", PLAN, triggered(type="named-event", name="x", condition=RULE)),
    ("trd-3", PLAN, triggered(type="periodic", name="x")),
)  # fmt: skip


def broken(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in (base | changes).items() if one is not GONE}


def test_every_rule_has_a_row() -> None:
    assert sorted(rule.key for rules in RARE_RULES.values() for rule in rules) == sorted(
        key for key, _, _ in ROWS
    )


@pytest.mark.parametrize(("key", "base", "changes"), ROWS, ids=[row[0] for row in ROWS])
def test_a_rule_is_kept_and_broken(key: str, base: dict[str, Any], changes: dict[str, Any]) -> None:
    assert not failed(validate(base))
    told = [issue for issue in validate(broken(base, changes)) if f"({key})" in issue.cause]
    assert failed(told)
    assert not verdict.accepts(broken(base, changes))
