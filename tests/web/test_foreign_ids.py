"""X12: site B's credential on site A's ids, at every route of the URL map: as if there were none.

A route that is new needs one line in `CASES`; without it the first test fails. Where ids stand in a
query or a body, the line is in `QUESTIONS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Table, UniqueConstraint
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from fhirbridge.formats import fhir_json
from fhirbridge.registry import tables
from tests.web.sender import RECORD, Resource, Sender, bundle, lesion, person, score, whose

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)|\w{3}, \d\d \w{3} \d{4} [\d:]+ GMT")
_UNSTEADY = ("Date", "X-Receipt", "Link", "X-Request-Id")


JSON = "application/json"
DECISION = {"by": "nurse", "reason": "told"}


@dataclass(frozen=True)
class House:
    """Site A with one of everything; a client of site B, and one of a site that is like B in all."""

    ours: Sender
    theirs: Sender
    twin: Sender
    resource: str
    receipt: str
    record: str
    identifier: str
    message: str
    held: str
    proposal: str
    line: str
    provenance: str
    connection: str  # without keys: those of one that signs are for all to see
    delivery: str
    job: str
    upload: str


@pytest.fixture
def house(door: Sender) -> House:
    pushed = door.push(score(id="o1"), lesion(id="c1"), score(id="o2", subject=whose("nobody")))
    location = pushed.get_json()["entry"][0]["response"]["location"]
    found = door("GET", f"/fhir/{location.split('/_history')[0]}").get_json()
    with door.service.registry.read(door.site_id) as unit:
        record = unit.records.all("assessment")[0].id
    receipt = door.receipt(pushed)
    door.enrol("S-7", "77")
    Sender.at(door.app, "alpha", client="second").push(score(9, id="theirs"))
    with door.service.registry.read(door.site_id) as unit:
        proposal = unit.proposals.waiting()[0].id
        held = unit.quarantine.waiting()[0].id
    sent = {"crosswalk": "score", "system": "urn:local", "code": "NRS-1", "target": "pain_rest"}
    added = door("POST", "/api/v1/crosswalk-additions", {**sent, **DECISION}, Content_Type=JSON)
    made = door("GET", f"/fhir/Provenance?target={found['resourceType']}/{found['id']}").get_json()
    table = b"study_id,assessed_on,pain_rest\nS-1,2026-03-01,2\n"
    sent = door("POST", "/api/v1/imports?form=assessment", table, Content_Type="text/csv")
    upload = sent.get_json()["upload"]["id"]
    others = [Sender.at(door.app, name) for name in ("beta", "gamma")]
    with door.service.registry.unit(door.site_id) as unit:
        ward = unit.connections.add("ward", "https://hospital.example.org/fhir")
        row = unit.resources.of_record(record)[0]
        delivery = unit.deliveries.put(ward.id, row.id, state="dead", cause="refused").id
        job = unit.jobs.add(ward.id, "pull", by="test").id
        unit.commit()
    for other in others:
        other.enrol("S-1", "4711")
    identifier = next(i["value"] for i in found["identifier"] if i["system"] == RECORD)
    more = (receipt["message_id"], held, proposal, added.get_json()["id"])
    provenance = made["entry"][0]["resource"]["id"]
    last = (*more, provenance, ward.id, delivery, job, upload)
    return House(door, *others, found["id"], receipt["id"], record, identifier, *last)


Of = Callable[[House], str]

# Of each rule with an id in it, what of A is asked for: its last part, when FILLED has filled others.
CASES: dict[str, Of] = {
    "/fhir/<type>/<id>": lambda house: house.resource,
    "/fhir/<type>/<id>/_history": lambda house: house.resource,
    "/fhir/<type>/<id>/_history/<number>": lambda house: house.resource,
    "/fhir/<type>/<id>/$validate": lambda house: house.resource,
    "/fhir/Provenance/<id>": lambda house: house.provenance,
    "/receipts/<id>": lambda house: house.receipt,
    "/api/v1/receipts/<id>": lambda house: house.receipt,
    "/api/v1/messages/<id>": lambda house: house.message,
    "/api/v1/messages/<id>/body": lambda house: house.message,
    "/api/v1/quarantine/<id>": lambda house: house.held,
    "/api/v1/records/<id>": lambda house: house.record,
    "/api/v1/records/<id>/history": lambda house: house.record,
    "/api/v1/proposals/<id>": lambda house: house.proposal,
    "/api/v1/proposals/<id>/accept": lambda house: house.proposal,
    "/api/v1/proposals/<id>/refuse": lambda house: house.proposal,
    "/api/v1/crosswalk-additions/<id>/withdraw": lambda house: house.line,
    "/api/v1/imports/<id>": lambda house: house.upload,
    "/api/v1/imports/<id>/file": lambda house: house.upload,
    "/api/v1/imports/<id>/apply": lambda house: house.upload,
    "/api/v1/subjects/<study_id>": lambda house: "S-7",
    "/api/v1/deliveries/<id>": lambda house: house.delivery,
    "/api/v1/jobs/<id>": lambda house: house.job,
    "/api/v1/jobs/<id>/cancel": lambda house: house.job,
    "/api/v1/subjects/<study_id>/visits": lambda house: "S-7",
    "/connections/<id>/jwks.json": lambda house: house.connection,
}
FILLED = {"<type>": "Observation", "<number>": "1"}
# Public keys, the same for everyone (test_hospital_logins.py); here of a connection that has none.
PUBLIC = ("/connections/<id>/jwks.json",)
# Where an unknown id is the sender's own name for what it makes.
NAMES = {"/fhir/<type>/<id>": "PUT", "/fhir/<type>/<id>/$validate": "POST"}
NOUNS = (
    "receipts", "messages", "quarantine", "subjects", "records", "proposals", "replays",
    "crosswalk-additions", "deliveries", "deliveries/retry", "jobs", "imports",
)  # fmt: skip
# Rules without an id in them; an id in their query or body is a line of QUESTIONS.
WITHOUT_IDS = {
    "/fhir/",
    "/fhir",
    "/fhir/<type>",
    "/fhir/<type>/_search",
    "/fhir/metadata",
    "/fhir/.well-known/smart-configuration",
    "/oauth/token",
    "/healthz",
    "/readyz",
    "/metrics",
    "/fhir/Provenance",
    "/fhir/Provenance/_search",
    "/fhir/$process-message",
    "/fhir/$validate",
    "/fhir/<type>/$validate",
    "/api/v1/openapi.json",
    *(f"/api/v1/{noun}" for noun in NOUNS),
    "/static/<path:filename>",
}


def _sent(id: str) -> Resource:
    return {**score(), "id": id}


def _conditional(id: str) -> Resource:
    made = bundle(score())
    made["entry"][0]["request"]["ifNoneExist"] = f"identifier={RECORD}|{id}"
    return made


# Of each noun an id of A, as the mark of a page.
MARKS: dict[str, Of] = {
    "receipts": lambda house: house.receipt,
    "messages": lambda house: house.message,
    "quarantine": lambda house: house.held,
    "records": lambda house: house.record,
    "proposals": lambda house: house.proposal,
    "crosswalk-additions": lambda house: house.line,
    "deliveries": lambda house: house.delivery,
    "jobs": lambda house: house.job,
    "imports": lambda house: house.upload,
}
# An id of A in the query or the body: method, URL and body of it.
QUESTIONS: dict[str, tuple[Of, Callable[[str], tuple[str, str, Any]]]] = {
    "_id": (lambda h: h.resource, lambda id: ("GET", f"/fhir/Observation?_id={id}", None)),
    "identifier": (
        lambda h: h.identifier,
        lambda id: ("GET", f"/fhir/Observation?identifier={RECORD}|{id}", None),
    ),
    "subject": (
        lambda h: h.resource,
        lambda id: ("GET", f"/fhir/Observation?subject=Patient/{id}", None),
    ),
    "a condition": (lambda h: h.identifier, lambda id: ("POST", "/fhir", _conditional(id))),
    "a reference": (
        lambda h: h.resource,
        lambda id: ("POST", "/fhir", bundle(score(subject={"reference": f"Patient/{id}"}))),
    ),
    "a condition of PUT": (
        lambda h: h.identifier,
        lambda id: ("PUT", f"/fhir/Observation?identifier={RECORD}|{id}", score()),
    ),
    "a Provenance's target": (
        lambda h: h.resource,
        lambda id: ("GET", f"/fhir/Provenance?target=Observation/{id}", None),
    ),
    "If-None-Exist in a rehearsal": (
        lambda h: h.identifier,
        lambda id: ("POST", "/fhir/$validate", _conditional(id)),
    ),
    **{
        f"{noun} after it": (of, lambda id, noun=noun: ("GET", f"/api/v1/{noun}?after={id}", None))
        for noun, of in MARKS.items()
    },
    "records of a subject": (
        lambda h: "S-7",
        lambda id: ("GET", f"/api/v1/records?subject={id}", None),
    ),
    "proposals of a record": (
        lambda h: h.record,
        lambda id: ("GET", f"/api/v1/proposals?status=accepted&record={id}", None),
    ),
    "quarantine of a message": (
        lambda h: h.message,
        lambda id: ("GET", f"/api/v1/quarantine?message={id}", None),
    ),
    "receipts by identifier": (
        lambda h: h.identifier,
        lambda id: ("GET", f"/api/v1/receipts?identifier={RECORD}%7C{id}", None),
    ),
    "a delivery that is tried again": (
        lambda h: h.delivery,
        lambda id: ("POST", "/api/v1/deliveries/retry", {"by": "nurse", "ids": [id]}),
    ),
    "a job of a connection": (
        lambda h: "ward",
        lambda id: ("POST", "/api/v1/jobs", {"kind": "pull", "connection": id, **DECISION}),
    ),
    "a resource's own id": (lambda h: h.resource, lambda id: ("POST", "/fhir", bundle(_sent(id)))),
}


def rules(door: Sender) -> Iterator[Rule]:
    yield from door.app.url_map.iter_rules()


def test_x12_every_route_has_a_case(door: Sender) -> None:
    there = {rule.rule for rule in rules(door)}
    assert there - {*CASES, *WITHOUT_IDS} == set(), "give the new route a line in CASES"
    assert {*CASES, *WITHOUT_IDS} - there - {"/fhir"} == set(), "a route that is gone"
    assert [rule for rule in WITHOUT_IDS if "id>" in rule] == []


def told(answer: TestResponse, id: str) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers, without what differs from one answer to the next."""

    def steady(text: str) -> str:
        return _TIME.sub("TIME", _UUID.sub("ID", text.replace(id, "ID")))

    headers = {n: steady(v) for n, v in answer.headers if n not in _UNSTEADY}
    body = steady(answer.get_data(as_text=True))
    return answer.status_code, body, {**headers, "Content-Length": f"{len(body)}"}


