"""Deliver: the study's own resources to a hospital's server, each once, and read back to be sure.

First a conditional create by the derived identifier; from then on an update by the id learned, with
If-Match. Never a conditional update: several of them in parallel double a resource (HAPI FHIR
8.4.0). A second caller takes up the run that is open: start one at a time for a connection.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from fhirbridge.crash import Crash
from fhirbridge.formats import fhir_json
from fhirbridge.mapping.spec import Block, FormMapping
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.registry.deliveries import Delivery, DeliveryState
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.runs import Run, RunState
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.answer import Answer
from fhirbridge.sync.difference import missing, unlike
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.refusals import Gone, Refused, refused

STATES = ("verified", "conflict", "dead", "withheld")


@dataclass(frozen=True, slots=True)
class _Parcel:
    """One resource for one Patient of the hospital."""

    row: ResourceRow
    delivery: Delivery | None
    body: dict[str, Any]
    sha256: str  # of what the study says: the resource's own, or of its withdrawal


@dataclass
class Deliver:
    """One run over one connection; `tell` hears a line for each resource."""

    hospital: Hospital
    crash: Crash = field(default_factory=Crash)
    tell: Callable[[str], None] = lambda line: None
    counts: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    since: datetime | None = None  # Patients that a pull saw before this are not trusted
    doubtful: frozenset[str] = frozenset()

    def run(self) -> Run:
        """Deliver what is outstanding. What a killed run left half done is done again, once."""
        hospital = self.hospital
        with hospital.unit() as unit:
            run = unit.runs.open(hospital.connection.id, "deliver")
            run = run or unit.runs.start(hospital.connection.id, "deliver")
            files = hospital.mappings.files.values()
            blocks = [block.name for file in files for block in file.blocks if block.deliver]
            work: list[tuple[ResourceRow, Delivery | None]] = [
                *unit.deliveries.outstanding(hospital.connection.id, blocks=blocks),
                *unit.deliveries.gone(hospital.connection.id),
            ]
            self.since = _pulled_at(unit, hospital.connection.id)
            self.doubtful = hospital.doubtful(unit)
            unit.commit()
        for row, delivery in work:
            self.one(row, delivery, run)
        with hospital.unit() as unit:
            self.reasons += self.standing(unit)
            ended = hospital.finish(unit, run, self.counts, self.reasons)
            unit.commit()
        return ended

    def standing(self, unit: Unit) -> list[str]:
        """What waits for a person, of this run and of those before: a killed one told nobody."""
        return [
            f"{row.type}/{row.fhir_id}: {one.state}: {'; '.join(i.sentence() for i in one.issues)}"
            for row, one in unit.deliveries.unsettled(self.hospital.connection.id)
        ]

    def one(self, row: ResourceRow, delivery: Delivery | None, run: Run) -> None:
        with self.hospital.reading() as unit:
            parcel = self.parcel(unit, row, delivery)
        if parcel is None:
            return
        if isinstance(parcel, str):
            self.counts["withheld"] += 1
            self.tell(f"{row.type}/{row.fhir_id}: not sent, {parcel}")
            return
        state: DeliveryState
        try:
            state, issues = self.attempt(parcel)
        except Refused as fault:
            state, issues = "dead", fault.issues
        except Gone as fault:
            state, issues = "conflict", fault.issues
        except BridgeError as fault:  # a failing server or login is no fault of the resource
            if fault.issues[0].category == "transient":
                raise
            self.note(parcel, issues=fault.issues)
            self.counts["pending"] += 1
            self.tell(f"{row.type}/{row.fhir_id}: pending - {fault.issues[0].sentence()}")
            self.reasons.append(f"{row.type}/{row.fhir_id}: {fault.issues[0].sentence()}")
            return
        self.end(parcel, state, issues, run)

    def attempt(self, parcel: _Parcel) -> tuple[DeliveryState, tuple[Issue, ...]]:
        """Send it, or only read it back where a run before this came so far."""
        delivery = parcel.delivery
        arrived = delivery and delivery.state == "sent"
        if delivery and arrived and delivery.sent_sha256 == parcel.sha256:
            return self.read_back(parcel, delivery.remote_id or "")
        self.note(parcel, state="pending", attempts=(delivery.attempts if delivery else 0) + 1)
        answer = self.send(parcel)
        self.crash.reach("deliver.after-send")
        if isinstance(answer, Issue):
            return "conflict", (answer,)
        id = str((answer.body or {})["id"])
        self.note(
            parcel,
            state="sent",
            remote_id=id,
            remote_version=answer.version,
            sent_sha256=parcel.sha256,
            issues=(),
        )
        return self.read_back(parcel, id)

    def parcel(
        self, unit: Unit, row: ResourceRow, delivery: Delivery | None
    ) -> _Parcel | str | None:
        """The resource as the hospital gets it, or why it gets none; None where it has it so."""
        record = unit.records.get(row.record_id)
        subject = unit.subjects.by_id(record.subject_id) if record else None
        if record is None or subject is None:
            return "its record is gone"
        if delivery is None and self.echoes(unit, row):
            return "it came from there"
        seen = self.hospital.patient_ids(unit, subject, since=self.since)
        patients = [id for id in seen if id not in self.doubtful]
        if len(patients) != 1 or len(seen) != 1:
            self.reasons.append(f"{subject.study_id}: {len(patients)} patients there; pull first")
            return f"{len(patients)} patients are known there for {subject.study_id}"
        body: dict[str, Any] = deepcopy(dict(row.body))
        for path in self.mapping_of(row)[0].patients:
            path.write(body, {"reference": f"Patient/{patients[0]}"})
        if not row.deleted:
            return _Parcel(row, delivery, body, row.sha256)
        return self.withdrawal(row, delivery, body)

    def withdrawal(
        self, row: ResourceRow, delivery: Delivery | None, body: dict[str, Any]
    ) -> _Parcel | None:
        """What was delivered, as entered in error: what the mapping reads as a withdrawal."""
        gate = self.mapping_of(row)[0].gate
        assert gate is not None, "what is delivered has a status"
        gate.path.write(body, min(gate.withdraws))
        sha256 = hashlib.sha256(fhir_json.canonical(body)).hexdigest()
        done = delivery and delivery.sent_sha256 == sha256 and delivery.state != "sent"
        return None if done else _Parcel(row, delivery, body, sha256)

    def mapping_of(self, row: ResourceRow) -> tuple[FormMapping, Block]:
        files = self.hospital.mappings.files.values()
        return next((f, block) for f in files for block in f.blocks if block.name == row.block)

    def echoes(self, unit: Unit, row: ResourceRow) -> bool:
        """True where every value of the resource was read from this very server."""
        block = self.mapping_of(row)[1]
        ours = {
            o.id for o in unit.origins.of_record(row.record_id) if o.source == self.hospital.source
        }
        accepted = unit.proposals.accepted(row.record_id)
        named = block.fields or tuple(accepted)
        return all(name in accepted and accepted[name].origin_id in ours for name in named)

    def send(self, parcel: _Parcel) -> Answer | Issue:
        """The resource as it is there now, or the conflict that keeps ours from being there."""
        delivery = parcel.delivery
        if delivery is None or delivery.remote_id is None:
            return self.create(parcel)
        return self.update(parcel, delivery.remote_id, delivery.remote_version or "")

    def create(self, parcel: _Parcel) -> Answer | Issue:
        server = self.hospital.server
        identifier = parcel.body["identifier"][0]
        token = f"{identifier['system']}|{identifier['value']}"
        made = server.create(parcel.body, if_none_exist=f"identifier={quote(token, safe='')}")
        if made.status >= 400:
            raise refused(made, "the create", made=True)
        there = self.located(parcel, made)
        id = str((there.body or {})["id"])
        if made.status == 201 or self.equal(parcel, there):
            return there
        return self.update(parcel, id, there.version)

    def located(self, parcel: _Parcel, made: Answer) -> Answer:
        """The resource that a create made or met, read by its id: answers may be empty."""
        id = str((made.body or {}).get("id") or "")
        if not id and made.location:
            parts = made.location.split("/_history/")[0].rsplit("/", 2)
            id = parts[-1] if parts[-2:-1] == [parcel.row.type] else ""
        if not id:
            cause = "the server said neither where nor what it stored"
            raise BridgeError(Issue("remote", cause, "show this to the hospital's IT"))
        there = self.hospital.server.get(f"{parcel.row.type}/{id}")
        if there.status >= 400:
            raise refused(there, "reading the resource that was just made")
        return there

    def update(self, parcel: _Parcel, id: str, version: str) -> Answer | Issue:
        """Over exactly this version. Looked at first: an update of what was deleted there makes it
        again (HAPI FHIR 8.4.0), and one whose answer was lost is there already.
        """
        now = self.hospital.server.get(f"{parcel.row.type}/{id}")
        if now.status >= 400:
            raise refused(now, "reading what was delivered before")
        if self.equal(parcel, now):
            return now
        if now.version != version:
            return self.overtaken(parcel, id, version)
        body = {**parcel.body, "id": id}
        made = self.hospital.server.update(body, version=version)
        if made.status < 400:
            return self.located(parcel, made) if not (made.body or {}).get("id") else made
        if made.status in (409, 412):
            return self.overtaken(parcel, id, version)
        raise refused(made, "the update")

    def overtaken(self, parcel: _Parcel, id: str, version: str) -> Issue:
        cause = f"{parcel.row.type}/{id} was changed there since version {version}"
        return Issue("conflict", cause, "a person decides which of the two is right")

    def equal(self, parcel: _Parcel, there: Answer) -> bool:
        body = there.body or {}
        return not missing(parcel.body, body) and not unlike(
            self.hospital.mappings, parcel.body, body
        )

    def read_back(self, parcel: _Parcel, id: str) -> tuple[DeliveryState, tuple[Issue, ...]]:
        """Verified when every element that was sent is there, and reads as the record does."""
        there = self.hospital.server.get(f"{parcel.row.type}/{id}")
        if there.status >= 400:
            raise refused(there, "the read-back")
        issues = [
            Issue("remote", "it did not come back as it was sent", "see the server's rules", at)
            for at in missing(parcel.body, there.body or {})
        ]
        issues += unlike(self.hospital.mappings, parcel.body, there.body or {})
        self.note(parcel, state="sent", remote_id=id, remote_version=there.version)
        return "conflict" if issues else "verified", tuple(issues)

    def note(self, parcel: _Parcel, **changes: Any) -> None:
        hospital = self.hospital
        with hospital.unit() as unit:
            unit.deliveries.put(hospital.connection.id, parcel.row.id, **changes)
            if changes.get("state") == "pending":  # told before it is sent: afterwards we may die
                told = {"connection": hospital.connection.id, "record": parcel.row.record_id}
                unit.audit.note("E", "deliver", actor=COMMAND_LINE, entities=told)
            unit.commit()

    def end(
        self, parcel: _Parcel, state: DeliveryState, issues: tuple[Issue, ...], run: Run
    ) -> None:
        """The state and its count are one transaction: a killed run's counts are not lost."""
        hospital, row = self.hospital, parcel.row
        with hospital.unit() as unit:
            unit.deliveries.put(
                hospital.connection.id,
                row.id,
                state=state,
                sent_sha256=parcel.sha256,
                issues=issues,
            )
            unit.runs.add_counts(run.id, {state: 1})
            unit.commit()
        name = f"{parcel.row.type}/{parcel.row.fhir_id}"
        told = "; ".join(issue.sentence() for issue in issues)
        self.tell(f"{name}: {state}{' - ' + told if told else ''}")


def _pulled_at(unit: Unit, connection_id: str) -> datetime | None:
    """When the last pull that came to its end began."""
    ends: tuple[RunState, ...] = ("complete", "incomplete")
    runs = [unit.runs.latest(connection_id, "pull", state=state) for state in ends]
    return max((run.started_at for run in runs if run), default=None)
