"""Servers that fail, lie and repeat themselves (E1-E15): after each fault the ledger ties, and the
registry is what the hospital holds. All persons and values are synthetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.registry.faults import collision
from fhirbridge.sandbox.server import Hospital as Sandbox
from fhirbridge.servers.retry import ComeBack
from fhirbridge.sync.pulling.round import repeated
from tests.sync import truth
from tests.sync.ward import Ward, chart, patient


def score(day: int, value: int = 2, **more: object) -> dict[str, object]:
    return chart(f"e{day}", value, effectiveDateTime=f"2026-02-{day:02d}", **more)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Ward.open(tmp_path, patient(), *(score(day) for day in range(1, 6))) as made:
        made.enrol()
        yield made


def asked(ward: Ward, part: str = "GET /fhir/Observation") -> list[str]:
    lines = [f"{one.method} {one.path}" for one in ward.sandbox.requests]
    return [line for line in lines if part in line]


def test_e1_a_server_that_asks_to_come_later_is_left_alone_until_then(
    ward: Ward, tmp_path: Path
) -> None:
    ward.attempts(1)
    ward.sandbox.suffer("status=429 GET /fhir?_getpages Retry-After=18000")
    with pytest.raises(ComeBack) as told:
        ward.pull(page_size=2)
    assert told.value.not_before is not None
    before = len(ward.sandbox.requests)
    with pytest.raises(ComeBack):
        ward.pull(page_size=2)
    assert len(ward.sandbox.requests) == before
    late = told.value.not_before + timedelta(seconds=1)
    later = replace(ward.hospital, registry=_at(ward, late))
    ward.hospital = later
    assert ward.pull(page_size=2).state == "complete"
    truth.holds(ward, tmp_path, "p1")


def _at(ward: Ward, moment: datetime) -> object:
    """The registry with another clock."""
    made = ward.registry
    made._clock = lambda: moment
    return made


def test_e3_one_type_that_is_forbidden_stops_no_other(ward: Ward, tmp_path: Path) -> None:
    ward.sandbox.suffer("status=403 GET /fhir/Condition")
    run = ward.pull()
    assert run.state == "incomplete"
    assert ["Condition" in reason and "403" in reason for reason in run.reasons] == [True]
    assert ward.pull().state == "complete"
    truth.holds(ward, tmp_path, "p1")


@pytest.mark.parametrize("fault", ["truncate", "short", "html"])
def test_e4_of_a_broken_page_nothing_is_taken(ward: Ward, tmp_path: Path, fault: str) -> None:
    ward.attempts(1)
    ward.sandbox.suffer(f"{fault} GET /fhir?_getpages times=1")
    run = ward.pull(page_size=2)
    assert (run.state, run.counts["Observation/applied"]) == ("incomplete", 2)
    assert ward.pull(page_size=2).state == "complete"
    truth.holds(ward, tmp_path, "p1")


def test_e5_a_connection_that_is_cut_is_tried_again(ward: Ward, tmp_path: Path) -> None:
    ward.sandbox.suffer("cut GET /fhir/Observation", "cut GET /fhir?_getpages")
    assert ward.pull(page_size=2).state == "complete"
    truth.holds(ward, tmp_path, "p1")


def test_e6_what_comes_twice_is_one(ward: Ward, tmp_path: Path) -> None:
    ward.sandbox.suffer("twice GET /fhir/Observation", "twice GET /fhir?_getpages times=9")
    run = ward.pull(page_size=2)
    assert (run.state, run.counts["Observation/applied"]) == ("complete", 5)
    with ward.registry.read(ward.site_id) as unit:
        assert {len(unit.records.revisions(r.id)) for r in unit.records.all("assessment")} == {1}
    truth.holds(ward, tmp_path, "p1")


@pytest.mark.parametrize("fault", ["loop", "endless"])
def test_e7_pages_without_an_end_end_the_search(ward: Ward, tmp_path: Path, fault: str) -> None:
    ward.sandbox.suffer(f"{fault} GET /fhir/Observation")
    run = ward.pull()
    assert run.state == "incomplete"
    assert len(asked(ward)) < 8
    ward.sandbox.recover()
    assert ward.pull().state == "complete"
    truth.holds(ward, tmp_path, "p1")


def test_e8_what_slipped_between_two_pages_is_found_by_a_full_pull(
    ward: Ward, tmp_path: Path
) -> None:
    ward.set(overlap="0")
    ward.sandbox.suffer("without=1 GET /fhir?_getpages 1")
    ward.pull(page_size=2)
    assert len(ward.records()) == 4
    assert ward.pull(full=True).state == "complete"
    truth.holds(ward, tmp_path, "p1")


class Clock:
    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def timed(tmp_path: Path) -> Iterator[tuple[Ward, Clock]]:
    """A hospital whose clock the test moves."""
    clock = Clock()
    with Ward.open(tmp_path, patient(), score(1), clock=clock) as made:
        made.enrol()
        made.hospital = replace(made.hospital, server=replace(made.hospital.server, clock=clock))
        yield made, clock


@pytest.mark.parametrize("ahead", [-600, 600])
@pytest.mark.parametrize("then", [-600, 0, 600])
def test_e9_no_clock_that_is_wrong_or_set_loses_an_update(
    timed: tuple[Ward, Clock], tmp_path: Path, ahead: int, then: int
) -> None:
    ward, clock = timed
    ward.sandbox.suffer(f"clock {ahead}")
    ward.put(score(2))
    first = ward.pull()
    assert first.facts["drift"] in range(ahead - 2, ahead + 3)
    clock.moment += timedelta(seconds=20)
    ward.sandbox.suffer(f"clock {then}")
    ward.put(score(3))
    clock.moment += timedelta(seconds=1200)
    run = ward.pull()
    assert (run.state, run.facts["full"]) == ("complete", ahead != then)
    truth.holds(ward, tmp_path, "p1")


def test_e9_an_increment_asks_from_the_servers_own_time_on(timed: tuple[Ward, Clock]) -> None:
    ward, clock = timed
    ward.pull()
    clock.moment += timedelta(days=1)
    ward.put(score(2))
    ward.pull()
    clock.moment += timedelta(days=1)
    before = len(asked(ward))
    ward.pull()
    (question,) = asked(ward)[before:]
    day = (clock.moment - timedelta(days=1, seconds=300)).strftime("%Y-%m-%dT%H%%3A%M")
    assert f"_lastUpdated=ge{day}" in question


def test_e10_coarse_stamps_and_late_commits_lose_nothing(
    timed: tuple[Ward, Clock], tmp_path: Path
) -> None:
    ward, clock = timed
    ward.sandbox.suffer("coarse", "lag 120")
    clock.moment += timedelta(seconds=600)
    ward.put(score(2))
    ward.put(score(3))
    assert ward.pull().counts["Observation/applied"] == 1  # the others do not show yet
    clock.moment += timedelta(seconds=60)
    ward.put(score(4))
    ward.pull()
    clock.moment += timedelta(seconds=130)
    assert ward.pull().state == "complete"
    clock.moment += timedelta(seconds=600)
    truth.holds(ward, tmp_path, "p1")


@pytest.mark.parametrize("ignored", ["patient", "identifier", "_lastUpdated"])
def test_e11_a_server_that_ignores_a_filter_brings_in_no_stranger(
    ward: Ward, tmp_path: Path, ignored: str
) -> None:
    ward.pull()
    ward.put(patient("9999", "stranger"))
    for day in range(10, 13):
        ward.put(score(day, 4, subject={"reference": "Patient/stranger"}))
    ward.sandbox.suffer(f"ignore {ignored}")
    run = ward.pull(full=ignored != "_lastUpdated")
    assert run.state == "complete"
    assert any(f"did not look at {ignored}" in told for told in run.facts["remarks"])
    truth.nothing_of_others(ward, "stranger")
    ward.sandbox.weather.ignored.clear()
    truth.holds(ward, tmp_path, "p1")


def test_e11_pages_of_others_alone_end_the_search(ward: Ward) -> None:
    ward.put(patient("9999", "stranger"))
    for day in range(10, 24):
        ward.put(score(day, 4, subject={"reference": "Patient/stranger"}))
    ward.sandbox.suffer("ignore patient")
    run = ward.pull(page_size=2)
    assert run.state == "incomplete"
    assert any("does not look at the patient" in reason for reason in run.reasons)
    truth.nothing_of_others(ward, "stranger")


def test_e12_without_lastupdated_all_is_read_and_it_is_said(ward: Ward, tmp_path: Path) -> None:
    ward.sandbox.suffer("unlisted _lastUpdated")
    ward.pull()
    ward.put(score(1, 4))
    run = ward.pull()
    assert run.counts["Observation/applied"] == 1
    assert "updates are seen only at a full pull" in run.facts["remarks"][0]
    assert not any("_lastUpdated" in line for line in asked(ward))
    truth.holds(ward, tmp_path, "p1")


@pytest.mark.parametrize(("severity", "state"), [("warning", "complete"), ("error", "incomplete")])
def test_e13_a_servers_error_beside_its_answer_makes_the_run_incomplete(
    ward: Ward, tmp_path: Path, severity: str, state: str
) -> None:
    ward.sandbox.suffer(f"outcome={severity} GET /fhir/Observation")
    run = ward.pull()
    assert (run.state, run.counts["Observation/applied"]) == (state, 5)
    assert any("additional data" in reason for reason in run.reasons) == (severity == "error")
    truth.holds(ward, tmp_path, "p1")


def test_e14_what_nobody_knows_is_kept_and_waits(ward: Ward, tmp_path: Path) -> None:
    stranger = {"url": "https://unknown.example.org/x", "valueString": "y"}
    ward.put(score(6, 3, extension=[stranger]))
    ward.put(score(7, 3, modifierExtension=[stranger]))
    ward.pull()
    assert [held.source_id for held in ward.held()] == ["e7"]
    assert len(ward.records()) == 6
    truth.holds(ward, tmp_path, "p1")


def test_e15_of_many_the_invalid_ones_wait(ward: Ward, tmp_path: Path) -> None:
    ward.sandbox.suffer("invalid=2 GET /fhir/Observation")
    run = ward.pull()
    fates = (run.counts["Observation/applied"], run.counts["Observation/quarantined"])
    assert (run.state, fates) == ("complete", (3, 2))
    assert len(ward.held()) == 2
    ward.pull()
    assert ward.held() == []
    truth.holds(ward, tmp_path, "p1")


def test_a_page_that_collides_in_the_database_is_stored_again() -> None:
    """On PostgreSQL two transactions about one subject may meet."""
    tries = []

    def store() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise collision()
        return "stored"

    assert (repeated(store), len(tries)) == ("stored", 3)
    with pytest.raises(BridgeError):
        repeated(lambda: (_ for _ in ()).throw(collision()))


def test_faults_are_data(tmp_path: Path) -> None:
    hospital = Sandbox([patient(), chart("e1")])
    with pytest.raises(BridgeError) as told:
        hospital.suffer("explode GET /fhir/Observation")
    assert "use one of" in told.value.issues[0].remedy
