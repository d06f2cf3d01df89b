"""Codes of HL7's own systems, value sets, units and languages."""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.fhir import codings, languages, packages, ucum
from fhirbridge.fhir.codings import Membership
from fhirbridge.fhir.validate import validate
from tests.fhir.synthetic import CONDITION as BASE
from tests.fhir.synthetic import TERM, changed

_CLINICAL = TERM + "condition-clinical"
_SET = "http://hl7.org/fhir/ValueSet/condition-clinical"
_SNOMED = "http://snomed.info/sct"
_INTENT = "http://hl7.org/fhir/us/mcode/ValueSet/mcode-procedure-intent-vs"
_BIRTH_SEX = "http://hl7.org/fhir/us/core/ValueSet/birthsex"


@pytest.mark.parametrize(
    ("coding", "places"),
    [
        ({"system": _CLINICAL, "code": "active"}, []),
        ({"system": _CLINICAL, "code": "active", "display": "ACTIVE"}, []),
        ({"system": _CLINICAL, "code": "active", "display": "Alive"}, ["display"]),
        ({"system": _CLINICAL, "code": "Active"}, ["code"]),
        ({"system": TERM + "v3-orderableDrugForm", "code": "Tab"}, ["code"]),
        ({"system": TERM + "v2-0136", "code": "y"}, []),
        ({"system": _SNOMED, "code": "0", "display": "anything"}, []),
        ({"system": "http://example.org/own", "code": "x"}, []),
        ({"code": "active"}, []),
    ],
)
def test_a_code_and_its_display(coding: dict[str, str], places: list[str]) -> None:
    assert [issue.expression for issue in codings.check(coding, "at")] == [
        f"at.{p}" for p in places
    ]


@pytest.mark.parametrize(
    ("coding", "value_set", "expected"),
    [
        ({"system": _CLINICAL, "code": "active"}, _SET, "in"),
        ({"system": _CLINICAL, "code": "xx"}, _SET, "out"),
        ({"system": _SNOMED, "code": "1"}, _SET, "out"),
        ({"code": "active"}, _SET, "out"),
        ({}, _SET, "out"),
        ({"system": _SNOMED, "code": "373808002"}, _INTENT, "in"),
        ({"system": _SNOMED, "code": "1"}, _INTENT, "undecided"),
        ({"system": "http://example.org/own", "code": "1"}, _INTENT, "out"),
        ({"system": TERM + "v3-AdministrativeGender", "code": "M"}, _BIRTH_SEX, "in"),
        ({"system": TERM + "v3-AdministrativeGender", "code": "UN"}, _BIRTH_SEX, "out"),
        ({"system": "http://x", "code": "1"}, "http://example.org/no-such-set", "undecided"),
    ],
)
def test_whether_a_coding_is_in_a_set(
    coding: dict[str, Any], value_set: str, expected: Membership
) -> None:
    assert codings.of_coding(coding, value_set) == expected


def test_one_coding_in_the_set_is_enough_and_a_text_is_not() -> None:
    right, other = {"system": _CLINICAL, "code": "active"}, {"system": "http://x", "code": "y"}
    assert codings.of_concept({"coding": [other, right]}, _SET) == "in"
    assert codings.of_concept({"coding": [other]}, _SET) == "out"
    assert codings.of_concept({"text": "active"}, _SET) == "out"


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"severity": {"coding": [{"system": _CLINICAL, "code": "xx"}]}}, "error"),
        ({"meta": {"security": [{"system": TERM + "v3-ActReason", "code": "xx"}]}}, "warning"),
        ({"meta": {"tag": [{"system": TERM + "v3-ActReason", "code": "xx"}]}}, "error"),
        ({"meta": {"tag": [{"system": "local", "code": "x"}]}}, "error"),
        ({"meta": {"tag": [{"system": "https://loinc.org", "code": "x"}]}}, "error"),
        ({"meta": {"tag": [{"system": _SET, "code": "active"}]}}, "error"),
        ({"language": "german"}, "error"),
    ],
)
def test_codes_are_judged_where_they_stand(changes: dict[str, Any], severity: str) -> None:
    found = {issue.severity for issue in validate(changed(BASE, changes))}
    assert severity in found
    assert severity == "error" or "error" not in found


def test_hl7s_own_systems_are_here_and_others_are_not() -> None:
    known = packages.code_system(TERM + "v3-ActCode")
    assert known is not None
    assert known["codes"]["IMP"] == "inpatient encounter"
    for url in (_SNOMED, "http://loinc.org", "http://unitsofmeasure.org"):
        assert packages.code_system(url) is None


@pytest.mark.parametrize(
    "code",
    ["mg", "mg/dL", "10*3/uL", "mm[Hg]", "kg/m2", "{score}", "%", "1", "/min", "m2.kg-1",
     "L/(min.m2)", "[iU]/mL", "mL/min/{1.73_m2}", "Cel", "[degF]", "10*-3", "umol/L{tot}",
     "B[10.nV]", "[m/s2/Hz^(1/2)]", "da[H2O]m"[:2] + "m"],
)  # fmt: skip
def test_ucum_codes(code: str) -> None:
    assert ucum.is_code(code)


@pytest.mark.parametrize(
    "code",
    ["ea", "mcg", "drop", "ml/hr", "mEq", "KG", "mm Hg", "mg/", "(mg", "mg)", "{a", "kmin",
     "m--2", "", "mg//dL", "0", "{ä}", "m" * 300, "()", ".m", "m.", "[in_i", "k[in_i]"],
)  # fmt: skip
def test_what_is_no_ucum_code(code: str) -> None:
    assert not ucum.is_code(code)


@pytest.mark.parametrize(("text", "tag"), [("en", True), ("sr-Latn-RS", True), ("e", False)])
def test_language_tags(text: str, tag: bool) -> None:
    assert languages.is_tag(text) is tag
