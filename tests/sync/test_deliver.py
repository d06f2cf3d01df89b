"""Delivery to a sandbox hospital: each score there once, whatever the server answers or loses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Request, Response

from fhirbridge.formats import fhir_json
from fhirbridge.registry.deliveries import Delivery
from fhirbridge.registry.runs import Run
from fhirbridge.sync.deliver import Deliver
from fhirbridge.sync.delivery.certificate import STATES, ties
from tests.sync.ward import JSON, Ward, chart, patient
from tests.web.sender import score

CREATE, UPDATE, READ = "POST /fhir/Observation", "PUT /fhir/Observation", "GET /fhir/Observation/"


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    """S-1 is known there as p1; one score of the study waits to be delivered."""
    with Ward.open(tmp_path, patient()) as made:
        made.enrol()
        assert made.pull().state == "complete"
        made.push(score(3, id="o1"))
        made.sandbox.requests.clear()
        yield made


def delivery(ward: Ward) -> Delivery:
    with ward.registry.read(ward.site_id) as unit:
        return unit.deliveries.of_connection(ward.hospital.connection.id)[0]


def ends(run: Run) -> dict[str, int]:
    """What became of what was outstanding; the counts tie."""
    assert ties(run), run.counts
    return {name: number for name, number in run.counts.items() if name in STATES and number}


def values(ward: Ward) -> list[tuple[int, str]]:
    return [(o["valueInteger"], o["meta"]["versionId"]) for o in ward.there()]


def test_a_score_is_created_read_back_and_never_sent_again(ward: Ward) -> None:
    run = ward.deliver()
    assert (run.state, ends(run)) == ("complete", {"verified": 1})
    assert values(ward) == [(3, "1")]
    assert ward.there()[0]["subject"] == {"reference": "Patient/p1"}
    ward.sandbox.requests.clear()
    again = ward.deliver()
    assert (again.state, ends(again)) == ("complete", {})
    assert ward.sandbox.requests == []


def test_u9_what_goes_to_a_hospital_is_in_the_audit_trail_once(ward: Ward) -> None:
    ward.deliver()
    ward.deliver()
    with ward.registry.read(ward.site_id) as unit:
        (told,) = (one for one in unit.trail.events() if one.event == "deliver")
        assert unit.records.get(told.entities["record"]) is not None
    assert told.entities["connection"] == ward.hospital.connection.id


def test_e25_a_create_whose_answer_is_lost_is_repeated_in_the_run(ward: Ward) -> None:
    ward.sandbox.fail(CREATE, served=True)
    assert ward.deliver().state == "complete"
    assert values(ward) == [(3, "1")]
    assert len(ward.writes) == 2


def test_e25_a_create_whose_answers_are_all_lost_is_found_by_the_next_run(ward: Ward) -> None:
    ward.attempts(1)
    ward.sandbox.fail(CREATE, served=True)
    assert ends(ward.deliver()) == {"pending": 1}
    assert values(ward) == [(3, "1")]
    assert ward.deliver().counts["verified"] == 1
    assert values(ward) == [(3, "1")]


def test_e25_an_update_whose_answer_is_lost_is_found_by_the_next_run(ward: Ward) -> None:
    ward.deliver()
    ward.push(score(5, id="o1"))
    ward.sandbox.fail(UPDATE, served=True)
    run = ward.deliver()
    assert (run.state, "outcome unknown" in run.reasons[0]) == ("incomplete", True)
    ward.sandbox.requests.clear()
    assert ward.deliver().counts["verified"] == 1
    assert values(ward) == [(5, "2")]
    assert ward.writes == []


def test_a_409_on_create_is_repeated(ward: Ward) -> None:
    ward.sandbox.fail(CREATE, status=409, times=2)
    assert ward.deliver().state == "complete"
    assert values(ward) == [(3, "1")]


def test_a_409_that_outlasts_the_repetitions_waits_for_the_next_run(ward: Ward) -> None:
    ward.sandbox.fail(CREATE, status=409, times=4)
    run = ward.deliver()
    assert (run.state, ends(run)) == ("incomplete", {"pending": 1})
    assert ward.deliver().state == "complete"
    assert values(ward) == [(3, "1")]


def test_an_element_that_the_server_drops_is_a_conflict_named_by_its_path(ward: Ward) -> None:
    def dropping(request: Request) -> Response:
        kept = {name: part for name, part in ward.there()[0].items() if name != "category"}
        return Response(fhir_json.dump(kept), 200, {**JSON, "ETag": 'W/"1"'})

    ward.sandbox.fail(READ, hook=dropping, times=2)
    run = ward.deliver()
    assert (run.state, ends(run)) == ("incomplete", {"conflict": 1})
    assert [issue.expression for issue in delivery(ward).issues] == ["category[0]"]


def test_a_refusal_is_dead_with_its_cause_until_the_record_changes(ward: Ward) -> None:
    told = fhir_json.dump(
        {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "value", "diagnostics": "no scores here"}]}
    )  # fmt: skip
    ward.sandbox.fail(CREATE, status=422, headers=JSON, body=told)
    run = ward.deliver()
    assert (run.state, ends(run)) == ("incomplete", {"dead": 1})
    assert "no scores here" in delivery(ward).issues[0].cause
    ward.sandbox.requests.clear()
    again = ward.deliver()
    assert (again.state, ends(again)) == ("incomplete", {})
    assert "no scores here" in again.reasons[0]
    assert ward.sandbox.requests == []
    ward.push(score(4, id="o1"))
    assert ward.deliver().state == "complete"
    assert values(ward) == [(4, "1")]


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_failing_login_or_server_kills_no_delivery(ward: Ward, status: int) -> None:
    ward.sandbox.fail(CREATE, status=status)
    run = ward.deliver()
    assert (run.state, ends(run)) == ("incomplete", {"pending": 1})
    assert str(status) in run.reasons[0]
    assert ward.deliver().state == "complete"


def test_a_patient_who_is_not_known_there_gets_nothing(ward: Ward) -> None:
    ward.enrol("S-2", "4712")
    ward.push(
        score(6, id="o2", subject={"identifier": {"system": "urn:oid:2.999.4", "value": "4712"}})
    )
    run = ward.deliver()
    assert ends(run) == {"verified": 1, "withheld": 1}
    assert run.reasons == ("S-2: 0 patients there; pull first",)


def test_a_patient_whose_identifier_was_corrected_away_gets_nothing(ward: Ward) -> None:
    ward.put(patient("9999"))
    run = ward.pull()
    assert (run.state, "is not found now" in run.reasons[0]) == ("incomplete", True)
    assert ends(ward.deliver()) == {"withheld": 1}
    assert ward.there() == []


def test_a_patient_of_whom_there_are_two_gets_nothing(ward: Ward) -> None:
    ward.put(patient("4711", "p2"))
    assert ward.pull().state == "incomplete"
    assert ends(ward.deliver()) == {"withheld": 1}
    assert ward.there() == []


def forgotten(ward: Ward) -> None:
    """The registry loses what it knows of its delivery, as after a restore from a backup."""
    with ward.registry.unit(ward.site_id) as unit:
        known = unit.deliveries.of_connection(ward.hospital.connection.id)[0]
        unit.deliveries.put(
            ward.hospital.connection.id, known.resource_id,
            state="pending", remote_id=None, remote_version=None, sent_sha256=None,
        )  # fmt: skip
        unit.commit()
    ward.sandbox.requests.clear()


def test_an_equal_resource_that_is_there_is_learned_and_not_written(ward: Ward) -> None:
    ward.deliver()
    forgotten(ward)
    assert ward.deliver().counts["verified"] == 1
    assert ward.writes == ["POST 200"]
    assert values(ward) == [(3, "1")]
    assert delivery(ward).remote_id == ward.there()[0]["id"]


def test_a_different_resource_that_is_there_is_updated_once_over_its_version(ward: Ward) -> None:
    ward.deliver()
    ward.put({**ward.there()[0], "valueInteger": 9})
    forgotten(ward)
    assert ward.deliver().counts["verified"] == 1
    assert ward.writes == ["POST 200", "PUT 200"]
    put = next(r for r in ward.sandbox.requests if r.method == "PUT")
    assert put.headers["If-Match"] == 'W/"2"'
    assert values(ward) == [(3, "3")]


@pytest.mark.parametrize("status", [409, 412])
def test_a_foreign_change_in_between_is_a_conflict(tmp_path: Path, status: int) -> None:
    """The hospital writes after we looked and before our update: only If-Match sees it."""
    with Ward.open(tmp_path, patient(), stale_status=status) as ward:
        ward.enrol()
        ward.pull()
        ward.push(score(3, id="o1"))
        ward.deliver()
        ward.push(score(5, id="o1"))

        def first(request: Request) -> None:
            body = fhir_json.dump({**ward.there()[0], "valueInteger": 7})
            with ward.sandbox.app.test_client() as staff:
                assert staff.put(request.path, data=body, headers=JSON).status_code == 200

        ward.sandbox.fail(UPDATE, hook=first)
        assert ends(ward.deliver()) == {"conflict": 1}
        assert values(ward) == [(7, "2")]
        assert [r.status for r in ward.sandbox.requests if r.method == "PUT"][-1] == status


def test_a_foreign_change_that_is_seen_before_is_not_run_over(ward: Ward) -> None:
    ward.deliver()
    ward.put({**ward.there()[0], "valueInteger": 7})
    ward.push(score(5, id="o1"))
    run = ward.deliver()
    assert "was changed there since version 1" in run.reasons[0]
    assert "PUT 409" not in ward.writes  # not every server looks at If-Match
    assert values(ward) == [(7, "2")]


def test_what_was_deleted_there_is_not_made_again(ward: Ward) -> None:
    ward.deliver()
    ward.delete(f"Observation/{ward.there()[0]['id']}")
    ward.push(score(5, id="o1"))
    run = ward.deliver()
    assert (run.state, ends(run)) == ("incomplete", {"conflict": 1})
    assert "deleted there" in run.reasons[0]
    assert ward.there() == []


def test_a_deletion_before_the_read_back_does_not_stop_the_others(ward: Ward) -> None:
    ward.push(score(4, "pain-nrs-activity", id="o2"))
    gone = 'HTTP "gone"'
    ward.sandbox.fail(READ, status=410, times=1, body=gone)
    run = ward.deliver()
    assert ends(run) == {"conflict": 1, "verified": 1}


def test_a_read_back_that_fails_is_read_again_and_nothing_is_written(ward: Ward) -> None:
    made: list[str] = []

    def second(request: Request) -> Response | None:
        made.append(request.path)
        return Response(b"", 500) if len(made) == 2 else None

    ward.sandbox.fail(READ, hook=second, times=2)
    assert ends(ward.deliver()) == {"pending": 1}
    ward.sandbox.requests.clear()
    assert ends(ward.deliver()) == {"verified": 1}
    assert [r.method for r in ward.sandbox.requests] == ["GET"]


def test_what_came_from_there_is_not_sent_back(tmp_path: Path) -> None:
    with Ward.open(tmp_path, patient(), chart("e1")) as ward:
        ward.enrol()
        ward.pull()
        run = ward.deliver()
        assert (run.state, ends(run)) == ("complete", {"withheld": 1})
        assert ward.writes == []


def test_a_delivered_score_that_was_withdrawn_here_is_entered_in_error_there(ward: Ward) -> None:
    ward.deliver()
    ward.push(score(3, id="o1", status="entered-in-error"))
    run = ward.deliver()
    assert (run.state, ends(run)) == ("complete", {"verified": 1})
    assert [(o["status"], o["meta"]["versionId"]) for o in ward.there()] == [
        ("entered-in-error", "2")
    ]
    ward.sandbox.requests.clear()
    assert ends(ward.deliver()) == {}
    assert ward.sandbox.requests == []


def test_a_score_that_is_final_again_is_final_there_again(ward: Ward) -> None:
    ward.deliver()
    ward.push(score(3, id="o1", status="entered-in-error"))
    ward.deliver()
    ward.push(score(3, id="o1", status="corrected"))
    assert ends(ward.deliver()) == {"verified": 1}
    assert [(o["status"], o["valueInteger"]) for o in ward.there()] == [("final", 3)]


def test_a_withdrawal_does_not_run_over_what_was_changed_there(ward: Ward) -> None:
    ward.deliver()
    ward.put({**ward.there()[0], "valueInteger": 7})
    ward.push(score(3, id="o1", status="entered-in-error"))
    for _ in range(2):
        run = ward.deliver()
        assert run.state == "incomplete"
        assert "was changed there" in run.reasons[0]
    assert [(o["status"], o["valueInteger"]) for o in ward.there()] == [("final", 7)]


def test_what_was_refused_there_and_withdrawn_here_is_settled(ward: Ward) -> None:
    """It never arrived: no entered-in-error resource is made of it, and nobody is told for ever."""
    ward.sandbox.fail(CREATE, status=422)
    assert ward.deliver().state == "incomplete"
    ward.push(score(3, id="o1", status="entered-in-error"))
    ward.sandbox.requests.clear()
    run = ward.deliver()
    assert (run.state, ends(run)) == ("complete", {})
    assert ward.sandbox.requests == []


def test_what_a_killed_run_counted_and_found_is_in_its_end(ward: Ward) -> None:
    """The first score is refused, then the process ends: the run is taken up and tells both."""
    ward.push(score(4, "pain-nrs-activity", id="o2"))
    ward.sandbox.fail(CREATE, status=422)

    def ending(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt, match="dead"):
        Deliver(ward.hospital, tell=ending).run()
    run = ward.deliver()
    assert (run.state, ends(run)) == ("incomplete", {"dead": 1, "verified": 1})
