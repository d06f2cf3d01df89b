"""The judge against the table of faults, and against what is valid."""

from __future__ import annotations

import time
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.fhir.validate import DEEPEST
from tests.fhir.mutations import MUTATIONS, Mutation
from tests.fhir.synthetic import (
    BASES,
    DIV,
    GONE,
    OBSERVATION,
    PATIENT,
    TRANSACTION,
    changed,
    deep_extension,
    faults,
)

_ABSENT = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "unknown",
        }
    ]
}
_BASE = "http://hl7.org/fhir/StructureDefinition/"
_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
_OMB = "urn:oid:2.16.840.1.113883.6.238"
_OUTCOME = {
    "fullUrl": "urn:uuid:6f0ad4a6-6a4c-4a60-8f0a-4a1f3c1f0d6f",
    "resource": {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "information", "code": "informational"}],
    },
    "search": {"mode": "outcome"},
}


VALID: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("Patient", {"birthDate": GONE, "_birthDate": _ABSENT}, "an extension in place of the value"),
    ("Patient", {"communication.0.language": _ABSENT}, "counts as present for the minimum"),
    ("Patient", {"_language": _ABSENT}, "a code that no set is required of"),
    ("Observation", {"valueQuantity": GONE, "_valueString": _ABSENT}, "a choice without value"),
    ("Observation", {"valueQuantity": GONE}, "R4 asks for no value"),
    ("Observation", {"valueQuantity.value": 7}, "a whole number is a decimal"),
    ("Observation", {"valueQuantity.value": 7.5}, "a float is tolerated"),
    ("Observation", {"valueQuantity.value": Decimal("1E+3")}, "an exponent"),
    ("Observation", {"valueQuantity.value": 0}, "zero is a value"),
    ("Observation", {"effectiveDateTime": "2024"}, "partial dates stay partial"),
    ("Observation", {"effectiveDateTime": "2024-02-29"}, "leap day"),
    ("Observation", {"effectiveDateTime": "2000-02-29T23:59:60.123-14:00"}, "leap second"),
    ("Observation", {"effectiveDateTime": "9999-12-31T23:59:59-01:00"}, "last year there is"),
    ("Observation", {"subject": {"reference": "urn:uuid:x"}}, "no type to be read"),
    ("Observation", {"subject": {"reference": "Thing/1"}}, "not a resource type, not ours"),
    ("Observation", {"subject": {"identifier": {"value": "1"}}}, "logical reference"),
    ("Observation", {"subject.type": "Patient"}, "type agrees"),
    ("Condition", {"subject": {"type": "Device", "display": "x"}}, "without a literal, a hint"),
    ("Observation", {"code.coding.0.code": "two words"}, "single blanks inside a code"),
    (
        "Observation",
        {"meta": {"versionId": "1", "lastUpdated": "2024-03-05T10:00:00.123Z"}},
        "meta",
    ),
    ("Patient", {"text.div": PATIENT["text"]["div"].replace("A ", "&#160;&amp;")}, "entities"),
    ("Patient", {"contained.0.identifier": [{"id": "a", "value": "1"}], "name.0.id": "a"}, "ids"),
    ("Condition", {"code.coding.0.system": "local"}, "bad style, yet no rule of R4"),
    ("Patient", {"extension.0": deep_extension(20)}, "depth within reason"),
    ("Patient", {"name.0.given": ["Ada", "Eve"], "name.0._given": GONE}, "no shadow"),
    ("Patient", {"active": False}, "false is a value"),
    ("Patient", {"meta.profile": [_BASE + "Patient|4.0.1", _BASE + "DomainResource"]}, "its base"),
    ("Patient", {"meta.profile": [_CORE + "us-core-location|7.0.0"]}, "a version not known here"),
    ("Patient", {"meta.profile": [_BASE + "Observation|5.0.0"]}, "another version of FHIR"),
    ("Patient", {"identifier.0": {"system": "urn:ietf:rfc:3986", "value": "HTTP://X"}}, "a URI"),
    ("Patient", {"meta.tag": [{"system": _OMB, "code": "2106-3", "display": "WHITE"}]}, "its name"),
    ("Patient", {"meta.tag": [{"system": _OMB, "code": "1010-8", "display": "x"}]}, "not listed"),
    ("Patient", {"text.div": DIV.replace("A ", "A <![CDATA[x]]>")}, "a text beside a section"),
    ("Observation", {"valueQuantity": {"value": 1, "system": "x"}}, "a system of no code"),
    ("Searchset", {"link": GONE}, "nobody knows what was searched"),
    ("Searchset", {"entry.0.search.mode": "include", "link.0.url": "x:/Group?a=b"}, "included"),
    ("Searchset", {"entry.1": _OUTCOME}, "an outcome, which needs no id"),
    ("Searchset", {"entry.0.search": GONE, "link.0.url": "x:/Group"}, "no mode, nothing said"),
    ("Searchset", {"link.0.url": "http://example.org/fhir?_type=Group,Patient"}, "one of two"),
    ("Patient", {"address.0.period": {"start": "2020", "end": "2021-05"}}, "years decide"),
    ("Patient", {"photo.0": {"url": "Binary/1"}}, "a relative url"),
    ("Condition", {"clinicalStatus": GONE}, "only advice asks for a status"),
    (
        "Condition",
        {"clinicalStatus.coding.0.code": "resolved", "abatementString": "spring"},
        "con-4 kept",
    ),
    (
        "Condition",
        {
            "clinicalStatus.coding.1": {"system": "http://example.org", "code": "A"},
        },
        "a local coding beside the required one",
    ),
    ("Bundle", {"entry": GONE}, "a Bundle without entries"),
    ("Bundle", {"type": "searchset", "total": 2}, "total in a searchset"),
    ("Bundle", {"entry.1.fullUrl": "http://other.example.org/fhir/Condition/c1"}, "elsewhere"),
    ("Transaction", {"entry.0.fullUrl": GONE}, "a transaction does without"),
    (
        "Transaction",
        {
            "entry.0.fullUrl": GONE,
            "entry.0.resource.managingOrganization": {"reference": "Organization/1"},
        },
        "who posts may leave fullUrl out",
    ),
    (
        "Transaction",
        {
            "entry.0.resource.link": [
                {"type": "refer", "other": {"reference": TRANSACTION["entry"][0]["fullUrl"]}}
            ]
        },
        "an entry of a right type",
    ),
)


