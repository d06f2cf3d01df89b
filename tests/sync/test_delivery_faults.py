"""Deliveries that wait, end and are tried again; what a server lets us write. Over sockets, with a
sandbox hospital that fails on demand.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Request, Response

from fhirbridge.formats import fhir_json
from fhirbridge.registry.deliveries import Delivery
from fhirbridge.registry.faults import Collision, collision
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import resend
from fhirbridge.sync.deliver import Deliver
from tests.sync.test_deliver import CREATE, READ, UPDATE, ends, values
from tests.sync.ward import JSON, Ward, patient
from tests.web.sender import score

SEARCH, METADATA = "GET /fhir/Observation?identifier", "GET /fhir/metadata"


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    """S-1 is known there as p1; two scores of the study wait to be delivered."""
    with Ward.open(tmp_path, patient()) as made:
        made.enrol()
        made.pull()
        made.push(score(3, id="o1"), score(4, "pain-nrs-activity", id="o2"))
        made.sandbox.requests.clear()
        yield made


def deliveries(ward: Ward) -> list[Delivery]:
    with ward.registry.read(ward.site_id) as unit:
        return unit.deliveries.of_connection(ward.hospital.connection.id)


def retry(ward: Ward, **which: Any) -> int:
    with ward.registry.unit(ward.site_id) as unit:
        tried = resend.retry(unit, resend.Which(**which), actor="person:nurse")
        unit.commit()
    return len(tried.items)


def later(ward: Ward, **time: float) -> None:
    ward.clock.ahead += timedelta(**time)
    ward.sandbox.requests.clear()


def refusal(code: str, *expressions: str) -> bytes:
    issue = {"severity": "error", "code": code, "expression": [*expressions]}
    return fhir_json.dump({"resourceType": "OperationOutcome", "issue": [issue]})


def statement(**observation: Any) -> bytes:
    """A CapabilityStatement that says this of Observations."""
    told = {"type": "Observation", "interaction": [{"code": "create"}, {"code": "update"}]}
    rest = [{"mode": "server", "resource": [{**told, **observation}]}]
    return fhir_json.dump({"resourceType": "CapabilityStatement", "rest": rest})


@pytest.mark.parametrize("status", [429, 503])
def test_e01_who_asks_for_rest_is_left_alone_and_the_run_ends(ward: Ward, status: int) -> None:
    ward.sandbox.fail(CREATE, status=status, headers={"Retry-After": "7200"})
    run = ward.deliver()
    assert (run.state, ends(run)) == ("incomplete", {"pending": 2})
    assert len(ward.writes) == 1
    later(ward, minutes=119)
    assert ends(ward.deliver()) == {"pending": 2}
    assert ward.sandbox.requests == []
    later(ward, minutes=2)
    assert ends(ward.deliver()) == {"verified": 2}


def test_e01_a_rest_of_days_is_followed_for_hours(ward: Ward) -> None:
    ward.sandbox.fail(CREATE, status=429, headers={"Retry-After": "999999"})
    ward.deliver()
    later(ward, hours=12, minutes=1)
    assert ends(ward.deliver()) == {"verified": 2}


def test_one_that_fails_each_time_waits_longer_and_longer_and_dies_alone(ward: Ward) -> None:
    ward.set(delivery_tries="4")

    def poisoned(request: Request) -> Response | None:
        return Response(b"", 500) if b"pain-nrs-rest" in request.get_data() else None

    ward.sandbox.fail("POST /fhir/Observation", hook=poisoned, times=99)
    assert ends(ward.deliver()) == {"pending": 1, "verified": 1}
    for minutes in (0, 1, 2):
        if minutes:
            assert ends(ward.deliver()) == {"pending": 1}  # it is not its time yet
            assert ward.writes == []
        later(ward, minutes=minutes)
        run = ward.deliver()
        assert ward.writes == ["POST 500"]
        ward.sandbox.requests.clear()
    assert ends(run) == {"dead": 1}
    assert [d.cause for d in deliveries(ward) if d.state == "dead"] == ["exhausted"]
    later(ward, days=9)
    assert ends(ward.deliver()) == {}
    assert retry(ward, state="dead", cause="exhausted") == 1
    assert ends(ward.deliver()) == {"pending": 1}


@pytest.mark.parametrize("status", [401, 403])
def test_a_login_that_fails_for_weeks_kills_nothing(ward: Ward, status: int) -> None:
    ward.set(delivery_tries="1")
    ward.sandbox.fail("/fhir/Observation", status=status, times=9)
    for _ in range(4):
        assert ends(ward.deliver()) == {"pending": 2}
    later(ward, minutes=1)
    ward.sandbox.fail("/fhir/Observation", status=status, times=0)
    assert {d.failures for d in deliveries(ward)} == {0}


def test_e05_a_server_that_is_away_is_not_asked_for_each_resource(ward: Ward) -> None:
    for month in range(4, 8):
        ward.push(score(5, id=f"m{month}", effectiveDateTime=f"2026-0{month}-01"))
    ward.attempts(1)
    ward.sandbox.fail("/fhir/Observation", times=99)
    run = ward.deliver()
    assert run.state == "incomplete"
    assert len([r for r in ward.sandbox.requests if "Observation" in r.path]) == 3
    assert ends(run) == {"pending": 6}


def test_e16_two_processes_at_once_make_one_resource(ward: Ward) -> None:
    """The second one runs while the first one's create is under way."""

    def meanwhile(request: Request) -> None:
        Deliver(ward.beside()).run()

    ward.sandbox.fail(CREATE, hook=meanwhile)
    ward.deliver()
    assert sorted(v for v, _ in values(ward)) == [3, 4]
    assert {d.state for d in deliveries(ward)} == {"verified"}


