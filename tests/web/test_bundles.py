"""Bundles of each kind that is pushed: batches, messages, and what tells that one came before
(rows R6 and X11, and section 5 of R4's messaging.html)."""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.fhir.validate import validate
from fhirbridge.outcome import failed
from tests.web.sender import Resource, Sender, bundle, lesion, person, score, whose

HEADER = "2f1b7a52-6f0e-4f8a-8f4e-0d6c3a6f5b01"


def batch(*resources: Resource) -> Resource:
    return {**bundle(*resources), "type": "batch"}


def message(*resources: Resource, id: str = "m-1", header: str = HEADER) -> Resource:
    opening = {
        "resourceType": "MessageHeader",
        "id": header,
        "eventCoding": {"system": "urn:oid:2.999.9", "code": "score-made"},
        "source": {"name": "Ward engine", "endpoint": "https://engine.example.org/fhir"},
        "focus": [{"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1"}],
    }
    held = [opening, *resources]
    urls = [f"urn:uuid:{header}", *(f"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e{n + 1}" for n in range(len(resources)))]  # fmt: skip
    entries = [{"fullUrl": u, "resource": r} for u, r in zip(urls, held, strict=True)]
    return {"resourceType": "Bundle", "id": id, "type": "message",
            "timestamp": "2026-03-01T10:00:00Z", "entry": entries}  # fmt: skip


def statuses(answer: Any) -> list[str]:
    return [entry["response"]["status"] for entry in answer.get_json()["entry"]]


def test_r6_of_a_batch_each_entry_has_its_own_fate(door: Sender) -> None:
    answer = door("POST", "/fhir", batch(
        lesion(), score("x"), score(3, id="o1"), score(4, subject=whose("nobody")),
        score(5, "pain-nrs-activity", id="o2"),
    ))  # fmt: skip
    assert (answer.status_code, answer.get_json()["type"]) == (200, "batch-response")
    assert statuses(answer) == [
        "201 Created", "400 Bad Request", "201 Created", "202 Accepted", "201 Created",
    ]  # fmt: skip
    assert door.fates(answer) == ["applied", "quarantined", "applied", "quarantined", "applied"]
    outcome = answer.get_json()["entry"][1]["response"]["outcome"]
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[1].resource.value"]
    assert door.records("assessment") == [
        {"assessed_on": "2026-03-01", "pain_activity": 5, "pain_rest": 3}
    ]
    assert door.waiting() == 2


def test_a_batch_entry_that_asks_for_what_is_not_so_fails_alone(door: Sender) -> None:
    made = batch(score(3, id="o1"), lesion(), score(4, "pain-nrs-activity"))
    made["entry"][0]["request"] = {"method": "PUT", "url": "Observation/o1", "ifMatch": 'W/"7"'}
    made["entry"][2]["request"] = {"method": "DELETE", "url": "Observation/o9"}
    del made["entry"][2]["resource"]
    answer = door("POST", "/fhir", made)
    assert [s[:3] for s in statuses(answer)] == ["412", "201", "400"]
    assert door.fates(answer) == ["refused", "applied", "refused"]
    assert door.records("assessment") == []


def test_the_same_batch_again_is_answered_as_before(door: Sender) -> None:
    made = batch(lesion(), score("x"), score(3))
    first, again = door("POST", "/fhir", made), door("POST", "/fhir", made)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.get_json() == first.get_json()


def test_a_batch_that_is_no_bundle_is_refused_whole(door: Sender) -> None:
    made = batch(lesion())
    made["entry"].append({"search": {"mode": "match"}, **made["entry"][0]})
    made["totl"] = 1
    assert door("POST", "/fhir", made).status_code == 400
    assert door.records() == []


@pytest.mark.parametrize("path", ["/fhir/$process-message", "/fhir"])
def test_a_message_is_answered_by_a_message(door: Sender, path: str) -> None:
    answer = door("POST", path, message(score(3), lesion()))
    assert answer.status_code == 200, answer.data
    told = answer.get_json()
    assert (told["type"], told["entry"][0]["resource"]["response"]["code"]) == ("message", "ok")
    header = told["entry"][0]["resource"]
    assert header["response"]["identifier"] == HEADER
    assert header["eventCoding"]["code"] == "score-made"
    assert header["destination"][0]["endpoint"] == "https://engine.example.org/fhir"
    assert not [i.sentence() for i in validate(told) if failed([i])]
    assert door.fates(answer) == ["applied", "applied"]
    assert len(door.records()) == 2


