"""What of HTTP the audit trail tells: pushes, reading, and who was turned away; ids, and no values."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from fhirbridge.registry.audit import Event
from fhirbridge.settings import Settings
from tests import databases
from tests.web.sender import Sender, bundle, lesion, person, score
from tests.web.signing import BASE, Signing


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return databases.settings(tmp_path / "data", base_url=BASE)


def events(door: Sender) -> list[Event]:
    with door.service.registry.read(door.site_id) as unit:
        assert unit.trail.chain().fault == ""
        return unit.trail.events()


def last(door: Sender) -> Event:
    return events(door)[-1]


def subject(door: Sender) -> str:
    with door.service.registry.read(door.site_id) as unit:
        return unit.subjects.all()[0].id


def location(door: Sender) -> str:
    answer = door.push(score())
    return str(answer.get_json()["entry"][0]["response"]["location"]).split("/_history")[0]


def told(event: Event) -> tuple[str, str, str, str]:
    return event.actor, event.action, event.event, event.outcome


def test_u1_a_push_is_one_event_with_its_message_and_receipt(door: Sender) -> None:
    before = len(events(door))
    answer = door("POST", "/fhir", bundle(score(), lesion()), X_Request_Id="0123456789abcdef-01")
    one = last(door)
    assert len(events(door)) == before + 1
    assert told(one) == ("client:engine", "U", "push", "done")
    assert one.request_id == "0123456789abcdef-01"
    receipt = door.receipt(answer)
    named = (one.entities["message"], one.entities["receipt"])
    assert named == (receipt["message_id"], receipt["id"])


def test_u4_a_refused_message_is_told_as_such(door: Sender) -> None:
    door("POST", "/fhir", b"{broken")
    assert told(last(door)) == ("client:engine", "U", "push", "refused")


def test_u1_the_same_message_again_is_told_too(door: Sender) -> None:
    door.push(score())
    door.push(score())
    assert [one.event for one in events(door)][-2:] == ["push", "repeat"]


def test_u1_a_read_tells_whose_and_what(door: Sender) -> None:
    path = location(door)
    door("GET", f"/fhir/{path}")
    assert told(last(door)) == ("client:engine", "R", "read", "done")
    assert last(door).entities == {"subjects": [subject(door)], "resources": [path]}


def test_u2_a_search_tells_everyone_that_it_showed(door: Sender) -> None:
    door.enrol("S-2", "4712")
    door.push(score(), score(5, subject={"identifier": person("4712")["identifier"][0]}))
    door("GET", "/fhir/Observation")
    assert told(last(door)) == ("client:engine", "E", "search", "done")
    assert len(last(door).entities["subjects"]) == 2
    assert len(last(door).entities["resources"]) == 2
    door("POST", "/fhir/Observation/_search", b"", Content_Type="application/x-www-form-urlencoded")
    assert (last(door).event, len(last(door).entities["subjects"])) == ("search", 2)


def test_u4_an_unknown_id_is_told_without_it(door: Sender) -> None:
    door("GET", "/fhir/Patient/Jane.Canary")
    assert told(last(door)) == ("client:engine", "R", "read", "refused")
    assert "Canary" not in str(last(door))


def test_u4_a_wrong_secret_is_told_to_the_site_whose_key_it_is(door: Sender) -> None:
    wrong = door.key[:-1] + ("0" if door.key[-1] != "0" else "1")
    before = len(events(door))
    assert door("GET", "/fhir/Patient", Authorization=f"Bearer {wrong}").status_code == 401
    assert told(last(door)) == ("client:engine", "E", "login-refused", "refused")
    assert door("GET", "/fhir/Patient", Authorization="Bearer fb_00_11").status_code == 401
    assert len(events(door)) == before + 1


def test_u4_what_scopes_do_not_allow_is_told(door: Sender) -> None:
    lab = Signing.at(door, scope="system/Patient.rs").bearing("system/Patient.rs")
    assert lab("GET", "/fhir/Observation").status_code == 403
    assert told(last(door)) == ("client:lab", "E", "forbidden", "refused")


@pytest.mark.parametrize("given", ["", "short", "Jane Canary, born 1950", "x" * 65, "a\u00e9" * 10])
def test_u6_a_request_id_that_may_be_a_name_is_not_taken(door: Sender, given: str) -> None:
    door("GET", "/fhir/Observation", X_Request_Id=given)
    request = last(door).request_id
    assert request is not None
    assert request != given
    assert len(request) == 36


def test_u6_the_trail_holds_no_values(door: Sender) -> None:
    door.push(score(), lesion(), person("4711", name=[{"family": "Canary"}]))
    door("GET", "/fhir/Patient?identifier=urn:x|Canary-9")
    stored = str(events(door))
    assert [plain for plain in ("Canary", "S-1", "urn:") if plain in stored] == []


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("GET", "/fhir/Observation"), ("POST", "/fhir")]
)
def test_u7_without_the_trail_nothing_is_read_or_stored(
    door: Sender, method: str, path: str
) -> None:
    path = path or f"/fhir/{location(door)}"
    with door.service.registry.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_head"))
    answer = door(method, path, bundle(score(9)) if method == "POST" else None)
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert [one.get("value") for one in door.records()] in ([], [None])


def test_u7_a_caller_that_is_forbidden_hears_503_too(door: Sender) -> None:
    lab = Signing.at(door, scope="system/Patient.rs").bearing("system/Patient.rs")
    with door.service.registry.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_head"))
    assert lab("GET", "/fhir/Observation").status_code == 503
