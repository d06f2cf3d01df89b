"""A newcomer adds a choice: it is in page, code system, questionnaire and view without Python."""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.book import artefacts, page
from fhirbridge.book.contents import Contents
from fhirbridge.fhir.validate import validate
from tests.book import printed
from tests.book.markup import Page
from tests.mapping.files import edited

LINE = """      sleep: { type: choice, choices: [good, bad], absent: false, meaning: How the subject has slept }\n"""
ROW = """  - { field: sleep, by: code/sleep, code: $study|sleep, note: Sleep }\n"""
HEADER = "source_system,source_code,display,target,relationship,source,note\n"
SYSTEM = "https://fhirbridge.example.org/fhir/CodeSystem/mbd-study"
CODES = HEADER + "".join(
    f"{SYSTEM},sleep-{word},{word.title()} sleep,{word},equivalent,made up,\n"
    for word in ("good", "bad")
)
FIELD, ROWS = "      ambulation: {", "  - { field: ambulation, by"


@pytest.fixture(scope="module")
def told() -> Contents:
    return printed.of(
        edited(
            ("study.yaml", FIELD, LINE + FIELD),
            ("assessment.yaml", ROWS, ROW + ROWS),
            ("crosswalks/sleep.csv", "", CODES),
        )
    )


@pytest.fixture(scope="module")
def made(told: Contents) -> dict[str, dict[str, Any]]:
    return artefacts.artefacts(told)


def test_the_page_tells_it(told: Contents) -> None:
    everything = Page(page.page(told, on=printed.ON)).everything()
    row = next(e for e in everything if e.attributes.get("id") == "field-assessment-sleep")
    words = " ".join(row.words.split())
    assert "How the subject has slept" in words
    assert "the resource is coded mbd-study sleep “Sleep”" in words
    assert "good is mbd-study sleep-good “Good sleep”" in words
    assert any(e.attributes.get("id") == "crosswalk-sleep" for e in everything)


def test_the_artefacts_have_it(made: dict[str, dict[str, Any]]) -> None:
    codes = {c["code"]: c["display"] for c in made["CodeSystem-mbd-study.json"]["concept"]}
    assert codes["sleep"] == "Sleep"
    assert codes["sleep-good"] == "Good sleep"
    items = {i["linkId"]: i for i in made["Questionnaire-assessment.json"]["item"]}
    assert [o["valueCoding"]["code"] for o in items["sleep"]["answerOption"]] == [
        "sleep-good",
        "sleep-bad",
    ]
    columns = made["ViewDefinition-assessment-sleep.json"]["select"][0]["column"]
    assert {"sleep", "sleep_system"} <= {column["name"] for column in columns}
    paths = [
        e["path"]
        for e in made["StructureDefinition-form-assessment.json"]["differential"]["element"]
    ]
    assert "assessment.sleep" in paths
    assert {"ConceptMap-sleep.json", "ValueSet-assessment-sleep.json"} <= made.keys()


def test_nothing_else_has_changed_but_the_version(made: dict[str, dict[str, Any]]) -> None:
    before = printed.made()
    touched = {
        name for name, one in made.items()
        if {**one, "version": ""} != {**before.get(name, {}), "version": ""}
    }  # fmt: skip
    assert touched == {
        "CodeSystem-mbd-study.json", "CodeSystem-mbd-surgery-words.json", "ConceptMap-score.json",
        "ConceptMap-sleep.json", "Questionnaire-assessment.json", "ValueSet-assessment-sleep.json",
        "StructureDefinition-form-assessment.json", "ViewDefinition-assessment-sleep.json",
    }  # fmt: skip


def test_what_has_changed_is_valid(made: dict[str, dict[str, Any]]) -> None:
    for name, one in made.items():
        if "sleep" in str(one) and one["resourceType"] != "ViewDefinition":
            assert [issue.sentence() for issue in validate(one)] == [], name


def test_a_field_may_be_without_a_meaning() -> None:
    line = LINE.replace(", meaning: How the subject has slept", "")
    made = artefacts.artefacts(
        printed.of(
            edited(
                ("study.yaml", FIELD, line + FIELD),
                ("assessment.yaml", ROWS, ROW + ROWS),
                ("crosswalks/sleep.csv", "", CODES),
            )
        )
    )
    assert "description" not in made["ValueSet-assessment-sleep.json"]
    assert [issue.sentence() for issue in validate(made["ValueSet-assessment-sleep.json"])] == []
    (told,) = made["ViewDefinition-assessment-sleep.json"]["select"]
    assert all(column.get("description") != "" for column in told["column"])