@pytest.mark.parametrize("base", BASES)
def test_base_resources_are_valid(base: str) -> None:
    assert faults(BASES[base]) == []


@pytest.mark.parametrize(("base", "changes", "reason"), VALID, ids=[row[2] for row in VALID])
def test_nothing_valid_is_refused(base: str, changes: dict[str, Any], reason: str) -> None:
    assert faults(changed(BASES[base], changes)) == []


@pytest.mark.parametrize(
    "fault", MUTATIONS, ids=[f"{m.base}: {m.reason} {m.expression}" for m in MUTATIONS]
)
def test_every_fault_is_told_with_its_place(fault: Mutation) -> None:
    found = faults(fault.apply())
    told = [(issue.category, issue.expression) for issue in found]
    assert (fault.category, fault.expression) in told
    assert all(issue.cause and issue.remedy and issue.severity == "error" for issue in found)


def test_faults_are_told_all_at_once() -> None:
    found = faults(changed(PATIENT, {"gender": "x", "birthDate": "x", "colour": 1}))
    assert [issue.expression for issue in found] == [
        "Patient.gender",
        "Patient.birthDate",
        "Patient.colour",
    ]


def test_a_near_name_is_suggested() -> None:
    (issue,) = faults(changed(PATIENT, {"birthdate": "1960"}))
    assert issue.remedy == "did you mean birthDate?"


def test_only_the_first_unknown_names_cost_the_search_for_a_near_one() -> None:
    found = faults(changed(PATIENT, {f"birthDat{n}": 1 for n in range(30)}))
    assert sum(issue.remedy == "did you mean birthDate?" for issue in found) == 20
    assert len(found) == 30


def test_the_path_stands_for_the_type_name() -> None:
    (issue,) = faults(changed(PATIENT, {"gender": "x"}), path="Bundle.entry[3].resource")
    assert issue.expression == "Bundle.entry[3].resource.gender"


def test_no_issue_repeats_a_value_of_the_patient() -> None:
    secret = "Secretive McSecret"
    for path in ("gender", "birthDate", "id", "name.0.use", "managingOrganization.reference"):
        told = "".join(i.sentence() for i in faults(changed(PATIENT, {path: secret})))
        assert told
        assert "McSecret" not in told


def test_the_resource_is_not_changed() -> None:
    before = deepcopy(PATIENT)
    faults(PATIENT)
    assert before == PATIENT


@pytest.mark.parametrize("levels", [DEEPEST, 400])
def test_depth_is_an_issue_and_no_recursion_error(levels: int) -> None:
    found = faults(changed(OBSERVATION, {"extension": [deep_extension(levels)]}))
    assert [issue.category for issue in found] == ["structure"]
    assert "64" in found[0].cause


def test_depth_through_bundles_in_bundles_is_an_issue() -> None:
    nested: dict[str, Any] = {"resourceType": "Bundle", "type": "batch"}
    for _ in range(200):
        entry = {"resource": nested, "request": {"method": "POST", "url": "Bundle"}}
        nested = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    assert "structure" in {issue.category for issue in faults(nested)}


def test_contained_resource_may_refer_to_the_one_around_it() -> None:
    inner = {"resourceType": "Observation", "id": "i", "status": "final", "code": {"text": "x"}}
    outer = {"resourceType": "Patient", "contained": [inner | {"subject": {"reference": "#"}}]}
    assert faults(outer) == []


def test_a_range_of_no_numbers_is_told_and_not_compared() -> None:
    age = {"low": {"value": Decimal("NaN")}, "high": {"value": 2}}
    (issue,) = faults(changed(OBSERVATION, {"referenceRange.0.age": age}))
    assert issue.expression == "Observation.referenceRange[0].age.low.value"


def test_parts_of_a_complex_extension_have_relative_urls() -> None:
    parts = [{"url": "ombCategory", "valueString": "x"}]
    extension = [{"url": "http://example.org/fhir/complex", "extension": parts}]
    assert faults({"resourceType": "Patient", "extension": extension}) == []


@pytest.mark.parametrize(
    "hostile",
    [
        {"birthDate": "1" * 200_000},
        {"id": "a" * 200_000 + "!"},
        {"photo": [{"contentType": "a/b", "data": "A" * 200_000 + "!"}]},
        {"language": "a " * 100_000},
        {"implicitRules": "urn:oid:1" + ".1" * 100_000 + "."},
        {"text": {"status": "empty", "div": "&a" * 100_000}},
        {f"unknown{n}": n for n in range(20_000)},
    ],
)
def test_hostile_values_cost_little_time(hostile: dict[str, Any]) -> None:
    start = time.perf_counter()
    assert faults({"resourceType": "Patient", **hostile})
    assert time.perf_counter() - start < 2
