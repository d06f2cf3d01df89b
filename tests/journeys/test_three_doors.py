"""The same patient's data by FHIR, as tables and by HL7 v2, to three sites of one installation that is
served, become the same records: field by field, with the visits that the days decide. Synthetic.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from fhirbridge.formats import fhir_json, hl7v2, mllp
from tests.journeys import patient, story
from tests.journeys.bridge import Bridge, end

FHIR, CSV, HL7 = "fhir", "csv", "hl7v2"
SITES = (FHIR, CSV, HL7)


@dataclass
class Three:
    """One installation with a site for each door, and how the patient's data go in by it."""

    bridge: Bridge
    keys: dict[str, str] = field(default_factory=dict)
    port: int = 0
    base: str = ""

    def push(self, body: dict[str, Any]) -> None:
        headers = self.login(FHIR) | {"Content-Type": "application/fhir+json"}
        raw = fhir_json.dump(body)
        answer = requests.post(self.base, data=raw, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text

    def upload(self, site: str, form: str, table: str, reason: str = "") -> None:
        asked = {"form": form, "apply": "true", "name": f"{form}.csv"}
        asked |= {"reason": reason} if reason else {}
        url = f"{self.base.removesuffix('/fhir')}/api/v1/imports"
        headers = self.login(site) | {"Content-Type": "text/csv"}
        answer = requests.post(url, data=table.encode(), params=asked, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert {fault["category"] for fault in told["faults"]} <= {"review"}, told["faults"]
        assert told["upload"]["state"] == "applied"

    def send(self, messages: Iterable[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as wire:
            frames = mllp.Frames()
            for one in messages:
                wire.sendall(mllp.frame(one))
                answers: list[bytes] = []
                while not answers and (given := wire.recv(65536)):
                    answers += frames.feed(given)
                (answer,) = (hl7v2.decode(answer) for answer in answers)
                assert answer.one("MSA").raw(1) == "AA"
                assert not [*answer.every("ERR")], answers

    def login(self, site: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[site]}"}

    def decide(self, site: str) -> list[str]:
        """A person takes all that waits; the fields of it."""
        url = f"{self.base.removesuffix('/fhir')}/api/v1/proposals"
        headers = self.login(site)
        waiting = requests.get(url, headers=headers, timeout=60).json()["items"]
        told = {"by": "study nurse", "reason": "seen in the notes"}
        for one in waiting:
            path = f"{url}/{one['id']}/accept"
            done = requests.post(path, json=told, headers=headers, timeout=60)
            assert done.status_code == 200, done.text
        return sorted(one["field"] for one in waiting)

    def waits(self, site: str) -> list[Any]:
        url = f"{self.base.removesuffix('/fhir')}/api/v1/quarantine"
        told: list[Any] = requests.get(url, headers=self.login(site), timeout=60).json()["items"]
        return told

    def records(self, site: str) -> dict[tuple[str, str], dict[str, Any]]:
        """As `record export` tells them, ids, source and site aside."""
        told = self.bridge.run("record", "export", "--site", site, "--json")
        assert told.returncode == 0, told.stderr
        held = story.told(fhir_json.read(told.stdout.encode()))
        assert {subject for subject, _, _ in held} == {patient.SUBJECT}
        return {(form, key): fields for (_, form, key), fields in held.items()}


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Three]:
    mappings = tmp_path / "mappings"
    shutil.copytree(story.MAPPINGS, mappings)
    (mappings / "sites" / HL7).mkdir(parents=True)
    (mappings / "sites" / HL7 / "hl7v2.yaml").write_text(patient.HL7V2, encoding="utf-8")
    made = Three(Bridge(tmp_path / "data", {"MAPPINGS": str(mappings)}))
    for site in SITES:
        made.bridge.say("site", "add", site)
        made.keys[site] = made.bridge.say("client", "add", "engine", "--site", site).strip()
        number = f"{patient.MRN}|{patient.NUMBER}"
        made.bridge.say("subject", "enrol", patient.SUBJECT, "--site", site, "--identifier", number)
    with socket.create_server(("127.0.0.1", 0)) as held:
        made.port = int(held.getsockname()[1])
    made.bridge.say("feed", "add", "ward", "--site", HL7, "--port", str(made.port))
    with made.bridge.serving() as made.base, _listening(made.bridge):
        yield made


@contextmanager
def _listening(bridge: Bridge) -> Iterator[None]:
    with bridge.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fhirbridge", "listen"],
            env=bridge.environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        assert "ready\n" in iter(process.stdout.readline, ""), bridge.log.read_text()
        yield
    finally:
        end(process, signal.SIGTERM)


@dataclass(frozen=True)
class Unsaid:
    """A field for which a door has no word, and the table by which staff say it instead."""

    site: str
    form: str
    field: str
    table: str
    why: str


UNSAID = (
    Unsaid(HL7, "surgery", "index", patient.INDEX, "PR1 does not know what the study's day 0 is"),
)
# What a person decides, as the format only suggests it, or the study wants one to look.
DECIDED = {FHIR: ["index"], CSV: ["index"], HL7: ["index", "purpose"]}

Records = dict[tuple[str, str], dict[str, Any]]


def the_same(three: Three, truth: Records) -> None:
    """At each site every record of her, and nothing else, digit by digit."""
    expected = {name: fhir_json.canonical(fields) for name, fields in truth.items()}
    for site in SITES:
        held = three.records(site)
        told = {name: fhir_json.canonical(fields) for name, fields in held.items()}
        assert told == expected, site
        assert three.waits(site) == [], site


def changed(truth: Records, day: str, **fields: Any) -> Records:
    """Of the assessment of that day; None is none."""
    name = ("assessment", day)
    after = {**truth[name], **fields}
    return {**truth, name: {field: value for field, value in after.items() if value is not None}}


def test_the_same_patient_by_three_doors_is_the_same_records(three: Three) -> None:
    three.push(patient.fhir())
    for form, table in patient.tables():
        three.upload(CSV, form, table)
    three.send(patient.hl7v2())
    for unsaid in UNSAID:
        held = three.records(unsaid.site)
        assert not [f for (form, _), f in held.items() if form == unsaid.form and unsaid.field in f]
        three.upload(unsaid.site, unsaid.form, unsaid.table)
    assert {site: three.decide(site) for site in SITES} == DECIDED
    the_same(three, patient.TRUTH)

    three.push(patient.fhir_corrected())
    three.upload(CSV, "assessment", patient.one_cell("promis_pf_t", "41.0"))
    three.send(patient.hl7v2_corrected())
    truth = changed(patient.TRUTH, patient.WEEK_6, promis_pf_t=Decimal("41.0"))
    the_same(three, truth)

    three.push(patient.fhir_withdrawn())
    three.upload(CSV, "assessment", patient.one_cell("pain_activity", "withdraw"), "not hers")
    three.send(patient.hl7v2_withdrawn())
    the_same(three, changed(truth, patient.WEEK_6, pain_activity=None))
    assert "all is well" in three.bridge.say("verify")
