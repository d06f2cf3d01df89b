"""Deliver: the study's own resources to a hospital's server, each once, and read back to be sure.

First a conditional create by the derived identifier; from then on an update by the id learned, with
If-Match. Never a conditional update: several of them in parallel double a resource (HAPI FHIR
8.4.0). One run at a time for a connection, held by the registry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fhirbridge.crash import Crash
from fhirbridge.formats import fhir_json
from fhirbridge.mapping.decode import decode
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.deliveries import Delivery
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.runs import Run
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.answer import Answer, outcome_text
from fhirbridge.servers.retry import ComeBack, OutcomeUnknown
from fhirbridge.sync.hospital import Hospital

STATES = ("verified", "conflict", "dead", "withheld")


@dataclass(frozen=True, slots=True)
class _Parcel:
    """One resource for one Patient of the hospital."""

    row: ResourceRow
    delivery: Delivery | None
    body: dict[str, Any]


@dataclass
class Deliver:
    """One run over one connection; `tell` hears a line for each resource."""

    hospital: Hospital
    crash: Crash = field(default_factory=Crash)
    tell: Callable[[str], None] = lambda line: None
    counts: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)

    def run(self) -> Run:
        """Deliver what is outstanding. What a killed run left half done is done again, once."""
        hospital = self.hospital
        with hospital.registry.unit(hospital.site.id) as unit:
            run = unit.runs.open(hospital.connection.id, "deliver")
            run = run or unit.runs.start(hospital.connection.id, "deliver")
            blocks = [
                b.name for m in hospital.mappings.forms.values() for b in m.blocks if b.deliver
            ]
            outstanding = unit.deliveries.outstanding(hospital.connection.id, blocks=blocks)
            unit.commit()
        for row, delivery in outstanding:
            self.one(row, delivery)
        with hospital.registry.unit(hospital.site.id) as unit:
            ended = unit.runs.finish(
                run.id,
                "incomplete" if self.reasons else "complete",
                dict(self.counts),
                self.reasons,
            )
            unit.commit()
        return ended

    def one(self, row: ResourceRow, delivery: Delivery | None) -> None:
        with self.hospital.registry.read(self.hospital.site.id) as unit:
            parcel = self.parcel(unit, row, delivery)
        if isinstance(parcel, str):
            self.counts["withheld"] += 1
            self.tell(f"{row.type}/{row.fhir_id}: not sent, {parcel}")
            return
        self.note(parcel, state="pending", attempts=(delivery.attempts if delivery else 0) + 1)
        try:
            answer = self.send(parcel)
        except (ComeBack, OutcomeUnknown):
            raise
        except BridgeError as fault:
            if fault.issues[0].category == "transient":
                raise
            self.end(parcel, "dead", fault.issues)
            return
        self.crash.reach("deliver.after-send")
        if isinstance(answer, Issue):
            self.end(parcel, "conflict", (answer,))
            return
        body = answer.body or {}
        self.note(
            parcel,
            state="sent",
            remote_id=str(body["id"]),
            remote_version=answer.version,
            sent_sha256=row.sha256,
            issues=(),
        )
        self.read_back(parcel, str(body["id"]))

    def parcel(self, unit: Unit, row: ResourceRow, delivery: Delivery | None) -> _Parcel | str:
        """The resource as the hospital gets it, or why it gets none."""
        record = unit.records.get(row.record_id)
        subject = unit.subjects.by_id(record.subject_id) if record else None
        if record is None or subject is None:
            return "its record is gone"
        if delivery is None and self.echoes(unit, row):
            return "it came from there"
        patients = self.hospital.patient_ids(unit, subject)
        if len(patients) != 1:
            self.reasons.append(f"{subject.study_id}: {len(patients)} patients there; pull first")
            return f"{len(patients)} patients are known there for {subject.study_id}"
        body = {**row.body, "subject": {"reference": f"Patient/{patients[0]}"}}
        return _Parcel(row, delivery, body)

    def echoes(self, unit: Unit, row: ResourceRow) -> bool:
        """True where every value of the resource was read from this very server."""
        mapping = next(m for m in self.hospital.mappings.forms.values() if row.block in _names(m))
        block = next(b for b in mapping.blocks if b.name == row.block)
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
            raise _refused(made, "the create")
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
            raise _refused(there, "reading the resource that was just made")
        return there

    def update(self, parcel: _Parcel, id: str, version: str) -> Answer | Issue:
        body = {**parcel.body, "id": id}
        made = self.hospital.server.update(body, version=version)
        if made.status < 400:
            return self.located(parcel, made) if not (made.body or {}).get("id") else made
        if made.status in (409, 412):
            now = self.hospital.server.get(f"{parcel.row.type}/{id}")
            if now.status < 400 and self.equal(parcel, now):
                return now  # an earlier attempt of ours arrived, its answer did not
            cause = f"{parcel.row.type}/{id} was changed there since version {version}"
            return Issue("conflict", cause, "a person decides which of the two is right")
        raise _refused(made, "the update")

    def equal(self, parcel: _Parcel, there: Answer) -> bool:
        return not missing(parcel.body, there.body or {})

    def read_back(self, parcel: _Parcel, id: str) -> None:
        """Verified when every element that was sent is there, and reads as the record does."""
        there = self.hospital.server.get(f"{parcel.row.type}/{id}")
        if there.status >= 400:
            raise _refused(there, "the read-back")
        issues = [
            Issue("remote", "it did not come back as it was sent", "see the server's rules", at)
            for at in missing(parcel.body, there.body or {})
        ]
        issues += self.unlike(parcel, there.body or {})
        self.note(parcel, state="sent", remote_id=id, remote_version=there.version)
        self.end(parcel, "conflict" if issues else "verified", tuple(issues))

    def unlike(self, parcel: _Parcel, there: Mapping[str, Any]) -> list[Issue]:
        """What reads otherwise there than in what we sent."""
        sent, got = (
            decode(self.hospital.mappings, body, source="")[0] for body in (parcel.body, there)
        )
        return [
            Issue("conflict", f"{name} reads otherwise there", "a person compares", name)
            for name in sorted({*sent.fields, *got.fields})
            if sent.fields.get(name) != got.fields.get(name)
        ]

    def note(self, parcel: _Parcel, **changes: Any) -> None:
        hospital = self.hospital
        with hospital.registry.unit(hospital.site.id) as unit:
            unit.deliveries.put(hospital.connection.id, parcel.row.id, **changes)
            unit.commit()

    def end(self, parcel: _Parcel, state: str, issues: tuple[Issue, ...]) -> None:
        self.note(parcel, state=state, sent_sha256=parcel.row.sha256, issues=issues)
        self.counts[state] += 1
        name = f"{parcel.row.type}/{parcel.row.fhir_id}"
        told = "; ".join(issue.sentence() for issue in issues)
        self.tell(f"{name}: {state}{' - ' + told if told else ''}")
        if state != "verified":
            self.reasons.append(f"{name}: {state}: {issues[0].sentence()}")


def _names(mapping: Any) -> set[str]:
    return {block.name for block in mapping.blocks}


def _refused(answer: Answer, doing: str) -> BridgeError:
    told = outcome_text(answer) or "no reason given"
    cause = f"{doing} was answered with {answer.status}: {told}"
    return BridgeError(Issue("remote", cause, "show this to the hospital's IT"))


def missing(sent: Any, there: Any, at: str = "") -> list[str]:
    """The paths of what was sent and is not there; the server may add whatever it likes.

    >>> missing({"a": [{"b": 1}], "c": 2}, {"a": [{"x": 0}, {"b": 1, "d": 3}]})
    ['c']
    """
    if isinstance(sent, Mapping):
        if not isinstance(there, Mapping):
            return [at]
        found = [missing(v, there.get(k), f"{at}.{k}" if at else k) for k, v in sent.items()]
        return [path for paths in found for path in paths]
    if isinstance(sent, list):
        others = there if isinstance(there, list) else []
        return [
            f"{at}[{number}]"
            for number, item in enumerate(sent)
            if not any(not missing(item, other) for other in others)
        ]
    return [] if fhir_json.canonical(sent) == fhir_json.canonical(there) else [at]
