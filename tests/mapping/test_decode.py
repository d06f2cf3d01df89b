"""What becomes of resources as hospitals send them: a table, one line of reason a row."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.fhir.validate import validate
from fhirbridge.mapping.decode import Decoded, decode
from fhirbridge.outcome import failed
from fhirbridge.study.records import Absent, Identifier
from tests.mapping.files import mappings
from tests.mapping.hospital import (
    ABSENT,
    ICD,
    LOCAL,
    LOINC,
    MCODE,
    PCS,
    SCT,
    STUDY,
    TERM,
    Resource,
    clean,
    concept,
    condition,
    observation,
    procedure,
    quantity,
    site,
)

NRS = concept((STUDY, "pain-nrs-rest"))
PROMIS = concept((LOINC, "91721-1"))
GRADE = "http://snomed.info/sct", "422894000"
VERIFIED = f"{TERM}/condition-ver-status"
SECRET = [{"url": "https://hospital.example.org/not-really", "valueBoolean": True}]
REASONS = f"{TERM}/data-absent-reason"


def reading(resource: Resource) -> Decoded:
    """As decoded; the resource must be valid R4, and stay as it was."""
    assert [i.sentence() for i in validate(resource) if failed([i])] == []
    given = deepcopy(resource)
    (made,) = decode(mappings(), resource, source="hospital|Condition/c1")
    assert resource == given
    return made


# reason, resource, fields that it must give (None: it must not give it)
READ: list[tuple[str, Resource, dict[str, Any]]] = [
    ("a code in an alias of its system", condition(code=concept(("urn:oid:2.16.840.1.113883.6.96", "94300004"))), {"bone": "femur"}),
    ("a trailing slash on the system", condition(code=concept(("http://snomed.info/sct/", "94300004"))), {"bone": "femur"}),
    ("ICD without its dot", condition(code=concept((ICD, "C7951"))), {"clinical_status": "active"}),
    ("ICD in lower case", condition(code=concept((ICD, "c79.51"))), {"clinical_status": "active"}),
    ("a local code beside a standard one", condition(code=concept((LOCAL, "DX-7731"), (ICD, "C79.51"))), {"clinical_status": "active"}),
    ("a diagnosis that names the bone", condition(code=concept((SCT, "94300004"))), {"bone": "femur", "laterality": None}),
    ("a body site beside a diagnosis that names a bone", condition(code=concept((SCT, "94300004")), bodySite=[site("85050009")]), {"bone": "humerus"}),
    ("a body site that holds bone and region", condition(bodySite=[site("29627003", "24028007")]), {"bone": "femur", "bone_region": "proximal", "laterality": "right"}),
    ("a vertebra is a part of its spine", condition(bodySite=[site("91116008")]), {"bone": "cervical_spine", "bone_region": None}),
    ("a fracture inside the diagnosis", condition(code=concept((SCT, "134421000"))), {"fracture_status": "actual"}),
    ("a year is kept a year", condition(onsetDateTime="2024"), {"diagnosed_on": "2024"}),
    ("a month is kept a month", condition(onsetDateTime="2024-03"), {"diagnosed_on": "2024-03"}),
    ("a time keeps its zone", condition(onsetDateTime="2024-03-05T23:30:00-05:00"), {"diagnosed_on": "2024-03-05T23:30:00-05:00"}),
    ("an absent bone says nothing of the side", condition(bodySite=[{"extension": [{"url": ABSENT, "valueCode": "masked"}]}]), {"bone": Absent("masked"), "laterality": None, "bone_region": None}),
    ("a body site without a code", condition(bodySite=[{"extension": site("71341001", "7771000")["extension"]}]), {"bone": None, "laterality": "left"}),
    ("performedPeriod by its start", procedure(performedDateTime=None, performedPeriod={"start": "2024-05-01", "end": "2024-05-02"}), {"performed_on": "2024-05-01"}),
    ("a procedure that names bone and side", procedure(code=concept((PCS, "0QH606Z"))), {"procedure": "intramedullary_nail", "bone": "femur", "laterality": "right"}),
    ("a procedure that names bone and purpose", procedure(code=concept((SCT, "713086005"))), {"procedure": "intramedullary_nail", "bone": "humerus", "purpose": "prophylactic"}),
    ("text beside the code is kept", procedure(code=concept((SCT, "274478003"), text="Marknagel links")), {"text": "Marknagel links", "laterality": None}),
    ("an integer score", observation(valueInteger=2), {"ecog": 2}),
    ("zero is a value", observation(valueInteger=0), {"ecog": 0}),
    ("a grade as a code", observation(valueCodeableConcept=concept(GRADE)), {"ecog": 2}),
    ("a grade as text", observation(valueString="2"), {"ecog": 2}),
    ("a score as a quantity", observation(code=NRS, valueQuantity=quantity(6)), {"pain_rest": 6}),
    ("a score as a quantity without unit", observation(code=NRS, valueQuantity={"value": 6}), {"pain_rest": 6}),
    ("a grade as a quantity of {score}", observation(valueQuantity=quantity(2)), {"ecog": 2}),
    ("a grade as a quantity without unit", observation(valueQuantity={"value": 2}), {"ecog": 2}),
    ("a whole number with a fraction of zero", observation(code=NRS, valueQuantity=quantity(Decimal("6.0"))), {"pain_rest": 6}),
    ("a fraction of a larger unit that is whole in ours", procedure(extension=[{"url": mappings().names["duration"], "valueQuantity": quantity(Decimal("1.5"), "h")}]), {"duration_min": 90}),
    ("a fraction with its unit's own name", procedure(extension=[{"url": mappings().names["blood-loss"], "valueQuantity": quantity(Decimal("0.25"), "L")}]), {"blood_loss_ml": 250}),
    ("trailing zeros are kept", observation(code=PROMIS, valueQuantity=quantity(Decimal("38.10"))), {"promis_pf_t": Decimal("38.10")}),
    ("a decimal as text", observation(code=PROMIS, valueString="38.10"), {"promis_pf_t": Decimal("38.10")}),
    ("a stated reason", observation(dataAbsentReason=concept((REASONS, "not-asked"))), {"ecog": Absent("not-asked")}),
    ("the start of a period", observation(valueInteger=1, effectiveDateTime=None, effectivePeriod={"start": "2024-05-01"}), {"assessed_on": "2024-05-01"}),
    ("an instant", observation(valueInteger=1, effectiveDateTime=None, effectiveInstant="2024-05-01T10:00:00.5+02:00"), {"assessed_on": "2024-05-01T10:00:00.5+02:00"}),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "fields"), [r[1:] for r in READ], ids=[r[0] for r in READ])
def test_it_is_read_and_nothing_is_said_of_it(resource: Resource, fields: dict[str, Any]) -> None:
    made = reading(resource)
    assert (made.fate, made.issues) == ("record", ())
    for name, value in fields.items():
        assert str(made.fields.get(name)) == str(value), name
        assert made.fields.get(name) == value, name
    assert made.traces.keys() == made.fields.keys()
    assert made.patient == {"reference": "Patient/p1"}


# reason, resource, fate, expression, words of the cause, words of the remedy
ENDED: list[tuple[str, Resource, str, str, str, str]] = [
    ("text is never coded by itself", condition(code=concept(text="Knochenmetastase")), "hold", "Condition.code", "text and no code", "code it at its source"),
    ("no code at all", clean({**condition(), "code": None}), "hold", "Condition.code", "no code", "code it at its source"),
    ("a local code", condition(code=concept((LOCAL, "KM-HUM"))), "hold", "Condition.code", f"{LOCAL}|KM-HUM", "in the site's folder"),
    ("a local code beside one out of scope", condition(code=concept((LOCAL, "X"), (SCT, "44054006"))), "hold", "Condition.code", "44054006", "add a line to the one of them"),
    ("a standard code out of scope", condition(code=concept((SCT, "44054006"))), "refuse", "Condition.code", "in none of the crosswalks complication, metastasis, primary-cancer", ""),
    ("a metastasis in the brain", condition(code=concept((SCT, "94225005"))), "refuse", "Condition.code", "not meant: brain", "nothing to do"),
    ("a metastasis of a bone tumour", condition(code=concept((SCT, "314990009"))), "refuse", "Condition.code", "not in bone", "nothing to do"),
    ("a refused code beside one that is meant", condition(code=concept((SCT, "94222008"), (SCT, "94225005"))), "refuse", "Condition.code", "brain", "nothing to do"),
    ("a metastasis of no organ", condition(code=concept((SCT, "128462008"))), "hold", "Condition.code", "not of which organ", "a person decides"),
    ("pain without its axis", observation(code=concept((LOINC, "72514-3")), valueInteger=5), "hold", "Observation.code", "at rest or with activity is not stated", "a person decides"),
    ("codings of two scores", observation(code=concept((LOINC, "89247-1"), (LOINC, "91721-1")), valueInteger=1), "hold", "Observation.code", "ecog, promis_pf_t", "a person decides"),
    ("a score that the study does not take", observation(code=concept((LOINC, "718-7")), valueInteger=75), "refuse", "Observation.code", "718-7", ""),
    ("a fraction as NRS is not rounded", observation(code=NRS, valueQuantity=quantity(Decimal("0.42"))), "hold", "Observation.valueQuantity", "no whole number", "stands for"),
    ("out of range", observation(code=NRS, valueInteger=11), "hold", "Observation.valueInteger", "11 is outside 0 to 10", "correct the value"),
    ("a range as text", observation(code=NRS, valueString="6-7"), "hold", "Observation.valueString", "no single number", "a person"),
    ("words as text", observation(code=NRS, valueString="severe"), "hold", "Observation.valueString", "no single number", "a person"),
    ("another unit", observation(code=NRS, valueQuantity=quantity(42, "mm")), "hold", "Observation.valueQuantity", "'mm'", "{score}"),
    ("a bound", observation(code=NRS, valueQuantity=quantity(6, comparator="<")), "hold", "Observation.valueQuantity", "a bound is no value", "a person"),
    ("a number beyond all bounds", observation(code=PROMIS, valueQuantity=quantity(Decimal("1E+999999999"))), "hold", "Observation.valueQuantity", "out of all bounds", "source"),
    ("a grade that is no grade", observation(valueCodeableConcept=concept((SCT, "44054006"))), "hold", "Observation.valueCodeableConcept", "not in the crosswalk 'ecog-grade'", "ecog-grade.csv"),
    ("a value of a type that is not read", observation(valueBoolean=True), "hold", "Observation.valueBoolean", "a form that is not read", "accepts"),
    ("a quantity without its value", observation(code=NRS, valueQuantity={"unit": "{score}"}), "hold", "Observation.valueQuantity", "a form that is not read", "accepts"),
    ("preliminary", observation(status="preliminary", valueInteger=1), "hold", "Observation.status", "preliminary", "when it is final"),
    ("cancelled", observation(status="cancelled", valueInteger=1), "refuse", "Observation.status", "cancelled", "nothing to do"),
    ("entered in error", observation(status="entered-in-error", valueInteger=1), "withdraw", "", "", ""),
    ("refuted", condition(verificationStatus=concept((VERIFIED, "refuted"))), "withdraw", "", "", ""),
    ("a diagnosis entered in error", condition(clinicalStatus=None, verificationStatus=concept((VERIFIED, "entered-in-error"))), "withdraw", "", "", ""),
    ("in progress", procedure(status="in-progress"), "hold", "Procedure.status", "in-progress", "when it is final"),
    ("not done", procedure(status="not-done"), "refuse", "Procedure.status", "not-done", "nothing to do"),
    ("an unknown modifier", condition(modifierExtension=SECRET), "hold", "Condition.modifierExtension", "turn the meaning round", "mapped"),
    ("an unknown modifier deep inside", procedure(performer=[{"actor": {"display": "Nobody"}, "modifierExtension": SECRET}]), "hold", "Procedure.performer[0].modifierExtension", "turn the meaning round", "mapped"),
    ("a type that the study does not take", {"resourceType": "Device"}, "refuse", "Device", "takes nothing from the type Device", "nothing to do"),
    ("an unknown operation, not on a bone", procedure(code=concept((SCT, "71651007"))), "refuse", "Procedure.code", "71651007", ""),
    ("an unknown operation on a bone", procedure(code=concept((SCT, "71651007")), bodySite=[site("71341001")]), "hold", "Procedure.code", "71651007", "procedure.csv of the site"),
    ("no date is no visit", observation(valueInteger=1, effectiveDateTime=None), "hold", "Observation", "assessed_on cannot be read", "send it"),
    ("a date absent for a reason is no visit either", clean({**observation(valueInteger=1, effectiveDateTime=None), "_effectiveDateTime": {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}}), "hold", "Observation", "assessed_on cannot be read", "send it"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "fate", "expression", "cause", "remedy"),
    [row[1:] for row in ENDED],
    ids=[row[0] for row in ENDED],
)
def test_it_does_not_become_a_record_and_the_issue_says_why(
    resource: Resource, fate: str, expression: str, cause: str, remedy: str
) -> None:
    made = reading(resource)
    assert made.fate == fate
    if fate != "withdraw":
        assert any(
            issue.expression == expression and cause in issue.cause and remedy in issue.remedy
            for issue in made.issues
        ) or (not cause and made.issues), [issue.sentence() for issue in made.issues]
        assert all(issue.remedy for issue in made.issues)


# reason, resource, the field, its value (None: absent), severity, expression, words of the cause
NAMED: list[tuple[str, Resource, str, Any, str, str, str]] = [
    ("a deprecated code of the same score", observation(code=concept((LOINC, "42800-3")), valueInteger=1), "ecog", 1, "warning", "Observation.code", "is withdrawn"),
    ("a display of another organ", condition(code={"coding": [{"system": SCT, "code": "94222008", "display": "Secondary malignant neoplasm of liver (disorder)"}]}), "clinical_status", "active", "warning", "Condition.code", "'liver' for 'bone'"),
    ("only a diagnosis of an encounter", condition(category=[concept((f"{TERM}/condition-category", "encounter-diagnosis"))]), "clinical_status", "active", "warning", "Condition.category[0]", "encounter-diagnosis"),
    ("no value and no reason", observation(), "ecog", Absent("unknown"), "warning", "Observation", "neither a value nor a reason"),
    ("a reason that is not known here", observation(dataAbsentReason=concept((REASONS, "as-text"))), "ecog", Absent("unknown"), "warning", "Observation.dataAbsentReason", "as-text"),
    ("two sites", condition(bodySite=[site("71341001"), site("85050009")]), "bone", None, "error", "Condition.bodySite", "femur and humerus"),
    ("a second site that is not known", condition(bodySite=[site("71341001"), concept((LOCAL, "X1"))]), "bone", "femur", "warning", "Condition.bodySite[1]", "X1"),
    ("one side, and not which", condition(bodySite=[site("71341001", "66459002")]), "laterality", None, "error", "Condition.bodySite[0].extension[0].valueCodeableConcept", "not which"),
    ("a site that is no bone", condition(bodySite=[site("24136001")]), "bone", None, "error", "Condition.bodySite[0]", "femur or acetabulum"),
    ("a site as text", condition(bodySite=[concept(text="Femur")]), "bone", None, "error", "Condition.bodySite[0]", "text and no code"),
    ("a local site", condition(bodySite=[concept((LOCAL, "FEM"))]), "bone", None, "error", "Condition.bodySite[0]", f"{LOCAL}|FEM"),
    ("a local site beside a diagnosis that names the bone", condition(code=concept((SCT, "94300004")), bodySite=[concept((LOCAL, "FEM"))]), "bone", "femur", "warning", "Condition.bodySite[0]", f"{LOCAL}|FEM"),
    ("codings of one site that contradict", condition(bodySite=[concept((SCT, "71341001"), (SCT, "85050009"))]), "bone", None, "error", "Condition.bodySite[0]", "femur, humerus"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "name", "value", "severity", "expression", "cause"),
    [row[1:] for row in NAMED],
    ids=[row[0] for row in NAMED],
)
def test_what_cannot_be_read_is_absent_and_named(
    resource: Resource, name: str, value: Any, severity: str, expression: str, cause: str
) -> None:
    made = reading(resource)
    assert made.fate == "record"
    assert made.fields.get(name) == value
    (issue,) = made.issues
    assert (issue.severity, issue.expression) == (severity, expression)
    assert cause in issue.cause
    assert issue.remedy


def test_the_date_of_recording_is_only_proposed() -> None:
    made = reading(condition(recordedDate="2024-02-01"))
    assert made.fields["diagnosed_on"] == "2024-02-01"
    assert made.traces["diagnosed_on"].review
    assert made.traces["diagnosed_on"].expression == "Condition.recordedDate"


def test_a_date_of_onset_goes_before_the_date_of_recording() -> None:
    made = reading(condition(recordedDate="2024-02-01", onsetDateTime="2024-01"))
    assert made.fields["diagnosed_on"] == "2024-01"
    assert not made.traces["diagnosed_on"].review


def test_a_missing_key_comes_from_the_source_and_stays_the_same() -> None:
    one, again = reading(condition()), reading(condition(onsetDateTime="2024"))
    assert one.key == again.key == one.fields["lesion_id"]
    other = decode(mappings(), condition(), source="hospital|Condition/c2")[0]
    assert other.key != one.key


def test_a_key_of_ours_is_read_as_it_is() -> None:
    ours = {"system": mappings().names["lesion"], "value": "L-7"}
    made = reading(
        condition(identifier=[{"system": "urn:oid:2.16.840.1.113883.19.5", "value": "9"}, ours])
    )
    assert made.key == "L-7"


def test_the_root_leads_every_expression() -> None:
    made = decode(
        mappings(),
        condition(bodySite=[concept(text="Femur")]),
        source="x",
        root="Bundle.entry[3].resource",
    )[0]
    assert [i.expression for i in made.issues] == ["Bundle.entry[3].resource.bodySite[0]"]
    assert made.traces["clinical_status"].expression == "Bundle.entry[3].resource.clinicalStatus"


def test_a_withdrawn_score_says_which_one() -> None:
    made = reading(observation(status="entered-in-error", code=NRS))
    assert (made.fate, made.block, made.key) == ("withdraw", "assessment.pain_rest", "2024-05-01")


def test_a_patient_gives_identifiers_that_are_not_ours() -> None:
    patient = {
        "resourceType": "Patient",
        "identifier": [
            {"system": mappings().names["study-id"], "value": "S-1"},
            {"system": mappings().record_system, "value": "x"},
            {"system": "urn:oid:1.2.3", "value": "12 34"},
            {"use": "old", "system": "urn:oid:1.2.3", "value": "11"},
            {"value": "without a system"},
        ],
        "gender": "female",
        "birthDate": "1960-02",
    }
    made = decode(mappings(), patient, source="hospital|Patient/p1")[0]
    assert made.fields == {
        "study_id": "S-1",
        "hospital_ids": (Identifier("urn:oid:1.2.3", "12 34"),),
        "sex": "female",
        "birth_date": "1960-02",
    }


def test_a_side_is_read_from_an_extension_of_the_site_alone() -> None:
    url = f"{MCODE}/mcode-laterality-qualifier"
    other = {"url": f"{url}-other", "valueCodeableConcept": concept((SCT, "24028007"))}
    made = reading(condition(bodySite=[concept((SCT, "71341001"), extension=[other])]))
    assert "laterality" not in made.fields


ANSWERS: Resource = {
    "resourceType": "QuestionnaireResponse",
    "status": "completed",
    "questionnaire": "https://fhirbridge.example.org/fhir/Questionnaire/assessment",
    "subject": {"reference": "Patient/1"},
    "authored": "2024-05-01",
}


def test_a_questionnaire_of_which_no_answer_is_known_is_no_empty_assessment() -> None:
    told = reading({**ANSWERS, "item": [{"linkId": "q17", "answer": [{"valueInteger": 3}]}]})
    assert told.fate == "hold"
    assert told.issues


def test_answers_to_our_own_questionnaire_are_known_by_the_names_of_the_fields() -> None:
    def read(*items: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        given: Resource = {**ANSWERS, "item": [*items]}
        assert [i.sentence() for i in validate(given) if failed([i])] == []
        return [(told.fate, dict(told.fields)) for told in decode(mappings(), given, source="x")]

    day = {"assessed_on": "2024-05-01"}
    graded = {"system": "http://snomed.info/sct", "code": "422894000"}
    assert read(
        {"linkId": "pain_rest", "answer": [{"valueInteger": 0}]},
        {"linkId": "ecog", "answer": [{"valueCoding": graded}]},
        {"linkId": "karnofsky"},
    ) == [("record", day | {"pain_rest": 0}), ("record", day | {"ecog": 2})]
    assert read({"linkId": "pain_rest", "answer": [{"valueDate": "2024"}]}) == [("hold", day)]


def test_a_number_that_stands_as_a_text_is_read_and_flagged() -> None:
    # Printed so by one vendor (V24). It is no R4: our doors refuse it before it is read.
    sent = observation(code=PROMIS, valueQuantity={**quantity(0), "value": "38.10"})
    (told,) = decode(mappings(), sent, source="x")
    assert (told.fate, str(told.fields["promis_pf_t"])) == ("record", "38.10")
    assert (
        next(i.cause for i in told.issues if i.severity == "warning")
        == "the number stands there as a text"
    )
    sent = observation(code=PROMIS, valueQuantity={**quantity(0), "value": "about 38"})
    (told,) = decode(mappings(), sent, source="x")
    assert told.fate == "hold"
