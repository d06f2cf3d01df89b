"""Extensions by their definitions: place, value, parts; and what our door adds."""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.fhir.door import door
from fhirbridge.fhir.validate import validate
from tests.fhir.synthetic import OBSERVATION, changed, faults

HL7 = "http://hl7.org/fhir/StructureDefinition/"
RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
BIRTH_SEX = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"
OMB = "urn:oid:2.16.840.1.113883.6.238"
_WHITE = {"url": "ombCategory", "valueCoding": {"system": OMB, "code": "2106-3"}}
_TEXT = {"url": "text", "valueString": "White"}


def _patient(extension: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Patient", "extension": [extension]}


@pytest.mark.parametrize(
    "extension",
    [
        {"url": RACE, "extension": [_WHITE, _TEXT]},
        {"url": BIRTH_SEX, "valueCode": "F"},
        {"url": HL7 + "patient-birthPlace", "valueAddress": {"city": "Testville"}},
        {"url": "http://example.org/own", "valueString": "unknown ones say nothing"},
        {"url": HL7 + "patient-misspelt", "valueString": "x"},
    ],
)
def test_an_extension_by_its_definition_is_accepted(extension: dict[str, Any]) -> None:
    assert faults(_patient(extension)) == []


@pytest.mark.parametrize(
    ("extension", "expression"),
    [
        ({"url": BIRTH_SEX, "valueString": "F"}, "Patient.extension[0].value"),
        ({"url": BIRTH_SEX, "valueCode": "banana"}, "Patient.extension[0].value"),
        ({"url": BIRTH_SEX, "extension": [_TEXT]}, "Patient.extension[0].value"),
        ({"url": RACE, "valueString": "White"}, "Patient.extension[0].value"),
        ({"url": RACE, "extension": [_WHITE]}, "Patient.extension[0].extension"),
        (
            {"url": RACE, "extension": [_TEXT, {"url": "nope", "valueString": "x"}]},
            "Patient.extension[0].extension[1].url",
        ),
        (
            {"url": RACE, "extension": [_TEXT, {**_WHITE, "valueCoding": {"code": "x"}}]},
            "Patient.extension[0].extension[1].value",
        ),
        ({"url": HL7 + "condition-assertedDate", "valueDateTime": "2020"}, "Patient.extension[0]"),
        ({"url": HL7 + "iso21090-ADXP-censusTract", "valueString": "x"}, "Patient.extension[0]"),
        ({"_url": {"id": "a"}, "valueString": "x"}, "Patient.extension[0]"),
    ],
)
def test_an_extension_against_its_definition_is_told(
    extension: dict[str, Any], expression: str
) -> None:
    if "valueCoding" in str(extension) and "'code': 'x'" in str(extension):
        extension["extension"][1]["valueCoding"]["system"] = OMB
    assert expression in {issue.expression for issue in faults(_patient(extension))}


def test_the_place_on_a_primitive_and_on_a_datatype_counts() -> None:
    birth_time = {"url": HL7 + "patient-birthTime", "valueDateTime": "1960-01-01T00:00:00Z"}
    right = {
        "resourceType": "Patient",
        "birthDate": "1960",
        "_birthDate": {"extension": [birth_time]},
    }
    assert faults(right) == []
    assert [i.expression for i in faults(_patient(birth_time))] == ["Patient.extension[0]"]
    tract = {"url": HL7 + "iso21090-ADXP-censusTract", "valueString": "x"}
    line = {"line": ["A street"], "_line": [{"extension": [tract]}]}
    assert faults({"resourceType": "Patient", "address": [line]}) == []
    assert faults({"resourceType": "Patient", "address": [{"extension": [tract]}]}) != []


def test_a_modifier_stands_among_modifiers_and_nothing_else_does() -> None:
    base = {"resourceType": "NutritionOrder", "status": "active", "intent": "order"}
    base |= {"patient": {"reference": "Patient/1"}, "dateTime": "2024"}
    not_wanted = {"url": HL7 + "request-doNotPerform", "valueBoolean": True}
    assert faults({**base, "modifierExtension": [not_wanted]}) == []
    assert [i.expression for i in faults({**base, "extension": [not_wanted]})] == [
        "NutritionOrder.extension[0]"
    ]
    position = {"url": HL7 + "observation-bodyPosition", "valueCodeableConcept": {"text": "x"}}
    assert [
        i.expression for i in faults(changed(OBSERVATION, {"modifierExtension": [position]}))
    ] == ["Observation.modifierExtension[0]"]


def test_an_unknown_extension_is_information() -> None:
    (issue,) = validate(_patient({"url": "http://example.org/own", "valueString": "x"}))
    assert (issue.severity, issue.expression) == ("information", "Patient.extension[0].url")


@pytest.mark.parametrize(
    "url",
    [
        "http://hl7.org/fhir/us/core/StructureDefinition/us-core-medication-adherence",  # 7.0.0
        "http://hl7.org/fhir/us/core/StructureDefinition/us-core-sex-for-nobody-yet",
        "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-related-primary-cancer-condition",
    ],
)
def test_an_extension_of_an_older_or_newer_guide_is_left_aside(url: str) -> None:
    told = {"url": url, "valueReference": {"reference": "Condition/1"}}
    assert door(changed(OBSERVATION, {"extension": [told]})) == []


@pytest.mark.parametrize(
    ("changes", "expression", "near"),
    [
        (
            {"modifierExtension": [{"url": "http://example.org/x", "valueBoolean": True}]},
            "Observation.modifierExtension[0]",
            "",
        ),
        (
            {"extension": [{"url": HL7 + "observation-bodyPosition2", "valueString": "x"}]},
            "Observation.extension[0].url",
            HL7 + "observation-bodyPosition",
        ),
        ({"valueQuantity.code": "mcg"}, "Observation.value.code", "ug"),
        ({"component.0.valueQuantity": {"system": "http://unitsofmeasure.org", "code": "KG"},
          "component.0.code": {"text": "x"}}, "Observation.component[0].value.code", "kg"),
    ],
)  # fmt: skip
def test_our_door_refuses_more(changes: dict[str, Any], expression: str, near: str) -> None:
    quantity = {"value": 1, "system": "http://unitsofmeasure.org", "code": "mg"}
    base = changed(OBSERVATION, {"valueQuantity": quantity, "component": [{"code": {}}]})
    assert door(base) == []
    (issue,) = door(changed(base, changes))
    assert (issue.severity, issue.expression) == ("error", expression)
    assert near in issue.remedy


def test_the_door_looks_into_contained_resources_and_shadows() -> None:
    odd = {"url": "http://example.org/m", "valueBoolean": True}
    held = {"resourceType": "Organization", "id": "o", "modifierExtension": [odd]}
    shadow = {"extension": [{"url": HL7 + "patient-birthTimes", "valueString": "x"}]}
    made = {"resourceType": "Patient", "contained": [held], "_birthDate": shadow}
    assert [issue.expression for issue in door(made)] == [
        "Patient.contained[0].modifierExtension[0]",
        "Patient.birthDate.extension[0].url",
    ]
