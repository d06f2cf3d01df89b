"""Totals of real scores: Mirels, SINS and MSTS of both limbs. They are judged, never corrected."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.study import definition, records
from fhirbridge.study.records import Absent, Record

TEXT = """id: scores
title: Scores with totals
canonical: http://scores.example.org
forms:
  risk:
    fields:
      mirels_site: { type: integer, range: [1, 3] }
      mirels_pain: { type: integer, range: [1, 3] }
      mirels_type: { type: integer, range: [1, 3] }
      mirels_size: { type: integer, range: [1, 3] }
      mirels_total: { type: integer, range: [4, 12], total: { of: [mirels_site, mirels_pain, mirels_type, mirels_size] } }
      sins_location: { type: integer, range: [0, 3] }
      sins_pain: { type: integer, range: [0, 3], only: [0, 1, 3] }
      sins_lesion: { type: integer, range: [0, 2] }
      sins_alignment: { type: integer, range: [0, 4], only: [0, 2, 4] }
      sins_collapse: { type: integer, range: [0, 3] }
      sins_posterolateral: { type: integer, range: [0, 3], only: [0, 1, 3] }
      sins_total: { type: integer, range: [0, 18], total: { of: [sins_location, sins_pain, sins_lesion, sins_alignment, sins_collapse, sins_posterolateral], alone: true } }
  function:
    fields:
      msts_form: { type: choice, choices: [lower, upper], absent: false }
      msts_pain: { type: integer, range: [0, 5] }
      msts_function: { type: integer, range: [0, 5] }
      msts_emotional: { type: integer, range: [0, 5] }
      msts_supports: { type: integer, range: [0, 5] }
      msts_walking: { type: integer, range: [0, 5] }
      msts_gait: { type: integer, range: [0, 5] }
      msts_hand_position: { type: integer, range: [0, 5] }
      msts_dexterity: { type: integer, range: [0, 5] }
      msts_lifting: { type: integer, range: [0, 5] }
      msts_total: { type: integer, range: [0, 30], with: [msts_form], total: { by: { msts_form: { lower: [msts_pain, msts_function, msts_emotional, msts_supports, msts_walking, msts_gait], upper: [msts_pain, msts_function, msts_emotional, msts_hand_position, msts_dexterity, msts_lifting] } }, alone: true } }
  money:
    fields:
      a: { type: decimal }
      b: { type: decimal }
      sum: { type: decimal, total: { of: [a, b] } }
