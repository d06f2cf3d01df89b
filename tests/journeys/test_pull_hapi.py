"""Pulls from a hospital server that is not ours, HAPI FHIR: increments, `$everything`, Bulk export,
deletions. All persons and values are synthetic.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from fhirbridge.formats import fhir_json
from tests.journeys.bridge import SITE, Bridge
from tests.sync.ward import chart
from tests.web.sender import MRN, person

pytestmark = pytest.mark.hapi

JSON = {"Content-Type": "application/fhir+json"}


class Chart:
    """One Patient there under ids that no other test has."""

    def __init__(self, base: str, name: str) -> None:
        self.base, self.name = base, name
        self.put(person(f"{name}-4711", id=name))

    def put(self, resource: dict[str, Any]) -> None:
        url = f"{self.base}/{resource['resourceType']}/{resource['id']}"
        raw = fhir_json.dump(resource)
        requests.put(url, data=raw, headers=JSON, timeout=60).raise_for_status()

    def score(self, day: int, value: int = 2, **more: Any) -> None:
        moment = f"2026-02-{day:02d}"
        id = f"{self.name}-e{day}"
        self.put(chart(id, value, patient=self.name, effectiveDateTime=moment, **more))

    def delete(self, day: int) -> None:
        url = f"{self.base}/Observation/{self.name}-e{day}"
        requests.delete(url, timeout=60).raise_for_status()


class Study:
    """An installation whose one subject is that Patient."""

    def __init__(self, folder: Path, base: str, name: str, **options: str) -> None:
        self.bridge = Bridge(folder).found()
        self.bridge.connect(base)
        self.set(**options)
        number = f"{MRN}|{name}-4711"
        self.bridge.say("subject", "enrol", "S-1", "--site", SITE, "--identifier", number)

    def set(self, **options: str) -> None:
        if options:
            words = [f"{name}={value}" for name, value in options.items()]
            self.bridge.say("connection", "set", "ward", *words, "--site", SITE)

    def pull(self, *words: str) -> dict[str, Any]:
        done = self.bridge.run("pull", SITE, "--json", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        assert (told["state"], told["counts_tie"]) == ("complete", True)
        return told

    def days(self) -> list[str]:
        records = [one for one in self.bridge.export() if one["form"] == "assessment"]
        return sorted(one["fields"]["assessed_on"][-2:] for one in records)


def test_e9_e21_increments_by_lastupdated_and_deletions_by_history(
    hapi_server: str, tmp_path: Path
) -> None:
    there = Chart(hapi_server, "pulled-one")
    for day in range(1, 6):
        there.score(day)
    study = Study(tmp_path, hapi_server, there.name, overlap="0", deletions="history")
    first = study.pull()
    assert first["types"]["Observation"] == {"applied": 5}
    assert abs(first["drift"]) < 60

    there.score(1, 4)
    there.score(6)
    second = study.pull()
    told = second["types"]["Observation"]
    assert (told["applied"], second["full"]) == (2, False)
    assert told.get("unchanged", 0) < 4  # it was asked for what is newer
    assert study.days() == ["01", "02", "03", "04", "05", "06"]

    there.delete(2)
    third = study.pull()
    assert (third["deleted"], study.days()) == (1, ["01", "03", "04", "05", "06"])
    study.set(deletions="ask")
    there.delete(3)
    assert study.pull()["deleted"] == 0
    assert study.pull("--full")["deleted"] == 1
    assert study.days() == ["01", "04", "05", "06"]

    study.set(pull="everything")
    assert study.pull()["types"]["Observation"] == {"unchanged": 4}


def test_b1_b10_a_bulk_export_and_the_next_one(hapi_server: str, tmp_path: Path) -> None:
    there, other = Chart(hapi_server, "pulled-two"), Chart(hapi_server, "pulled-stranger")
    for day in range(1, 6):
        there.score(day)
        other.score(day)
    options = {"pull": "export-patients", "poll_cap": "1"}
    study = Study(tmp_path, hapi_server, there.name, **options)
    first = study.pull()
    assert first["types"]["Observation"] == {"applied": 5}
    assert first["left_out"] >= 6

    there.score(1, 4)
    second = study.pull()
    assert second["export_since"] == first["transaction_time"]
    assert second["types"]["Observation"]["applied"] == 1

    there.delete(2)  # HAPI's manifest does not tell it: a full export and a reading do
    assert study.pull("--full")["deleted"] == 1
    assert study.days() == ["01", "03", "04", "05"]
