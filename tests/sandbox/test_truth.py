"""Hospitals of three dialects, pulled and scored: what they say is held, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhirbridge.sandbox import days
from fhirbridge.sandbox.hospitals import DIALECTS, crosswalk_lines, written
from fhirbridge.sandbox.score import Score, same, score, table
from tests.sandbox.hospitals import hospital

GOALS = {"records": (0.98, 0.95), "values": (0.99, 0.95)}


def _good(made: Score) -> None:
    told = "\n".join([*table(made), *(one.sentence() for one in made.differences)])
    for form in made.records:
        for name, (precision, recall) in GOALS.items():
            share = getattr(made, name)[form]
            assert share.precision >= precision, told
            assert share.recall >= recall, told
    assert made.invented == [], told


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("seed", [1, 7])
def test_what_a_hospital_says_is_held_and_nothing_else(
    tmp_path: Path, dialect: str, seed: int
) -> None:
    with hospital(tmp_path, dialect, 5, seed=seed) as there:
        assert there.pull() == "complete"
        _good(there.score())
        for chart in there.hospital.charts:
            for decoy in chart.decoys:
                assert there.fates[decoy.source] != "applied", decoy
        assert there.pull() == "complete"
        _good(there.score())


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_after_each_day_the_registry_is_that_days_truth(tmp_path: Path, dialect: str) -> None:
    with hospital(tmp_path, dialect, 5) as there:
        there.pull()
        for day in (2, 3):
            there.day(day)
            there.pull(full=True)
            made = there.score()
            told = "\n".join(one.sentence() for one in made.differences)
            assert made.differences == [], f"day {day}\n{told}"


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_hospital_is_the_same_for_the_same_seed(dialect: str) -> None:
    assert written(dialect, 4).resources() == written(dialect, 4).resources()
    assert written(dialect, 4).resources() != written(dialect, 4, seed=2).resources()


def test_a_day_changes_some_resources_and_leaves_the_others() -> None:
    first, second = written("mcode", 6), written("mcode", 6, day=2)
    puts, deleted = days.changes(first, second)
    assert 0 < len(puts) < len(first.resources()) / 10
    assert {path.partition("/")[0] for path in deleted} == {"DiagnosticReport"}


def test_only_a_hospitals_own_codes_need_lines() -> None:
    assert crosswalk_lines("mcode") == {}
    assert [*crosswalk_lines("german")] == ["score.csv"]


TRUTH = {
    "subjects": [{"subject": "S-1", "number": "7"}],
    "records": [
        {
            "subject": "S-1",
            "form": "lesion",
            "name": "L1",
            "sources": ["Condition/1"],
            "fields": {"bone": "femur", "laterality": "left"},
        },
        {
            "subject": "S-1",
            "form": "surgery",
            "name": "S1",
            "sources": ["Procedure/1"],
            "fields": {"performed_on": "2026-01-12T08:00:00+01:00", "lesions": ["L1"]},
        },
    ],
}


def _record(form: str, **fields: object) -> dict[str, object]:
    return {"subject": "S-1", "form": form, "fields": fields, "subject_identifiers": []}


def test_references_are_compared_by_what_they_lead_to() -> None:
    made = score(
        TRUTH,
        [
            _record("lesion", lesion_id="x1", bone="femur", laterality="left"),
            _record("surgery", performed_on="2026-01-12T07:00:00Z", lesions=["x1"]),
        ],
    )
    assert made.differences == []


def test_what_is_missing_wrong_or_invented_is_named() -> None:
    made = score(
        TRUTH,
        [
            _record("lesion", lesion_id="x1", bone="femur", laterality="right", size_mm=3),
            _record("lesion", lesion_id="x2", bone="tibia"),
        ],
    )
    assert sorted(one.kind for one in made.differences) == [
        "invented record",
        "invented value",
        "missing record",
        "wrong value",
    ]
    lesions = made.records["lesion"]
    assert (lesions.precision, lesions.recall) == (0.5, 1.0)
    assert made.values["lesion"].precision == 0.25
    assert made.records["surgery"].recall == 0.0


@pytest.mark.parametrize(
    ("told", "held", "field"),
    [
        ("44.10", 44.1, ""),
        ("2026-02-03T09:00:00+01:00", "2026-02-03T08:00:00Z", ""),
        ("2026-02-03T09:00:00+01:00", "2026-02-03", "assessed_on"),
        (["a", "b"], ["b", "a"], ""),
    ],
)
def test_the_same_said_in_another_way(told: object, held: object, field: str) -> None:
    assert same(told, held, field)


@pytest.mark.parametrize(
    ("told", "held"), [(5, 50), ("2026-02", "2026-02-01"), ("left", "right"), (True, 1)]
)
def test_what_is_not_the_same(told: object, held: object) -> None:
    assert not same(told, held)
