"""Preconditions and parameters of a request: each is kept, or refused; none is passed over."""

from __future__ import annotations

from typing import Any

import pytest
from gunicorn.http.errors import InvalidChunkSize, NoMoreData  # type: ignore[import-untyped]

from tests.web.sender import MRN, Resource, Sender, bundle, score
from tests.web.test_rest import ACCESSION, asked, named, only, place, statuses, transaction


def put(door: Sender, value: int, **headers: str) -> Any:
    return door("PUT", "/fhir/Observation/o-1", score(id="o-1", valueInteger=value), **headers)


def test_r9_if_match_takes_a_star_and_a_list_as_http_has_them(door: Sender) -> None:
    assert put(door, 1, If_Match="*").status_code == 412  # there is none yet
    assert put(door, 1).status_code == 201
    assert put(door, 2, If_Match="*").status_code == 200
    assert put(door, 3, If_Match='W/"9", "2"').status_code == 200
    assert put(door, 4, If_Match='W/"1", W/"2"').status_code == 412
    assert put(door, 4, If_Match='W/"1" W/"3"').status_code == 400
    assert only(door)["valueInteger"] == 3


def test_r9_an_if_match_beside_a_create_is_asked_too(door: Sender) -> None:
    assert door("POST", "/fhir/Observation", score(), If_Match='W/"7"').status_code == 412
    assert door("GET", "/fhir/Observation").get_json().get("entry") is None


def test_r8_if_none_match_star_makes_and_never_changes(door: Sender) -> None:
    """RFC 9110, section 13.1.2."""
    assert put(door, 1, If_None_Match="*").status_code == 201
    refused = put(door, 2, If_None_Match="*")
    assert (refused.status_code, only(door)["valueInteger"]) == (412, 1)
    entry = asked(score(id="o-1", valueInteger=3), "PUT", "Observation/o-1", ifNoneMatch="*")
    assert door("POST", "/fhir", transaction(entry)).status_code == 412
    batch = door("POST", "/fhir", transaction(entry, type="batch"))
    assert (statuses(batch), only(door)["valueInteger"]) == (["412"], 1)


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("PUT", {"ifNoneMatch": 'W/"1"'}),
        ("POST", {"ifNoneMatch": "*"}),
        ("PUT", {"ifNoneExist": f"identifier={ACCESSION}|a"}),
        ("POST", {"ifModifiedSince": "2026-01-01T00:00:00Z"}),
    ],
)
def test_r8_a_condition_that_is_not_of_the_method_fails(
    door: Sender, method: str, more: dict[str, str]
) -> None:
    url = "Observation/o-1" if method == "PUT" else "Observation"
    answer = door("POST", "/fhir", transaction(asked(score(id="o-1"), method, url, **more)))
    (issue,) = answer.get_json()["issue"]
    assert (answer.status_code, issue["code"]) == (400, "not-supported")
    assert issue["expression"] == [f"Bundle.entry[0].request.{next(iter(more))}"]


def test_r7_a_condition_of_another_type_is_none_of_this_one(door: Sender) -> None:
    headers = {"If_None_Exist": f"Patient?identifier={ACCESSION}|a"}
    assert door("POST", "/fhir/Observation", named("a"), **headers).status_code == 400
    whole = {"If_None_Exist": f"http://localhost/fhir/Observation?identifier={ACCESSION}|a"}
    assert door("POST", "/fhir/Observation", named("a"), **whole).status_code == 201


@pytest.mark.parametrize("name", ["If-None-Exist", "If-Match", "If-None-Match"])
def test_r7_an_empty_condition_is_no_condition(door: Sender, name: str) -> None:
    assert door("POST", "/fhir/Observation", score(), **{name: " "}).status_code == 400
    assert door("POST", "/fhir", bundle(score()), **{name: "identifier=a"}).status_code == 400


@pytest.mark.parametrize(
    "url", ["Observation/_search", "Observation/$validate", "Observation/1", "Observation?code=x"]
)
def test_r3_no_search_and_no_operation_of_a_bundle_becomes_a_create(door: Sender, url: str) -> None:
    answer = door("POST", "/fhir", transaction(asked(score(), "POST", url)))
    assert answer.status_code == 400
    assert door("GET", "/fhir/Observation").get_json().get("entry") is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/fhir/Observation/o-1?upsert=no"),
        ("POST", "/fhir?foo=1"),
        ("POST", "/fhir/$process-message?response-url=http%3A%2F%2Felsewhere.example"),
        ("POST", "/fhir/$process-message?async=true"),
    ],
)
def test_r13_a_parameter_that_no_push_reads_is_refused(
    door: Sender, method: str, path: str
) -> None:
    body = score(id="o-1") if method == "PUT" else bundle(score())
    answer = door(method, path, body)
    assert (answer.status_code, answer.get_json()["issue"][0]["code"]) == (400, "not-supported")


def parameters(*parts: Resource) -> Resource:
    return {"resourceType": "Parameters", "parameter": list(parts)}


