"""Profiles, slices, vital signs and targets: HL7's examples with one thing changed.

A row: example, changes by dotted path, severity, category and place of the issue that must be told.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fhirbridge.fhir import packages
from fhirbridge.fhir.door import door
from fhirbridge.fhir.validate import validate
from tests.fhir.synthetic import GONE, TERM, changed, coded, faults
from tests.fhir.test_second_judge import sweep

FOLDER = Path(__file__).parent / "examples"
MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition/"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
EXAMPLES = {
    "cancer": "mcode-Condition-primary-cancer-condition-jenny-m",
    "patient": "mcode-Patient-cancer-patient-jenny-m",
    "surgery": "mcode-Procedure-cancer-related-surgical-procedure-lobectomy",
    "ecog": "mcode-Observation-ecog-performance-status-jenny-m",
    "pressure": "r4-Observation-blood-pressure",
}


def example(name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((FOLDER / f"{EXAMPLES[name]}.json").read_bytes())
    return made


class Row(NamedTuple):
    example: str
    changes: dict[str, Any]
    severity: str
    category: str
    expression: str
    reason: str


_LOINC = "http://loinc.org"
_ABSENT = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "unknown",
        }
    ]
}
_TEXT = {"text": "Synthetic"}

ROWS = (
    # -- number, type, value
    Row("cancer", {"code": GONE}, "error", "required", "Condition.code", "minimum"),
    Row(
        "pressure",
        {"effectiveDateTime": GONE},
        "error",
        "required",
        "Observation.effective",
        "choice",
    ),
    Row("patient", {"name": GONE}, "error", "required", "Patient.name", "minimum of a list"),
    Row("ecog", {"valueInteger": GONE, "valueString": "0"}, "error", "value",
        "Observation.value", "a type that the profile excludes"),
    Row("ecog", {"code.coding.0.code": "89243-0"}, "error", "value", "Observation.code",
        "pattern of another code"),
    Row("ecog", {"effectiveDateTime": "2018-04"}, "error", "invariant", "Observation.effective",
        "us-core-1: to the day"),
    Row("patient", {"name.0.family": GONE, "name.0.given": GONE, "name.0.text": "x"}, "error",
        "invariant", "Patient.name[0]", "us-core-6"),
    Row("surgery", {"performedDateTime": GONE}, "error", "invariant", "Procedure", "us-core-7"),
    Row("surgery", {"reasonReference": GONE}, "warning", "invariant", "Procedure",
        "mcode-reason-required is advice"),
    # -- slices
    Row("cancer", {"category": [coded(TERM + "condition-category", "encounter-diagnosis")]},
        "error", "required", "Condition.category", "slice by a value set"),
    Row("cancer", {"category": [_ABSENT]}, "error", "required", "Condition.category",
        "a reason for absence is in no slice"),
    Row("pressure", {"category": [coded(TERM + "observation-category", "exam")]}, "error",
        "required", "Observation.category", "slice by code and system"),
    Row("patient", {"extension.1": {"extension": [], "url": US_CORE + "us-core-race"}}, "error",
        "structure", "Patient.extension[1].extension", "an empty array stays a fault of shape"),
    Row("cancer", {"extension.1": {"url": MCODE + "mcode-histology-morphology-behavior",
                                   "valueCodeableConcept": _TEXT}},
        "error", "structure", "Condition.extension", "two extensions where one may be"),
    # -- vital signs, claimed or not
    Row("pressure", {"component.1": GONE}, "error", "required", "Observation.component",
        "the diastolic component, which is a slice"),
    Row("pressure", {"component.0.valueQuantity.code": "kPa"}, "error", "value",
        "Observation.component[0].value.code", "fixed unit"),
    Row("pressure", {"meta": GONE, "effectiveDateTime": GONE}, "error", "required",
        "Observation.effective", "by its code alone"),
    Row("pressure", {"meta": GONE, "effectiveDateTime": "2020"}, "error", "invariant",
        "Observation.effective", "vs-1: to the day"),
    # -- claims
    Row("cancer", {"meta.profile.0": MCODE + "mcode-cancer-patient"}, "error", "value",
        "Condition.meta.profile", "a profile of another type"),
    Row("cancer", {"meta.profile.0": MCODE + "mcode-nothing"}, "warning", "not-supported",
        "Condition.meta.profile", "an unknown profile"),
    # -- targets and value sets
    Row("surgery", {"subject.reference": "Device/1"}, "error", "value",
        "Procedure.subject.reference", "no target of the base"),
    Row("cancer", {"code.coding.0.system": TERM + "condition-category",
                   "code.coding.0.code": "problem-list-item", "code.coding.0.display": GONE},
        "warning", "value", "Condition.code", "an extensible set missed"),
)  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_accepted(name: str) -> None:
    assert faults(example(name)) == []


@pytest.mark.parametrize("row", ROWS, ids=[f"{r.example}: {r.reason}" for r in ROWS])
def test_what_the_profile_asks_is_told_with_its_place(row: Row) -> None:
    found = validate(changed(example(row.example), row.changes))
    told = {(issue.severity, issue.category, issue.expression) for issue in found}
    assert (row.severity, row.category, row.expression) in told
    if row.severity == "warning":
        assert "error" not in {severity for severity, _, _ in told}


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("cancer", {"category.1": coded("http://example.org/x", "y")}, "open slicing"),
        ("cancer", {"code.coding.0.code": "254837009"}, "SNOMED CT is not listed here"),
        ("cancer", {"code": _TEXT}, "an extensible set takes a text"),
        ("ecog", {"code.coding.1": {"system": _LOINC, "code": "89243-0"}}, "more than the pattern"),
        ("ecog", {"valueInteger": GONE, "dataAbsentReason": _TEXT}, "a reason for absence"),
        ("ecog", {"effectiveDateTime": GONE, "effectivePeriod": {"start": "2018"}},
         "us-core-1 asks of dateTime only"),
        ("pressure", {"component.2": {"code": _TEXT, "valueQuantity": {"value": 1}}}, "a third"),
        ("pressure", {"component.0.code.coding.0": GONE, "code.coding.0.code": "1-8",
                      "meta": GONE}, "no vital sign by its code, none claimed"),
    ],
)  # fmt: skip
def test_what_the_profile_leaves_open_is_accepted(
    name: str, changes: dict[str, Any], reason: str
) -> None:
    assert faults(changed(example(name), changes)) == [], reason


def test_profiles_are_asked_of_the_caller_too() -> None:
    bare = changed(example("cancer"), {"meta": GONE, "code": GONE})
    assert faults(bare) == []
    found = validate(bare, profiles=[MCODE + "mcode-primary-cancer-condition"])
    assert [i.expression for i in found if i.severity == "error"] == ["Condition.code"]


def _bundle(patient: dict[str, Any]) -> dict[str, Any]:
    """The cancer with its patient, who is named by fullUrl."""
    cancer = changed(example("cancer"), {"subject.reference": "urn:uuid:" + "0" * 8 + _REST})
    entries = [
        {"fullUrl": "urn:uuid:" + "1" * 8 + _REST, "resource": cancer},
        {"fullUrl": "urn:uuid:" + "0" * 8 + _REST, "resource": patient},
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


_REST = "-0000-4000-8000-000000000000"


def test_a_target_in_the_bundle_has_the_profile_that_the_reference_asks() -> None:
    unclaimed = changed(example("patient"), {"meta": GONE})
    assert faults(_bundle(unclaimed)) == []
    nameless = changed(unclaimed, {"name": GONE})
    assert [issue.expression for issue in faults(_bundle(nameless))] == [
        "Bundle.entry[0].resource.subject.reference"
    ]


def test_the_contained_target_has_the_profile_that_the_reference_asks() -> None:
    patient = {"resourceType": "Patient", "id": "p", "gender": "female"}
    held = {"contained": [patient], "subject.reference": "#p"}
    (issue,) = faults(changed(example("cancer"), held))
    assert issue.expression == "Condition.subject.reference"


def test_an_entry_is_judged_by_its_own_claim() -> None:
    made = _bundle(changed(example("patient"), {"name": GONE}))
    places = {issue.expression for issue in faults(made)}
    assert "Bundle.entry[1].resource.name" in places


def test_circles_of_references_come_to_an_end() -> None:
    first, second = (f"urn:uuid:{n * 8}{_REST}" for n in "12")
    entries = [
        {
            "fullUrl": own,
            "resource": changed(
                example("ecog"), {"hasMember": [{"reference": other}], "valueInteger": GONE}
            ),
        }
        for own, other in ((first, second), (second, first))
    ]
    made = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert faults(made) == []


def test_every_profile_of_the_study_is_known() -> None:
    for name in ("mcode-primary-cancer-condition", "mcode-secondary-cancer-condition"):
        told = packages.profile(f"{MCODE}{name}|4.0.0")
        assert told is not None
        assert told["source"] == "hl7.fhir.us.mcode 4.0.0"


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_damage_breaks_the_judge(name: str) -> None:
    refused = [made for _, made in sweep(example(name)) if faults(made) + door(made)]
    assert len(refused) > 300


def test_a_shape_that_is_broken_in_one_entry_breaks_no_other() -> None:
    made = _bundle({"resourceType": "Patient", "name": "no list", "contained": None})
    places = {issue.expression for issue in faults(made)}
    assert places == {"Bundle.entry[1].resource.name", "Bundle.entry[1].resource.contained"}


def test_the_type_of_an_entry_that_a_urn_means_counts() -> None:
    made = _bundle({"resourceType": "Practitioner", "name": [{"family": "Test"}]})
    found = {(issue.expression, issue.cause) for issue in faults(made)}
    place = "Bundle.entry[0].resource.subject.reference"
    assert (place, "a Practitioner is no target here") in found


def test_who_takes_part_for_an_organization_is_a_practitioner() -> None:
    held = [{"resourceType": "Practitioner", "id": "a"}, {"resourceType": "Patient", "id": "b"}]
    sent = {"reference": "Organization/1"}
    members = [{"member": {"reference": f"#{x}"}, "onBehalfOf": sent} for x in "ab"]
    made = {"resourceType": "CareTeam", "contained": held, "participant": members}
    (issue,) = faults(made)
    assert issue.expression == "CareTeam.participant[1]"


@pytest.mark.parametrize("beside", [5, True, [{"id": "x"}], {"id": "x"}])
def test_what_stands_beside_a_complex_value_is_one_fault_and_breaks_nothing(beside: Any) -> None:
    made = changed(example("patient"), {"_name": beside, "_extension": beside})
    assert {issue.expression for issue in faults(made)} == {"Patient._name", "Patient._extension"}
