"""Invariants of profiles: for each key a value that holds and one that does not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fhirbridge.fhir import packages, profile_remedies, vital_signs
from fhirbridge.fhir.items import Item
from fhirbridge.fhir.profile_invariants import ALWAYS_HOLD, NOT_JUDGED, RULES, listed_codes
from fhirbridge.fhir.surroundings import Surroundings
from fhirbridge.fhir.validate import validate
from tests.fhir.synthetic import faults

_MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition/"
_SNOMED = "http://snomed.info/sct"
_NULL = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def _coded(code: str, system: str = _SNOMED, **more: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}], **more}


def _course(modality: dict[str, Any], technique: dict[str, Any] | None) -> dict[str, Any]:
    parts = [{"url": _MCODE + "mcode-radiotherapy-modality", "valueCodeableConcept": modality}]
    if technique:
        url = _MCODE + "mcode-radiotherapy-technique"
        parts.append({"url": url, "valueCodeableConcept": technique})
    return {"extension": parts}


def _nested(*links: str) -> dict[str, Any]:
    return {"item": [{"linkId": link, "answer": [{"valueString": "x"}]} for link in links]}


_CASES: tuple[tuple[str, Any, Any], ...] = (
    ("mcode-description-or-id-required", {"description": "x"}, {"active": True}),
    ("mcode-reason-required", {"reasonReference": [{}]}, {}),
    ("must-have-focus-or-specimen-invariant", {"focus": [{}]}, {"focus": [{}], "specimen": {}}),
    ("pd-1", {"telecom": [{}]}, {}),
    ("sdcqr-1", {"subject": {}}, {}),
    ("sdcqr-2", _nested("a", "b"), _nested("a", "a")),
    ("sqty-1", {"value": 1}, {"value": 1, "comparator": "<"}),
    ("cnt-3", {"value": 2, "code": "1", "system": "http://unitsofmeasure.org"}, {"value": 2}),
    ("mqty-1", {"value": 2, "code": "EUR", "system": "urn:iso:std:iso:4217"}, {"value": 2}),
    ("termination-reason-invariant", {"status": "stopped", "statusReason": _coded("182992009")},
     {"status": "completed", "statusReason": _coded("182992009")}),
    ("termination-reason-code-invariant", {"status": "stopped", "statusReason": {"text": "x"}},
     {"status": "stopped", "statusReason": _coded("1")}),
    ("us-core-2", {"dataAbsentReason": {}}, {"status": "final"}),
    ("us-core-6", {"url": "http://example.org/x"}, {"contentType": "a/b"}),
    ("us-core-6#2", {"extension": [{"url": _ABSENT}]}, {"family": "x", "extension": [{"url": _ABSENT}]}),
    ("us-core-7", {"status": "preparation"}, {"status": "completed"}),
    ("us-core-8", {"status": "final", "effectiveDateTime": "2020"}, {"status": "final"}),
    ("us-core-9", {"status": "final", "issued": "x"}, {"status": "final"}),
    ("us-core-10", {"status": "registered"}, {"status": "partial"}),
    ("us-core-13", {"practitioner": {}}, {}),
    ("us-core-14", {"relationship": [{}]}, {}),
    ("us-core-15", {"subscriberId": "x"}, {"identifier": [{"type": _coded("MR")}]}),
    ("us-core-16", {"value": "1234567893"}, {"value": "123"}),
    ("us-core-17", {"value": "1234567893"}, {"value": "1234567890"}),
    ("us-core-18", {"value": "12D4567890"}, {"value": "12X4567890"}),
    ("us-core-19", {"value": "12345"}, {}),
    ("us-core-20", {"status": "completed", "whenHandedOver": "2020"}, {"status": "completed"}),
    ("us-core-21", {"intent": "order", "requester": {}}, {"intent": "order"}),
    ("vs-2", {"component": [{}]}, {}),
    ("vs-3", {"valueQuantity": {}}, {"code": {}}),
    ("var-1", {"valueExpression": {"name": "x"}}, {"valueExpression": {}}),
    ("clb-1", {"system": "phone"}, {"system": "email"}),
    ("der-1", {"extension": [{"url": "length"}, {"url": "offset"}]}, {"extension": [{"url": "length"}]}),
    ("TechniquesForPhotonBeamModality", _course(_coded("1156506007"), _coded("1156530009")),
     _course(_coded("1156506007"), _coded("113120007"))),
    ("TechniquesForProtonBeamModality", _course(_coded("1156506007"), None),
     _course(_coded("10611004"), None)),
    ("ModalityTextRequiredForOther", _course(_coded("UNC", _NULL, text="x"), None),
     _course(_coded("UNC", _NULL), None)),
    ("TechniqueTextRequiredForOther", _course(_coded("1"), _coded("UNC", _NULL, text="x")),
     _course(_coded("1"), _coded("UNC", _NULL))),
)  # fmt: skip


def _holds(key: str, value: Any, kind: str = "") -> bool:
    return RULES[key](Item(value, {}, kind, kind, "at"), Surroundings({}))


@pytest.mark.parametrize(("key", "right", "wrong"), _CASES, ids=[case[0] for case in _CASES])
def test_the_rule_tells_right_from_wrong(key: str, right: Any, wrong: Any) -> None:
    assert _holds(key, right)
    assert not _holds(key, wrong)


@pytest.mark.parametrize(
    ("key", "value", "kind", "holds"),
    [
        ("us-core-1", "2020-01-01", "dateTime", True),
        ("us-core-1", "2020-01", "dateTime", False),
        ("us-core-1", None, "dateTime", False),
        ("us-core-1", {"start": "2020"}, "Period", True),
        ("vs-1", "2020-01-01", "dateTime", True),
        ("vs-1", "2020-01", "dateTime", False),
        ("vs-1", {"start": "2020-01-01"}, "Period", True),
        ("vs-1", None, "dateTime", False),
        ("vs-1#2", "2020-01", "dateTime", False),
    ],
)
def test_rules_of_a_date_by_its_type(key: str, value: Any, kind: str, holds: bool) -> None:
    assert _holds(key, value, kind) is holds


def test_every_invariant_of_the_packages_has_a_rule_or_a_reason() -> None:
    assert set(packages.invariants()) == set(RULES) | ALWAYS_HOLD | NOT_JUDGED


def test_rules_with_two_expressions_are_kept_apart() -> None:
    told = packages.invariants()
    assert "url.exists()" in told["us-core-6"]["expression"]
    assert "family.exists()" in told["us-core-6#2"]["expression"]


def test_an_organizations_author_acts_for_it_inside_a_bundle() -> None:
    profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-provenance"
    urn = "urn:uuid:00000000-0000-4000-8000-000000000001"
    made = {
        "resourceType": "Provenance",
        "meta": {"profile": [profile]},
        "target": [{"reference": "Patient/1"}],
        "recorded": "2024-01-05T10:00:00Z",
        "agent": [{"who": {"reference": urn}}],
    }
    assert faults(made) == []
    doctor = {"resourceType": "Practitioner", "name": [{"family": "Test"}]}
    entries = [
        {"fullUrl": urn[:-1] + "2", "resource": made},
        {"fullUrl": urn, "resource": doctor},
    ]
    found = faults({"resourceType": "Bundle", "type": "collection", "entry": entries})
    assert "Bundle.entry[0].resource.agent[0]" in {issue.expression for issue in found}


def test_vital_signs_go_by_the_first_profile_of_the_table() -> None:
    codes = [
        {"system": "http://loinc.org", "code": "85354-9"},
        {"system": "http://loinc.org", "code": "8867-4"},
    ]
    assert vital_signs.profile({"code": {"coding": codes}}).endswith("/heartrate")
    assert vital_signs.profile({"code": {"text": "pulse"}}) == ""
    assert all(packages.profile(url) for url in vital_signs.PROFILES.values())


@pytest.mark.parametrize(
    ("item", "key"),
    [
        ({"type": "group"}, "que-1"),
        ({"type": "display", "item": [{"linkId": "b", "type": "string"}]}, "que-1"),
        ({"type": "display", "code": [{"code": "x"}]}, "que-3"),
        ({"type": "boolean", "answerValueSet": "http://example.org/v"}, "que-5"),
        ({"type": "display", "required": True}, "que-6"),
        ({"type": "display", "initial": [{"valueString": "x"}]}, "que-8"),
        ({"type": "display", "readOnly": True}, "que-9"),
        ({"type": "date", "maxLength": 3}, "que-10"),
        ({"type": "choice", "answerOption": [{"valueString": "x"}],
          "initial": [{"valueString": "x"}]}, "que-11"),
        ({"type": "string", "initial": [{"valueString": "x"}] * 2}, "que-13"),
        ({"type": "string", "enableWhen": [{"question": "no", "operator": "exists",
                                            "answerBoolean": True}]}, "enableWhen"),
        ({"type": "string", "enableWhen": [{"question": "z", "operator": "exists",
                                            "answerString": "x"}]}, "que-7"),
    ],
)  # fmt: skip
def test_rules_of_a_questionnaires_item(item: dict[str, Any], key: str) -> None:
    other = {"linkId": "z", "type": "string"}
    made = {"resourceType": "Questionnaire", "status": "draft"}
    assert faults({**made, "item": [other]}) == []
    found = validate({**made, "item": [other, {"linkId": "a", **item}]})
    assert any(f"({key})" in issue.cause for issue in found)


@pytest.mark.parametrize("key", RULES)
def test_every_rule_has_a_remedy(key: str) -> None:
    told = profile_remedies.remedy(key)
    assert told
    assert not told.endswith((":", " "))


def test_remedies_name_the_codes_that_do() -> None:
    told = profile_remedies.remedy("TechniquesForNeutronBeamModality")
    assert set(listed_codes("TechniquesForNeutronBeamModality")[1:]) & set(re.findall(r"\d+", told))


def test_link_ids_are_distinct_at_every_depth() -> None:
    inner = {"linkId": "g", "type": "string"}
    made = {"resourceType": "Questionnaire", "status": "draft"}
    (issue,) = faults({**made, "item": [{"linkId": "g", "type": "group", "item": [inner]}]})
    assert "que-2" in issue.cause
