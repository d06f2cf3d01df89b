"""Which visit a day is counted to, at every edge, and which candidate a visit takes."""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.study import definition, visits
from fhirbridge.study.records import Absent
from fhirbridge.study.visits import Candidate, Chosen
from tests.study.tiny import STUDY as TINY

TEXT = """id: follow
title: Visits around an operation
canonical: http://follow.example.org
visits:
  anchor: { form: surgery, field: performed_on, where: index }
  schedule:
    baseline: { target: -1, window: [-30, 0] }
    week_2: { target: 14, window: [7, 28] }
    week_6: { target: 42, window: [29, 63] }
    month_3: { target: 91, window: [64, 136] }
    month_6: { target: 182, window: [137, 273] }
    month_12: { target: 365, window: [274, 547] }
    month_24: { target: 730, window: [548, 912] }
  else: unscheduled
forms:
  surgery:
    fields: { performed_on: { type: datetime }, index: { type: boolean } }
  assessment:
    key: [assessed_on]
    fields:
      assessed_on: { type: datetime, required: true }
      pain: { type: integer, pick: { baseline: last } }
      walk: { type: integer }
"""
STUDY = definition.load(TEXT)
FORM = STUDY.forms["assessment"]
INDEX = "2024-03-01"  # a leap year: day -1 is 29 February

# the first and the last day of each window, and the days beside them
EDGES = [
    ("2024-01-30", -31, "unscheduled"), ("2024-01-31", -30, "baseline"), ("2024-02-29", -1, "baseline"),
    ("2024-03-01", 0, "baseline"), ("2024-03-02", 1, "unscheduled"), ("2024-03-07", 6, "unscheduled"),
    ("2024-03-08", 7, "week_2"), ("2024-03-29", 28, "week_2"), ("2024-03-30", 29, "week_6"),
    ("2024-05-03", 63, "week_6"), ("2024-05-04", 64, "month_3"), ("2024-07-15", 136, "month_3"),
    ("2024-07-16", 137, "month_6"), ("2024-11-29", 273, "month_6"), ("2024-11-30", 274, "month_12"),
    ("2025-08-30", 547, "month_12"), ("2025-08-31", 548, "month_24"), ("2026-08-30", 912, "month_24"),
    ("2026-08-31", 913, "unscheduled"),
]  # fmt: skip


@pytest.mark.parametrize(("on", "day", "visit"), EDGES)
def test_a_day_is_counted_to_the_visit_of_its_window(on: str, day: int, visit: str) -> None:
    placed = visits.visit_of(STUDY, INDEX, on)
    assert (placed.visit, placed.day) == (visit, day)
    assert bool(placed.reason) == (visit == "unscheduled")