def unknown(id: str) -> str:
    """An id of the same form that nobody has."""
    return re.sub("[0-9A-Za-z]", "0", id)


def asks(house: House, rule: str) -> Iterator[Callable[[Sender, str], TestResponse]]:
    """One for each method of the rule."""
    path = rule
    for part, value in FILLED.items():
        path = path.replace(part, value)
    for method in sorted({m for r in rules(house.ours) if r.rule == rule for m in r.methods or ()}):

        def ask(sender: Sender, id: str, method: str = method) -> TestResponse:
            url = re.sub("<[^>]*>", id, path)
            if rule.startswith("/api/") and method == "POST":
                return sender(method, url, DECISION, Content_Type=JSON)
            body = None if method in ("GET", "HEAD", "OPTIONS", "DELETE") else _sent(id)
            return sender(method, url, body)

        yield ask


@pytest.mark.parametrize("rule", CASES)
def test_x12_an_id_of_another_site_answers_like_an_unknown_one(house: House, rule: str) -> None:
    id = CASES[rule](house)
    statuses = set()
    for ask in asks(house, rule):
        foreign = told(ask(house.theirs, id), id)
        assert foreign == told(ask(house.twin, unknown(id)), unknown(id))
        statuses.add((foreign[0], ask(house.ours, id).status_code))
    if rule in PUBLIC:
        assert statuses == {(404, 404), (200, 200)}  # 200: OPTIONS
    elif rule in NAMES:
        assert statuses & {(404, 200), (201, 200), (200, 200)}
    else:
        assert (404, 200) in statuses  # it is there, for its own site


