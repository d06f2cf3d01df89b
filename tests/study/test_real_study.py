"""What this repository's own study definition must say: visits, scores with totals, changes with sources."""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.study import records
from fhirbridge.study.definition import Window
from fhirbridge.study.records import Record
from tests.study.real import STUDY

FIELDS = [f for form in STUDY.forms.values() for f in form.fields.values()]
MIRELS = {"mirels_site": 3, "mirels_pain": 2, "mirels_type": 3, "mirels_size": 1}
SINS = {
    "sins_location": 3,
    "sins_pain": 1,
    "sins_lesion": 2,
    "sins_alignment": 2,
    "sins_collapse": 0,
    "sins_posterolateral": 3,
}
MSTS = {"msts_pain": 5, "msts_function": 4, "msts_emotional": 3}
LOWER = {**MSTS, "msts_supports": 2, "msts_walking": 1, "msts_gait": 0}
UPPER = {**MSTS, "msts_hand_position": 2, "msts_dexterity": 1, "msts_lifting": 5}
DAY = "2026-03-01"


def test_the_visits_are_those_of_the_protocol() -> None:
    assert STUDY.visits is not None
    assert dict(STUDY.visits.schedule) == {
        "baseline": Window(-1, -30, 0), "week_2": Window(14, 7, 28), "week_6": Window(42, 29, 63),
        "month_3": Window(91, 64, 136), "month_6": Window(182, 137, 273),
        "month_12": Window(365, 274, 547), "month_24": Window(730, 548, 912),
    }  # fmt: skip
    assert STUDY.visits.otherwise == "unscheduled"
    for form in ("assessment", "follow_up"):
        choices = STUDY.forms[form].fields["visit"].choices
        assert choices == (*STUDY.visits.schedule, "unscheduled")


def test_pain_before_surgery_is_the_last_before() -> None:
    pains = [f for f in STUDY.forms["assessment"].fields.values() if f.name.startswith("pain_")]
    assert len(pains) == 5
    assert {(f.picks("baseline"), f.picks("month_3")) for f in pains} == {("last", "nearest")}


TOTALS: list[tuple[str, dict[str, Any], bool]] = [
    ("fracture_risk", {**MIRELS, "mirels_total": 9}, True), ("fracture_risk", {**MIRELS, "mirels_total": 8}, False),
    ("fracture_risk", {"mirels_total": 9}, False), ("fracture_risk", {**SINS, "sins_total": 11}, True),
    ("fracture_risk", {**SINS, "sins_total": 12}, False), ("fracture_risk", {"sins_total": 12}, True),
    ("assessment", {"msts_form": "lower", **LOWER, "msts_total": 15}, True),
    ("assessment", {"msts_form": "lower", **LOWER, "msts_total": 16}, False),
    ("assessment", {"msts_form": "upper", **UPPER, "msts_total": 20}, True),
    ("assessment", {"msts_form": "lower", **UPPER, "msts_total": 20}, False),
    ("assessment", {"msts_form": "upper", "msts_total": 20}, True), ("assessment", {"msts_total": 20}, False),
]  # fmt: skip


@pytest.mark.parametrize(("form", "fields", "fits"), TOTALS)
def test_a_total_is_what_its_parts_add_up_to(form: str, fields: dict[str, Any], fits: bool) -> None:
    keys = {"assessed_on": DAY, **({"lesion": "L1"} if form == "fracture_risk" else {})}
    issues = records.check(STUDY, Record("S", form, {**keys, **fields}))
    assert (issues == []) == fits, [issue.sentence() for issue in issues]


def test_changes_that_nobody_published_are_not_there() -> None:
    published = {f.name: str(f.mid.value) for f in FIELDS if f.mid}
    assert published == {
        "pain_rest": "2.0", "pain_activity": "2.0", "promis_pf_t": "4.1", "promis_pi_t": "7.5",
        "promis_gph_t": "4.3", "tess": "7.8", "eq5d_index": "0.08", "eq5d_vas": "7",
        "bm22_painful_sites": "20.1", "bm22_pain_characteristics": "30.5",
    }  # fmt: skip


def test_every_instrument_tells_its_source_and_its_terms_and_is_used() -> None:
    assert [i.name for i in STUDY.instruments.values() if not i.source or not i.licence] == []
    assert {f.instrument for f in FIELDS if f.instrument} == {*STUDY.instruments}


def test_every_field_says_what_it_means() -> None:
    assert [f.name for f in FIELDS if not f.meaning] == []
