"""Deliveries over the JSON API: listed, shown, and tried again because a person says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from fhirbridge.outcome import Issue
from fhirbridge.settings import Settings
from tests import databases
from tests.web.sender import Sender, score
from tests.web.signing import BASE, Signing

JSON = "application/json"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return databases.settings(tmp_path / "data", base_url=BASE)


@pytest.fixture
def dead(door: Sender) -> list[str]:
    """Two scores that a hospital refused and one that is verified there."""
    days = ("2026-03-01", "2026-03-02", "2026-03-03")
    door.push(*(score(3, id=day, effectiveDateTime=day) for day in days))
    refused = {"state": "dead", "cause": "refused", "attempts": 3, "sent_sha256": "a"}
    issue = Issue("remote", "the create was answered with 422", "show this to the hospital's IT")
    with door.service.registry.unit(door.site_id) as unit:
        ward = unit.connections.add("ward", "https://hospital.example.org/fhir")
        rows = [
            row
            for one in unit.records.all("assessment")
            for row in unit.resources.of_record(one.id)
        ]
        assert len(rows) == 3
        kept = [unit.deliveries.put(ward.id, r.id, issues=(issue,), **refused) for r in rows[:2]]  # type: ignore[arg-type]
        unit.deliveries.put(ward.id, rows[2].id, state="verified", remote_id="77")
        unit.writability.learn(ward.id, "Observation", "create", allowed=False, cause="405")
        unit.commit()
    return sorted(one.id for one in kept)


def get(door: Sender, query: str = "") -> list[dict[str, Any]]:
    answer = door("GET", f"/api/v1/deliveries{query}")
    assert answer.status_code == 200, answer.data
    return list(answer.get_json()["items"])


def retry(door: Sender, **asked: Any) -> TestResponse:
    return door("POST", "/api/v1/deliveries/retry", {"by": "nurse", **asked}, Content_Type=JSON)


def test_they_are_listed_with_their_causes_and_by_page(door: Sender, dead: list[str]) -> None:
    assert len(get(door)) == 3
    assert [one["id"] for one in get(door, "?state=dead&cause=refused&connection=ward")] == dead
    assert get(door, "?connection=other") == []
    assert get(door, "?cause=gone") == []
    first = door("GET", "/api/v1/deliveries?state=dead&limit=1").get_json()
    assert first["next"] == dead[0]
    assert [one["id"] for one in get(door, f"?state=dead&after={dead[0]}")] == dead[1:]
    assert door("GET", "/api/v1/deliveries?state=lost").status_code == 400


def test_one_tells_where_it_is_and_why_it_ended(door: Sender, dead: list[str]) -> None:
    told = door("GET", f"/api/v1/deliveries/{dead[0]}").get_json()
    assert (told["connection"], told["type"], told["state"]) == ("ward", "Observation", "dead")
    assert (told["attempts"], told["remote_id"], told["not_before"]) == (3, None, None)
    assert told["issues"][0]["remedy"] == "show this to the hospital's IT"


def test_what_is_chosen_is_tried_again_and_the_trail_says_who(
    door: Sender, dead: list[str]
) -> None:
    answer = retry(door, state="dead", cause="refused")
    assert (answer.status_code, sorted(answer.get_json()["ids"])) == (200, dead)
    assert {one["state"] for one in get(door)} == {"pending", "verified"}
    with door.service.registry.read(door.site_id) as unit:
        told = next(one for one in unit.trail.events() if one.event == "delivery.retry")
        ward = unit.connections.by_name("ward")
        assert unit.writability.of_connection(ward.id) == []  # it may have been mended there
    assert told.actor == "person:nurse by client:engine"
    assert sorted(told.entities["deliveries"]) == dead


def test_one_that_is_verified_is_not_tried_again(door: Sender, dead: list[str]) -> None:
    (verified,) = (one["id"] for one in get(door, "?state=verified"))
    answer = retry(door, ids=[verified])
    assert (answer.status_code, dead) == (404, dead)
    assert "can be tried again" in answer.get_json()["issues"][0]["cause"]
    assert retry(door, ids=[]).status_code == 400
    assert retry(door, over="yes").status_code == 400


def test_who_may_only_read_may_not_let_it_be_tried(door: Sender, dead: list[str]) -> None:
    reader = Signing.at(door).bearing("system/*.r")
    assert reader("GET", "/api/v1/deliveries").status_code == 200
    sent = {"by": "nurse", "ids": dead}
    answer = reader("POST", "/api/v1/deliveries/retry", sent, Content_Type=JSON)
    assert answer.status_code == 403