def test_an_invalid_message_is_a_fatal_error_and_changes_nothing(door: Sender) -> None:
    answer = door("POST", "/fhir/$process-message", message(score(3), lesion(code="x")))
    assert answer.status_code == 400
    header, outcome = (e["resource"] for e in answer.get_json()["entry"])
    assert header["response"]["code"] == "fatal-error"
    assert outcome["issue"][0]["expression"][0].startswith("Bundle.entry[2].resource")
    assert door.records() == []


def test_process_message_takes_messages_alone(door: Sender) -> None:
    answer = door("POST", "/fhir/$process-message", bundle(score()))
    assert answer.status_code == 400
    assert "message" in answer.get_json()["issue"][0]["details"]["text"]
    assert door.records() == []


def test_both_ids_of_a_message_seen_before_get_the_first_answer(door: Sender) -> None:
    first = door("POST", "/fhir", message(score(3)))
    again = door("POST", "/fhir", message(score(3)))
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.get_json() == first.get_json()
    other_body = door("POST", "/fhir", message(score(4)))
    assert other_body.status_code == 422
    new_envelope = door("POST", "/fhir", message(score(3), id="m-2"))
    assert (new_envelope.status_code, door.fates(new_envelope)) == (200, ["unchanged"])
    new_header = door("POST", "/fhir", message(score(3), header=HEADER[:-1] + "2"))
    assert (new_header.status_code, new_header.get_json()["issue"][0]["code"]) == (409, "duplicate")


def test_a_bundles_identifier_names_it(door: Sender) -> None:
    name = {"identifier": {"system": "urn:oid:2.999.10", "value": "B-1"}}
    first = door("POST", "/fhir", {**bundle(score(3)), **name})
    again = door("POST", "/fhir", {**bundle(score(3)), **name})
    assert again.headers["X-Receipt"] == first.headers["X-Receipt"]
    assert door("POST", "/fhir", {**bundle(score(4)), **name}).status_code == 422
    keyed = door("POST", "/fhir", {**bundle(score(4)), **name}, Idempotency_Key="k-2")
    assert keyed.status_code == 200  # the first of the ladder counts
    other = Sender.at(door.app, "alpha", client="second")
    theirs = other("POST", "/fhir", {**bundle(person()), **name})
    assert theirs.status_code == 200  # a name means what its sender means


def test_a_message_refused_as_a_whole_is_read_again_when_sent_again(door: Sender) -> None:
    wrong = bundle(score("x"))
    first, again = door("POST", "/fhir", wrong), door("POST", "/fhir", wrong)
    assert (first.status_code, again.status_code) == (400, 400)
    assert first.headers["X-Receipt"] == again.headers["X-Receipt"]


def test_r19_an_unknown_modifier_extension_holds_its_entry(door: Sender) -> None:
    turned = {"url": "https://hospital.example.org/not-really", "valueBoolean": True}
    answer = door.push(score(3, modifierExtension=[turned]), lesion())
    assert statuses(answer) == ["202 Accepted", "201 Created"]
    assert door.fates(answer) == ["quarantined", "applied"]
    assert "modifier" in str(door.receipt(answer)["entries"][0]["issues"])
    assert door.records("assessment") == []


@pytest.mark.parametrize("wrong", ["/fhir/$process-message", "/fhir/Condition"])
def test_what_was_sent_to_a_wrong_url_is_taken_at_the_right_one(door: Sender, wrong: str) -> None:
    made = score() if wrong.endswith("Condition") else bundle(score())
    assert door("POST", wrong, made).status_code == 400
    right = door("POST", "/fhir/Observation" if made["resourceType"] != "Bundle" else "/fhir", made)
    assert right.status_code in (200, 201), right.data
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_rest": 3}]
