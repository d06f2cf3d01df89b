"""Jobs at work: done, put off, given up, and taken up again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from fhirbridge.jobs import planning
from fhirbridge.jobs.work import MOST
from fhirbridge.registry.runs import Run
from fhirbridge.sync import jobs
from fhirbridge.sync.pull import Pull
from tests.jobs.shop import LEASE, Shop
from tests.sync.ward import chart


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    charts = [chart(f"e{n}", effectiveDateTime=f"2026-02-{n:02}") for n in range(1, 5)]
    with Shop.open(tmp_path, *charts) as made:
        yield made


def test_a_job_is_done_once_and_gives_its_lease_back(shop: Shop) -> None:
    job = shop.add()
    assert shop.worker().one()
    assert shop.job(job).state == "done"
    assert shop.run_of(job).state == "complete"
    assert not shop.worker().one()
    shop.ward.push()
    shop.add("deliver")
    assert shop.worker().one()
    assert len(shop.ward.records()) == 4


def test_no_two_of_a_kind_wait_for_one_connection(shop: Shop) -> None:
    shop.add()
    shop.add("deliver")
    with pytest.raises(Exception, match="waits or runs already"):
        shop.add()


def test_a_worker_leaves_alone_what_another_holds(shop: Shop) -> None:
    job = shop.add()

    def busy(*_: Any) -> Run:
        assert not shop.worker("w2").one()
        shop.add("full")  # of another kind, under the same lease
        assert not shop.worker("w2").one()
        return Pull(shop.ward.hospital, 20).run()

    assert shop.worker("w1", doings={"pull": busy}).one()
    assert shop.job(job).state == "done"
    assert shop.worker("w2").one()  # the full pull, now


def test_e01_a_server_that_asks_to_come_again_is_not_waited_for(shop: Shop) -> None:
    shop.clock.now = datetime.now(UTC)  # as the server's Retry-After is counted from
    job = shop.add()
    ward = shop.ward
    ward.attempts(1)
    ward.sandbox.fail("GET /fhir/Patient", status=503, headers={"Retry-After": "1800"})
    assert shop.worker().one()
    later = shop.job(job)
    assert (later.state, later.attempts, later.failures) == ("waiting", 0, 1)
    assert later.issues[0].category == "transient"
    asked = len(ward.sandbox.requests)
    shop.clock.pass_(minutes=25)
    assert not shop.worker().one()
    assert len(ward.sandbox.requests) == asked
    shop.clock.now = later.not_before + timedelta(seconds=1)
    assert shop.worker().one()
    assert shop.job(job).state == "done"


def test_one_that_asks_for_years_is_asked_again_tomorrow(shop: Shop) -> None:
    job = shop.add()
    shop.ward.attempts(1)
    told = {"Retry-After": "999999999"}
    shop.ward.sandbox.fail("GET /fhir/Patient", status=503, headers=told, times=9)
    shop.worker().one()
    wait = shop.job(job).not_before - shop.clock.now
    assert timedelta(hours=23) < wait <= timedelta(days=1)


def test_failures_put_off_longer_and_longer_and_an_hour_at_most(shop: Shop) -> None:
    job = shop.add()
    shop.ward.attempts(1)
    shop.ward.sandbox.fail("GET /fhir", times=10_000)
    waits = []
    for _ in range(9):
        assert shop.worker().one()
        waits.append((shop.job(job).not_before - shop.clock.now).total_seconds() / 60)
        shop.clock.now = shop.job(job).not_before
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert shop.job(job).state == "waiting"


def test_what_will_not_be_better_later_waits_for_a_person(shop: Shop) -> None:
    job = shop.add()

    def wrong(*_: Any) -> Run:
        raise ValueError("MUELLER 4711")

    for number in range(MOST):
        assert shop.job(job).attempts == number
        assert shop.worker(doings={"pull": wrong}).one()
        shop.clock.pass_(minutes=2)
    dead = shop.job(job)
    assert dead.state == "dead"
    assert dead.issues[0].cause == "a defect: ValueError"
    assert "MUELLER" not in str(dead)
    assert not shop.worker().one()
    with shop.ward.registry.unit(shop.ward.site_id) as unit:
        jobs.retry(unit, job, by="test")
        unit.commit()
    assert shop.worker().one()
    assert shop.job(job).state == "done"


def test_e19_a_job_that_its_workers_die_of_is_dead_after_three(shop: Shop) -> None:
    job = shop.add()
    for number in range(1, MOST + 1):
        shop.take(job, f"w{number}")
        assert (shop.job(job).state, shop.job(job).attempts) == ("running", number)
    neighbour = shop.add("deliver")
    assert shop.worker("last").one()
    while shop.worker("last").one():
        pass
    dead = shop.job(job)
    assert (dead.state, dead.attempts) == ("dead", MOST)
    assert "died 3 times" in dead.issues[-1].cause
    assert shop.job(neighbour).state == "done"


def test_e16_a_run_whose_worker_died_goes_on_from_its_cursor(shop: Shop) -> None:
    """Killed after each page: as long as it gets on, that is not the same death again."""
    job = shop.add()
    killed = 0
    pages: list[str] = []

    class Dies(BaseException):
        pass

    def one_page(*_: Any) -> Run:
        def tell(line: str) -> None:
            pages.append(line)
            if line.startswith("Observation"):
                raise Dies

        return Pull(shop.worker_hospital, 1, tell_each=tell).run()

    while True:
        name = f"w{killed}"
        try:
            shop.worker(name, doings={"pull": _held(one_page, shop)}).do(shop.ward.site_id, job)
            break
        except Dies:
            shop.dead.add(name)
            killed += 1
            assert killed < 20
    assert killed > MOST
    assert shop.job(job).state == "done"
    run = shop.run_of(job)
    assert run.counts["applied"] == 4
    assert run.counts["received"] == 5  # the Patient, too: no page was read twice
    assert len(shop.ward.records()) == 4


def _held(doing: Any, shop: Shop) -> Any:
    def run(hospital: Any, *_: Any) -> Run:
        shop.worker_hospital = hospital  # type: ignore[attr-defined]
        made: Run = doing()
        return made

    return run


def test_a_worker_that_died_between_the_runs_end_and_the_jobs_pulls_nothing_again(
    shop: Shop,
) -> None:
    job = shop.add()

    def ends_and_dies(hospital: Any, *_: Any) -> Run:
        Pull(hospital, 20).run()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.worker("w1", doings={"pull": ends_and_dies}).one()
    shop.dead.add("w1")
    asked = len(shop.ward.sandbox.requests)
    shop.worker("w2").one()
    assert shop.job(job).state == "done"
    assert shop.run_of(job).state == "complete"
    assert len(shop.ward.sandbox.requests) == asked


def test_a_worker_of_another_machine_is_waited_for_as_long_as_its_lease_lasts(shop: Shop) -> None:
    job = shop.add()
    shop.take(job, "elsewhere")
    shop.dead.clear()
    assert not shop.worker("w2").one()
    shop.clock.pass_(seconds=LEASE + 1)
    assert shop.worker("w2").one()
    assert shop.job(job).state == "done"


def test_told_to_end_it_leaves_the_job_to_the_next(shop: Shop) -> None:
    job = shop.add()
    assert shop.worker("w1", stopping=lambda: True).one()
    left = shop.job(job)
    assert (left.state, left.attempts, left.issues) == ("waiting", 0, ())
    assert shop.worker("w2").one()
    assert shop.job(job).state == "done"


def test_a_job_that_is_cancelled_while_it_runs_writes_nothing_more(shop: Shop) -> None:
    job = shop.add()

    def cancelled(hospital: Any, *_: Any) -> Run:
        with shop.ward.registry.unit(shop.ward.site_id) as unit:
            jobs.cancel(unit, job, by="test")
            unit.commit()
        return Pull(hospital, 20).run()

    assert shop.worker(doings={"pull": cancelled}).one()
    assert shop.job(job).state == "cancelled"
    assert shop.ward.records() == []
    assert not shop.worker().one()


def test_e26_a_kind_of_a_newer_version_waits_and_holds_nobody_up(shop: Shop) -> None:
    strange, known = shop.add("full"), shop.add("pull")
    with shop.ward.registry.engine.begin() as connection:
        connection.execute(text("UPDATE job SET kind = 'import' WHERE id = :id"), {"id": strange})
    worker = shop.worker()
    while worker.one():
        pass
    assert not worker.do(shop.ward.site_id, strange)
    assert (shop.job(strange).state, shop.job(strange).kind) == ("waiting", "import")
    assert shop.job(known).state == "done"


def schedule(shop: Shop, rule: str = "every 15m", zone: str = "UTC") -> None:
    from_now = planning.rules.read(rule, zone).after(shop.clock.now)
    with shop.ward.registry.unit(shop.ward.site_id) as unit:
        unit.schedules.put(
            shop.ward.hospital.connection.id,
            "pull",
            rule=rule,
            zone=zone,
            next_at=from_now,
            by="test",
        )
        unit.commit()


def test_a_schedule_makes_a_job_each_time_and_none_while_one_stands_open(shop: Shop) -> None:
    schedule(shop)
    assert planning.tick(shop.ward.registry) == 0
    shop.clock.pass_(minutes=15)
    assert planning.tick(shop.ward.registry) == 1
    assert planning.tick(shop.ward.registry) == 0
    shop.clock.pass_(minutes=15)
    assert planning.tick(shop.ward.registry) == 0  # the one before waits still
    while shop.worker().one():
        pass
    shop.clock.pass_(minutes=15)
    assert planning.tick(shop.ward.registry) == 1


def test_e27_what_was_missed_is_caught_up_once_and_a_wrong_clock_is_forgiven(shop: Shop) -> None:
    schedule(shop, "daily 02:00", "Europe/Berlin")
    shop.clock.pass_(days=30)
    assert planning.tick(shop.ward.registry) == 1
    while shop.worker().one():
        pass
    assert planning.tick(shop.ward.registry) == 0
    shop.clock.pass_(days=4000)  # by mistake
    assert planning.tick(shop.ward.registry) == 1
    while shop.worker().one():
        pass
    shop.clock.pass_(days=-4000)
    assert planning.tick(shop.ward.registry) == 0
    shop.clock.pass_(days=1)
    assert planning.tick(shop.ward.registry) == 1
    while shop.worker().one():
        pass
    shop.clock.pass_(seconds=-2)  # a clock that is set right by a little makes nothing twice
    assert planning.tick(shop.ward.registry) == 0
    shop.clock.pass_(seconds=4)
    assert planning.tick(shop.ward.registry) == 0
