"""A new site, step by step: what is open says what to type, and what was typed makes it done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhirbridge.app import create_app
from fhirbridge.cli import commands
from fhirbridge.settings import Settings
from tests import databases

SAMPLE = "study_id,assessed_on,pain_rest\nS-1,2026-03-01,{}\n"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    made = databases.settings(tmp_path / "data")
    for name, value in (("DATA", made.data), ("DATABASE", made.database)):
        monkeypatch.setenv(f"FHIRBRIDGE_{name}", str(value))
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(commands, list(words))


def states(name: str = "north") -> dict[str, str]:
    told = run("site", "onboard", name, "--json")
    made = json.loads(told.stdout)
    assert told.exit_code == (0 if made["complete"] else 1)
    for step in made["steps"]:
        assert bool(step["next"]) == (step["state"] == "open")
    return {step["name"]: step["state"] for step in made["steps"]}


def open_steps() -> set[str]:
    return {name for name, state in states().items() if state == "open"}


def test_a_site_is_onboarded_step_by_step(settings: Settings, tmp_path: Path) -> None:
    assert states() == {"policies": "open"}
    assert run("site", "add", "north").exit_code == 0
    assert open_steps() == {"ways in", "people", "forecast", "rehearsal"}
    run("client", "add", "engine", "--site", "north")
    assert open_steps() == {"people", "forecast", "rehearsal"}
    run("subject", "enrol", "S-1", "--site", "north", "--identifier", "urn:oid:2.999.4|4711")
    assert open_steps() == {"forecast", "rehearsal"}
    _forecast(tmp_path, 99)
    assert open_steps() == {"forecast", "rehearsal"}  # its sample is blocked
    _forecast(tmp_path, 9)
    assert open_steps() == {"rehearsal"}
    key = run("client", "add", "trial", "--site", "north", "--rehearsal").stdout.strip()
    assert open_steps() == {"rehearsal"}  # nothing came by it
    _push(settings, key)
    assert open_steps() == set()
    told = run("site", "onboard", "north")
    assert (told.exit_code, told.stdout.splitlines()[-1]) == (0, "complete")


def test_a_feed_needs_to_know_whose_numbers_come(settings: Settings) -> None:
    run("site", "add", "north", "--unmatched", "enrol")
    run("feed", "add", "mllp", "--site", "north", "--port", "2575")
    assert open_steps() == {"identifiers", "forecast", "rehearsal"}
    assert "hl7v2.yaml" in run("site", "onboard", "north").stdout


def test_a_site_that_is_only_pulled_rehearses_by_the_check(settings: Settings) -> None:
    run("site", "add", "north")
    run("connection", "add", "ward", "https://hospital.example.org/fhir", "--site", "north")
    found = states()
    assert (found["connection check"], found["rehearsal"]) == ("open", "not needed")


def test_a_rehearsal_client_is_no_way_in(settings: Settings) -> None:
    run("site", "add", "north")
    run("client", "add", "trial", "--site", "north", "--rehearsal")
    assert "ways in" in open_steps()
    assert "trial: fb_" in (told := run("client", "list", "--site", "north").stdout)
    assert "rehearsal, nothing is kept" in told


def test_a_client_that_signs_has_no_rehearsal_key(settings: Settings) -> None:
    run("site", "add", "north")
    url = "https://engine.example.org/jwks.json"
    told = run("client", "add", "t", "--site", "north", "--rehearsal", "--jwks-url", url)
    assert told.exit_code != 0


def _forecast(folder: Path, pain: int) -> None:
    file = folder / "sample.csv"
    file.write_text(SAMPLE.format(pain), encoding="utf-8")
    report = folder / "forecast.md"
    asked = ("--site", "north", "--form", "assessment", "--report", str(report))
    told = run("site", "forecast", str(file), *asked)
    assert told.exit_code == (1 if pain > 10 else 0), told.output
    assert "| `assessment.assessed_on` | column assessed_on | 1 of 1 |" in report.read_text("utf-8")
    assert report.stat().st_mode & 0o77 == 0


def _push(settings: Settings, key: str) -> None:
    app = create_app(settings)
    body = {"resourceType": "Bundle", "type": "transaction"}
    told = app.test_client().post(
        "/fhir",
        json=body,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/fhir+json"},
    )
    assert (told.status_code, told.headers["X-Rehearsal"]) == (200, "true")
    app.extensions["fhirbridge"].registry.close()
