"""Workers as an operator has them, in processes of their own: paused, killed, and told to end."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Request

from tests.jobs.desk import KILLED, Desk, children, until
from tests.journeys.bridge import SITE, end


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.open(tmp_path / "data") as made:
        yield made


def stopped_at(desk: Desk, match: str, *words: str, **settings: str) -> int:
    """A process that is stopped while its answer is on the way; its id."""
    reached: list[int] = []

    def stop(_: Request) -> None:
        os.kill(process.pid, signal.SIGSTOP)
        reached.append(process.pid)

    desk.hospital.fail(match, hook=stop)  # type: ignore[arg-type]
    process = desk.begin(*words, **settings)
    until(lambda: bool(reached))
    return process.pid


def test_e18_a_worker_stopped_past_its_lease_and_continued_is_refused(desk: Desk) -> None:
    pid = stopped_at(desk, "GET /fhir/Observation?patient", "pull", SITE, LEASE="1")
    time.sleep(1.5)
    job = desk.add("pull")
    desk.bridge.say("work", "--once")
    assert desk.job(job).state == "done"
    runs, told = desk.runs(), desk.told()
    os.kill(pid, signal.SIGCONT)
    output, _ = desk.begun[0].communicate(timeout=240)
    assert desk.begun[0].returncode == 1, output
    assert "was taken by another one" in output
    assert desk.runs() == runs
    assert desk.told() == told
    desk.is_well()


def test_the_second_pull_is_told_who_holds_it_and_may_take_it(desk: Desk) -> None:
    pid = stopped_at(desk, "GET /fhir/Condition?patient", "pull", SITE)
    said = desk.bridge.say("pull", SITE, expect=1)
    assert f":{pid}:" in said
    assert "since 20" in said
    assert "--steal" in said
    taken = desk.bridge.run("pull", SITE, "--steal")
    assert "the counts tie" in taken.stdout
    os.kill(pid, signal.SIGCONT)
    output, _ = desk.begun[0].communicate(timeout=240)
    assert "was taken by another one" in output
    assert desk.begun[0].returncode == 1


def test_e16_workers_killed_at_each_point_lose_and_double_nothing(
    desk: Desk, tmp_path: Path
) -> None:
    with Desk.open(tmp_path / "other") as whole:
        whole.add("pull")
        whole.bridge.say("work", "--once")
        job = desk.add("pull")
        for crash in ("job.after-take:1", "pull.after-page:5", "pull.after-page:9"):
            assert desk.bridge.run("work", "--once", CRASH=crash).returncode == KILLED
        last = desk.bridge.run("work", "--once", CRASH="job.before-end:1")
        assert last.returncode == KILLED
        desk.bridge.say("work", "--once")
        assert desk.job(job).state == "done"
        assert len(desk.told()) == len(whole.told()) > 0  # ids differ with the server's address
        ((one, _),) = desk.runs().values()
        ((other, _),) = whole.runs().values()
        assert one.counts == other.counts
    desk.is_well()
    told = desk.told()
    desk.add("full")
    desk.bridge.say("work", "--once")
    assert desk.told() == told


def test_e16_workers_killed_at_random_are_followed_by_others(desk: Desk) -> None:
    dice = random.Random(11)
    crew = desk.begin("work", "--workers", "2")
    until(lambda: len(children(crew.pid)) == 2)
    first, killed = desk.add("pull"), 0
    while killed < 4 and desk.job(first).state in ("waiting", "running"):
        time.sleep(dice.uniform(0.1, 0.8))
        for pid in children(crew.pid):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    until(lambda: desk.job(first).state in ("done", "dead"))
    if desk.job(first).state == "dead":  # three times at the same place
        desk.bridge.say("job", "retry", first, "--site", SITE)
    desk.until_done(first)
    desk.until_done(desk.add("deliver"))
    end(crew, signal.SIGTERM)
    assert crew.returncode == 0
    desk.is_well()
    told = desk.told()
    desk.add("full")
    desk.bridge.say("work", "--once")
    assert desk.told() == told


def test_schedules_and_jobs_are_set_shown_and_taken_away(desk: Desk) -> None:
    say = desk.bridge.say
    said = say(
        "schedule", "set", "ward", "--site", SITE, "--pull", "daily 02:00", "--deliver",
        "every 15m", "--zone", "Europe/Berlin",
    )  # fmt: skip
    assert "ward pull: daily 02:00 Europe/Berlin: 20" in said
    assert said.count(" 02:00,") == 3
    say("schedule", "set", "ward", "--site", SITE, "--pull", "never")
    left = say("schedule", "list", "--site", SITE)
    assert "pull" not in left
    assert "ward deliver: every 15m" in left
    say("schedule", "set", "ward", "--site", SITE, "--pull", "at two", expect=1)
    job = say("job", "add", "pull", "--site", SITE).strip()
    assert "waits or runs already" in say("job", "add", "pull", "--site", SITE, expect=1)
    assert f"{job} pull ward: waiting" in say("job", "list", "--site", SITE)
    say("job", "cancel", job, "--site", SITE)
    assert "pull: cancelled" in say("job", "show", job, "--site", SITE)
    say("job", "retry", job, "--site", SITE)
    assert desk.job(job).state == "waiting"


def test_the_service_does_jobs_beside_where_it_is_told_to(desk: Desk) -> None:
    service = desk.begin("serve", "--port", "0", "--workers", "1", "--with-work")
    desk.until_done(desk.add("pull"))
    end(service, signal.SIGTERM)
    assert service.returncode == 0
    assert children(service.pid) == set()
    desk.is_well()
