"""Packs one resource for one hospital: whose it is there, what it refers to there, in which dress;
or says why it stays here. What came from that very server is never sent to it.
"""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from fhirbridge.mapping.spec import Block, Gate
from fhirbridge.registry.deliveries import Delivery
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.consent import Standing, standing
from fhirbridge.sync.delivery.dressed import dressed
from fhirbridge.sync.delivery.wanted import mapping_of
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.project import logical, places_of, target_of
from fhirbridge.sync.pulling.joined import known

_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


@dataclass(frozen=True, slots=True)
class Parcel:
    """`sha256` is of what the study says: the resource's own, or of its withdrawal."""

    row: ResourceRow
    delivery: Delivery | None
    body: dict[str, Any]
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.row.type}/{self.row.fhir_id}"

    @property
    def again(self) -> bool:
        """This very content was tried before."""
        return self.delivery is not None and self.delivery.sent_sha256 == self.sha256


@dataclass(frozen=True, slots=True)
class Stays:
    """Not sent: for good as things are (withheld), not yet (pending), or because it is done
    (settled). `reason` makes the run incomplete."""

    state: Literal["withheld", "pending", "settled"]
    why: str
    reason: str = ""


@dataclass
class Packer:
    """Of one run. Patients that a pull saw before `since`, or whose identity waits to be settled,
    are not trusted."""

    hospital: Hospital
    since: datetime | None
    doubtful: frozenset[str]
    standings: dict[str, Standing] = field(default_factory=dict)

    def pack(self, unit: Unit, row: ResourceRow, delivery: Delivery | None) -> Parcel | Stays:
        record = unit.records.get(row.record_id)
        subject = unit.subjects.by_id(record.subject_id) if record else None
        if record is None or subject is None:
            return Stays("withheld", "its record is gone")
        told = self._standing(unit, subject.id)
        ended = told == "withdrawn"
        may = told == "given" or (told == "untold" and self.hospital.site.consent == "enrolment")
        back = row.deleted or (ended and _arrived(delivery) and self.hospital.options.take_back)
        if not may and not back:
            told_why = "consent was withdrawn" if ended else "no consent is recorded"
            return Stays("withheld", told_why)
        if back:
            return self._withdrawal(unit, row, delivery)
        if not _arrived(delivery):
            block = mapping_of(self.hospital.mappings, row.block)[1]
            if why := echo(unit, self.hospital.source, row, block):
                return Stays("withheld", why)
        return self._addressed(unit, row, delivery, subject)

    def _addressed(
        self, unit: Unit, row: ResourceRow, delivery: Delivery | None, subject: Subject
    ) -> Parcel | Stays:
        seen = self.hospital.patient_ids(unit, subject, since=self.since)
        joins = known(unit, self.hospital.connection.id, subject)
        away = {gone for gone, _ in joins}
        sure = self.doubtful.isdisjoint(seen)
        patients = [id for id in seen if sure and id not in away]
        if len(patients) != 1:
            told = f"{len(patients)} patients are known there for {subject.study_id}"
            reason = f"{subject.study_id}: {len(patients)} patients there; pull first"
            return Stays("withheld", told, reason)
        body: dict[str, Any] = deepcopy(dict(row.body))
        for path in mapping_of(self.hospital.mappings, row.block)[0].patients:
            path.write(body, {"reference": f"Patient/{patients[0]}"})
        if waits := self._referring(unit, body, subject):
            return Stays("pending", waits, f"{row.type}/{row.fhir_id}: {waits}")
        own = self.hospital.mappings.study.canonical
        return Parcel(row, delivery, dressed(body, self.hospital.options, own=own), row.sha256)

    def _referring(self, unit: Unit, body: dict[str, Any], subject: Subject) -> str:
        """Writes into the body the ids that its targets have there; what it waits for, if one has
        none."""
        mappings, connection = self.hospital.mappings, self.hospital.connection
        places = places_of(mappings)
        for reference in [*logical(body)]:
            name = target_of(mappings, places, reference, subject.study_id)
            found = unit.resources.among([name]) if name else []
            there = unit.deliveries.there(connection.id, [row.id for row in found])
            ids = [*there.values()] or [id for row in found for id in self._own(unit, row)]
            if len(ids) == 1:
                reference["reference"] = f"{reference['type']}/{ids[0]}"
            elif self.hospital.options.reference == "wait":
                what = "/".join(name) if name and found else f"a {reference.get('type')}"
                here = "is not there yet" if found else "is not held here"
                return f"it refers to {what}, which {here if not ids else 'is there twice'}"
        return ""

    def _own(self, unit: Unit, row: ResourceRow) -> list[str]:
        """Under which ids the hospital itself has it."""
        origins = unit.origins.of_record(row.record_id)
        source = self.hospital.source
        return [o.source_id for o in origins if (o.source, o.resource_type) == (source, row.type)]

    def _withdrawal(
        self, unit: Unit, row: ResourceRow, delivery: Delivery | None
    ) -> Parcel | Stays:
        """What was delivered, as entered in error: what the mapping reads as a withdrawal."""
        sha256 = hashlib.sha256(f"withdrawn {row.sha256}".encode()).hexdigest()
        ended = delivery is not None and delivery.state in ("verified", "conflict", "dead")
        if delivery and ended and delivery.sent_sha256 == sha256:
            return Stays("settled", "it was taken back")
        gate = mapping_of(self.hospital.mappings, row.block)[0].gate
        if gate is None or not gate.withdraws:
            return Stays("withheld", f"a {row.type} has no status by which it is taken back")
        sent = unit.deliveries.sent_body(self.hospital.connection.id, row.id)
        if sent is not None:
            return Parcel(row, delivery, taken_back(sent, gate), sha256)
        record = unit.records.get(row.record_id)
        subject = unit.subjects.by_id(record.subject_id) if record else None
        assert subject is not None, "looked up before"
        packed = self._addressed(unit, row, delivery, subject)
        if isinstance(packed, Stays):
            return packed
        return Parcel(row, delivery, taken_back(packed.body, gate), sha256)

    def _standing(self, unit: Unit, subject_id: str) -> Standing:
        if subject_id not in self.standings:
            self.standings[subject_id] = standing(unit, subject_id)
        return self.standings[subject_id]


