"""From proposal to record: which of a resource's values become the study's truth, and which wait.

A field belongs to the origin whose value was accepted. That origin may correct or withdraw it;
another origin that says otherwise waits for a person. Whole records are judged before anything is
written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.mapping.decode import Decoded
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue, failed
from fhirbridge.registry.proposals import Origin, Proposal, ProposalStatus
from fhirbridge.registry.records import Record as Stored
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.study import records
from fhirbridge.study.records import Record
from fhirbridge.sync.project import project


@dataclass(frozen=True, slots=True)
class Context:
    """What every change of one message has in common.

    `touched` are the records that it changed, each to be projected once, when all is read.
    """

    unit: Unit
    mappings: MappingSet
    message_id: str
    actor: str
    touched: dict[str, tuple[Stored, Subject]] = field(default_factory=dict)

    def project(self) -> None:
        for stored, subject in self.touched.values():
            project(self.unit, self.mappings, stored, subject)
        self.touched.clear()


@dataclass(frozen=True, slots=True)
class Accepted:
    """`fate` is applied, unchanged, quarantined or refused; `conflicts` wait for a person."""

    fate: str
    record: Stored | None = None
    issues: tuple[Issue, ...] = ()
    conflicts: tuple[Issue, ...] = ()


def accept(
    context: Context, decoded: Decoded, subject: Subject, origin: Origin, *, position: int
) -> Accepted:
    """Merge what an origin says into the record that it is about."""
    return _Merge(context, decoded, subject, origin, position).run()


def withdraw(context: Context, origin: Origin) -> Accepted:
    """Take back what the source resource gave, whatever it says now of its key and its patient."""
    stored = take_back(context, origin, reason="withdrawn by its source")
    if stored is not None:
        return Accepted("applied", stored)
    found = context.unit.records.get(origin.record_id) if origin.record_id else None
    cause = "it is entered in error, and nothing of it is in a record"
    told = Issue("business-rule", cause, "nothing to do", severity="information")
    return Accepted("unchanged", found, (told,))


def take_back(context: Context, origin: Origin, *, reason: str) -> Stored | None:
    """The record that the origin was about, without what it gave; None where nothing changes.

    Key fields stay. A record of which only its key is left, or which lacks what it must have, is
    withdrawn; a subject's own record never is.
    """
    unit = context.unit
    found = unit.records.get(origin.record_id) if origin.record_id else None
    subject = unit.subjects.by_id(found.subject_id) if found else None
    if found is None or subject is None:
        return None
    for waits in unit.proposals.waiting(found.id):
        if waits.origin_id == origin.id:
            unit.proposals.set_status(waits.id, "superseded")
    form = context.mappings.study.form(found.form)
    stays = form.key or [name for name, known in form.fields.items() if known.required]
    owned = _owned(unit, found.id, origin)
    left = {n: v for n, v in found.fields.items() if n in stays or n not in owned}
    lives = not form.key or any(name not in stays for name in left)
    lives = lives and not failed(_judged(context, subject, found.form, left))
    if not owned or (_same(left, found.fields) and lives == (found.status == "active")):
        return None
    return _save(
        context,
        subject,
        Record(subject.study_id, found.form, _values(left)),
        (found.id, found.key),
        active=lives,
        reason=reason,
    )


def _owned(unit: Unit, record_id: str, origin: Origin) -> set[str]:
    owners = unit.proposals.accepted(record_id)
    return {name for name, owner in owners.items() if owner.origin_id == origin.id}


def _same(left: Any, right: Any) -> bool:
    return fhir_json.canonical(left) == fhir_json.canonical(right)


def _values(fields: Mapping[str, Any]) -> dict[str, records.Value]:
    return {name: records.value_from_json(raw) for name, raw in fields.items()}


def _judged(
    context: Context, subject: Subject, form: str, fields: Mapping[str, Any]
) -> list[Issue]:
    record = Record(subject.study_id, form, _values(fields))
    return records.check(context.mappings.study, record)


def _save(
    context: Context,
    subject: Subject,
    record: Record,
    named: tuple[str, str],
    *,
    active: bool = True,
    reason: str = "sent by the source",
) -> Stored:
    """The record under this id and key, with its resources."""
    record_id, key = named
    stored = context.unit.records.save(
        record_id,
        subject_id=subject.id,
        form=record.form,
        key=key,
        fields={name: records.value_to_json(value) for name, value in record.fields.items()},
        status="active" if active else "withdrawn",
        mapping_version=context.mappings.version,
        actor=context.actor,
        reason=reason,
        message_id=context.message_id,
    )
    context.touched[stored.id] = (stored, subject)
    return stored


@dataclass
class _Merge:
    context: Context
    decoded: Decoded
    subject: Subject
    origin: Origin
    position: int

    def run(self) -> Accepted:
        context, decoded = self.context, self.decoded
        found = context.unit.records.find(self.subject.id, decoded.form, decoded.key)
        record_id = context.mappings.derived_id(decoded.form, self.subject.study_id, decoded.key)
        before = dict(found.fields) if found else {}
        owners = context.unit.proposals.accepted(record_id) if found else {}
        after, waits, taken = self._merged(before, owners)
        wrong = _judged(context, self.subject, decoded.form, after)
        if failed(wrong):
            return Accepted("quarantined", found, tuple(wrong))
        if self.origin.record_id != record_id:  # its key or its patient was corrected
            take_back(context, self.origin, reason="its source is about another record now")
        conflicts = tuple(waits.values())
        if found is None or found.status == "withdrawn" or not _same(before, after):
            for name in taken:
                self._propose(record_id, name, "accepted")
            record = Record(self.subject.study_id, decoded.form, _values(after))
            made = Accepted(
                "applied",
                _save(context, self.subject, record, (record_id, decoded.key)),
                conflicts=conflicts,
            )
        else:
            made = Accepted("unchanged", found, conflicts=conflicts)
        self._own(record_id)
        self._wait(record_id, waits)
        return made

    def _own(self, record_id: str) -> None:
        o = self.origin
        self.context.unit.origins.put(
            o.source,
            o.resource_type,
            o.source_id,
            version_id=o.version_id,
            last_updated=o.last_updated,
            sha256=o.sha256,
            subject_id=self.subject.id,
            record_id=record_id,
        )

    def _merged(
        self, before: Mapping[str, Any], owners: Mapping[str, Proposal]
    ) -> tuple[dict[str, Any], dict[str, Issue], list[str]]:
        """The fields after it, why fields wait, and the names that this origin now owns."""
        after = {name: value for name, value in before.items() if not self._drops(name, owners)}
        waits: dict[str, Issue] = {}
        taken: list[str] = []
        for name, value in self.decoded.fields.items():
            new, trace = records.value_to_json(value), self.decoded.traces[name]
            if name in before and _same(before[name], new):
                continue
            owner = owners.get(name)
            if name in before and owner is not None and owner.origin_id != self.origin.id:
                cause = f"another source says otherwise of {name}"
                remedy = "a person decides it by 'fhirbridge proposal'"
                waits[name] = Issue("conflict", cause, remedy, trace.expression)
            elif trace.review:
                cause = f"{name} is proposed by '{trace.rule}', which a person accepts"
                waits[name] = Issue(
                    "review", cause, "decide it by 'fhirbridge proposal'", trace.expression
                )
            else:
                after[name] = new
                taken.append(name)
        return after, waits, taken

    def _drops(self, name: str, owners: Mapping[str, Proposal]) -> bool:
        """A field that this origin gave and, read without a fault, gives no more: a correction.

        A resource is read as one block: what it gave as another one, it does not say any more.
        """
        owner = owners.get(name)
        if owner is None or owner.origin_id != self.origin.id or name in self.decoded.fields:
            return False
        return not (failed(self.decoded.issues) and self._of_block(name))

    def _of_block(self, name: str) -> bool:
        blocks = self.context.mappings.forms[self.decoded.form].blocks
        block = next(b for b in blocks if b.name == self.decoded.block)
        return name in block.fields if block.fields else True

    def _wait(self, record_id: str, waits: Mapping[str, Issue]) -> None:
        """What waits of this origin: each value once, and what it says no more is superseded."""
        unit, new = self.context.unit, dict(waits)
        for one in unit.proposals.waiting(record_id):
            if one.origin_id != self.origin.id:
                continue
            said = self.decoded.fields
            if one.field in new and _same(one.value, records.value_to_json(said[one.field])):
                del new[one.field]
            elif one.field in said or not failed(self.decoded.issues):
                unit.proposals.set_status(one.id, "superseded")
        for name in new:
            self._propose(record_id, name, "waiting")

    def _propose(self, record_id: str, name: str, status: ProposalStatus) -> None:
        trace = self.decoded.traces[name]
        self.context.unit.proposals.add(
            record_id,
            name,
            value=records.value_to_json(self.decoded.fields[name]),
            status=status,
            mapping_version=self.context.mappings.version,
            origin_id=self.origin.id,
            message_id=self.context.message_id,
            position=self.position,
            path=trace.expression,
            rule=trace.rule,
        )
