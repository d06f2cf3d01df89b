"""However much is wrong: the judge ends soon, tells a bounded number of issues and says so."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fhirbridge.fhir import findings, verdict
from fhirbridge.fhir.door import door
from fhirbridge.fhir.validate import validate
from fhirbridge.outcome import failed
from tests.fhir.synthetic import DIV, OBSERVATION, TERM, coded

HL7 = "http://hl7.org/fhir/StructureDefinition/"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
OWN = {"url": "http://example.org/own", "valueString": "x"}
UCUM = "http://unitsofmeasure.org"


def bundle(*resources: Any) -> dict[str, Any]:
    entries = [{"fullUrl": f"urn:x:{at}", "resource": one} for at, one in enumerate(resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


MANY: dict[str, dict[str, Any]] = {
    "wrong values": {"resourceType": "Patient", "name": [1] * 100_000},
    "unknown names": {"resourceType": "Patient", **{f"x{n}": 1 for n in range(100_000)}},
    "texts that are none": {"resourceType": "Patient", "name": [{"given": [1] * 100_000}]},
    "rules": {"resourceType": "Patient", "contact": [{"gender": "male"}] * 10_000},
    "orphans": {
        "resourceType": "Patient",
        "contained": [{"resourceType": "Basic", "id": f"a{n}"} for n in range(5_000)],
    },
    "entries that are none": {**bundle(), "entry": [{}] * 100_000},
    "extensions out of place": {
        "resourceType": "Patient",
        "extension": [{"url": HL7 + "condition-assertedDate", "valueDateTime": "2020"}] * 5_000,
    },
}


@pytest.mark.parametrize("name", MANY)
def test_of_many_faults_a_thousand_are_told_and_that_there_are_more(name: str) -> None:
    issues = validate(MANY[name])
    assert len(issues) == findings.MOST + 1
    assert all(failed([issue]) for issue in issues)
    last = issues[-1]
    assert last.policy.code == "too-costly"
    assert (last.category, last.expression) == ("too-costly", MANY[name]["resourceType"])
    assert not verdict.accepts(MANY[name])


def test_up_to_the_limit_all_is_told() -> None:
    issues = validate({"resourceType": "Patient", "name": [1] * findings.MOST})
    assert len(issues) == findings.MOST
    assert {issue.category for issue in issues} == {"structure"}


def test_every_entry_has_its_own_verdict_however_many_are_wrong() -> None:
    wrong, right = {"resourceType": "Patient", "name": [1] * 5_000}, {"resourceType": "Patient"}
    told = validate(bundle(*[wrong] * 50, right, *[wrong] * 50, {"resourceType": "Patien"}, right))
    refused = {issue.expression.split(".resource")[0] for issue in told if failed([issue])}
    assert refused == {f"Bundle.entry[{at}]" for at in range(102) if at != 50}
    assert len(told) < findings.MOST_IN_ALL + 200


def test_rules_between_entries_hold_beside_an_entry_that_is_broken() -> None:
    made = bundle({"resourceType": "Patient", "name": 1}, {"resourceType": "Patient", "id": "a"})
    made["entry"][1]["fullUrl"] = "http://example.org/fhir/Patient/b"
    expressions = {issue.expression for issue in validate(made)}
    assert expressions == {"Bundle.entry[0].resource.name", "Bundle.entry[1].fullUrl"}


def test_advice_is_never_an_error_however_much_there_is() -> None:
    issues = validate({"resourceType": "Patient", "extension": [OWN] * 3_000, "gender": "x"})
    assert len(issues) == findings.MOST_ADVICE + 2
    assert [issue.expression for issue in issues if failed([issue])] == ["Patient.gender"]
    assert issues[-1].cause.startswith("2000 more")


def test_the_door_stops_too() -> None:
    wrong = [{"url": f"{HL7}patient-x{at}", "valueString": "x"} for at in range(5_000)]
    issues = door({"resourceType": "Patient", "modifierExtension": wrong})
    assert (len(issues), issues[-1].category) == (findings.MOST + 1, "too-costly")


def vital_sign(at: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "meta": {"profile": [HL7 + "vitalsigns"]},
        "status": "final",
        "category": [coded(TERM + "observation-category", "vital-signs")],
        "code": {"text": "x"},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2024-01-01",
        "valueInteger": 1,
        "hasMember": [{"reference": f"urn:x:{at + 1}"}],
    }


def many_codings(word: str) -> dict[str, Any]:
    return {"coding": [{"system": "urn:a", "display": f"{word}{n}"} for n in range(20_000)]}


def unit(at: int) -> dict[str, Any]:
    quantity = {"value": 1, "unit": "x", "system": UCUM, "code": f"foo{at}"}
    return {"code": {"text": "x"}, "valueQuantity": quantity}


COSTLY: dict[str, dict[str, Any]] = {
    "codings that are compared": {
        **OBSERVATION,
        "code": many_codings("a"),
        "component": [{"code": many_codings("b")}],
    },
    "contained resources that are looked up": {
        "resourceType": "CareTeam",
        "contained": [{"resourceType": "Practitioner", "id": f"a{n}"} for n in range(20_000)],
        "participant": [
            {"member": {"reference": f"#a{n}"}, "onBehalfOf": {"reference": "Organization/1"}}
            for n in range(20_000)
        ],
    },
    "versions of a profile": {
        "resourceType": "Patient",
        "meta": {"profile": [f"{US_CORE}us-core-patient|{n}" for n in range(20_000)]},
        "name": [{"family": "x"}] * 5_000,
        "gender": "other",
        "identifier": [{"system": "urn:x", "value": "1"}],
    },
    "types that nobody knows": bundle(*({"resourceType": f"Patien{n}"} for n in range(20_000))),
    "units that are none": {**OBSERVATION, "component": [unit(n) for n in range(10_000)]},
    "narrative": {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": DIV.replace("A", "<p>x</p> " * 100_000)},
    },
    "objects that are empty": {"resourceType": "Patient", "name": [{}] * 1_000_000},
    "extensions": {"resourceType": "Patient", "extension": [OWN] * 100_000},
    "references to what is contained": {
        "resourceType": "List",
        "status": "current",
        "mode": "working",
        "contained": [{"resourceType": "Basic", "id": f"a{n}"} for n in range(20_000)],
        "entry": [{"item": {"reference": f"#a{n}"}} for n in range(20_000)],
    },
    "entries that are broken": bundle(*({"resourceType": "Patient", "name": 1},) * 5_000),
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_is_many_takes_time_in_proportion(name: str) -> None:
    started = time.perf_counter()
    validate(COSTLY[name])
    verdict.accepts(COSTLY[name])
    door(COSTLY[name])
    assert time.perf_counter() - started < 20  # minutes, where one is compared with each


def test_a_long_chain_of_targets_is_not_followed() -> None:
    chain = bundle(*(vital_sign(at) for at in range(1_500)))
    chain["entry"][-1]["resource"]["hasMember"] = [{"reference": "#gone"}]
    assert failed(validate(chain))
    assert not verdict.accepts(chain)
    assert not failed(validate(bundle(*(vital_sign(at) for at in range(5)))))


@pytest.mark.parametrize("levels", [60, 70, 900])
def test_no_depth_breaks_the_judge(levels: int) -> None:
    deep: Any = 1
    other: Any = 1
    for _ in range(levels):
        deep, other = [deep], {"x": other}
    coding, same = {"code": "x", "y": deep}, {"code": "x", "y": [deep][0]}
    made = bundle(
        {"resourceType": "Patient", "foo": deep, "name": other, "contained": deep},
        {**OBSERVATION, "code": {"coding": [coding]}, "component": [{"code": {"coding": [same]}}]},
    )
    assert failed(validate(made))
    assert not verdict.accepts(made)
    door(made)
