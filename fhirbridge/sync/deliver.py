"""Deliver: the study's own resources to a hospital's server, each once, and read back to be sure.

How one is written stands in `delivery/sending.py`. What waits, ends or comes again is decided here:
a failing server stops the run and not the deliveries, a failing delivery stops no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from fhirbridge.crash import Crash
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.registry.deliveries import ASKED_TO_WAIT, Cause, Changes, Delivery, DeliveryState
from fhirbridge.registry.faults import Collision
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.runs import Run
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.answer import Answer
from fhirbridge.sync.delivery.certificate import STATES
from fhirbridge.sync.delivery.parcel import Packer, Parcel, Stays
from fhirbridge.sync.delivery.patience import (
    asked,
    counted,
    failures_of,
    of_the_server,
    rest_after,
    rest_until,
    waits,
)
from fhirbridge.sync.delivery.profile import Profile
from fhirbridge.sync.delivery.sending import Conflict, Sending, content_sha256
from fhirbridge.sync.delivery.worklist import begun
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.refusals import Gone, NotWritable, Refused

__all__ = ["STATES", "Deliver"]

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class End:
    """What one delivery came to; `there` as it was read back."""

    state: DeliveryState
    cause: Cause | None = None
    issues: tuple[Issue, ...] = ()
    there: Answer | None = None


_CLAIM = timedelta(minutes=5)  # how long one that is searched for first is left to its claimant
_IN_A_ROW = 3  # failures after which the server, not the resource, is taken to be ill
_TRIES = 5  # of a transaction that collides with another


@dataclass
class Deliver:
    """One run over one connection; `tell` hears a line for each resource, `progress` how many of
    how many are done."""

    hospital: Hospital
    crash: Crash = field(default_factory=Crash)
    tell: Callable[[str], None] = lambda line: None
    progress: Callable[[int, int], None] = lambda done, of: None
    counts: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    profile: Profile = field(init=False)
    sending: Sending = field(init=False)
    stopped: Issue | None = None  # why nothing more is sent in this run
    failing: int = 0  # failures in a row

    def __post_init__(self) -> None:
        self.profile = Profile(self.hospital, self.written)
        self.sending = Sending(self.hospital, self.profile.writable, self.profile.learn)

    def run(self) -> Run:
        """Deliver what is outstanding. What a killed run left half done is done again, once."""
        todo = self.written(lambda unit: begun(unit, self.hospital))
        run, work, packer = todo.run, todo.work, todo.packer
        self.stopped = rest_until(todo.rest) if todo.rest else None
        if work and self.stopped is None:
            self.profile.ask()
        for number, (row, delivery) in enumerate(work, start=1):
            self.one(packer, row, delivery, run)
            self.progress(number, len(work))
        return self.written(lambda unit: self.ended(unit, run))

    def ended(self, unit: Unit, run: Run) -> Run:
        counts = {state: number for state, number in self.counts.items() if state in STATES}
        settled = {"outstanding": -self.counts["settled"]} if self.counts["settled"] else {}
        reasons = [*dict.fromkeys((*self.reasons, *self.standing(unit)))]
        return self.hospital.finish(unit, run, {**counts, **settled}, reasons)

    def standing(self, unit: Unit) -> list[str]:
        """What waits for a person, of this run and of those before: a killed one told nobody."""
        return [
            f"{row.type}/{row.fhir_id}: {one.state}: {'; '.join(i.sentence() for i in one.issues)}"
            for row, one in unit.deliveries.unsettled(self.hospital.connection.id)
        ]

    def one(self, packer: Packer, row: ResourceRow, delivery: Delivery | None, run: Run) -> None:
        with self.hospital.reading() as unit:
            parcel, now = packer.pack(unit, row, delivery), unit.now()
        if isinstance(parcel, Stays):
            self.stays(parcel, row, delivery)
        elif self.stopped is not None:
            self.pending(parcel, self.stopped)
        elif (wait := waits(parcel, now)) is not None:
            self.pending(parcel, wait)
        else:
            self.tried(parcel, run, now)

    def stays(self, stays: Stays, row: ResourceRow, delivery: Delivery | None) -> None:
        self.counts[stays.state] += 1
        self.reasons += [stays.reason] if stays.reason else []
        if stays.state == "settled":
            return
        self.tell(f"{row.type}/{row.fhir_id}: not sent, {stays.why}")
        if stays.state == "pending" and (delivery is None or delivery.cause != "waits"):
            issue = Issue("not-found", stays.why, "it is sent once that is there")
            self.note(row, state="pending", cause="waits", issues=(issue,))

    def tried(self, parcel: Parcel, run: Run, now: datetime) -> None:
        try:
            end = self.attempt(parcel, now)
        except NotWritable as fault:
            end = End("dead", "not-writable", fault.issues)
        except Refused as fault:
            if fault.answer is not None:
                self.profile.refusal(parcel, fault.answer)
            end = End("dead", "refused", fault.issues)
        except Gone as fault:
            end = End("conflict", "gone", fault.issues)
        except BridgeError as fault:
            if not of_the_server(fault):
                raise
            self.failed(parcel, fault, run, now)
            return
        self.failing = 0
        if end is not None:
            self.end(parcel, end, run)

    def attempt(self, parcel: Parcel, now: datetime) -> End | None:
        """Send it, or only read it back where a run before this came so far. None where another
        process is at it."""
        delivery = parcel.delivery
        if delivery and delivery.state == "sent" and parcel.again:
            self.note(parcel.row, failures=delivery.failures + 1)
            return self.read_back(parcel, delivery.remote_id or "")
        base = self.claimed(parcel, now)
        if base is None:
            self.tell(f"{parcel.name}: another process is at it")
            return None
        answer = self.sending.send(parcel, base or None)
        self.crash.reach("deliver.after-send")
        if isinstance(answer, Conflict):
            return End("conflict", answer.cause, (answer.issue,))
        id = str((answer.body or {})["id"])
        self.note(
            parcel.row, state="sent", remote_id=id, remote_version=answer.version,
            sent_body=parcel.body, remote_sha256=content_sha256(answer.body or {}), issues=(),
        )  # fmt: skip
        return self.read_back(parcel, id)

    def claimed(self, parcel: Parcel, now: datetime) -> dict[str, Any] | None:
        """Told, with its trail, before it is sent: afterwards we may die. What we sent last, or
        nothing; None where another process was quicker."""
        connection, row, delivery = self.hospital.connection.id, parcel.row, parcel.delivery
        failures = failures_of(parcel) + 1
        rest = rest_after(failures)
        if not (delivery and delivery.remote_id) and self.sending.searches_first(parcel):
            rest = max(rest, _CLAIM)

        def claim(unit: Unit) -> dict[str, Any] | None:
            mine = unit.deliveries.claim(
                connection, row.id, seen=delivery.attempts if delivery else None,
                state="pending", sent_sha256=parcel.sha256, failures=failures, cause="sending",
                not_before=now + rest if rest else None,
            )  # fmt: skip
            if not mine:
                return None
            told = {"connection": connection, "record": row.record_id}
            unit.audit.note("E", "deliver", actor=COMMAND_LINE, entities=told)
            return unit.deliveries.sent_body(connection, row.id) or {}

        return self.written(claim)

    def read_back(self, parcel: Parcel, id: str) -> End:
        """Verified when every element that was sent is there, and reads as the record does."""
        there = self.sending.read_back(parcel, id)
        issues = self.sending.differences(parcel, there)
        if issues:
            return End("conflict", "not-as-sent", tuple(issues), there)
        self.profile.taken(parcel)
        return End("verified", there=there)

    def failed(self, parcel: Parcel, fault: BridgeError, run: Run, now: datetime) -> None:
        """It came to nothing, and perhaps it arrived. Only what the resource can be at fault for
        counts against it."""
        against_it = counted(fault)
        failures, issue = failures_of(parcel) + 1, fault.issues[0]
        most = self.hospital.options.delivery_tries
        if against_it and most and failures >= most:
            self.end(parcel, End("dead", "exhausted", fault.issues), run)
            return
        rest = asked(fault, now)
        if against_it:
            self.note(parcel.row, cause="failed", issues=fault.issues)
        else:
            cause: Cause = ASKED_TO_WAIT if rest else "unserved"
            self.note(
                parcel.row, cause=cause, issues=fault.issues, failures=failures - 1, not_before=rest
            )
        self.failing += 1
        self.pending(parcel, issue)
        if rest is not None or self.failing >= _IN_A_ROW:
            self.stopped = rest_until(rest) if rest else issue

    def pending(self, parcel: Parcel, issue: Issue) -> None:
        self.counts["pending"] += 1
        self.tell(f"{parcel.name}: pending - {issue.sentence()}")
        one = self.stopped is None  # else it is the same reason for all that are left
        self.reasons.append(f"{parcel.name}: {issue.sentence()}" if one else issue.sentence())

    def note(self, row: ResourceRow, **changes: Any) -> None:
        connection = self.hospital.connection.id
        self.written(lambda unit: unit.deliveries.put(connection, row.id, **changes))

    def end(self, parcel: Parcel, end: End, run: Run) -> None:
        """The state and its count are one transaction: a killed run's counts are not lost."""
        changes: Changes = {
            "state": end.state,
            "cause": end.cause,
            "issues": end.issues,
            "sent_sha256": parcel.sha256,
            "failures": 0,
            "not_before": None,
        }
        if end.there is not None:
            changes["remote_version"] = end.there.version
            changes["remote_sha256"] = content_sha256(end.there.body or {})

        def ended(unit: Unit) -> None:
            unit.deliveries.put(self.hospital.connection.id, parcel.row.id, **changes)
            unit.runs.add_counts(run.id, {end.state: 1})

        self.written(ended)
        told = "; ".join(issue.sentence() for issue in end.issues)
        self.tell(f"{parcel.name}: {end.state}{' - ' + told if told else ''}")

    def written(self, work: Callable[[Unit], Made]) -> Made:
        """In a transaction of its own, begun again where it collides with another's."""
        for _ in range(_TRIES - 1):
            try:
                return self._committed(work)
            except Collision:
                continue
        return self._committed(work)

    def _committed(self, work: Callable[[Unit], Made]) -> Made:
        with self.hospital.unit() as unit:
            made = work(unit)
            unit.commit()
        return made
