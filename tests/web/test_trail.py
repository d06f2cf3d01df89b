"""What of HTTP the audit trail tells: pushes, reading, and who was turned away; ids, and no values."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from fhirbridge.registry.audit import Event
from fhirbridge.settings import Settings
from tests import databases
from tests.web.sender import Sender, bundle, found, lesion, person, score, whose
from tests.web.signing import BASE, Signing

UUID = "0b0d1c5e-98e2-4d0b-8c8b-3c1b5a4f0d11"


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
    answer = door("POST", "/fhir", bundle(score(), lesion()), X_Request_Id=UUID)
    one = last(door)
    assert len(events(door)) == before + 1
    assert told(one) == ("client:engine", "U", "push", "done")
    assert one.request_id == UUID
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


# Of each route that shows something: an URL of it that finds, and the word that the trail has.
READS = {
    "/fhir/<type>": ("/fhir/Observation", "search"),
    "/fhir/<type>/_search": ("/fhir/Observation/_search", "search"),
    "/fhir/<type>/<id>": ("/fhir/{resource}", "read"),
    "/fhir/<type>/<id>/_history": ("/fhir/{resource}/_history", "history"),
    "/fhir/<type>/<id>/_history/<number>": ("/fhir/{resource}/_history/1", "vread"),
    "/fhir/Provenance": ("/fhir/Provenance?target={resource}", "search"),
    "/fhir/Provenance/_search": ("/fhir/Provenance/_search?target={resource}", "search"),
    "/fhir/Provenance/<id>": ("/fhir/Provenance/{provenance}", "read"),
    "/receipts/<id>": ("/receipts/{receipt}", "read"),
    "/api/v1/receipts": ("/api/v1/receipts", "search"),
    "/api/v1/receipts/<id>": ("/api/v1/receipts/{receipt}", "read"),
    "/api/v1/messages": ("/api/v1/messages", "search"),
    "/api/v1/messages/<id>": ("/api/v1/messages/{message}", "read"),
    "/api/v1/messages/<id>/body": ("/api/v1/messages/{message}/body", "read"),
    "/api/v1/quarantine": ("/api/v1/quarantine", "search"),
    "/api/v1/quarantine/<id>": ("/api/v1/quarantine/{held}", "read"),
    "/api/v1/subjects": ("/api/v1/subjects", "search"),
    "/api/v1/subjects/<study_id>": ("/api/v1/subjects/S-1", "read"),
    "/api/v1/deliveries": ("/api/v1/deliveries?state=dead", "search"),
    "/api/v1/deliveries/<id>": ("/api/v1/deliveries/{delivery}", "read"),
    "/api/v1/subjects/<study_id>/visits": ("/api/v1/subjects/S-1/visits", "read"),
    "/api/v1/records": ("/api/v1/records?form=assessment", "search"),
    "/api/v1/records/<id>": ("/api/v1/records/{record}", "read"),
    "/api/v1/records/<id>/history": ("/api/v1/records/{record}/history", "history"),
    "/api/v1/proposals": ("/api/v1/proposals?status=accepted", "search"),
    "/api/v1/crosswalk-additions": ("/api/v1/crosswalk-additions", "search"),
    "/api/v1/proposals/<id>": ("/api/v1/proposals/{proposal}", "read"),
    "/api/v1/jobs": ("/api/v1/jobs", "search"),
    "/api/v1/jobs/<id>": ("/api/v1/jobs/{job}", "read"),
    "/api/v1/imports": ("/api/v1/imports", "search"),
    "/api/v1/imports/<id>": ("/api/v1/imports/{upload}", "read"),
    "/api/v1/imports/<id>/file": ("/api/v1/imports/{upload}/file", "read"),
}
# What these routes show is of no person, or is told by an event of its own.
SILENT = {
    "/fhir/metadata", "/fhir/.well-known/smart-configuration", "/healthz", "/readyz", "/metrics",
    "/connections/<id>/jwks.json",
    "/static/<path:filename>", "/api/v1/openapi.json",
}  # fmt: skip
OF_MANY = {
    "messages",
    "receipts",
    "quarantine",
    "crosswalk-additions",
    "jobs",
    "imports",
}  # whose lists tell ids of theirs, and nobody's


@pytest.fixture
def told_of(door: Sender) -> dict[str, str]:
    """One of everything that is shown, by the names in `READS`."""
    pushed = door.push(score(), score(subject=whose("nobody")))
    resource = pushed.get_json()["entry"][0]["response"]["location"].split("/_history")[0]
    receipt = door.receipt(pushed)
    made = found(door, f"Provenance?target={resource}")[0]["id"]
    with door.service.registry.read(door.site_id) as unit:
        held = unit.quarantine.waiting()[0].id
        record = unit.records.all("assessment")[0].id
        proposal = next(iter(unit.proposals.accepted(record).values())).id
    with door.service.registry.unit(door.site_id) as unit:
        ward = unit.connections.add("ward", "https://hospital.example.org/fhir")
        row = unit.resources.of_record(record)[0]
        delivery = unit.deliveries.put(ward.id, row.id, state="dead", cause="refused").id
        job = unit.jobs.add(ward.id, "pull", by="test").id
        unit.commit()
    named = {"receipt": receipt["id"], "message": receipt["message_id"], "provenance": made}
    added = {"crosswalk": "score", "system": "urn:local", "code": "NRS-1", "target": "pain_rest"}
    line = {**added, "by": "nurse", "reason": "told"}
    answer = door("POST", "/api/v1/crosswalk-additions", line, Content_Type="application/json")
    assert answer.status_code == 201, answer.data
    table = b"study_id,assessed_on,pain_rest\nS-1,2026-03-01,2\n"
    sent = door("POST", "/api/v1/imports?form=assessment", table, Content_Type="text/csv")
    named["upload"] = sent.get_json()["upload"]["id"]
    return {
        **named,
        "resource": resource,
        "held": held,
        "record": record,
        "proposal": proposal,
        "delivery": delivery,
        "job": job,
    }


def shows(door: Sender) -> set[str]:
    rules = door.app.url_map.iter_rules()
    return {r.rule for r in rules if "GET" in (r.methods or ()) or r.rule.endswith("_search")}


def test_u1_every_route_that_shows_something_is_known(door: Sender) -> None:
    assert shows(door) == READS.keys() | SILENT, "give the new route a line in READS"


@pytest.mark.parametrize("rule", READS)
def test_u1_every_route_that_shows_something_is_one_event(
    door: Sender, told_of: dict[str, str], rule: str
) -> None:
    url, event = READS[rule]
    posts = rule.endswith("_search")
    before = len(events(door))
    headers = {"Content_Type": "application/x-www-form-urlencoded"} if posts else {}
    body = b"" if posts else None
    answer = door("POST" if posts else "GET", url.format(**told_of), body, **headers)
    assert answer.status_code == 200
    assert len(events(door)) == before + 1
    one = last(door)
    letter = "E" if event == "search" else "R"
    assert told(one) == ("client:engine", letter, event, "done")
    assert one.request_id == answer.headers["X-Request-Id"]
    of_heads = event == "search" and OF_MANY & one.entities.keys()
    nobody = of_heads or "quarantine" in one.entities or url.endswith(("{message}", "{job}"))
    assert one.entities["subjects"] == ([] if nobody else [subject(door)])
    assert any(one.entities.values())


@pytest.mark.parametrize("rule", READS)
def test_u7_without_the_trail_no_route_shows_anything(
    door: Sender, told_of: dict[str, str], rule: str
) -> None:
    with door.service.registry.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_head"))
    posts = rule.endswith("_search")
    headers = {"Content_Type": "application/x-www-form-urlencoded"} if posts else {}
    answer = door("POST" if posts else "GET", READS[rule][0].format(**told_of), b"", **headers)
    assert answer.status_code == 503
    assert answer.get_json().keys() & {"issue", "issues"}


@pytest.mark.parametrize(
    "given", ["", "short", "0123456789abcdef-01", "Jane Canary, born 1950", UUID + "0"]
)
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
