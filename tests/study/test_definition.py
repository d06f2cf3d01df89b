"""Faults of the study definition, each with its file and line; all are told at once."""

from __future__ import annotations

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.study import definition
from tests.study.real import STUDY

TEXT = """id: tiny
title: A small study
canonical: http://tiny.example.org
forms:
  visit:
    title: Visit
    key: [day]
    fields:
      day: { type: date, required: true }
      side: { type: choice, choices: [left, right] }
      score: { type: integer, range: [0, 10], better: lower, accept: review }
"""

# reason, old, new, line, words of the cause, words of the remedy
FAULTS = [
    ("a word of the study", "title: A", "titel: A", 2, "'titel' is not known", "title"),
    ("no title", "title: A small study", "# no title", 1, "no title", "give it"),
    ("no id", "id: tiny", "id: 5", 1, "no id", "text"),
    ("no canonical", "canonical: http://tiny.example.org", "canonical:", 3, "no canonical", "text"),
    ("a word of a form", "key: [day]", "keys: [day]", 7, "'keys' is not known", "key"),
    ("a key that is no field", "key: [day]", "key: [dya]", 7, "no field 'dya'", "did you mean 'day'"),
    ("a key that is no list", "key: [day]", "key: day", 7, "no list", "[field]"),
    ("a key that is not required", "date, required: true", "date", 7, "'day' is not required", "require it"),
    ("a type", "type: date", "type: dates", 9, "'dates' is no type", "date"),
    ("a type that is a list", "type: date", "type: [date]", 9, "no type", "date"),
    ("a choice without choices", "choices: [left, right]", "meaning: side", 10, "choices belong", "list of words"),
    ("a choice of nothing", "choices: [left, right]", "choices: []", 10, "choices belong", "list of words"),
    ("choices of a number", "range: [0, 10]", "choices: [a]", 11, "choices belong", "list of words"),
    ("a choice that YAML reads as yes", "[left, right]", "[yes, right]", 10, "True is no word", "quotes"),
    ("a choice that is a reason of absence", "[left, right]", "[left, unknown]", 10, "a choice and a reason", "absent: false"),
    ("a choice twice", "[left, right]", "[left, left]", 10, "given twice", "keep one"),
    ("a range the wrong way", "[0, 10]", "[10, 0]", 11, "low first", "[low, high]"),
    ("a range of one", "[0, 10]", "[10]", 11, "low first", "[low, high]"),
    ("a range of words", "[0, 10]", "[a, b]", 11, "low first", "[low, high]"),
    ("a range of a date", "date, required", "date, range: [0, 1], required", 9, "integer or decimal", "[low, high]"),
    ("accept", "accept: review", "accept: maybe", 11, "'maybe' is not known", "auto or review"),
    ("better", "better: lower", "better: less", 11, "'less' is not known", "higher or lower"),
    ("required that is no yes", "required: true", "required: sure", 9, "'sure' is no bool", "mend"),
    ("a word of a field", "better: lower", "beter: lower", 11, "'beter' is not known", "better"),
    ("a field of nothing", "{ type: date, required: true }", "date", 9, "'day' is not described", "type"),
    ("a form without fields", "    fields:", "    feilds:", 5, "'visit' has no fields", "fields:"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "line", "cause", "remedy"),
    [row[1:] for row in FAULTS],
    ids=[row[0] for row in FAULTS],
)
def test_a_fault_is_told_with_file_and_line(
    old: str, new: str, line: int, cause: str, remedy: str
) -> None:
    assert definition.load(TEXT).forms["visit"].key == ("day",)
    assert TEXT.count(old) >= 1
    with pytest.raises(BridgeError) as told:
        definition.load(TEXT.replace(old, new, 1))
    fitting = [i for i in told.value.issues if cause in i.cause and remedy in i.remedy]
    assert [issue.place for issue in fitting] == [f"study.yaml:{line}"], [
        issue.sentence() for issue in told.value.issues
    ]


@pytest.mark.parametrize("text", ["", "[]", "5", "forms: []", "forms: {}"])
def test_no_study_is_told(text: str) -> None:
    with pytest.raises(BridgeError) as told:
        definition.load(text)
    assert all(i.category == "configuration" and i.place for i in told.value.issues)


def test_all_faults_are_told_at_once() -> None:
    text = TEXT.replace("type: date", "type: dates").replace("[0, 10]", "[10, 0]")
    with pytest.raises(BridgeError) as told:
        definition.load(text.replace("title: A", "titel: A"))
    assert {i.place for i in told.value.issues} >= {"study.yaml:2", "study.yaml:9", "study.yaml:11"}


def test_an_unknown_form_is_told_with_those_that_are_there() -> None:
    with pytest.raises(BridgeError) as told:
        STUDY.form("leison")
    assert "lesion" in told.value.issues[0].remedy


def test_the_key_of_a_form_without_key_is_empty() -> None:
    assert STUDY.forms["subject"].key_of({"study_id": "S-1"}) == ""
    assert STUDY.forms["lesion"].key_of({"lesion_id": "L-1"}) == "L-1"
