"""Replay: what waited is read again with today's mappings and enrolments, and nothing else changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fhirbridge.library import Library
from fhirbridge.registry.receipts import Receipt
from fhirbridge.sync.ingest import work_off
from tests.sync.ward import MAPPINGS, Ward, chart, patient
from tests.web.sender import concept, score

LOCAL = "https://hospital.example.org/catalogue"
LINE = (
    "source_system,source_code,display,target,relationship,source,note\n"
    f"{LOCAL},ECOG-KURZ,ECOG,ecog,equal,the hospital's catalogue,\n"
)
UNKNOWN = score(2, id="u1", code=concept(LOCAL, "ECOG-KURZ"))


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    folder = tmp_path / "mappings"
    shutil.copytree(MAPPINGS, folder)
    with Ward.open(tmp_path, patient(), mappings=folder) as made:
        made.enrol()
        yield made


def learn(ward: Ward, folder: Path) -> None:
    """The site's crosswalk gets a line."""
    file = folder / "mappings" / "sites" / "alpha" / "score.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(LINE, encoding="utf-8")
    mappings = Library(folder / "mappings").of_site("alpha")
    ward.hospital = replace(ward.hospital, mappings=mappings)


def replay(ward: Ward, receipt: Receipt, *, base: str = "") -> Receipt:
    with ward.registry.unit(ward.site_id) as unit:
        message = unit.messages.get(receipt.message_id)
        assert message is not None
        again = work_off(unit, ward.hospital.mappings, message, base=base)
        unit.commit()
    counts = dict(again.counts)
    assert counts.pop("received") == sum(counts.values())
    assert again.id == receipt.id
    return again


def fates(receipt: Receipt) -> list[str]:
    return [entry.fate for entry in receipt.entries]


def test_an_unknown_local_code_is_read_after_a_crosswalk_line(ward: Ward, tmp_path: Path) -> None:
    receipt = ward.push(score(3, id="o1"), UNKNOWN)
    assert fates(receipt) == ["applied", "quarantined"]
    assert fates(replay(ward, receipt)) == ["applied", "quarantined"]
    learn(ward, tmp_path)
    assert fates(replay(ward, receipt)) == ["applied", "applied"]
    assert ward.records() == [{"assessed_on": "2026-03-01", "pain_rest": 3, "ecog": 2}]
    assert ward.held() == []
    before = ward.state()
    assert fates(replay(ward, receipt)) == ["applied", "applied"]
    assert ward.state() == before
    with ward.registry.read(ward.site_id) as unit:
        record = unit.records.all("assessment")[0]
        changes = [set(one.changes) for one in unit.records.revisions(record.id)]
    assert changes == [{"assessed_on", "pain_rest"}, {"ecog"}]


def test_a_replay_that_learns_nothing_changes_nothing(ward: Ward) -> None:
    receipt = ward.push(score(3, id="o1"), UNKNOWN)
    before = ward.state()
    for _ in range(2):
        assert fates(replay(ward, receipt)) == ["applied", "quarantined"]
        assert ward.state() == before


def test_an_unknown_patient_is_read_after_the_enrolment(ward: Ward) -> None:
    other = {"identifier": {"system": "urn:oid:2.999.4", "value": "4712"}}
    receipt = ward.push(score(3, id="o1"), score(5, id="o2", subject=other))
    assert fates(receipt) == ["applied", "quarantined"]
    ward.enrol("S-2", "4712")
    assert fates(replay(ward, receipt)) == ["applied", "applied"]
    assert ward.records(study_id="S-2") == [{"assessed_on": "2026-03-01", "pain_rest": 5}]
    assert ward.records() == [{"assessed_on": "2026-03-01", "pain_rest": 3}]


def test_a_replay_does_not_bring_back_what_was_corrected_since(ward: Ward, tmp_path: Path) -> None:
    """Pushes carry no lastUpdated: only what waits may be read again."""
    first = ward.push(score(3, id="o1"), UNKNOWN)
    ward.push(score(7, id="o1"))
    learn(ward, tmp_path)
    replay(ward, first)
    assert ward.records() == [{"assessed_on": "2026-03-01", "pain_rest": 7, "ecog": 2}]


def test_a_replay_does_not_read_what_was_sent_again_since(ward: Ward, tmp_path: Path) -> None:
    first = ward.push(UNKNOWN)
    ward.push(score(4, "pain-nrs-rest", id="u1"))
    learn(ward, tmp_path)
    assert fates(replay(ward, first)) == ["superseded"]
    assert ward.records() == [{"assessed_on": "2026-03-01", "pain_rest": 4}]


def test_a_replayed_entry_still_knows_the_patient_of_its_message(
    ward: Ward, tmp_path: Path
) -> None:
    """The Patient was taken, and its score refers to it by the Bundle's own URL."""
    body = {**UNKNOWN, "subject": {"reference": "Patient/p7"}}
    receipt = ward.push(patient("4711", "p7"), body)
    assert fates(receipt) == ["unchanged", "quarantined"]
    learn(ward, tmp_path)
    assert fates(replay(ward, receipt)) == ["unchanged", "applied"]


def test_a_page_of_a_pull_is_replayed_like_a_push(ward: Ward, tmp_path: Path) -> None:
    ward.put(chart("e1", code=concept(LOCAL, "ECOG-KURZ")))
    run = ward.pull()
    assert (run.state, ward.records()) == ("complete", [])
    held = ward.held()[0]
    with ward.registry.read(ward.site_id) as unit:
        receipt = unit.receipts.of_message(held.message_id)
    assert receipt is not None
    learn(ward, tmp_path)
    assert fates(replay(ward, receipt, base=ward.hospital.base)) == ["applied"]
    assert ward.records() == [{"assessed_on": "2026-02-01", "ecog": 2}]
    before = ward.state()
    assert ward.pull().counts["applied"] == 0
    assert ward.state() == before


def test_an_error_is_withdrawn_by_what_its_resource_gave_whatever_it_says_now(ward: Ward) -> None:
    ward.push(score(3, id="o1"))
    stripped = {"identifier": {"system": "urn:oid:2.999.4", "value": "nobody"}}
    ward.push(score(3, id="o1", status="entered-in-error", subject=stripped))
    assert ward.records() == []


def test_what_was_taken_keeps_its_answer_in_a_replay(ward: Ward, tmp_path: Path) -> None:
    first = ward.push(score(3, id="s1"), UNKNOWN)
    ward.push(score(5, id="s1", status="corrected"))
    learn(ward, tmp_path)
    again = replay(ward, first)
    assert fates(again) == ["applied", "applied"]
    assert again.entries[0].answer == first.entries[0].answer
    assert str(again.entries[0].answer).startswith("201|")