"""
STUDY = definition.load(TEXT)
MIRELS = ("mirels_site", "mirels_pain", "mirels_type", "mirels_size")
SINS = (
    "sins_location",
    "sins_pain",
    "sins_lesion",
    "sins_alignment",
    "sins_collapse",
    "sins_posterolateral",
)
BOTH = ("msts_pain", "msts_function", "msts_emotional")
LOWER = (*BOTH, "msts_supports", "msts_walking", "msts_gait")
UPPER = (*BOTH, "msts_hand_position", "msts_dexterity", "msts_lifting")


def scored(names: tuple[str, ...], *points: int) -> dict[str, Any]:
    return dict(zip(names, points, strict=True))


# reason, form, fields, words of the cause ("" where nothing is told)
TOTALS: list[tuple[str, str, dict[str, Any], str]] = [
    ("Mirels adds up", "risk", {**scored(MIRELS, 3, 2, 3, 1), "mirels_total": 9}, ""),
    ("lowest", "risk", {**scored(MIRELS, 1, 1, 1, 1), "mirels_total": 4}, ""),
    ("highest", "risk", {**scored(MIRELS, 3, 3, 3, 3), "mirels_total": 12}, ""),
    ("Mirels is one off", "risk", {**scored(MIRELS, 3, 2, 3, 1), "mirels_total": 10}, "mirels_total is 10, but mirels_site 3 + mirels_pain 2 + mirels_type 3 + mirels_size 1 = 9"),
    ("a part is missing", "risk", {**scored(MIRELS[:3], 3, 2, 3), "mirels_total": 9}, "there is no mirels_size"),
    ("a part is absent for a reason", "risk", {**scored(MIRELS[:3], 3, 2, 3), "mirels_size": Absent("not-performed"), "mirels_total": 9}, "there is no mirels_size"),
    ("two parts are missing", "risk", {**scored(MIRELS[:2], 3, 2), "mirels_total": 9}, "there is no mirels_type, mirels_size"),
    ("Mirels alone", "risk", {"mirels_total": 9}, "there is no mirels_site, mirels_pain, mirels_type, mirels_size"),
    ("parts without a total", "risk", scored(MIRELS, 3, 2, 3, 1), ""),
    ("a part missing, and the total with it", "risk", {**scored(MIRELS[:3], 3, 2, 3), "mirels_total": Absent("not-applicable")}, ""),
    ("SINS adds up", "risk", {**scored(SINS, 3, 3, 2, 4, 3, 3), "sins_total": 18}, ""),
    ("SINS of nothing", "risk", {**scored(SINS, 0, 0, 0, 0, 0, 0), "sins_total": 0}, ""),
    ("SINS alone", "risk", {"sins_total": 7}, ""),
    ("SINS alone among reasons", "risk", {"sins_pain": Absent("unknown"), "sins_total": 7}, ""),
    ("SINS of 0 where there is a point", "risk", {**scored(SINS, 0, 1, 0, 0, 0, 0), "sins_total": 0}, "= 1"),
    ("SINS of one part", "risk", {"sins_pain": 0, "sins_total": 7}, "there is no sins_location, sins_lesion"),
    ("MSTS lower", "function", {"msts_form": "lower", **scored(LOWER, 5, 4, 3, 2, 1, 0), "msts_total": 15}, ""),
    ("MSTS upper", "function", {"msts_form": "upper", **scored(UPPER, 5, 5, 5, 5, 5, 5), "msts_total": 30}, ""),
    ("MSTS alone", "function", {"msts_form": "upper", "msts_total": 22}, ""),
    ("the items of the other limb", "function", {"msts_form": "lower", **scored(UPPER, 5, 4, 3, 2, 1, 0), "msts_total": 15}, "there is no msts_supports, msts_walking, msts_gait"),
    ("the other limb's items beside do not count", "function", {"msts_form": "upper", **scored(UPPER, 5, 4, 3, 2, 1, 0), "msts_gait": 5, "msts_total": 15}, ""),
    ("MSTS upper is off", "function", {"msts_form": "upper", **scored(UPPER, 5, 4, 3, 2, 1, 0), "msts_total": 20}, "msts_lifting 0 = 15"),
    ("digits do not matter to a sum", "money", {"a": Decimal("1.10"), "b": Decimal("0.90"), "sum": Decimal("2.0")}, ""),
    ("a sum is exact", "money", {"a": Decimal("0.1"), "b": Decimal("0.2"), "sum": Decimal("0.3")}, ""),
    ("a cent", "money", {"a": Decimal("0.1"), "b": Decimal("0.2"), "sum": Decimal("0.31")}, "= 0.3"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "fields", "cause"), [row[1:] for row in TOTALS], ids=[row[0] for row in TOTALS]
)
def test_a_total_is_what_its_parts_add_up_to(form: str, fields: dict[str, Any], cause: str) -> None:
    before = dict(fields)
    whole = records.check(STUDY, Record("S", form, fields))
    assert whole == records.totals(STUDY.forms[form], fields)
    assert fields == before
    assert len(whole) == bool(cause)
    for issue in whole:
        assert (issue.category, issue.severity) == ("business-rule", "error")
        assert issue.expression in STUDY.forms[form].fields
        assert cause in issue.cause
        assert issue.remedy


def test_a_total_without_the_word_that_says_of_what_is_told_once() -> None:
    fields: dict[str, Any] = {**scored(LOWER, 5, 4, 3, 2, 1, 0), "msts_total": 15}
    (issue,) = records.check(STUDY, Record("S", "function", fields))
    assert (issue.category, issue.expression) == ("required", "msts_total")
    assert "msts_form" in issue.remedy


@pytest.mark.parametrize(
    ("part", "total"), [(5.0, 9), ("3", 9), (True, 9), (3, "9"), (3, 9.0), (Decimal("NaN"), 9)]
)
def test_what_is_no_number_is_told_once_and_not_added(part: Any, total: Any) -> None:
    fields = {**scored(MIRELS, 3, 2, 3, 1), "mirels_size": part, "mirels_total": total}
    issues = records.check(STUDY, Record("S", "risk", fields))
    assert [i.category for i in issues] == ["value"]
    assert records.totals(STUDY.forms["risk"], fields) == []


def test_both_scores_of_a_form_are_judged() -> None:
    fields = {"mirels_total": 9, "sins_pain": 1, "sins_total": 7}
    told = records.totals(STUDY.forms["risk"], fields)
    assert [issue.expression for issue in told] == ["mirels_total", "sins_total"]
