"""Values and records against the study definition, and scores of one visit put together."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.study import records
from fhirbridge.study.definition import Field
from fhirbridge.study.records import Absent, Identifier, Record
from tests.study.real import STUDY

ONE = Identifier("urn:oid:1.2", "7")
FIELDS = {
    "text": Field("f", "text"),
    "integer": Field("f", "integer", range=(Decimal(0), Decimal(10))),
    "decimal": Field("f", "decimal", range=(Decimal(0), Decimal(100))),
    "date": Field("f", "date"),
    "datetime": Field("f", "datetime"),
    "choice": Field("f", "choice", choices=("left", "right"), absent=False),
    "boolean": Field("f", "boolean"),
    "ids": Field("f", "ids"),
}

GOOD: list[tuple[str, Any]] = [
    ("text", "x"), ("text", "0"), ("integer", 0), ("integer", 10), ("decimal", Decimal("38.10")),
    ("decimal", 38), ("date", "2024"), ("date", "2024-02"), ("date", "2024-02-29"),
    ("datetime", "2024"), ("datetime", "2024-02-29T23:59:59Z"),
    ("datetime", "2024-02-29T23:59:59.123+14:00"), ("choice", "left"), ("boolean", False),
    ("ids", (ONE,)), ("text", Absent("masked")), ("integer", Absent("not-asked")),
]  # fmt: skip

# type, value, words of the cause, words of the remedy
BAD: list[tuple[str, Any, str, str]] = [
    ("text", "", "no text", "not blank"), ("text", "  ", "no text", "not blank"),
    ("text", 5, "no text", "not blank"), ("text", None, "no text", "not blank"),
    ("integer", "5", "no whole number", "whole"), ("integer", True, "no whole number", "whole"),
    ("integer", Decimal("5.0"), "no whole number", "whole"), ("integer", 11, "outside 0 to 10", "correct"),
    ("integer", -1, "outside 0 to 10", "correct"), ("decimal", Decimal("100.01"), "outside", "correct"),
    ("decimal", 5.0, "no number", "a number"), ("decimal", Decimal("NaN"), "no number", "a number"),
    ("decimal", Decimal("sNaN"), "no number", "a number"), ("decimal", Decimal("Infinity"), "no number", "a number"),
    ("date", "2023-02-29", "no date", "YYYY"), ("date", "2024-13", "no date", "YYYY"),
    ("date", "2024-1-1", "no date", "YYYY"), ("date", "0000", "no date", "YYYY"),
    ("date", "01.05.2024", "no date", "YYYY"), ("date", "2024-05-01T10:00:00Z", "no date", "YYYY"),
    ("date", "٢٠٢٤", "no date", "YYYY"), ("date", 2024, "no date", "YYYY"),
    ("datetime", "2024-05-01T10:00:00", "no date", "with the zone"),
    ("datetime", "2024-05-01T24:00:00Z", "no date", "zone"), ("datetime", "2024-05-01T10:00Z", "no date", "zone"),
    ("datetime", "2024-05-01T10:00:00+14:01", "no date", "zone"),
    ("choice", "lefft", "none of the choices", "did you mean 'left'"), ("choice", 5, "none of the choices", "left, right"),
    ("choice", Absent("unknown"), "no reason of absence", "left, right"),
    ("boolean", "true", "neither yes nor no", "true or false"),
    ("ids", (), "different identifiers", "system|value"), ("ids", (ONE, ONE), "different identifiers", "system|value"),
    ("ids", [ONE], "different identifiers", "system|value"), ("ids", (Identifier("", "7"),), "without system", "system|value"),
    ("ids", (Identifier("a b", "7"),), "without system", "system|value"), ("ids", (Identifier("urn:x", " "),), "or value", "system|value"),
    ("text", Absent("unknwon"), "no reason of absence", "did you mean 'unknown'"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), GOOD)
def test_a_value_that_fits_has_no_issue(kind: str, value: Any) -> None:
    assert records.check_value(FIELDS[kind], value) is None


@pytest.mark.parametrize(("kind", "value", "cause", "remedy"), BAD)
def test_a_value_that_does_not_fit_is_told(kind: str, value: Any, cause: str, remedy: str) -> None:
    issue = records.check_value(FIELDS[kind], value)
    assert issue is not None
    assert cause in issue.cause
    assert remedy in issue.remedy


@pytest.mark.parametrize("kind", ["text", "ids"])
def test_a_value_that_may_be_a_name_is_not_repeated(kind: str) -> None:
    issue = records.check_value(FIELDS[kind], ("Nobody Synthetic",))
    assert issue is not None
    assert "Nobody" not in issue.sentence()


# reason, form, fields, the expression that is told, words of the cause
RECORDS: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("a required field", "surgery", {"surgery_id": "1", "procedure": "plate"}, "performed_on", "is required"),
    ("a key that is absent for a reason", "lesion", {"lesion_id": Absent("unknown")}, "lesion_id", "cannot be absent"),
    ("a value", "lesion", {"lesion_id": "1", "bone": "femmur"}, "bone", "none of the choices"),
    ("an unknown field", "lesion", {"lesion_id": "1", "bonee": "femur"}, "", "no field 'bonee'"),
    ("a procedure without a value", "surgery", {"surgery_id": "1", "performed_on": "2024", "procedure": Absent("unknown")}, "procedure", "no reason of absence"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "fields", "expression", "cause"),
    [row[1:] for row in RECORDS],
    ids=[row[0] for row in RECORDS],
)
def test_a_record_is_checked_whole(
    form: str, fields: dict[str, Any], expression: str, cause: str
) -> None:
    (issue,) = records.check(STUDY, Record("S-1", form, fields))
    assert issue.expression == expression
    assert cause in issue.cause
    assert issue.remedy


def test_a_required_field_may_be_absent_for_a_reason() -> None:
    fields: dict[str, Any] = {
        "surgery_id": "1",
        "performed_on": Absent("unknown"),
        "procedure": "plate",
    }
    assert records.check(STUDY, Record("S-1", "surgery", fields)) == []


def visit(**fields: Any) -> Record:
    return Record("S-1", "assessment", {"assessed_on": "2024-05-01", **fields})


def test_the_scores_of_one_visit_become_one_record() -> None:
    given = [visit(ecog=1), visit(pain_rest=0), visit(ecog=1), visit(assessed_on="2024-05-02")]
    made = list(records.merge(STUDY, given))
    assert [dict(r.fields) for r in made] == [
        {"assessed_on": "2024-05-01", "ecog": 1, "pain_rest": 0},
        {"assessed_on": "2024-05-02"},
    ]


@pytest.mark.parametrize("other", [2, Absent("unknown")])
def test_two_values_for_one_field_are_a_conflict(other: Any) -> None:
    with pytest.raises(BridgeError) as told:
        list(records.merge(STUDY, [visit(ecog=1), visit(ecog=other)]))
    assert told.value.issues[0].category == "conflict"


def test_json_keeps_the_order_of_the_form_and_every_kind_of_value() -> None:
    fields: dict[str, Any] = {
        "birth_date": Absent("masked"),
        "hospital_ids": (ONE,),
        "study_id": "S-1",
    }
    made = records.to_json(STUDY, Record("S-1", "subject", fields, "x.csv:2"), id="9")
    assert list(made["fields"]) == ["study_id", "hospital_ids", "birth_date"]
    assert made["fields"]["birth_date"] == {"absent": "masked"}
    back = {name: records.value_from_json(raw) for name, raw in made["fields"].items()}
    assert back == fields