def test_e16_what_another_process_sent_since_we_looked_is_not_sent_again(ward: Ward) -> None:
    """The second one runs between the first one's list of work and its first claim."""

    def meanwhile(request: Request) -> None:
        Deliver(ward.beside()).run()

    ward.sandbox.fail(METADATA, hook=meanwhile)
    ward.deliver()
    assert ward.writes == ["POST 201", "POST 201"]
    assert {d.attempts for d in deliveries(ward)} == {1}


def test_e16_nor_do_they_where_the_server_knows_no_condition(ward: Ward) -> None:
    def ignoring(request: Request) -> None:
        request.environ.pop("HTTP_IF_NONE_EXIST", None)

    told: list[dict[str, int]] = []

    def meanwhile(request: Request) -> None:
        told.append(dict(Deliver(ward.beside()).run().counts))

    ward.sandbox.fail(METADATA, status=200, headers=JSON, body=statement())
    ward.sandbox.fail(SEARCH, hook=meanwhile)
    ward.sandbox.fail(CREATE, hook=ignoring, times=9)
    ward.deliver()
    assert sorted(v for v, _ in values(ward)) == [3, 4]
    assert told[0]["pending"] == 1  # the one that the other had claimed
    assert {d.state for d in deliveries(ward)} == {"verified"}


def test_what_a_killed_process_made_is_found_where_the_server_knows_no_condition(
    ward: Ward,
) -> None:
    ward.sandbox.fail(METADATA, status=200, headers=JSON, body=statement(conditionalCreate=False))
    ward.attempts(1)
    ward.sandbox.fail(CREATE, served=True, times=9)
    assert ends(ward.deliver()) == {"pending": 2}
    assert all("If-None-Exist" not in r.headers for r in ward.sandbox.requests)
    later(ward, minutes=4)
    assert ends(ward.deliver()) == {"pending": 2}  # another process may still be at it
    later(ward, minutes=2)
    assert ends(ward.deliver()) == {"verified": 2}
    assert ward.writes == []
    assert len(values(ward)) == 2


def test_two_that_bear_our_identifier_are_a_conflict(ward: Ward) -> None:
    ward.sandbox.fail(METADATA, status=200, headers=JSON, body=statement())
    ward.deliver()
    twin = {**ward.there()[0], "id": "twin"}
    ward.put(twin)
    with ward.registry.unit(ward.site_id) as unit:
        for one in deliveries(ward):
            unit.deliveries.put(one.connection_id, one.resource_id, remote_id=None, state="pending")
        unit.commit()
    later(ward, minutes=6)
    assert ends(ward.deliver()) == {"conflict": 1, "verified": 1}
    assert ward.writes == []


