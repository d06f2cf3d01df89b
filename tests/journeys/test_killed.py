"""Killed with SIGKILL at named points and at random, then again: every record is there once."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fhirbridge.formats import fhir_json
from fhirbridge.sandbox import synthetic
from fhirbridge.sandbox.patients import hospital_resources
from fhirbridge.sandbox.server import Hospital
from tests.journeys import story
from tests.journeys.bridge import SITE, Bridge, end

SUBJECTS = 12
KILLED = -signal.SIGKILL


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    return Bridge(tmp_path / "data", {"PAGE_SIZE": "2"}).found(unmatched="enrol")


def send_until_acknowledged(
    bridge: Bridge, address: list[str], bundles: Iterator[bytes], until: float
) -> None:
    """A sender as integration engines are: each Bundle again and again until its 200."""
    for bundle in bundles:
        while True:
            assert time.monotonic() < until, "the Bundle was never acknowledged"
            try:
                if bridge.post(address[0], bundle).status_code == 200:
                    break
            except requests.RequestException:
                time.sleep(0.05)


@pytest.mark.parametrize("point", ["ingest.before-commit", "ingest.after-commit"])
def test_e16_a_worker_killed_around_the_commit(bridge: Bridge, point: str) -> None:
    """The sender gets no answer, sends again, and finds all of it there once."""
    bundle = story.bundles_of(synthetic.records(1))[0]
    with bridge.serving(CRASH=f"{point}:1") as door, pytest.raises(requests.ConnectionError):
        bridge.post(door, bundle)
    there = story.told(bridge.export())
    assert there == ({} if point == "ingest.before-commit" else story.truth(1))
    with bridge.serving() as door:
        assert bridge.post(door, bundle).status_code == 200
    assert story.told(bridge.export()) == story.truth(1)
    assert "all is well" in bridge.say("verify")


def test_e16_the_whole_service_killed_at_random_under_three_senders(bridge: Bridge) -> None:
    dice = random.Random(7)
    bundles = story.bundles_of(synthetic.records(SUBJECTS))
    process, base = bridge.start()
    address, until = [base], time.monotonic() + 120
    senders = [
        threading.Thread(
            target=send_until_acknowledged, args=(bridge, address, iter(bundles[n::3]), until)
        )
        for n in range(3)
    ]
    for sender in senders:
        sender.start()
    kills = 0
    while any(sender.is_alive() for sender in senders) and kills < 6:
        time.sleep(dice.uniform(0.05, 0.4))
        end(process, signal.SIGKILL)
        kills += 1
        process, address[0] = bridge.start()
    for sender in senders:
        sender.join(timeout=120)
        assert not sender.is_alive()
    end(process, signal.SIGTERM)
    assert kills >= 1
    assert story.told(bridge.export()) == story.truth(SUBJECTS)
    assert "all is well" in bridge.say("verify")


def _enrolled(bridge: Bridge, base: str) -> None:
    bridge.connect(base)
    bridge.enrol(story.enrolment(range(1, SUBJECTS + 1)))


def test_e16_a_pull_killed_between_pages_goes_on_where_it_stopped(
    bridge: Bridge, tmp_path: Path
) -> None:
    resources = hospital_resources(SUBJECTS)
    with Hospital(resources).running() as base:
        _enrolled(bridge, base)
        whole = Bridge(tmp_path / "other", {"PAGE_SIZE": "2"}).found(unmatched="enrol")
        _enrolled(whole, base)
        expected = whole.say("pull", SITE).splitlines()[-2:]
        killed = 0
        while (done := bridge.run("pull", SITE, CRASH="pull.after-page:12")).returncode == KILLED:
            killed += 1
        assert done.returncode == 0, done.stderr
        assert killed >= 3
        assert done.stdout.splitlines()[-2:] == expected  # pages, counts, and that they tie
        assert bridge.export() == whole.export()
        assert "all is well" in bridge.say("verify")
        again = bridge.say("pull", SITE)
        assert "= 0 applied" in again


def test_e16_a_delivery_killed_after_sending_sends_nothing_twice(bridge: Bridge) -> None:
    hospital = Hospital(hospital_resources(SUBJECTS))
    with hospital.running() as base, bridge.serving() as door:
        _enrolled(bridge, base)
        for bundle in story.bundles_of(r for n in range(1, 4) for r in synthetic.assessments(n)):
            assert bridge.post(door, bundle).status_code == 200
        bridge.say("pull", SITE)
        before = len(hospital.resources())
        killed = 0
        while (
            done := bridge.run("deliver", SITE, CRASH="deliver.after-send:10")
        ).returncode == KILLED:
            killed += 1
            assert killed < 50
        assert done.returncode == 0, done.stdout
        assert killed >= 3
        made = [r for r in hospital.resources() if story.mappings().record_system in str(r)]
        assert len(made) == len(hospital.resources()) - before == 3 * 3 * 4
        assert len({r["identifier"][0]["value"] for r in made}) == len(made)
        assert {r["meta"]["versionId"] for r in made} == {"1"}


def test_x04_a_next_link_to_another_origin_gets_no_token_and_ends_the_stream(
    bridge: Bridge,
) -> None:
    foreign = Hospital([])
    hospital = Hospital(hospital_resources(2), token="t0ken")
    with foreign.running() as elsewhere, hospital.running() as base:
        bridge.connect(base, token="t0ken")
        bridge.enrol(story.enrolment([1]))
        page = {
            "resourceType": "Bundle",
            "type": "searchset",
            "link": [{"relation": "next", "url": f"{elsewhere}/Condition?page=2"}],
        }
        body = fhir_json.dump(page)
        headers = {"Content-Type": "application/fhir+json"}
        hospital.fail("GET /fhir/Condition", status=200, headers=headers, body=body)
        said = bridge.say("pull", SITE, expect=1)
    assert "incomplete" in said
    assert "another origin" in said
    assert foreign.requests == []


def test_a_hospital_that_is_down_is_named_with_its_remedy(bridge: Bridge) -> None:
    with Hospital([]).running() as base:
        bridge.connect(base)
        bridge.enrol(story.enrolment([1]))
    said = bridge.say("pull", SITE, expect=1)
    host = base.removeprefix("http://").removesuffix("/fhir")
    assert host in said
    assert "->" in said
    assert "M00001" not in said


def test_a_refused_login_is_named_with_its_remedy(bridge: Bridge) -> None:
    with Hospital(hospital_resources(1), token="right").running() as base:
        bridge.connect(base, token="wrong")
        bridge.enrol(story.enrolment([1]))
        said = bridge.say("pull", SITE, expect=1)
    assert "401" in said
    assert "credentials" in said
    assert "wrong" not in said
