"""What comes as it came costs nothing, and is read again as soon as anything it hangs on is
otherwise. All persons and values are synthetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from fhirbridge.registry import tables
from fhirbridge.sync.accept import Context
from fhirbridge.sync.withdraw import withdraw
from tests.sync import truth
from tests.sync.ward import Ward, chart, patient
from tests.web.sender import score, whose

ASSESSMENTS = ["2026-02-01", "2026-02-02"]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    charted = (chart(f"e{n}", 2, effectiveDateTime=day) for n, day in enumerate(ASSESSMENTS))
    with Ward.open(tmp_path, patient(), *charted, chart("off", 4, status="cancelled")) as made:
        made.enrol()
        yield made


def messages(ward: Ward) -> int:
    with ward.registry.connect(writes=False) as connection:
        return int(
            connection.execute(select(func.count()).select_from(tables.message)).scalar_one()
        )


def test_what_is_unchanged_is_counted_and_not_kept_again(ward: Ward, tmp_path: Path) -> None:
    first = ward.pull()
    assert (first.counts["applied"], first.counts["refused"]) == (2, 1)
    kept, before = messages(ward), ward.state()
    run, fates = ward.pulled()
    assert run.state == "complete"
    assert {n: run.counts[n] for n in ("received", "applied", "unchanged", "refused")} == {
        "received": 4, "applied": 0, "unchanged": 3, "refused": 1,
    }  # fmt: skip
    assert fates["Observation/e0"] == "unchanged,"  # as before
    assert fates["Observation/off"] == "refused,"
    assert messages(ward) == kept + 1  # the Patient alone, who is looked at each time
    assert ward.state() == before
    truth.holds(ward, tmp_path, "p1")


def test_of_a_page_what_has_changed_alone_is_kept_and_read(ward: Ward) -> None:
    ward.pull()
    ward.put(chart("e0", 3, effectiveDateTime=ASSESSMENTS[0]))
    run, fates = ward.pulled()
    assert (fates["Observation/e0"], fates["Observation/e1"]) == ("applied", "unchanged,")
    assert run.counts["applied"] == 1
    assert [one["ecog"] for one in ward.records()] == [3, 2]


def test_a_record_that_another_one_has_changed_is_read_again(ward: Ward) -> None:
    ward.pull()
    ward.push(score(5, id="x", subject=whose("4711"), effectiveDateTime=ASSESSMENTS[0]))
    _, fates = ward.pulled()
    assert (fates["Observation/e0"], fates["Observation/e1"]) == ("unchanged", "unchanged,")
    _, fates = ward.pulled()
    assert fates["Observation/e0"] == "unchanged,"


def test_other_mappings_read_all_again(ward: Ward) -> None:
    ward.pull()
    mappings = replace(ward.hospital.mappings, version="another")
    ward.hospital = replace(ward.hospital, mappings=mappings)
    _, fates = ward.pulled()
    assert (fates["Observation/e0"], fates["Observation/off"]) == ("unchanged", "refused")


def test_a_full_pull_reads_all_again(ward: Ward) -> None:
    ward.pull()
    _, fates = ward.pulled(full=True)
    assert fates["Observation/e0"] == "unchanged"


def test_what_waits_is_read_each_time(tmp_path: Path) -> None:
    code = {"coding": [{"system": "https://hospital.example.org/codes", "code": "ECOG-9"}]}
    with Ward.open(tmp_path, patient(), chart("odd", "grade two", code=code)) as ward:
        ward.enrol()
        _, first = ward.pulled()
        _, second = ward.pulled()
        assert first["Observation/odd"] == second["Observation/odd"]
        assert first["Observation/odd"] != "unchanged,"


def test_who_has_withdrawn_is_not_told_as_unchanged(ward: Ward) -> None:
    """Also where the withdrawal comes while a run is at work: the gate is asked of each resource."""
    ward.pull()
    with ward.registry.unit(ward.site_id) as unit:
        subject = unit.subjects.by_study_id("S-1")
        assert subject is not None
        withdraw(Context(unit, ward.hospital.mappings, "", "test"), subject, reason="asked to")
        unit.commit()
    run, fates = ward.pulled()
    assert run.counts.get("unchanged", 0) == 0
    assert "Observation/e0" not in fates


def test_what_was_deleted_and_comes_back_as_it_was_is_read(ward: Ward) -> None:
    ward.pull()
    (stored,) = [one for one in ward.there() if one["id"] == "e0"]
    ward.delete("Observation/e0")
    ward.pull(full=True)
    assert [one["assessed_on"] for one in ward.records()] == ASSESSMENTS[1:]
    ward.put(stored)
    _, fates = ward.pulled()
    assert fates["Observation/e0"] == "applied"
    assert [one["assessed_on"] for one in ward.records()] == ASSESSMENTS
