"""Is it ready, and its numbers: what an operator's machines ask, without a credential."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from fhirbridge.app import create_app
from fhirbridge.settings import Settings
from fhirbridge.web import health
from tests import databases
from tests.web.sender import Sender, concept, lesion, score


@pytest.fixture(autouse=True)
def _look_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_SECONDS", 0.0)


def ready(door: Sender) -> tuple[int, dict[str, str]]:
    answer = door("GET", "/readyz", Authorization="")
    told = answer.get_json()
    assert told["ready"] is (answer.status_code == 200)
    return answer.status_code, told.get("parts", {})


def test_a_service_that_can_work_is_ready(door: Sender) -> None:
    assert ready(door) == (200, {})
    assert door("GET", "/healthz", Authorization="").text == "ok\n"


@pytest.mark.sqlite_only(reason="its file is opened for reading alone")
def test_a_database_that_only_reads_is_not_ready(door: Sender, settings: Settings) -> None:
    """As it is when a disk fails and is mounted read-only; SQLite may read what it cannot write."""
    door.service.registry.close()
    readonly = f"file:{settings.data / 'registry.db'}?mode=ro&uri=true"
    app = create_app(settings)
    app.extensions["fhirbridge"].registry.close()
    app.extensions["fhirbridge"].registry._url = app.extensions["fhirbridge"].registry._url.set(
        database=readonly.partition("?")[0], query={"mode": "ro", "uri": "true"}
    )
    app.extensions["fhirbridge"].registry._engines.clear()
    status, parts = ready(Sender(app, "alpha", door.site_id, door.key))
    assert (status, parts) == (503, {"database": "the database is read-only"})
    app.extensions["fhirbridge"].registry.close()


@pytest.mark.sqlite_only(reason="its folder is moved")
def test_a_database_that_is_away_is_not_ready_and_not_named(
    door: Sender, settings: Settings
) -> None:
    door.service.registry.close()
    folder = settings.data
    os.rename(folder, folder.with_name("moved"))
    status, parts = ready(door)
    assert (status, {*parts}) == (503, {"database"})
    assert str(folder) not in str(parts)
    assert door("GET", "/metrics", Authorization="").status_code == 200  # without the number


def test_another_schema_is_not_ready(door: Sender) -> None:
    with door.service.registry.connect(writes=True) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    status, parts = ready(door)
    assert (status, {*parts}) == (503, {"schema"})


def test_mappings_that_do_not_load_are_not_ready(tmp_path: Path) -> None:
    mappings = tmp_path / "mappings"
    shutil.copytree(Settings().mappings, mappings)
    (mappings / "lesion.yaml").write_text("form: secret-canary\n", encoding="utf-8")
    door = Sender.at(create_app(databases.settings(tmp_path / "d", mappings=mappings)), "alpha")
    status, parts = ready(door)
    assert (status, {*parts}) == (503, {"mappings"})
    assert "canary" not in str(parts)
    door.service.registry.close()


def test_readiness_is_looked_at_once_a_second(
    door: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anyone may ask, and it takes the lock of those who write."""
    monkeypatch.setattr(health, "_SECONDS", 60.0)
    assert ready(door) == (200, {})
    with door.service.registry.connect(writes=True) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    assert ready(door) == (200, {})


def number(text: str, name: str) -> float:
    (line,) = [x for x in text.splitlines() if x.startswith(f"{name} ")]
    return float(line.rpartition(" ")[2])


def test_the_numbers_count_requests_messages_entries_and_what_waits(door: Sender) -> None:
    door.push(lesion(), score(code=concept("urn:local", "x"), id="secret-1"))
    door.push(lesion(), score(code=concept("urn:local", "x"), id="secret-1"))  # the same: once
    door("POST", "/fhir", b"{")
    door("GET", "/fhir/Observation/secret-2?name=secret-3")
    answer = door("GET", "/metrics", Authorization="")
    assert answer.content_type.startswith("text/plain")
    told = answer.text
    assert number(told, 'fhirbridge_messages_total{state="done"}') == 1
    assert number(told, 'fhirbridge_messages_total{state="refused"}') == 1
    assert number(told, 'fhirbridge_entries_total{fate="applied"}') == 1
    assert number(told, 'fhirbridge_entries_total{fate="quarantined"}') == 1
    assert number(told, "fhirbridge_quarantine_waiting") == 1
    assert number(told, 'fhirbridge_requests_total{method="POST",route="/fhir",status="200"}') == 2
    assert number(told, 'fhirbridge_request_seconds_count{route="/fhir/<type>/<id>"}') == 1
    # Without the values: a time may be 0.04711.
    labels = "\n".join(line.rpartition(" ")[0] for line in told.splitlines())
    for name in ("secret", "engine", "alpha", door.site_id, "4711"):
        assert name not in labels


def test_a_strange_method_or_path_makes_no_label_of_its_own(door: Sender) -> None:
    for n in range(5):
        door(f"M{n}", f"/secret/{n}")
    told = door("GET", "/metrics", Authorization="").text
    assert number(told, 'fhirbridge_requests_total{method="other",route="none",status="404"}') == 5


def test_the_numbers_tell_which_jobs_are_due_running_and_dead(door: Sender) -> None:
    registry = door.service.registry
    with registry.unit(door.site_id) as unit:
        ward = unit.connections.add("ward", "http://hospital.example.org/fhir").id
        made = [unit.jobs.add(ward, kind, by="test") for kind in ("pull", "full", "deliver")]
        unit.jobs.begin(made[1].id, attempts=1, progress=0)
        unit.jobs.end(made[2].id, "dead")
        unit.jobs.add(ward, "deliver", by="test", not_before=unit.now() + timedelta(days=1))
        unit.commit()
    told = door("GET", "/metrics", Authorization="").text
    assert number(told, "fhirbridge_jobs_due") == 1
    assert number(told, "fhirbridge_jobs_running") == 1
    assert number(told, "fhirbridge_jobs_dead") == 1
    assert number(told, "fhirbridge_jobs_oldest_seconds") >= 0
    assert ready(door) == (200, {})
