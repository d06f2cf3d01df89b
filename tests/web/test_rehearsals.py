"""Rehearsal keys: answered as ever, and nothing is kept but an event of the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from fhirbridge.registry import tables
from fhirbridge.registry.store import Registry
from tests.web.sender import SCT, Sender, bundle, concept, lesion, person, score

CSV = b"study_id,assessed_on,pain_rest\r\nS-1,2026-03-01,4\r\nS-1,2026-03-02,99\r\n"


def counts(registry: Registry) -> dict[str, int]:
    """The rows of every table."""
    with registry.connect(writes=False) as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in tables.metadata.tables.items()
        }


@contextmanager
def only_the_trail_grows(registry: Registry, events: int = 1) -> Iterator[None]:
    before = counts(registry)
    yield
    assert counts(registry) == {**before, "audit": before["audit"] + events}


@pytest.fixture
def trial(door: Sender) -> Sender:
    return Sender.at(door.app, "alpha", client="trial", rehearsal=True)


def last_event(door: Sender) -> Any:
    with door.service.registry.read(door.site_id) as unit:
        return unit.trail.events(limit=500)[-1]


def texts(outcome: dict[str, Any]) -> str:
    return " / ".join(issue["details"]["text"] for issue in outcome["issue"])


def test_a_push_is_answered_entry_by_entry_and_thrown_away(door: Sender, trial: Sender) -> None:
    sent = bundle(person(), score(4), lesion(code=concept("urn:local", "X9")))
    with only_the_trail_grows(door.service.registry):
        told = trial("POST", "/fhir", sent)
    assert (told.status_code, told.headers["X-Rehearsal"]) == (200, "true")
    assert "X-Receipt" not in told.headers
    made = [entry["response"] for entry in told.get_json()["entry"]]
    assert [one["status"][:3] for one in made] == ["200", "201", "202"]
    assert "rehearsed: entry 1 part 0 (Observation): applied (201 Created)" in texts(
        made[1]["outcome"]
    )
    assert "quarantined" in texts(made[2]["outcome"])
    assert "X9" in texts(made[2]["outcome"])
    real = door("POST", "/fhir", sent)
    assert [e["response"]["status"] for e in real.get_json()["entry"]] == [
        one["status"] for one in made
    ]
    assert door.fates(real) == ["unchanged", "applied", "quarantined"]


def test_the_trail_says_who_rehearsed_and_how_many(door: Sender, trial: Sender) -> None:
    trial("POST", "/fhir", bundle(person(), score(4)))
    event = last_event(door)
    assert (event.actor, event.action, event.event) == ("client:trial", "E", "rehearsal")
    told = dict(event.entities)
    assert len(told.pop("subjects")) == 1
    assert told == {"kind": "push/Bundle", "received": "2", "applied": "1", "unchanged": "1"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/fhir/Observation", score(4), 201),
        ("PUT", "/fhir/Observation/o-1", score(4, id="o-1"), 201),
        ("POST", "/fhir/Condition", lesion(code=concept("urn:local", "X9")), 202),
        ("POST", "/fhir/Observation", score("four"), 400),
    ],
)
def test_a_resource_is_answered_with_its_receipt(
    door: Sender, trial: Sender, method: str, path: str, body: Any, status: int
) -> None:
    with only_the_trail_grows(door.service.registry):
        told = trial(method, path, body)
    assert (told.status_code, told.headers["X-Rehearsal"]) == (status, "true")
    assert told.get_json()["resourceType"] == "OperationOutcome"
    assert door(method, path, body).status_code == status


def test_a_stranger_is_enrolled_and_forgotten(door: Sender) -> None:
    trial = Sender.at(door.app, "open", client="trial", unmatched="enrol", rehearsal=True)
    study_id = {"system": "https://fhirbridge.example.org/fhir/sid/study-id", "value": "S-9"}
    with only_the_trail_grows(door.service.registry):
        told = trial("POST", "/fhir", bundle({**person("99"), "identifier": [study_id]}))
    assert told.status_code == 200
    with door.service.registry.read(trial.site_id) as unit:
        assert unit.subjects.all() == []


def upload(sender: Sender, query: str = "") -> TestResponse:
    return sender(
        "POST", f"/api/v1/imports?form=assessment&name=a.csv{query}", CSV, Content_Type="text/csv"
    )


@pytest.mark.parametrize("query", ["", "&apply=true"])
def test_a_table_is_rehearsed_and_not_kept(door: Sender, trial: Sender, query: str) -> None:
    with only_the_trail_grows(door.service.registry):
        told = upload(trial, query)
    made = told.get_json()
    assert (told.status_code, told.headers["X-Rehearsal"]) == (200, "true")
    assert (made["upload"]["id"], made["upload"]["state"]) == ("", "rehearsed")
    assert [row["fate"] for row in made["rows"]] == ["create", "create"]
    assert [(fault["cell"], fault["value"]) for fault in made["faults"]] == [("C3", "99")]
    assert upload(door, query).get_json()["counts"]["create"] == 2


def test_a_rehearsal_tells_no_value_that_the_registry_holds(door: Sender, trial: Sender) -> None:
    assert upload(door, "&apply=true").status_code == 200
    changed = CSV.replace(b",4", b",5")
    told = trial("POST", "/api/v1/imports?form=assessment", changed, Content_Type="text/csv")
    ((old, new),) = [(one["old"], one["new"]) for one in told.get_json()["changes"]]
    assert (old, new) == (None, 5)


def test_a_rehearsal_key_opens_nothing_but_the_doors(full: Sender) -> None:
    """Every route of the service, by default: one that is new is closed to it."""
    trial = Sender.at(full.app, "alpha", client="trial", rehearsal=True)
    opened = set()
    for rule in full.app.url_map.iter_rules():
        path = rule.rule.replace("<type>", "Observation")
        path = path.replace("<id>", "x").replace("<number>", "1")
        for method in (rule.methods or set()) & {"GET", "POST", "PUT", "DELETE"}:
            if "<" not in path and trial(method, path).status_code != 403:
                opened.add(f"{method} {rule.rule}")
    assert opened == {
        "GET /fhir/metadata", "GET /fhir/.well-known/smart-configuration", "POST /oauth/token",
        "GET /healthz", "GET /readyz", "GET /metrics", "GET /connections/<id>/jwks.json",
        "POST /fhir/", "POST /fhir", "POST /fhir/<type>", "PUT /fhir/<type>",
        "PUT /fhir/<type>/<id>", "POST /fhir/$process-message", "POST /fhir/$validate",
        "POST /fhir/<type>/$validate", "POST /fhir/<type>/<id>/$validate",
        "POST /api/v1/imports",
    }  # fmt: skip


def test_what_it_sends_is_never_shown_in_its_present_state(full: Sender) -> None:
    trial = Sender.at(full.app, "alpha", client="trial", rehearsal=True)
    wants = {"Prefer": "return=representation"}
    told = trial("POST", "/fhir", bundle(lesion(bodySite=[concept(SCT, "71341001")])), **wants)
    assert [[*entry] for entry in told.get_json()["entry"]] == [["response"]]