# reason, index, on, visit, words of the reason
MOMENTS = [
    ("before the operation of that day", "2024-03-01T10:00:00+01:00", "2024-03-01T09:59:59+01:00", "baseline", ""),
    ("at its moment", "2024-03-01T10:00:00+01:00", "2024-03-01T10:00:00+01:00", "baseline", ""),
    ("after it", "2024-03-01T10:00:00+01:00", "2024-03-01T10:00:01+01:00", "unscheduled", "after it"),
    ("after it, in another zone", "2024-03-01T10:00:00+01:00", "2024-03-01T09:30:00Z", "unscheduled", "after it"),
    ("only the day of the operation is known", "2024-03-01", "2024-03-01T23:00:00Z", "baseline", ""),
    ("only the day of the score is known", "2024-03-01T10:00:00+01:00", "2024-03-01", "baseline", ""),
    ("the day that its source wrote", "2024-03-01", "2024-03-08T00:30:00+02:00", "week_2", ""),
    ("a month", INDEX, "2024-05", "", "not known to the day"),
    ("a year", INDEX, "2024", "", "not known to the day"),
    ("a month of the operation", "2024-03", "2024-05-20", "", "operation is not dated"),
    ("no date at all", INDEX, "soon", "", "not known to the day"),
    ("no day of the calendar", INDEX, "2024-02-30", "", "not known to the day"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("index", "on", "visit", "reason"), [r[1:] for r in MOMENTS], ids=[r[0] for r in MOMENTS]
)
def test_a_time_counts_on_day_0_and_a_partial_date_is_not_guessed(
    index: str, on: str, visit: str, reason: str
) -> None:
    placed = visits.visit_of(STUDY, index, on)
    assert placed.visit == visit
    assert reason in placed.reason
    assert bool(placed.reason) == bool(reason)


def test_a_window_that_begins_on_day_0_begins_with_the_operation() -> None:
    text = TEXT.replace("window: [-30, 0]", "window: [-30, -1]").replace("[7, 28]", "[0, 28]")
    study = definition.load(text)
    index = "2024-03-01T10:00:00Z"
    assert visits.visit_of(study, index, "2024-03-01T11:00:00Z").visit == "week_2"
    early = visits.visit_of(study, index, "2024-03-01T09:00:00Z")
    assert (early.visit, early.reason) == ("unscheduled", "on the day of the operation, before it")


def choose(*given: tuple[str, dict[str, Any]]) -> Chosen:
    made = [Candidate(str(n), on, fields) for n, (on, fields) in enumerate(given)]
    return visits.choose(STUDY, FORM, INDEX, made)


# reason, visit, field, dates and values, number of the one taken, words of the others' reasons
CHOICES: list[tuple[str, str, str, list[tuple[str, Any]], int, list[str]]] = [
    ("one", "month_3", "walk", [("2024-05-31", 5)], 0, []),
    ("the nearest", "month_3", "walk", [("2024-05-10", 5), ("2024-06-01", 6), ("2024-06-20", 7)], 1, ["20 days from day 91, the one taken 1", "21 days from day 91"]),
    ("as near, the earlier", "month_3", "walk", [("2024-06-02", 6), ("2024-05-29", 5)], 1, ["as near to day 91 as the one taken, and later"]),
    ("the nearest before surgery", "baseline", "walk", [("2024-03-01", 5), ("2024-02-29", 6)], 1, ["1 days from day -1"]),
    ("pain before surgery: the last", "baseline", "pain", [("2024-02-29", 5), ("2024-03-01", 6), ("2024-02-10", 1)], 1, ["earlier than", "earlier than"]),
    ("pain after surgery: the nearest", "month_3", "pain", [("2024-05-31", 5), ("2024-07-10", 6)], 0, ["40 days from"]),
    ("a value before a reason", "month_3", "walk", [("2024-05-31", Absent("not-asked")), ("2024-07-10", 6)], 1, ["gives no value: not-asked"]),
    ("a reason where there is no value", "month_3", "walk", [("2024-07-10", Absent("masked")), ("2024-05-31", Absent("not-asked"))], 1, ["40 days from"]),
    ("0 is a value", "month_3", "walk", [("2024-07-10", 6), ("2024-05-31", 0)], 1, ["40 days from"]),
    ("two on one day", "month_3", "walk", [("2024-05-31", 5), ("2024-05-31", 6)], 0, ["given first"]),
    ("two times of one day", "month_3", "walk", [("2024-05-31T10:00:00Z", 5), ("2024-05-31T11:30:00+02:00", 6)], 1, ["on the same day as the one taken, later"]),
    ("two times of the last day", "baseline", "pain", [("2024-02-29T08:00:00Z", 5), ("2024-02-29T09:00:00Z", 6)], 1, ["on the same day as the one taken, earlier"]),
    ("a time and none", "month_3", "walk", [("2024-05-31T10:00:00Z", 5), ("2024-05-31", 6)], 0, ["given first"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("visit", "field", "given", "taken", "reasons"),
    [r[1:] for r in CHOICES],
    ids=[r[0] for r in CHOICES],
)
def test_a_visit_takes_one_candidate_and_tells_why_not_the_others(
    visit: str, field: str, given: list[tuple[str, Any]], taken: int, reasons: list[str]
) -> None:
    chosen = choose(*((on, {"assessed_on": on, field: value}) for on, value in given))
    got = chosen.visits[visit][field]
    assert (got.candidate.id, got.value(field)) == (str(taken), given[taken][1])
    assert len(got.others) == len(given) - 1
    assert [r for r, other in zip(reasons, got.others, strict=True) if r not in other.reason] == []
    assert chosen.visits[visit].keys() == {field}
    assert [v for v in chosen.visits if v != visit and chosen.visits[v]] == []
    assert (chosen.unscheduled, chosen.undated) == ((), ())


def test_each_field_takes_its_own_candidate() -> None:
    chosen = choose(
        ("2024-02-28", {"walk": 1}),
        ("2024-02-29", {"walk": 2}),
        ("2024-03-01", {"pain": 3, "walk": 4}),
    )
    taken = {name: one.candidate.id for name, one in chosen.visits["baseline"].items()}
    assert taken == {"walk": "1", "pain": "2"}


def test_nothing_is_dropped() -> None:
    """Every candidate is taken, passed over, in no window, or not dated to the day."""
    days = [on for on, _, _ in EDGES] + ["2024-05", "2024-05-20", "2024-05-21"]
    chosen = choose(*((on, {"walk": n}) for n, on in enumerate(days)))
    taken = [one["walk"] for one in chosen.visits.values() if one]
    ids = [one.candidate.id for one in taken]
    ids += [other.candidate.id for one in taken for other in one.others]
    ids += [one.candidate.id for one in (*chosen.unscheduled, *chosen.undated)]
    assert sorted(ids, key=int) == [str(n) for n in range(len(days))]
    assert [one.reason for one in chosen.undated] == ["the date is not known to the day"]
    assert {one.reason for one in chosen.unscheduled} == {
        f"day {d} is in no window" for d in (-31, 1, 6, 913)
    }


def test_where_the_operation_is_not_dated_nothing_is_placed() -> None:
    chosen = visits.choose(STUDY, FORM, "2024", [Candidate("1", INDEX, {"walk": 1})])
    assert [one.reason for one in chosen.undated] == ["the index operation is not dated to the day"]
    assert not any(chosen.visits.values())


@pytest.mark.parametrize(
    ("claimed", "told"),
    [("week_6", True), ("month_3", False), (None, False), (Absent("unknown"), False)],
)
def test_the_day_decides_where_the_source_names_another_visit(claimed: Any, told: bool) -> None:
    placed = visits.visit_of(STUDY, INDEX, "2024-05-31")
    said = visits.difference(placed, claimed)
    assert said == ("the source says week_6, day 91 is month_3; the day decides" if told else "")


def test_a_study_has_its_own_visits_or_none() -> None:
    assert visits.visit_of(TINY, "2024-03-01", "2024-02-20").visit == "before"
    assert visits.visit_of(TINY, "2024-03-01", "2024-03-03").visit == "other"
    bare = definition.load(
        TEXT.replace(TEXT[TEXT.index("visits:") : TEXT.index("forms:")], "").replace(
            ", pick: { baseline: last }", ""
        )
    )
    with pytest.raises(BridgeError, match="no visits"):
        visits.visit_of(bare, INDEX, INDEX)
