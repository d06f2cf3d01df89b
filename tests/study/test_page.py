"""The reference page of the study is made from its definition, and tells all of it."""

from __future__ import annotations

from pathlib import Path

from fhirbridge.study.page import page
from tests.study import real, tiny

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "study.md"


def test_the_reference_is_the_page_of_the_definition() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(real.STUDY)


def test_every_word_of_a_definition_is_told() -> None:
    told = page(tiny.STUDY)
    lines = told.splitlines()
    for form in tiny.STUDY.forms.values():
        assert f"## {form.name}: {form.title}" in lines
        assert [name for name in form.fields if f"| `{name}` |" not in told] == []
    row = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    for name, words in {
        "attacks": "reference to attack, several", "triggers": "`dust`, `cold`, `running`",
        "grade": "0 to 4; only 0, 1, 4", "flow": "0 to 100 L/min; in steps of 2.5",
        "school": "of the form `[A-Z]{2}-[0-9]{1,3}`", "puffs": "with `device`",
        "nap": "with `age_form` (`toddler`)", "until": "not before `day`", "noted": "to the day",
        "sleep": "by `age_form`: `cot`, `bed` (toddler); `bed`, `tent` (pupil)",
        "breath": "lower is better; before: the last", "worry": "the sum of `worry_a`, `worry_b` |",
        "sum": "`night`, `play` (toddler) or `night`, `sport` (pupil), by `age_form` or alone",
        "diary": "Wheeze diary | 2 | made up | none", "late": "| 30 | 11 to 60 |",
        "diary.breath": "| 1.5 lower | made up | for tests |",
    }.items():  # fmt: skip
        assert words in row[name]
    assert "Day 0 is `attack.began_on` of the record whose `first` says yes" in told
    assert "* primary: `diary.breath`" in lines
