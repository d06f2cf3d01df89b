"""Two workers on one connection: one of them writes, whoever was paused or was first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Request

from fhirbridge.outcome import BridgeError
from fhirbridge.registry.leases import Held, Lease
from fhirbridge.sync.holding import Holding, LeaseLost
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.pull import Pull
from tests.jobs.shop import LEASE, Shop
from tests.sync.ward import chart


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    charts = [chart(f"e{n}", effectiveDateTime=f"2026-02-{n:02}") for n in range(1, 10)]
    with Shop.open(tmp_path, *charts) as made:
        yield made


def take(shop: Shop, holder: str, *, steal: bool = False) -> Lease:
    with shop.ward.registry.unit(shop.ward.site_id) as unit:
        made = unit.leases.take(
            shop.ward.hospital.connection.id, "pull", holder, seconds=LEASE, steal=steal
        )
        unit.commit()
    return made


def held(shop: Shop, lease: Lease) -> Hospital:
    return replace(shop.ward.hospital, holding=Holding(lease, LEASE))


def test_e18_the_second_is_told_who_holds_it_since_when(shop: Shop) -> None:
    take(shop, "host:17:1")
    with pytest.raises(
        Held, match=r"host:17:1 holds the pull .* since 2026-06-01T12:00:00Z"
    ) as told:
        take(shop, "host:18:1")
    assert told.value.issues[0].category == "conflict"


def test_each_taking_has_a_number_of_its_own(shop: Shop) -> None:
    first = take(shop, "one")
    with shop.ward.registry.unit(shop.ward.site_id) as unit:
        assert unit.leases.release(first)
        assert not unit.leases.release(first)
        unit.commit()
    second = take(shop, "one")
    assert second.number > first.number
    assert take(shop, "two", steal=True).number > second.number


def test_work_keeps_the_lease_and_nothing_else_does(shop: Shop) -> None:
    hospital = held(shop, take(shop, "one"))
    for _ in range(5):
        shop.clock.pass_(seconds=LEASE - 1)
        with hospital.unit() as unit:
            unit.commit()
    with pytest.raises(Held):
        take(shop, "two")
    shop.clock.pass_(seconds=LEASE + 1)
    take(shop, "two")


def test_e18_what_a_paused_worker_commits_late_is_refused(shop: Shop) -> None:
    """It is stopped between a page and its transaction, past its lease; meanwhile another one takes
    the run over and ends it."""
    ward = shop.ward
    slow = held(shop, take(shop, "slow"))
    before: list[Any] = []

    def pause(_: Request) -> None:
        shop.clock.pass_(seconds=LEASE + 1)
        server = replace(ward.hospital.server)
        fast = replace(held(shop, take(shop, "fast")), server=server)
        before.append(Pull(fast, 2).run())
        before.append(ward.state())

    ward.sandbox.fail("GET /fhir/Observation", hook=pause)  # type: ignore[arg-type]
    with pytest.raises(LeaseLost) as refused:
        Pull(slow, 2).run()
    assert refused.value.issues[0].category == "conflict"
    ended, state = before
    assert ended.state == "complete"
    assert ward.state() == state
    with ward.registry.read(ward.site_id) as unit:
        run = unit.runs.latest(ward.hospital.connection.id, "pull", state="complete")
        assert run == ended  # one run, and one history of its cursors
        assert unit.runs.open(ward.hospital.connection.id, "pull") is None
        assert {cursor.state for cursor in unit.cursors.of_run(ended.id).values()} == {"done"}
    assert len(ward.records()) == 9


def test_one_that_lost_its_lease_asks_the_hospital_for_nothing_more(shop: Shop) -> None:
    hospital = held(shop, take(shop, "slow"))
    take(shop, "thief", steal=True)
    with pytest.raises(LeaseLost), hospital.unit():
        pass
    asked = len(shop.ward.sandbox.requests)
    with pytest.raises(LeaseLost), hospital.reading():
        pass
    with pytest.raises(BridgeError):
        Pull(hospital, 2).run()
    assert len(shop.ward.sandbox.requests) == asked


def test_the_lease_holds_until_the_commit(shop: Shop) -> None:
    """It is shown in the data's own transaction: a thief that comes in its middle waits."""
    hospital, order = held(shop, take(shop, "one")), []

    def steal() -> None:
        take(shop, "two", steal=True)
        order.append("stolen")

    with hospital.unit() as unit:
        thief = Thread(target=steal)
        thief.start()
        thief.join(timeout=0.5)
        assert order == []
        unit.subjects.enrol("S-9", [])
        order.append("written")
        unit.commit()
    thief.join(timeout=30)
    assert order == ["written", "stolen"]
    with pytest.raises(LeaseLost), hospital.unit():
        pass
