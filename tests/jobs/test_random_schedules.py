"""Random schedules: pushes, a hospital's changes, deletions, merges and merges taken back, jobs,
deaths, clocks and withdrawals in any order; after a full pull the registry is what was said, and nothing is doubled.

`--schedules N` tries N of them, each of 50 steps; `--schedule-seed S` those of a run that failed.
All persons and values are made up.
"""

from __future__ import annotations

import random
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fhirbridge.crash import POINTS, Crash
from fhirbridge.sync import withdraw
from fhirbridge.sync.accept import Context
from fhirbridge.sync.pull import ties
from fhirbridge.sync.verify import verify
from tests.jobs.shop import LEASE, Died, Shop
from tests.sync.ward import chart, patient
from tests.web.sender import RECORD, score, whose

PEOPLE = {"S-1": ("4711", "p1"), "S-2": ("4712", "p2")}
WHO = st.sampled_from(sorted(PEOPLE))
DAYS = st.integers(1, 6)
VALUES = st.integers(0, 4)
_OURS = [point for point in POINTS if not point.startswith("ingest")]


@dataclass
class Deadly(Crash):
    """Dies at a point, as SIGKILL would: what was committed stays, and nothing is tidied up."""

    at: str = ""
    times: int = 1

    def reach(self, point: str) -> None:
        if point == self.at:
            self.times -= 1
            if self.times == 0:
                raise Died


