"""Pulls as an operator gives them: the certificate as JSON, a full pull, a server that asks to come
later, and a sandbox hospital that fails on demand. All persons and values are synthetic.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.journeys.bridge import SITE, Bridge, end

MRN = "https://hospital.example.org/mrn"


@contextmanager
def hospital(bridge: Bridge, *faults: str) -> Iterator[str]:
    """The sandbox as a command."""
    options = [word for fault in faults for word in ("--fault", fault)]
    process = subprocess.Popen(
        [sys.executable, "-m", "fhirbridge", "sandbox", "--patients", "3", *options],
        env=bridge.environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready ")
        yield line.split()[1]
    finally:
        end(process, signal.SIGTERM)


def enrolled(folder: Path) -> Bridge:
    bridge = Bridge(folder).found()
    for number in range(1, 4):
        identifier = f"{MRN}|M{number:05d}"
        subject = f"MBD-A-{number:03d}"
        bridge.say("subject", "enrol", subject, "--site", SITE, "--identifier", identifier)
    return bridge


def test_the_certificate_is_json_and_a_full_pull_says_so(tmp_path: Path) -> None:
    bridge = enrolled(tmp_path)
    with hospital(bridge) as base:
        bridge.connect(base)
        first = json.loads(bridge.say("pull", SITE, "--json"))
        assert (first["state"], first["counts_tie"], first["full"]) == ("complete", True, False)
        assert first["received"] == sum(first["counts"].values()) > 0
        assert first["received"] == sum(sum(fates.values()) for fates in first["types"].values())
        again = json.loads(bridge.say("pull", SITE, "--full", "--json"))
        assert (again["full"], again["counts"]["applied"]) == (True, 0)
        assert "the counts tie" in bridge.say("pull", SITE)


def test_e1_the_command_waits_as_long_as_it_may(tmp_path: Path) -> None:
    bridge = enrolled(tmp_path)
    rules = [{"fault": "status", "argument": 503, "match": "GET /fhir/Condition", "times": 4}]
    rules[0]["headers"] = {"Retry-After": "1"}
    file = tmp_path / "faults.json"
    file.write_text(json.dumps(rules), encoding="utf-8")
    with hospital(bridge, str(file)) as base:
        bridge.connect(base)
        done = bridge.run("pull", SITE, "--wait", "0", RETRIES="1")
        assert done.returncode == 1
        assert "come again not before" in done.stderr
        told = bridge.say("pull", SITE, "--wait", "60", RETRIES="1")
        assert "complete" in told


def test_a_fault_that_is_none_is_told(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path)
    done = bridge.run("sandbox", "--fault", "explode Observation")
    assert done.returncode != 0
    assert "use one of" in done.stderr