def taken_back(body: dict[str, Any], gate: Gate) -> dict[str, Any]:
    """con-5 of R4: a Condition in error has no clinical status."""
    made, code = deepcopy(body), min(gate.withdraws)
    if gate.path.type == "CodeableConcept":
        gate.path.write(made, {"coding": [{"system": _VERIFICATION, "code": code}]})
        return {name: value for name, value in made.items() if name != "clinicalStatus"}
    gate.path.write(made, code)
    return made


def echo(unit: Unit, source: str, row: ResourceRow, block: Block) -> str:
    """Why it would only tell the server what it told us; empty where the study has said it.

    What the hospital has as its own resource is not made a second time beside it, whoever else said
    the same, and whatever was added here.
    """
    theirs = {o.id: o for o in unit.origins.of_record(row.record_id) if o.source == source}
    if not theirs:
        return ""
    accepted = unit.proposals.accepted(row.record_id)
    named = [name for name in block.fields or accepted if name in accepted]
    said = [name for name in named if accepted[name].origin_id in theirs]
    if said and len(said) == len(named):
        return "it came from there"
    whole = [] if block.fields else [*theirs.values()]
    about = [*whole, *(theirs[accepted[name].origin_id or ""] for name in said)]
    own = sorted({o.source_id for o in about if o.resource_type == row.type})
    return f"it is the hospital's own {row.type}/{own[0]}" if own else ""


def _arrived(delivery: Delivery | None) -> bool:
    if delivery is None:
        return False
    return delivery.remote_id is not None or (delivery.state == "pending" and delivery.attempts > 0)
