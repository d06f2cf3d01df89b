"""A person decides what waits; the record keeps who and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirbridge.app import create_app
from fhirbridge.outcome import BridgeError
from fhirbridge.sync import review
from tests import databases
from tests.web.sender import Sender, lesion, score


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Sender]:
    """Two clients of one site say 3 and 8 of the same score."""
    sender = Sender.at(create_app(databases.settings(tmp_path / "data")), "alpha")
    sender.enrol("S-1", "4711")
    sender.push(score(3, id="o1"))
    Sender.at(sender.app, "alpha", client="second").push(score(8, id="x9"))
    yield sender
    sender.service.registry.close()


def decide(door: Sender, *, accept: bool) -> None:
    mappings = door.service.library.of_site(door.site)
    with door.service.registry.unit(door.site_id) as unit:
        one = unit.proposals.waiting()[0]
        if accept:
            review.accept(unit, mappings, one.id, by="nurse", reason="asked the patient")
        else:
            review.refuse(unit, one.id, by="nurse", reason="told")
        unit.commit()


def test_an_accepted_proposal_is_a_revision_with_name_and_reason(door: Sender) -> None:
    decide(door, accept=True)
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_rest": 8}]
    with door.service.registry.read(door.site_id) as unit:
        record = unit.records.all("assessment")[0]
        last = unit.records.revisions(record.id)[-1]
        assert unit.proposals.waiting() == []
    assert (last.actor, last.reason) == ("person:nurse", "asked the patient")
    assert last.changes == {"pain_rest": [3, 8]}
    assert door.waiting() == 0
    served = door("GET", "/fhir/Observation").get_json()["entry"][0]["resource"]
    assert (served["valueInteger"], served["meta"]["versionId"]) == (8, "2")


def test_after_the_decision_the_accepted_source_may_correct_it_and_the_other_may_not(
    door: Sender,
) -> None:
    decide(door, accept=True)
    door.push(score(2, id="o1"))
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_rest": 8}]
    assert door.waiting() == 1


def test_a_refused_proposal_leaves_the_record(door: Sender) -> None:
    decide(door, accept=False)
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_rest": 3}]
    assert door.waiting() == 0


def test_a_decision_is_made_once(door: Sender) -> None:
    with door.service.registry.read(door.site_id) as unit:
        id_ = unit.proposals.waiting()[0].id
    decide(door, accept=False)
    with (
        door.service.registry.unit(door.site_id) as unit,
        pytest.raises(BridgeError, match="no waiting"),
    ):
        review.refuse(unit, id_, by="nurse", reason="told")


def test_an_upper_bound_of_a_date_waits_for_a_person(door: Sender) -> None:
    """recordedDate says when it was written down, not when it was diagnosed."""
    door.push(lesion(recordedDate="2026-01-05"))
    assert door.records("lesion") == [{"lesion_id": "L-1", "bone": "femur"}]
    with door.service.registry.unit(door.site_id) as unit:
        one = next(p for p in unit.proposals.waiting() if p.field == "diagnosed_on")
        review.accept(
            unit, door.service.library.of_site(door.site), one.id, by="nurse", reason="chart"
        )
        unit.commit()
    assert door.records("lesion")[0]["diagnosed_on"] == "2026-01-05"
