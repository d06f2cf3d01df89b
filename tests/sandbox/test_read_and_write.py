"""Reading and writing single resources, over a socket."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.sandbox.speaker import Speaker, observation, patient


def test_create_gives_an_id_of_digits_and_the_stamp_of_the_server(speak: Speaker) -> None:
    answer = speak("POST", "Patient", patient("7", id="mine", meta={"versionId": "9"}))
    made = answer.json()
    assert answer.status_code == 201
    assert made["id"] == "1"
    assert made["meta"] == {"versionId": "1", "lastUpdated": "2026-03-01T08:00:00.000+00:00"}
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Location"] == f"{speak.base}/Patient/1/_history/1"
    assert answer.headers["Last-Modified"] == "Sun, 01 Mar 2026 08:00:00 GMT"
    assert answer.headers["Content-Type"] == "application/fhir+json;charset=utf-8"


def test_decimals_keep_their_digits(speak: Speaker) -> None:
    raw = json.dumps(observation(id="o1"))[:-1] + ', "valueQuantity": {"value": 6.30}}'
    speak("PUT", "Observation/o1", raw.encode())
    stored = json.loads(speak("GET", "Observation/o1").content, parse_float=Decimal)
    assert str(stored["valueQuantity"]["value"]) == "6.30"


def test_another_number_of_digits_is_another_version(speak: Speaker) -> None:
    for digits, version in (("6.3", 'W/"1"'), ("6.30", 'W/"2"'), ("6.30", 'W/"2"')):
        raw = json.dumps(observation(id="o1"))[:-1] + f', "valueDecimal": {digits}}}'
        assert speak("PUT", "Observation/o1", raw.encode()).headers["ETag"] == version


def test_put_of_what_is_stored_makes_no_version(speak: Speaker) -> None:
    shuffled = dict(reversed(patient("1001", id="p1").items()))
    answer = speak("PUT", "Patient/p1", shuffled)
    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"1"')


def test_put_to_an_unknown_id_creates(speak: Speaker) -> None:
    answer = speak("PUT", "Patient/new-1", patient("8", id="new-1"))
    assert (answer.status_code, answer.json()["meta"]["versionId"]) == (201, "1")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("Patient/123", patient("8", id="123"), 400),  # digits are the server's own
        ("Patient/a", patient("8", id="b"), 400),
        ("Patient/a", patient("8"), 400),
        ("Patient/a_b", patient("8", id="a_b"), 400),
        ("Patient/a", observation(id="a"), 400),
        ("Parrot/a", {"resourceType": "Parrot", "id": "a"}, 404),
        ("Observation/a", observation("Patient/gone", id="a"), 400),
        ("Observation/a", observation("http://other.example/Patient/p1", id="a"), 400),
        ("Observation/a", observation("Patient?identifier=urn:mrn|none", id="a"), 404),
        ("Patient/a", b'{"resourceType": ', 400),
        ("Patient/a", b"[]", 400),
    ],
)
def test_put_refuses(speak: Speaker, path: str, body: dict | bytes, status: int) -> None:
    answer = speak("PUT", path, body)
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert speak("GET", path).status_code == 404


def test_a_reference_by_search_becomes_literal(speak: Speaker) -> None:
    made = speak("POST", "Observation", observation("Patient?identifier=urn:mrn|1001")).json()
    assert made["subject"] == {"reference": "Patient/p1"}


def test_contained_and_identifier_only_references_are_fine(speak: Speaker) -> None:
    loose = observation("#x", performer=[{"identifier": {"value": "7"}}])
    assert speak("POST", "Observation", loose).status_code == 201


@pytest.mark.parametrize(("given", "status"), [('W/"1"', 200), ('W/"7"', 409), ("1", 200)])
def test_if_match_must_be_the_current_version(speak: Speaker, given: str, status: int) -> None:
    changed = patient("1001", id="p1", active=True)
    assert speak("PUT", "Patient/p1", changed, If_Match=given).status_code == status


def test_tags_only_add_up_and_profiles_are_replaced(speak: Speaker) -> None:
    for name in ("one", "two"):
        meta = {"tag": [{"system": "urn:t", "code": name}], "profile": [f"urn:{name}"]}
        speak("PUT", "Patient/p1", patient("1001", id="p1", meta=meta))
    meta = speak("GET", "Patient/p1").json()["meta"]
    assert [tag["code"] for tag in meta["tag"]] == ["one", "two"]
    assert meta["profile"] == ["urn:two"]


def test_conditional_create_finds_none_one_or_several(speak: Speaker) -> None:
    wanted = "identifier=urn:mrn|55"
    first = speak("POST", "Patient", patient("55"), If_None_Exist=wanted)
    again = speak("POST", "Patient", patient("55"), If_None_Exist=wanted)
    speak("POST", "Patient", patient("55"))
    doubled = speak("POST", "Patient", patient("55"), If_None_Exist=wanted)
    assert [r.status_code for r in (first, again, doubled)] == [201, 200, 412]
    assert again.json()["id"] == first.json()["id"]


def test_a_resource_must_satisfy_its_own_condition(speak: Speaker) -> None:
    answer = speak("POST", "Patient", patient("55"), If_None_Exist="identifier=urn:mrn|56")
    assert answer.status_code == 400
    assert speak.ids("Patient") == ["p1"]


def test_deleted_is_gone_until_it_is_put_again(speak: Speaker) -> None:
    assert speak("DELETE", "Patient/p1").status_code == 200
    gone = speak("GET", "Patient/p1")
    assert gone.status_code == 410
    assert gone.headers["Location"] == f"{speak.base}/Patient/p1/_history/2"
    assert speak.ids("Patient") == []
    assert [speak("DELETE", f"Patient/{i}").status_code for i in ("p1", "never")] == [200, 200]
    back = speak("PUT", "Patient/p1", patient("1001", id="p1"))
    assert (back.status_code, back.headers["ETag"]) == (201, 'W/"3"')


def test_what_is_referred_to_cannot_be_deleted(speak: Speaker) -> None:
    speak("PUT", "Observation/o1", observation(id="o1"))
    assert speak("DELETE", "Patient/p1").status_code == 409
    speak("DELETE", "Observation/o1")
    assert speak("DELETE", "Patient/p1").status_code == 200


def test_history_shows_every_version_newest_first(speak: Speaker) -> None:
    speak("PUT", "Patient/p1", patient("1001", id="p1", active=True))
    speak("DELETE", "Patient/p1")
    history = speak("GET", "Patient/p1/_history").json()
    told = [(e["request"]["method"], e["response"]["etag"]) for e in history["entry"]]
    assert told == [("DELETE", 'W/"3"'), ("PUT", 'W/"2"'), ("PUT", 'W/"1"')]
    assert "resource" not in history["entry"][0]
    assert (history["type"], history["total"]) == ("history", 3)


def test_an_old_version_can_be_read(speak: Speaker) -> None:
    speak("PUT", "Patient/p1", patient("1001", id="p1", active=True))
    assert "active" not in speak("GET", "Patient/p1/_history/1").json()
    assert speak("GET", "Patient/p1/_history/2").json()["active"] is True
    assert speak("GET", "Patient/p1/_history/3").status_code == 404


@pytest.mark.parametrize(("preference", "empty"), [("minimal", True), ("representation", False)])
def test_prefer_chooses_whether_the_resource_comes_back(
    speak: Speaker, preference: str, empty: bool
) -> None:
    answer = speak("POST", "Patient", patient("9"), Prefer=f"return={preference}")
    assert answer.status_code == 201
    assert (answer.content == b"") is empty


def test_other_media_types_are_refused(speak: Speaker) -> None:
    answer = speak("POST", "Patient", b"<Patient/>", Content_Type="application/fhir+xml")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PATCH", "Patient/p1", 405), ("GET", "a/b/c/d/e", 404), ("GET", "Parrot", 404)],
)
def test_what_is_not_wired_is_an_operation_outcome(
    speak: Speaker, method: str, path: str, status: int
) -> None:
    answer = speak(method, path)
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"