def test_a_refused_condition_is_learned_and_the_server_searched_from_then_on(ward: Ward) -> None:
    def refusing(request: Request) -> Response | None:
        known = "If-None-Exist" in request.headers
        return Response(refusal("not-supported"), 400, JSON) if known else None

    ward.sandbox.fail(CREATE, hook=refusing, times=9)
    run = ward.deliver()
    assert (run.state, ends(run)) == ("incomplete", {"pending": 1, "verified": 1})
    assert ends(ward.deliver()) == {"verified": 1}
    assert sorted(v for v, _ in values(ward)) == [3, 4]


def test_what_the_server_does_not_offer_is_not_sent_until_it_is_forgotten(ward: Ward) -> None:
    only = statement(interaction=[{"code": "read"}])
    ward.sandbox.fail(METADATA, status=200, headers=JSON, body=only)
    run = ward.deliver()
    assert (run.state, ends(run)) == ("incomplete", {"dead": 2})
    assert "does not offer it" in run.reasons[0]
    assert ward.writes == []
    ward.sandbox.requests.clear()
    assert ends(ward.deliver()) == {}
    assert ward.sandbox.requests == []
    with ward.registry.unit(ward.site_id) as unit:
        unit.writability.forget(ward.hospital.connection.id)
        unit.commit()
    assert retry(ward, cause="not-writable") == 2
    assert ends(ward.deliver()) == {"verified": 2}


def test_what_is_not_offered_is_tried_where_the_site_says_so(ward: Ward) -> None:
    ward.set(writes="tried")
    only = statement(interaction=[{"code": "read"}])
    ward.sandbox.fail(METADATA, status=200, headers=JSON, body=only)
    assert ends(ward.deliver()) == {"verified": 2}


def test_a_405_is_learned(ward: Ward) -> None:
    ward.sandbox.fail(CREATE, status=405)
    assert ends(ward.deliver()) == {"dead": 2}
    assert len(ward.writes) == 1


def test_what_was_refused_three_times_in_a_row_for_one_reason_is_not_sent_a_fourth_time(
    ward: Ward,
) -> None:
    for month in range(4, 9):
        ward.push(score(5, id=f"m{month}", effectiveDateTime=f"2026-0{month}-01"))

    def twice(request: Request) -> Response | None:
        body = refusal("business-rule", "Observation.code.coding[1]")
        return Response(body, 422, JSON) if b"pain-nrs-rest" in request.get_data() else None

    ward.sandbox.fail(CREATE, hook=twice, times=99)
    run = ward.deliver()
    assert ends(run) == {"dead": 6, "verified": 1}  # of another block
    assert ward.writes.count("POST 422") == 3
    assert any("422 Observation.code.coding" in reason for reason in run.reasons)
    ward.sandbox.fail(CREATE, times=0)
    assert retry(ward, state="dead") == 6


def test_a_refusal_of_a_value_is_forgotten_when_another_one_is_taken(ward: Ward) -> None:
    for number in range(4):
        ward.push(score(5, id=f"m{number}", effectiveDateTime=f"2026-0{number + 4}-01"))
        ward.sandbox.fail(CREATE, status=422, headers=JSON, body=refusal("value"))
        assert ends(ward.deliver())["dead"] == 1


def test_a_change_in_between_that_only_added_is_merged_and_written_once(ward: Ward) -> None:
    ward.deliver()
    ward.push(score(5, id="o1"))

    def first(request: Request) -> None:
        id = request.path.rsplit("/", 1)[-1]
        held = next(one for one in ward.there() if one["id"] == id)
        body = fhir_json.dump({**held, "note": [{"text": "seen"}]})
        with ward.sandbox.app.test_client() as staff:
            assert staff.put(request.path, data=body, headers=JSON).status_code == 200

    ward.sandbox.fail(UPDATE, hook=first)
    assert ends(ward.deliver()) == {"verified": 1}
    changed = next(one for one in ward.there() if one["valueInteger"] == 5)
    assert changed["note"] == [{"text": "seen"}]


