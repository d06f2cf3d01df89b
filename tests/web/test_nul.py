"""U+0000, which PostgreSQL's text and XML cannot hold, gets the same clear answer on each database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.sender import RECORD, STUDY, Sender, bundle, concept, person, score, whose

NUL = "a\0b"
RESOURCES: dict[str, dict[str, Any]] = {
    "id": score(id=NUL),
    "identifier": score(identifier=[{"system": RECORD, "value": NUL}]),
    "a text that is not read": score(note=[{"text": NUL}]),
    "system": score(code=concept(f"http://{NUL}", "c")),
    "code": score(code=concept(STUDY, NUL)),
    "a person's number": person(NUL),
    "subject": {**score(), "subject": whose(NUL)},
    "reference": {**score(), "subject": {"reference": f"Patient/{NUL}"}},
    "version": score(id="v", meta={"versionId": NUL}),
    "property": score(**{NUL: 1}),
    "type": {**score(), "resourceType": NUL},
}
ENTRIES: dict[str, dict[str, Any]] = {
    "fullUrl": {"fullUrl": f"urn:{NUL}"},
    "condition": {
        "request": {"method": "POST", "url": "Observation", "ifNoneExist": f"identifier=x|{NUL}"}
    },
}


def _refused(door: Sender, body: dict[str, Any]) -> None:
    answer = door("POST", "/fhir", body)
    assert answer.status_code == 400, answer.data
    assert "U+0000" in answer.get_json()["issue"][0]["details"]["text"]
    assert {entry["fate"] for entry in door.receipt(answer)["entries"]} == {"refused"}
    assert door.records() == []


@pytest.mark.parametrize("name", RESOURCES)
def test_a_message_with_nul_is_refused_with_a_receipt(door: Sender, name: str) -> None:
    _refused(door, bundle(RESOURCES[name]))


@pytest.mark.parametrize("name", ENTRIES)
def test_a_bundle_with_nul_is_refused_with_a_receipt(door: Sender, name: str) -> None:
    made = bundle(score())
    made["entry"][0] |= ENTRIES[name]
    _refused(door, made)


def test_a_backslash_before_u0000_is_no_nul(door: Sender) -> None:
    assert door.fates(door.push(score(note=[{"text": "\\u0000"}]))) == ["applied"]


@pytest.mark.parametrize(
    "url",
    [
        "/fhir/Patient/%00",
        "/fhir/Patient?_id=%00",
        "/fhir/Patient?identifier=%00|%00",
        "/fhir/Observation?code=a%00b",
        "/receipts/%00",
        "/fhir/%00/1",
    ],
)
def test_a_url_with_nul_is_refused(door: Sender, url: str) -> None:
    answer = door("GET", url)
    assert answer.status_code == 400
    assert "U+0000" in answer.get_json()["issue"][0]["details"]["text"]


@pytest.mark.parametrize(
    "given",
    [{"Authorization": "Bearer fb_\0_x"}, {"X_API_Key": "fb_\0_x", "Authorization": ""}],
)
def test_a_key_with_nul_is_a_wrong_key(door: Sender, given: dict[str, str]) -> None:
    assert door("GET", "/fhir/Patient", **given).status_code == 401