class Schedules(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        folder = Path(self.open.enter_context(tempfile.TemporaryDirectory()))
        self.shop = self.open.enter_context(Shop.open(folder, patient("4712", "p2")))
        self.ward = self.shop.ward
        self.ward.enrol("S-2", "4712")
        self.charted: dict[tuple[str, str], int] = {}  # what the hospital says, by subject and day
        self.pushed: dict[tuple[str, str], int] = {}  # what was acknowledged
        self.patients = {who: id for who, (_, id) in PEOPLE.items()}  # those that bear the charts
        self.apart: set[str] = set()  # whose merge the hospital has taken back
        self.left: dict[str, Any] = {}  # of who has withdrawn, what was held then
        self.workers = 0

    def teardown(self) -> None:
        try:
            self.settled()
        finally:
            self.open.close()

    @initialize()
    def begins(self) -> None:
        self.chart("S-1", 1, 2)

    @rule(who=WHO, day=DAYS, value=VALUES)
    def chart(self, who: str, day: int, value: int) -> None:
        """The hospital's staff write a score, or correct one."""
        at = f"2026-02-{day:02}"
        told = {"patient": self.patients[who], "effectiveDateTime": at}
        self.ward.put(chart(f"{who}-{day}", value, **told))
        self.charted[who, at] = value

    @rule(who=WHO, day=DAYS)
    def delete(self, who: str, day: int) -> None:
        if self.charted.pop((who, f"2026-02-{day:02}"), None) is not None:
            self.ward.delete(f"Observation/{who}-{day}")

    @rule(who=WHO)
    def merge(self, who: str) -> None:
        """Into a Patient whom nobody knows, with all that is charted; or once more, as before."""
        number, id = PEOPLE[who]
        other = {**patient(f"9{number}", f"{id}-new"), "active": True}
        link = [{"type": "replaced-by", "other": {"reference": f"Patient/{id}-new"}}]
        self.ward.put(other)
        self.ward.put({**patient(number, id), "active": False, "link": link})
        self.patients[who] = f"{id}-new"
        self.apart.discard(who)
        for (one, at), value in [*self.charted.items()]:
            if one == who:
                self.chart(who, int(at[-2:]), value)

    @rule(who=WHO)
    def take_the_merge_back(self, who: str) -> None:
        """Alone: the charts stay where they are, and are whose, nobody can say."""
        number, id = PEOPLE[who]
        if self.patients[who] != id:
            self.ward.put(patient(number, id))
            self.apart.add(who)

    @rule(who=WHO, day=DAYS, value=VALUES)
    def push(self, who: str, day: int, value: int) -> None:
        at = f"2026-03-{day:02}"
        told = {"id": f"{who}-{day}", "subject": whose(PEOPLE[who][0]), "effectiveDateTime": at}
        receipt = self.ward.push(score(value, **told))
        if who not in self.left:
            assert receipt.counts.get("quarantined", 0) == 0
            self.pushed[who, at] = value

    @rule(kind=st.sampled_from(["pull", "full", "deliver"]))
    def ask(self, kind: str) -> None:
        with self.ward.registry.read(self.ward.site_id) as unit:
            open = unit.jobs.open(self.ward.hospital.connection.id, kind)
        if open is None:
            self.shop.add(kind)

    @rule()
    def work(self) -> None:
        self.worker().one()

    @rule(point=st.sampled_from(_OURS), times=st.integers(1, 4))
    def die(self, point: str, times: int) -> None:
        """A worker that dies at the point, if it comes there."""
        worker = self.worker(crash=Deadly(at=point, times=times))
        try:
            worker.one()
        except Died:
            self.shop.dead.add(worker.name())

    @rule(seconds=st.sampled_from([-600, -1, 1, LEASE + 1, 86_400]))
    def clock(self, seconds: int) -> None:
        self.shop.clock.pass_(seconds=seconds)

    @rule(times=st.integers(1, 3))
    def hospital_fails(self, times: int) -> None:
        self.ward.sandbox.fail("GET /fhir/", status=503, times=times)

    @precondition(lambda self: not self.left)
    @rule()
    def withdraw(self) -> None:
        with self.ward.registry.unit(self.ward.site_id) as unit:
            context = Context(unit, self.ward.hospital.mappings, "", "person:nurse")
            withdraw.withdraw(context, withdraw.subject_of(unit, "S-2"), reason="told")
            unit.commit()
        self.left["S-2"] = self.held("S-2")

    @invariant()
    def the_ledger_ties(self) -> None:
        with self.ward.registry.read(self.ward.site_id) as unit:
            findings = verify(unit, self.ward.hospital.mappings)
            states: Any = ("running", "complete", "incomplete")
            connection = self.ward.hospital.connection.id
            runs = [unit.runs.latest(connection, "pull", state=state) for state in states]
        assert [fault for one in findings for fault in one.faults] == []
        assert all(ties(run) for run in runs if run)

    def worker(self, **more: Any) -> Any:
        self.workers += 1
        return self.shop.worker(f"w{self.workers}", **more)

    def held(self, who: str) -> dict[str, tuple[Any, Any]]:
        return {
            one["assessed_on"]: (one.get("ecog"), one.get("pain_rest"))
            for one in self.ward.records(study_id=who)
        }

    def settled(self) -> None:
        """What stands open is done, then all is asked for once more, and sent."""
        self.ward.sandbox._faults.__init__()  # type: ignore[misc]
        for who in sorted(self.apart):
            self.merge(who)
        for kind in ("", "full", "deliver"):
            if kind:
                self.ask(kind)
            for _ in range(10):
                self.shop.clock.pass_(days=2)
                while self.worker().one():
                    pass
        assert self.shop.jobs() == []
        for who in PEOPLE:
            days = {at for one, at in (*self.charted, *self.pushed) if one == who}
            truth = {at: (self.charted.get((who, at)), self.pushed.get((who, at))) for at in days}
            assert self.held(who) == self.left.get(who, truth)
        ours = [
            one["value"]
            for there in self.ward.there()
            for one in there.get("identifier", ())
            if one["system"] == RECORD
        ]
        assert len(ours) == len(set(ours)), "delivered twice"
        if not self.left:
            assert len(ours) == len(self.pushed)


def test_e16_e18_e27_random_schedules_end_in_the_truth(request: pytest.FixtureRequest) -> None:
    number = request.config.getoption("--schedules")
    given = request.config.getoption("--schedule-seed")
    chosen = given if given is not None else random.SystemRandom().randrange(2**32)
    sys.stdout.write(f"schedules by --schedule-seed {chosen}\n")
    size = settings(
        max_examples=number,
        stateful_step_count=50 if number > 5 else 12,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(chosen)(Schedules), settings=size)