@pytest.mark.parametrize("what", QUESTIONS)
def test_x12_an_id_of_another_site_in_a_question_finds_nothing(house: House, what: str) -> None:
    of, asking = QUESTIONS[what]
    id = of(house)
    foreign, strange = asking(id), asking(unknown(id))
    assert told(house.theirs(*foreign), id) == told(house.twin(*strange), unknown(id))


def test_x12_every_foreign_id_that_was_asked_for_is_in_the_trail(house: House) -> None:
    house.theirs("GET", f"/fhir/Observation/{house.resource}")
    with house.ours.service.registry.read(house.theirs.site_id) as unit:
        last = unit.trail.events()[-1]
    assert (last.event, last.outcome, last.entities["resources"]) == ("read", "refused", [])


# What a sender may write into a body or a header to be taken for another site.
DISGUISES: dict[str, tuple[Resource, dict[str, str]]] = {
    "meta.tag": (score(meta={"tag": [{"system": "urn:site", "code": "alpha"}]}), {}),
    "meta.source": (score(meta={"source": "urn:alpha"}), {}),
    "meta.security": (score(meta={"security": [{"system": "urn:site", "code": "alpha"}]}), {}),
    "an extension": (score(extension=[{"url": "urn:site", "valueString": "alpha"}]), {}),
    "managingOrganization": (person(managingOrganization={"display": "alpha"}), {}),
    "a field": ({**score(), "site_id": "alpha"}, {}),
    "X-Site": (score(), {"X_Site": "alpha"}),
    "X-Forwarded-Host": (score(), {"X_Forwarded_Host": "alpha.example.org"}),
}


