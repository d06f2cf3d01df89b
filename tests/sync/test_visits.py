"""A subject's course: computed from the records, so that it follows the index operation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.registry.records import Record
from fhirbridge.sync import visits
from tests.sync.ward import Ward, patient


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Ward.open(tmp_path, patient()) as made:
        made.enrol()
        yield made


def surgery(id: str, on: str, *, index: bool | None) -> dict[str, Any]:
    fields = {"surgery_id": id, "performed_on": on, "procedure": "plate"}
    return fields if index is None else {**fields, "index": index}


def keep(ward: Ward, *made: tuple[str, str, dict[str, Any]]) -> list[Record]:
    """Records of form, key and fields, for the ward's subject."""
    with ward.hospital.unit() as unit:
        subject = unit.subjects.all()[0]
        for form, key, fields in made:
            unit.records.save(
                f"{form}-{key}",
                subject_id=subject.id,
                form=form,
                key=key,
                fields=fields,
                mapping_version="m",
                actor="person:test",
                reason="entered",
            )
        unit.commit()
        return [one for one in unit.records.all(subject_id=subject.id) if one.form != "subject"]


def score(on: str, **fields: Any) -> tuple[str, str, dict[str, Any]]:
    return "assessment", on, {"assessed_on": on, **fields}


FIRST = ("surgery", "s1", surgery("s1", "2026-02-10", index=True))


def test_each_record_has_the_visit_of_its_day_whatever_its_source_called_it(ward: Ward) -> None:
    held = keep(ward, FIRST, score("2026-03-01", pain_rest=2), score("2026-05-12", visit="week_6"))
    course = visits.course(ward.hospital.mappings.study, held)
    assert course.index == "2026-02-10"
    named = {one.key: course.fields(one).get("visit") for one in held}
    assert named == {"s1": None, "2026-03-01": "week_2", "2026-05-12": "month_3"}
    said = {one.key: course.told(one) for one in held}
    assert said["s1"] is None
    assert said["2026-05-12"] == {
        "visit": "month_3",
        "day": 91,
        "reason": "the source says week_6, day 91 is month_3; the day decides",
    }


def test_the_candidate_that_a_visit_does_not_take_stays_with_its_reason(ward: Ward) -> None:
    held = keep(ward, FIRST, score("2026-02-24", pain_rest=2), score("2026-03-01", pain_rest=3))
    course = visits.course(ward.hospital.mappings.study, held)
    near, far = visits.lines(course, held)
    assert (near.taken, near.passed) == (("pain_rest",), {})
    assert far.taken == ()
    assert far.passed == {"pain_rest": "5 days from day 14, the one taken 0"}


@pytest.mark.parametrize(
    ("operations", "reason"),
    [
        ([surgery("s1", "2026-02-10", index=None)], "no operation is confirmed"),
        (
            [surgery("s1", "2026-02-10", index=True), surgery("s2", "2026-02-11", index=True)],
            "2 records of surgery say that they are the index operation",
        ),
    ],
)
def test_without_one_index_operation_no_visit_is_guessed(
    ward: Ward, operations: list[dict[str, Any]], reason: str
) -> None:
    made = [("surgery", one["surgery_id"], one) for one in operations]
    held = keep(ward, *made, score("2026-03-01", visit="week_2"))
    course = visits.course(ward.hospital.mappings.study, held)
    scored = next(one for one in held if one.form == "assessment")
    assert course.index == ""
    assert course.reason.startswith(reason)
    assert course.fields(scored)["visit"] == "week_2", "what its source said stays"


def test_an_index_operation_that_is_entered_anew_moves_every_visit(ward: Ward) -> None:
    held = keep(ward, FIRST, score("2026-03-01", pain_rest=2))
    later = ("surgery", "s1", surgery("s1", "2026-02-25", index=True))
    held = keep(ward, later)
    course = visits.course(ward.hospital.mappings.study, held)
    scored = next(one for one in held if one.form == "assessment")
    assert course.told(scored) == {
        "visit": "unscheduled",
        "day": 4,
        "reason": "day 4 is in no window",
    }
