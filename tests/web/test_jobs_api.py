"""Jobs over the JSON API: asked for, looked at, cancelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from fhirbridge.registry.jobs import Job
from fhirbridge.settings import Settings
from tests import databases
from tests.web.sender import Sender
from tests.web.signing import BASE, Signing

ASKED = {"kind": "pull", "by": "nurse", "reason": "told"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return databases.settings(tmp_path / "data", base_url=BASE)


@pytest.fixture
def ward(door: Sender) -> Sender:
    with door.service.registry.unit(door.site_id) as unit:
        unit.connections.add("ward", "http://hospital.example.org/fhir")
        unit.commit()
    return door


def post(sender: Any, path: str, body: Any) -> TestResponse:
    answer: TestResponse = sender("POST", path, body, Content_Type="application/json")
    return answer


def held(door: Sender, job_id: str) -> Job:
    with door.service.registry.read(door.site_id) as unit:
        found = unit.jobs.get(job_id)
    assert found is not None
    return found


def test_a_job_is_asked_for_listed_and_cancelled(ward: Sender) -> None:
    made = post(ward, "/api/v1/jobs", ASKED)
    assert made.status_code == 201, made.data
    job = made.get_json()
    assert (job["kind"], job["state"], job["made_by"]) == (
        "pull", "waiting", "person:nurse by client:engine",
    )  # fmt: skip
    again = post(ward, "/api/v1/jobs", ASKED)
    assert again.status_code == 409
    listed = ward("GET", "/api/v1/jobs?state=waiting").get_json()
    assert [one["id"] for one in listed["items"]] == [job["id"]]
    assert ward("GET", f"/api/v1/jobs/{job['id']}").get_json()["run"] is None
    gone = post(ward, f"/api/v1/jobs/{job['id']}/cancel", {"by": "nurse", "reason": "mistake"})
    assert gone.get_json()["state"] == "cancelled"
    twice = post(ward, f"/api/v1/jobs/{job['id']}/cancel", {"by": "nurse", "reason": "mistake"})
    assert twice.status_code == 409
    assert held(ward, job["id"]).ended_at is not None
    with ward.service.registry.read(ward.site_id) as unit:
        told = [(one.event, one.actor) for one in unit.trail.events() if "job" in one.event]
    assert ("job.add", "person:nurse by client:engine") in told
    assert ("job.cancel", "person:nurse by client:engine") in told


def test_a_job_tells_the_run_in_which_it_ended(ward: Sender) -> None:
    job = post(ward, "/api/v1/jobs", ASKED).get_json()
    with ward.service.registry.unit(ward.site_id) as unit:
        run = unit.runs.start(job["connection_id"], "pull")
        ended = unit.runs.finish(run.id, "incomplete", {"received": 2}, ["S-1: away"])
        unit.jobs.end(job["id"], "done", run_id=ended.id)
        unit.commit()
    told = ward("GET", f"/api/v1/jobs/{job['id']}").get_json()
    assert told["state"] == "done"
    assert (told["run"]["state"], told["run"]["counts"]) == ("incomplete", {"received": 2})
    assert told["run"]["reasons"] == ["S-1: away"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**ASKED, "kind": "erase"}, 400),
        ({**ASKED, "site_id": "another"}, 400),
        ({"kind": "pull"}, 400),
        ({**ASKED, "connection": "nowhere"}, 404),
    ],
)
def test_what_is_wrong_makes_no_job(ward: Sender, body: dict[str, str], status: int) -> None:
    assert post(ward, "/api/v1/jobs", body).status_code == status
    assert ward("GET", "/api/v1/jobs").get_json()["items"] == []


def test_reading_scopes_do_not_begin_or_cancel(ward: Sender) -> None:
    job = post(ward, "/api/v1/jobs", ASKED).get_json()
    reader = Signing.at(ward, name="reader").bearing("system/*.rs")
    assert reader("GET", "/api/v1/jobs").status_code == 200
    assert post(reader, "/api/v1/jobs", {**ASKED, "kind": "full"}).status_code == 403
    decision = {"by": "nurse", "reason": "told"}
    assert post(reader, f"/api/v1/jobs/{job['id']}/cancel", decision).status_code == 403
    narrow = Signing.at(ward, name="narrow").bearing("system/Observation.rs")
    assert narrow("GET", "/api/v1/jobs").status_code == 403