def test_validate_takes_parameters_as_r4_has_them(door: Sender) -> None:
    resource = {"name": "resource", "resource": score()}
    mode = {"name": "mode", "valueCode": "create"}
    answer = door("POST", "/fhir/Observation/$validate", parameters(resource, mode))
    assert "would be created" in answer.get_json()["issue"][0]["details"]["text"]
    wrong = parameters({"name": "resource", "resource": {**score(), "status": "x"}})
    issues = door("POST", "/fhir/Observation/$validate", wrong).get_json()["issue"]
    assert [issue["expression"] for issue in issues] == [["Observation.status"]]
    assert door("GET", "/fhir/Observation").get_json().get("entry") is None


US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"


@pytest.mark.parametrize(
    ("query", "part", "told"),
    [
        ("?mode=delete", {}, "not-supported"),
        ("", {"name": "mode", "valueCode": "delete"}, "not-supported"),
        ("?profile=http://elsewhere.example/p", {}, "not-supported"),
        (f"?profile={US_CORE}", {}, "required"),
        ("", {"name": "profile", "valueUri": US_CORE}, "required"),
        ("", {"name": "usageContext", "valueCode": "x"}, "not-supported"),
        ("?foo=1", {}, "not-supported"),
    ],
)
def test_what_validate_does_not_judge_it_does_not_call_valid(
    door: Sender, query: str, part: Resource, told: str
) -> None:
    patient = {"resourceType": "Patient", "identifier": [{"system": MRN, "value": "4711"}]}
    body = parameters({"name": "resource", "resource": patient}, *([part] if part else []))
    issues = door("POST", f"/fhir/Patient/$validate{query}", body).get_json()["issue"]
    assert (issues[0]["severity"], issues[0]["code"]) == ("error", told)


class Broken:
    """The stream of a request whose chunks are none, as gunicorn tells it."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault

    def read(self, size: int = -1) -> bytes:
        raise self.fault

    readline = read


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("fault", [InvalidChunkSize(b"ZZ"), NoMoreData()])
def test_r11_broken_chunks_are_the_senders_fault(
    door: Sender, encoding: str, fault: Exception
) -> None:
    answer = door.app.test_client().post(
        "/fhir",
        headers={"Authorization": f"Bearer {door.key}", "Content-Encoding": encoding},
        content_type="application/fhir+json",
        environ_overrides={"wsgi.input": Broken(fault), "wsgi.input_terminated": True},
    )
    assert (answer.status_code, answer.get_json()["issue"][0]["code"]) == (400, "structure")


def message(header: Resource, full_url: str, **more: Any) -> Resource:
    told = {"resourceType": "MessageHeader", "eventUri": "urn:x", "source": {"endpoint": "urn:y"}}
    entries = [
        {"fullUrl": full_url, "resource": {**told, **header}},
        {"fullUrl": "urn:uuid:c5f1c4d5-6a4e-4a3c-9d4f-3b2a1c0d9e8f", "resource": score()},
    ]
    return {"resourceType": "Bundle", "type": "message", "entry": entries, **more}


UUID = "0f0e0d0c-0b0a-4908-8706-050403020100"


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (message({"id": "m-1"}, f"urn:uuid:{UUID}"), "m-1"),
        (message({}, f"urn:uuid:{UUID}"), UUID),
        (message({}, "urn:x:a_b", id="b-1"), "b-1"),
        (message({}, "urn:x:a_b"), ""),
    ],
)
def test_a_message_is_answered_by_a_message_whatever_it_is_called(
    door: Sender, made: Resource, name: str
) -> None:
    answer = door("POST", "/fhir/$process-message", made)
    told = answer.get_json()
    response = told["entry"][0]["resource"]["response"]
    assert (answer.status_code, told["type"], response["code"]) == (200, "message", "ok")
    assert response["identifier"] == (name or answer.headers["X-Receipt"])


def test_r19_implicit_rules_may_turn_the_meaning_and_hold_it(door: Sender) -> None:
    answer = door("POST", "/fhir/Observation", score(implicitRules="http://elsewhere.example/r"))
    (issue,) = answer.get_json()["issue"]
    assert (answer.status_code, issue["expression"]) == (202, ["Observation.implicitRules"])


RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, 201),
        ({"doNotPerform": False}, 201),
        ({"doNotPerform": True}, 422),
        ({"intent": "proposal"}, 202),
        ({"intent": "option"}, 202),
    ],
)
def test_what_must_not_be_given_is_no_medication(door: Sender, more: Resource, status: int) -> None:
    order = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "77655"}]},
        "subject": {"identifier": {"system": MRN, "value": "4711"}},
        "authoredOn": "2026-02-01",
    }
    answer = door("POST", "/fhir/MedicationRequest", {**order, **more})
    held = door("GET", "/fhir/MedicationRequest").get_json().get("entry", [])
    meant = more.get("intent", "order") == "order" and not more.get("doNotPerform")
    assert (answer.status_code, len(held)) == (status, int(meant))


def test_a_read_of_the_location_follows_each_write(door: Sender) -> None:
    first = put(door, 1, If_None_Match="*")
    assert door("GET", f"/fhir/{place(first)}").get_json()["valueInteger"] == 1
