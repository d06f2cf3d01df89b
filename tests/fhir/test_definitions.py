"""Element trees: what the mapping loader and the judge ask of them."""

from __future__ import annotations

import pytest

from fhirbridge.fhir import definitions


def test_every_r4_resource_type_is_known_and_no_abstract_one() -> None:
    types = definitions.resource_types()
    assert len(types) == 146
    assert {"Patient", "Condition", "Procedure", "Observation", "Bundle", "Parameters"} <= types
    assert not {"Resource", "DomainResource"} & types


@pytest.mark.parametrize(
    ("type_name", "name", "fhir_type", "least", "most"),
    [
        ("Observation", "valueInteger", "integer", 0, 1),
        ("Observation", "status", "code", 1, 1),
        ("Observation", "component", "", 0, None),
        ("Observation", "id", "id", 0, 1),
        ("Observation.component", "code", "CodeableConcept", 1, 1),
        ("Extension", "url", "uri", 1, 1),
        ("CodeableConcept", "coding", "Coding", 0, None),
        ("Bundle.entry", "resource", "Resource", 0, 1),
        ("Timing.repeat", "boundsPeriod", "Period", 0, 1),
    ],
)
def test_an_element_is_found_by_its_json_name(
    type_name: str, name: str, fhir_type: str, least: int, most: int | None
) -> None:
    found = definitions.element(type_name, name)
    assert found is not None
    assert (found.name, found.type, found.min, found.max) == (name, fhir_type, least, most)
    assert found.is_list == (most is None)


@pytest.mark.parametrize(
    ("type_name", "name"),
    [
        ("Patient", "_birthDate"),
        ("Observation", "value"),
        ("Observation", "value[x]"),
        ("Observation", "valueDecimal"),
        ("Observation", "component.code"),
        ("Patient", "resourceType"),
        ("Nothing", "id"),
        ("string", "value"),
    ],
)
def test_what_is_no_json_property_of_the_type_is_not_found(type_name: str, name: str) -> None:
    assert definitions.element(type_name, name) is None


@pytest.mark.parametrize(
    ("path", "fhir_type"),
    [
        ("Condition.bodySite.extension.valueCodeableConcept.coding", "Coding"),
        ("Observation.component.referenceRange.low.value", "decimal"),
        ("Bundle.entry.link.url", "uri"),
        ("Patient.contact.name.given", "string"),
        ("Questionnaire.item.item.item.linkId", "string"),
    ],
)
def test_a_walk_ends_at_the_element(path: str, fhir_type: str) -> None:
    type_name, *names = path.split(".")
    found = definitions.walk(type_name, names)
    assert found is not None
    assert found.type == fhir_type


@pytest.mark.parametrize(
    "path",
    [
        "Condition.bodySite.laterality",
        "Patient.birthDate.year",
        "Patient",
        "Bundle.entry.resource.id",
    ],
)
def test_a_walk_that_cannot_go_on_finds_nothing(path: str) -> None:
    type_name, *names = path.split(".")
    assert definitions.walk(type_name, names) is None


def test_reference_targets_belong_to_the_reference_of_a_choice() -> None:
    reference = definitions.element("MedicationRequest", "medicationReference")
    concept = definitions.element("MedicationRequest", "medicationCodeableConcept")
    assert reference is not None
    assert concept is not None
    assert reference.targets == {"Medication"}
    assert concept.targets == frozenset()


def test_every_target_is_a_resource_type_and_every_path_leads_on() -> None:
    for path in definitions.shape_paths():
        shape = definitions.shape(path)
        assert shape is not None
        for element in shape.properties.values():
            assert element.targets <= definitions.resource_types()
            leads_on = definitions.shape(element.path) is not None
            assert leads_on or definitions.primitive(element.type) or element.type == "Resource"


def test_required_sets_hold_codes_by_system() -> None:
    gender = definitions.value_set("http://hl7.org/fhir/ValueSet/administrative-gender")
    assert gender is not None
    assert gender.codes == {"male", "female", "other", "unknown"}
    assert list(gender.systems) == ["http://hl7.org/fhir/administrative-gender"]


def test_sets_that_r4_does_not_publish_are_unknown() -> None:
    assert definitions.value_set("http://hl7.org/fhir/ValueSet/mimetypes") is None


def test_primitive_types_are_told_from_complex_ones() -> None:
    assert definitions.primitive("dateTime")
    assert definitions.primitive("xhtml")
    assert not definitions.primitive("Period")