def state(door: Sender) -> Any:
    with door.service.registry.read(door.site_id) as unit:
        resources = [unit.resources.of_record(one.id) for one in unit.records.all()]
        return unit.records.all(), resources, unit.quarantine.count_waiting()


@pytest.mark.parametrize("how", DISGUISES)
@pytest.mark.parametrize("name", ["name", "id"])
def test_x13_the_site_comes_from_the_credential_alone(house: House, how: str, name: str) -> None:
    resource, headers = DISGUISES[how]
    site = "alpha" if name == "name" else house.ours.site_id
    written = fhir_json.parse(fhir_json.dump(resource).replace(b"alpha", site.encode()))
    sent = {n: v.replace("alpha", site) for n, v in headers.items()}
    before = state(house.ours)
    answer = house.theirs.push(written, **sent)
    assert answer.status_code in (200, 400)
    assert state(house.ours) == before
    taken = len(house.theirs.records()) == (resource["resourceType"] == "Observation")
    assert taken == (answer.status_code == 200)


def test_x13_the_full_url_of_another_sites_resource_is_a_name_like_any_other(house: House) -> None:
    before = state(house.ours)
    made = bundle(score(9, id=house.resource))
    made["entry"][0]["fullUrl"] = f"http://localhost/fhir/Observation/{house.resource}"
    assert house.theirs("POST", "/fhir", made).status_code == 200
    assert state(house.ours) == before
    assert len(house.theirs.records()) == 1


def test_x15_what_one_site_has_is_new_at_another(house: House) -> None:
    """The same person, the same identifier, the same condition, key and names: 201 all the same."""
    first = house.theirs("POST", "/fhir", _conditional(house.identifier), Idempotency_Key="k")
    again = house.twin("POST", "/fhir", _conditional(house.identifier), Idempotency_Key="k")
    for answer in (first, again):
        assert answer.get_json()["entry"][0]["response"]["status"] == "201 Created"
        assert "Idempotent-Replayed" not in answer.headers


def test_x15_what_must_be_unique_is_so_in_its_site() -> None:
    everywhere = {
        (table.name, *(column.name for column in columns))
        for table in tables.site.metadata.sorted_tables
        for columns in _unique(table)
        if "site_id" not in {column.name for column in columns}
    }
    # The site itself; and by which a caller is found whose site is not known yet: made at random.
    assert everywhere == {
        ("site", "id"),
        ("site", "name"),
        ("client", "prefix"),
        ("access_token", "hash"),
        # By which a sender of HL7 v2 is found; what listens on a port listens there once.
        ("feed", "port"),
        ("feed", "fingerprint"),
    }


def _unique(table: Table) -> Iterator[Iterable[Any]]:
    yield table.primary_key.columns
    yield from (c.columns for c in table.constraints if isinstance(c, UniqueConstraint))
    yield from (index.columns for index in table.indexes if index.unique)