@pytest.mark.parametrize(("merge", "end"), [("yes", "verified"), ("no", "conflict")])
def test_what_staff_added_there_survives_our_update_or_stops_it(
    ward: Ward, merge: str, end: str
) -> None:
    ward.set(merge=merge)
    ward.deliver()
    mine = next(one for one in ward.there() if one["valueInteger"] == 3)
    coding = {"system": "urn:local", "code": "NRS"}
    mine["code"]["coding"].append(coding)
    ward.put({**mine, "note": [{"text": "seen"}]})
    ward.push(score(5, id="o1"))
    assert ends(ward.deliver()) == {end: 1}
    there = next(one for one in ward.there() if one["id"] == mine["id"])
    assert coding in there["code"]["coding"]
    assert there["note"] == [{"text": "seen"}]
    assert there["valueInteger"] == (5 if end == "verified" else 3)


def test_a_server_without_versions_is_compared_by_content(ward: Ward) -> None:
    def bare(request: Request) -> Response | None:
        id = request.path.rsplit("/", 1)[-1]
        held = next(one for one in ward.there() if one["id"] == id)
        held["meta"] = {"profile": held["meta"].get("profile", [])}
        return Response(fhir_json.dump(held), 200, JSON)

    said = statement(conditionalCreate=True, versioning="no-version")
    ward.sandbox.fail(METADATA, status=200, headers=JSON, body=said)
    ward.sandbox.fail(READ, hook=bare, times=99)
    assert ends(ward.deliver()) == {"verified": 2}
    ward.push(score(5, id="o1"))
    assert ends(ward.deliver()) == {"verified": 1}
    assert not any("If-Match" in r.headers for r in ward.sandbox.requests)
    ward.put({**next(o for o in ward.there() if o["valueInteger"] == 5), "valueInteger": 9})
    ward.push(score(6, id="o1"))
    assert ends(ward.deliver()) == {"conflict": 1}
    assert sorted(v for v, _ in values(ward)) == [4, 9]


def test_over_what_was_changed_there_only_when_a_person_says_so(ward: Ward) -> None:
    ward.deliver()
    ward.put({**next(o for o in ward.there() if o["valueInteger"] == 3), "valueInteger": 9})
    ward.push(score(5, id="o1"))
    assert ends(ward.deliver()) == {"conflict": 1}
    assert retry(ward, state="conflict") == 1
    assert ends(ward.deliver()) == {"conflict": 1}
    assert retry(ward, state="conflict", cause="overtaken", over=True) == 1
    assert ends(ward.deliver()) == {"verified": 1}
    assert sorted(v for v, _ in values(ward)) == [4, 5]


def test_what_was_deleted_there_is_made_again_only_when_a_person_says_so(ward: Ward) -> None:
    ward.deliver()
    gone = next(o for o in ward.there() if o["valueInteger"] == 3)
    ward.delete(f"Observation/{gone['id']}")
    ward.push(score(5, id="o1"))
    assert ends(ward.deliver()) == {"conflict": 1}
    assert retry(ward, cause="gone", over=True) == 1
    assert ends(ward.deliver()) == {"verified": 1}
    assert sorted(v for v, _ in values(ward)) == [4, 5]


def test_what_is_verified_is_not_tried_again(ward: Ward) -> None:
    ward.deliver()
    assert retry(ward) == 0


def test_u9_who_lets_it_be_tried_again_is_in_the_trail(ward: Ward) -> None:
    ward.sandbox.fail(CREATE, status=422, times=2)
    ward.deliver()
    assert retry(ward, state="dead") == 2
    with ward.registry.read(ward.site_id) as unit:
        (told,) = (one for one in unit.trail.events() if one.event == "delivery.retry")
        subject = unit.subjects.by_study_id("S-1")
    assert told.actor == "person:nurse"
    assert len(told.entities["deliveries"]) == 2
    assert subject is not None
    assert told.entities["subjects"] == [subject.id]


def test_e17_a_transaction_that_collides_is_begun_again(ward: Ward) -> None:
    left = [1, 2]

    def colliding(unit: Unit) -> str:
        if left and left.pop():
            raise collision()
        return "done"

    run = Deliver(ward.hospital)
    assert run.written(colliding) == "done"
    left += range(1, 9)
    with pytest.raises(Collision):
        run.written(colliding)
