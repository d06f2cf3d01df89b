"""Who may come in, and that nothing is read of those who may not."""

from __future__ import annotations

import pytest

from tests.web.sender import Sender, score


def test_a_request_without_a_key_gets_401_and_how_to_send_one(door: Sender) -> None:
    answer = door("GET", "/fhir/Patient", Authorization="")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    issue = answer.get_json()["issue"][0]
    assert issue["code"] == "login"
    assert "Authorization: Bearer KEY" in issue["details"]["text"]


@pytest.mark.parametrize(
    "given",
    [
        "Bearer fb_0000000000_" + "0" * 48,  # unknown prefix
        "Bearer nonsense",
        "Basic dXNlcjpwYXNz",
        "Bearer ",
    ],
)
def test_a_wrong_key_gets_401(door: Sender, given: str) -> None:
    assert door("GET", "/fhir/Patient", Authorization=given).status_code == 401


def test_the_right_prefix_with_a_wrong_secret_gets_401(door: Sender) -> None:
    wrong = door.key[:-1] + ("0" if door.key[-1] != "0" else "1")
    assert door("GET", "/fhir/Patient", Authorization=f"Bearer {wrong}").status_code == 401


def test_a_revoked_key_gets_401(door: Sender) -> None:
    with door.service.registry.unit(door.site_id) as unit:
        unit.clients.revoke("engine")
        unit.commit()
    assert door("GET", "/fhir/Patient").status_code == 401


def test_an_api_key_header_is_taken_too(door: Sender) -> None:
    answer = door("GET", "/fhir/Patient", Authorization="", X_API_Key=door.key)
    assert answer.status_code == 200


def test_x36_nothing_is_parsed_before_authentication(door: Sender) -> None:
    for path in ("/fhir", "/fhir/Observation", "/fhir/Patient/_search"):
        answer = door("POST", path, b"{broken", Authorization="")
        assert answer.status_code == 401


def test_another_site_sees_nothing_of_ours(door: Sender) -> None:
    """X12: a foreign id answers exactly like one that does not exist."""
    pushed = door.push(score())
    stored = pushed.get_json()["entry"][0]["response"]["location"].split("/_history")[0]
    other = Sender.at(door.app, "beta")
    for path in (f"/fhir/{stored}", f"/receipts/{pushed.headers['X-Receipt']}"):
        theirs = other("GET", path)
        unknown = other("GET", f"{path[:-1]}{'0' if path[-1] != '0' else '1'}")
        assert (theirs.status_code, theirs.data) == (404, unknown.data)
    assert other("GET", "/fhir/Observation").get_json().get("entry", []) == []
    assert len(door("GET", "/fhir/Observation").get_json()["entry"]) == 1


def test_the_same_person_can_be_enrolled_at_two_sites(door: Sender) -> None:
    """X15: one site's identifiers tell another site nothing."""
    other = Sender.at(door.app, "beta")
    other.enrol("S-9", "4711")
    assert other.fates(other.push(score(7))) == ["applied"]
    assert door.records() == []
