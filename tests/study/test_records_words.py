"""The words of the definition that say what values a record may hold, on a study of our own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.study import records
from fhirbridge.study.definition import Field
from fhirbridge.study.fields import Mid
from fhirbridge.study.records import Absent, Identifier, Record
from tests.study.made_up import filled
from tests.study.tiny import STUDY

CODE = Identifier("http://codes.example.org", "A1")
ATTACK = STUDY.forms["attack"].fields
DIARY = STUDY.forms["diary"].fields
SCHOOL = STUDY.forms["child"].fields["school"]
steady = settings(max_examples=200, deadline=None, derandomize=True, database=None)

GOOD: list[tuple[Field, Any]] = [
    (ATTACK["codes"], (CODE,)), (ATTACK["codes"], (CODE, Identifier("urn:x", "A1"))), (DIARY["attack"], "7"),
    (DIARY["attacks"], ("7",)), (DIARY["attacks"], ("7", "8")), (DIARY["triggers"], ("dust", "cold")),
    (DIARY["triggers"], Absent("not-asked")), (DIARY["grade"], 4), (DIARY["flow"], Decimal("97.50")),
    (DIARY["flow"], 5), (DIARY["flow"], 0), (SCHOOL, "AB-1"), (SCHOOL, "AB-123"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), GOOD)
def test_a_value_that_fits_has_no_issue(field: Field, value: Any) -> None:
    assert records.check_value(field, value) is None


# field, value, category, words of the cause, words of the remedy
BAD: list[tuple[Field, Any, str, str, str]] = [
    (ATTACK["codes"], (), "value", "different identifiers", "system|code"),
    (ATTACK["codes"], ("A1",), "value", "different identifiers", "system|code"),
    (ATTACK["codes"], (CODE, CODE), "value", "different identifiers", "system|code"),
    (ATTACK["codes"], (Identifier("", "A1"),), "value", "without system", "system|code"),
    (DIARY["attack"], " ", "value", "no text", "key of a record"),
    (DIARY["attack"], ("7",), "value", "no text", "key of a record"),
    (DIARY["attacks"], "7", "value", "no list of different texts", "divided by ';'"),
    (DIARY["attacks"], (), "value", "no list of different texts", "divided by ';'"),
    (DIARY["attacks"], ("7", "7"), "value", "no list of different texts", "divided by ';'"),
    (DIARY["attacks"], ("7", ""), "value", "no list of different texts", "divided by ';'"),
    (DIARY["attacks"], ["7"], "value", "no list of different texts", "divided by ';'"),
    (DIARY["triggers"], "dust", "value", "no list of different choices", "dust"),
    (DIARY["triggers"], ("dust", "colt"), "value", "no list of different choices", "cold"),
    (DIARY["triggers"], ("dust", "dust"), "value", "no list of different choices", "dust"),
    (DIARY["triggers"], (), "value", "no list of different choices", "dust"),
    (DIARY["grade"], 2, "business-rule", "2 does not occur in grade", "one of 0, 1, 4"),
    (DIARY["grade"], 5, "business-rule", "outside 0 to 4", "correct"),
    (DIARY["flow"], Decimal("2.4"), "business-rule", "does not occur in flow", "multiple of 2.5"),
    (SCHOOL, "AB-1234", "value", "has not the form [A-Z]{2}-[0-9]{1,3}", "write it so"),
    (SCHOOL, "AB-1\n", "value", "has not the form", "write it so"),
    (SCHOOL, "AB-٣", "value", "has not the form", "write it so"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value", "category", "cause", "remedy"), BAD)
def test_a_value_that_does_not_fit_is_told(
    field: Field, value: Any, category: str, cause: str, remedy: str
) -> None:
    issue = records.check_value(field, value)
    assert issue is not None
    assert issue.category == category
    assert cause in issue.cause
    assert remedy in issue.remedy


@pytest.mark.parametrize("field", [DIARY["attack"], DIARY["attacks"], ATTACK["codes"], SCHOOL])
def test_a_value_that_may_name_somebody_is_not_repeated(field: Field) -> None:
    for value in (("Nobody Synthetic", ""), {"Nobody Synthetic"}):
        issue = records.check_value(field, value)
        assert issue is not None
        assert "Nobody" not in issue.sentence()


@pytest.mark.parametrize(("kind", "value"), [("integer", 10**40), ("decimal", Decimal("1E+40"))])
def test_a_number_of_endless_steps_is_told(kind: str, value: Any) -> None:
    issue = records.check_value(Field("walked", kind, step=Decimal(10)), value)
    assert issue is not None
    assert (issue.category, issue.remedy) == ("business-rule", "give a multiple of 10")


def test_a_pattern_is_not_tried_on_a_text_without_end() -> None:
    field = Field("f", "text", pattern="[a-z]*[a-z]*!")
    issue = records.check_value(field, "a" * 1_000_000)
    assert issue is not None
    assert "1000 characters" in issue.remedy


# reason, device, puffs, what is told
WITH: list[tuple[str, dict[str, Any], bool]] = [
    ("both", {"puffs": 2, "device": "A"}, False),
    ("neither", {}, False),
    ("only the one that is needed", {"device": "A"}, False),
    ("without it", {"puffs": 2}, True),
    ("with a reason in its place", {"puffs": 2, "device": Absent("unknown")}, True),
    ("a reason needs nothing", {"puffs": Absent("unknown")}, False),
]


@pytest.mark.parametrize(("given", "told"), [r[1:] for r in WITH], ids=[r[0] for r in WITH])
def test_a_value_needs_those_that_it_is_with(given: dict[str, Any], told: bool) -> None:
    record = Record("S", "diary", {"attack": "1", "day": "2024", **given})
    issues = records.check(STUDY, record)
    assert [(i.category, i.expression) for i in issues] == ([("required", "puffs")] if told else [])
    assert all("device" in i.cause for i in issues)


# reason, fields, what is told: the expression and words of the cause
BESIDE: list[tuple[str, dict[str, Any], str, str]] = [
    ("the word that it needs", {"nap": True, "age_form": "toddler"}, "", ""),
    ("another word", {"nap": True, "age_form": "pupil"}, "nap", "nap has a value and age_form is pupil"),
    ("no word", {"nap": True}, "nap", "nap has a value and age_form has none"),
    ("a word that goes with another", {"sleep": "cot", "age_form": "toddler"}, "", ""),
    ("a word that does not", {"sleep": "cot", "age_form": "pupil"}, "sleep", "does not go with age_form pupil"),
    ("a word beside none", {"sleep": "tent"}, "", ""),
    ("a word beside what is none", {"sleep": "tent", "age_form": ["pupil"]}, "age_form", "none of the choices"),
    ("the same day", {"until": "2024-05-03"}, "", ""),
    ("a time of that day", {"until": "2024-05-03T10:00:00Z"}, "until", "not surely after day"),
    ("the day before", {"until": "2024-05-02"}, "until", "not surely after day"),
    ("the month of that day", {"until": "2024-05"}, "until", "not surely after day"),
    ("a later month", {"until": "2024-06"}, "", ""),
    ("a reason", {"until": Absent("unknown")}, "", ""),
    ("no date, told once", {"until": "2024-05-03T99"}, "until", "no date of the calendar"),
    ("no date to compare with", {"day": "2024-05-03T99", "until": "2024-05-03T10:00:00Z"}, "day", "no date of the calendar"),
    ("precise enough", {"woken": "2024-05-03T10:00:00Z", "noted": "2024-05-03"}, "", ""),
    ("only the day of a time", {"woken": "2024-05-03"}, "woken", "not to the second"),
    ("only the month of a day", {"noted": "2024-05"}, "noted", "not to the day"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expression", "cause"), [r[1:] for r in BESIDE], ids=[r[0] for r in BESIDE]
)
def test_a_value_stands_beside_others(given: dict[str, Any], expression: str, cause: str) -> None:
    record = Record("S", "diary", {"attack": "1", "day": "2024-05-03", **given})
    issues = records.check(STUDY, record)
    assert [i.expression for i in issues] == ([expression] if expression else [])
    assert [cause in i.cause for i in issues] == [True] * len(issues)


def test_the_parts_of_a_key_do_not_run_together() -> None:
    form = STUDY.forms["diary"]
    keys = {
        form.key_of({"attack": a, "day": d})
        for a, d in (("a|b", "c"), ("a", "b|c"), ("a", "b%7Cc"))
    }
    assert len(keys) == 3
    assert form.key_of({"attack": "L-1", "day": "2024-05"}) == "L-1|2024-05"
    assert STUDY.forms["attack"].key_of({"attack_id": "a|b"}) == "a|b"


def test_a_smallest_change_is_kept_as_it_was_written() -> None:
    assert DIARY["breath"].mid == Mid(Decimal("1.5"), "made up", "for tests")
    assert (DIARY["breath"].picks("before"), DIARY["breath"].picks("after")) == ("last", "nearest")


@pytest.mark.parametrize("name", sorted(STUDY.forms))
def test_what_the_definition_allows_is_allowed_and_comes_back_from_json(name: str) -> None:
    seen: set[str] = set()

    @steady
    @given(record=filled(STUDY.forms[name]))
    def holds(record: Record) -> None:
        seen.update(record.fields)
        assert records.check(STUDY, record) == []
        told = records.to_json(STUDY, record, id="1")["fields"]
        back = {n: records.value_from_json(raw) for n, raw in told.items()}
        assert back == record.fields
        assert [type(back[n]) for n in back] == [type(record.fields[n]) for n in back]

    holds()
    assert seen == {*STUDY.forms[name].fields}


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 12), st.floats(), st.text(max_size=3), st.decimals(),
    st.sampled_from(("dust", "7", "2024-02-30", "2024-02-29", "mild", "AB-1", "2024-W01-1", "0000-01-01")),
    st.lists(st.sampled_from(("dust", "cold", " ", "x")), max_size=2),
    st.lists(st.sampled_from(("dust", "cold", " ", "x")), max_size=2).map(tuple),
    st.lists(st.sampled_from((CODE, Identifier("", "x"), Identifier("urn:x", " "))), max_size=2).map(tuple),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
    st.sampled_from(("unknown", "unknwon", "masked")).map(Absent),
)  # fmt: skip


@pytest.mark.parametrize(
    "field",
    [f for form in STUDY.forms.values() for f in form.fields.values()],
    ids=lambda f: f.name,
)
def test_the_quick_test_lets_nothing_through_that_has_an_issue(field: Field) -> None:
    """`fits` decides alone on the way that is taken most; it must judge as the full words do."""

    class Slow(Field):
        fits = property(lambda self: lambda value: False)

    slow = object.__new__(Slow)
    for name in Field.__slots__:
        if name != "fits":
            object.__setattr__(slow, name, getattr(field, name))

    @steady
    @given(value=ODD)
    def holds(value: Any) -> None:
        if field.fits(value):
            assert records.check_value(slow, value) is None
        else:
            assert records.check_value(field, value) == records.check_value(slow, value)

    holds()
