"""Clients that we did not write push and read without special handling; and the demo tells its story."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from fhirbridge.sandbox import synthetic
from tests.journeys import story
from tests.journeys.bridge import Bridge


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    return Bridge(tmp_path / "data").found(unmatched="enrol")


def test_fhirpy_pushes_a_bundle_and_reads_it_back(bridge: Bridge) -> None:
    bundle = json.loads(story.bundles_of(synthetic.records(1))[0])
    with bridge.serving() as door:
        client = SyncFHIRClient(door, authorization=f"Bearer {bridge.key}")
        made = client.execute("", method="post", data=bundle)
        assert {e["response"]["status"] for e in made["entry"]} == {"201 Created"}

        person = client.resources("Patient").first()
        assert person is not None
        mine = client.resources("Observation").search(patient=person["id"], category="survey")
        scores = mine.limit(5).fetch_all()
        assert len(scores) == 12
        lesion = client.reference("Condition", client.resources("Condition").first()["id"])
        assert lesion.to_resource()["subject"]["reference"] == f"Patient/{person['id']}"

        with pytest.raises(ResourceNotFound):
            client.reference("Condition", "none").to_resource()
        with pytest.raises(OperationOutcome):
            client.resources("Observation").search(paitent=person["id"]).fetch()
    assert story.told(bridge.export()) == story.truth(1)


def test_fhirpy_saves_one_resource(bridge: Bridge) -> None:
    person = json.loads(story.bundles_of([synthetic.subject(1)])[0])["entry"][0]["resource"]
    with bridge.serving() as door:
        client = SyncFHIRClient(door, authorization=f"Bearer {bridge.key}")
        saved = client.resource(
            "Patient", **{k: v for k, v in person.items() if k != "resourceType"}
        )
        saved.save()
        assert saved.id == client.resources("Patient").first()["id"]
        score = client.resource(
            "Observation",
            status="final",
            code={"coding": [{"system": "http://loinc.org", "code": "89247-1"}]},
            subject=saved.to_reference(),
            effectiveDateTime="2026-03-01",
            valueInteger=1,
        )
        score.save()
        assert score["meta"]["versionId"] == "1"
        assert client.reference("Observation", score.id).to_resource()["valueInteger"] == 1


def test_the_demo_tells_the_whole_story_and_leaves_nothing(tmp_path: Path) -> None:
    (folder := tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "fhirbridge", "demo"],
        capture_output=True,
        text=True,
        check=False,
        env=Bridge(tmp_path).environment() | {"TMPDIR": str(folder)},
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 verified" in done.stdout
    assert "0 differences, 0 invented" in done.stdout
    assert "= 0 applied" in done.stdout
    assert "the same receipts: True" in done.stdout
    assert list(folder.iterdir()) == []
    ports = re.findall(r"ready http://127\.0\.0\.1:(\d+)/", done.stdout)
    assert len(ports) == 2
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(port)), timeout=5)
