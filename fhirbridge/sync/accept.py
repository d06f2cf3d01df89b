"""From proposal to record: which of a resource's values become the study's truth, and which wait.

A field belongs to the origin whose value was accepted. That origin may correct or withdraw it;
another origin that says otherwise waits for a person. Whole records are judged before anything is
written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue, failed
from fhirbridge.registry.proposals import Origin, Proposal, ProposalStatus
from fhirbridge.registry.records import Name
from fhirbridge.registry.records import Record as Stored
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.study import records
from fhirbridge.study.definition import Form
from fhirbridge.study.records import Record
from fhirbridge.sync.project import project
from fhirbridge.sync.said import Said


@dataclass(slots=True)
class Context:
    """What every change of one message has in common.

    `partial`: what the message does not say of a record stays as it was. `touched` are the records
    that it changed, each to be projected once, when all is read; `projected` the resources that
    were then made, by record.
    """

    unit: Unit
    mappings: MappingSet
    message_id: str
    actor: str
    partial: bool = False
    touched: dict[str, tuple[Stored, Subject]] = field(default_factory=dict)
    projected: dict[str, list[ResourceRow]] = field(default_factory=dict)

    def project(self) -> None:
        self.unit.resources.know(self.touched)
        for stored, subject in self.touched.values():
            rows = project(self.unit, self.mappings, stored, subject)
            self.projected[stored.id] = rows
        self.touched.clear()


@dataclass(frozen=True, slots=True)
class Accepted:
    """`fate` is applied, unchanged, quarantined or refused; `conflicts` wait for a person."""

    fate: str
    record: Stored | None = None
    issues: tuple[Issue, ...] = ()
    conflicts: tuple[Issue, ...] = ()


def beginning(form: Form) -> dict[str, Any]:
    """What a subject's record says before anybody has told: unknown, where the study asks for a
    value and has that word. Nobody owns it, so whoever knows it says it."""
    fields = form.fields.values() if not form.key else ()
    return {f.name: "unknown" for f in fields if f.required and "unknown" in f.choices}


def accept(
    context: Context, said: Said, subject: Subject, origin: Origin, *, position: int
) -> Accepted:
    """Merge what an origin says into the record that it is about."""
    return _Merge(context, said, subject, origin, position).run()


def take_back(context: Context, origin: Origin, record_id: str, *, reason: str) -> Stored | None:
    """The record without what the origin gave it; None where nothing changes.

    Key fields stay. A record of which only its key is left, or which lacks what it must have, is
    withdrawn; a subject's own record never is.
    """
    unit = context.unit
    unit.origins.unlink(origin.id, record_id)
    found = unit.records.get(record_id)
    if found and unit.hold([found.subject_id]):
        found = unit.records.get(record_id)
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
        message_id=context.message_id or None,
    )
    context.touched[stored.id] = (stored, subject)
    return stored


@dataclass
class _Merge:
    context: Context
    said: Said
    subject: Subject
    origin: Origin
    position: int

    def run(self) -> Accepted:
        context, said = self.context, self.said
        record_id = context.mappings.derived_id(said.form, self.subject.study_id, said.key)
        context.unit.hold([self.subject.id])
        context.unit.foresee({Name(self.subject.id, said.form, said.key): record_id})
        found = context.unit.records.find(self.subject.id, said.form, said.key)
        before = dict(found.fields if found else beginning(context.mappings.study.form(said.form)))
        owners = context.unit.proposals.accepted(record_id) if found else {}
        after, waits, taken = self._merged(before, owners)
        wrong = _judged(context, self.subject, said.form, after)
        lonely = self._lonely(after, taken) if failed(wrong) else {}
        if lonely:  # of what came in parts, the part that cannot stand alone waits for the other
            after = {name: value for name, value in after.items() if name not in lonely}
            taken = [name for name in taken if name not in lonely]
            wrong = _judged(context, self.subject, said.form, after)
        if failed(wrong):
            return Accepted("quarantined", found, tuple(wrong))
        conflicts = (*waits.values(), *lonely.values())
        if found is None or found.status == "withdrawn" or not _same(before, after):
            for name in taken:
                self._propose(record_id, name, "accepted")
            record = Record(self.subject.study_id, said.form, _values(after))
            made = Accepted(
                "applied",
                _save(context, self.subject, record, (record_id, said.key)),
                conflicts=conflicts,
            )
        else:
            made = Accepted("unchanged", found, conflicts=conflicts)
        self._own(record_id)
        self._wait(record_id, waits)
        return made

    def _lonely(self, after: Mapping[str, Any], taken: list[str]) -> dict[str, Issue]:
        """Fields that this origin gives, and that lack a value which they need, each with why."""
        form = self.context.mappings.study.form(self.said.form)
        told = {issue.expression: issue for issue in records.needs(form, _values(after))}
        return {
            name: replace(told[name], expression=self.said.traces[name].expression)
            for name in taken
            if name in told and told[name].category == "required" and not form.fields[name].required
        }

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
        )
        self.context.unit.origins.link(o.id, record_id)

    def _merged(
        self, before: Mapping[str, Any], owners: Mapping[str, Proposal]
    ) -> tuple[dict[str, Any], dict[str, Issue], list[str]]:
        """The fields after it, why fields wait, and the names that this origin now owns."""
        form = self.context.mappings.study.form(self.said.form)
        after = {name: value for name, value in before.items() if not self._drops(name, owners)}
        waits: dict[str, Issue] = {}
        taken: list[str] = []
        for name, value in self.said.fields.items():
            new, trace = records.value_to_json(value), self.said.traces[name]
            if name in before and _same(before[name], new):
                continue
            owner = owners.get(name)
            foreign = name in before and owner is not None and owner.origin_id != self.origin.id
            if foreign and name in form.key:
                continue  # another moment of the same day: the key is the same
            if foreign:
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
        """A field that this origin gave and takes back, or, read without a fault, gives no more: a
        correction."""
        owner = owners.get(name)
        if owner is None or owner.origin_id != self.origin.id:
            return False
        if name in self.said.nulls:
            return True
        if self.context.partial:
            return False
        return name not in self.said.fields and name not in self.said.unread

    def _wait(self, record_id: str, waits: Mapping[str, Issue]) -> None:
        """What waits of this origin: each value once, and what it says no more is superseded."""
        unit, new = self.context.unit, dict(waits)
        for one in unit.proposals.waiting(record_id):
            if one.origin_id != self.origin.id:
                continue
            said = self.said.fields
            if one.field in new and _same(one.value, records.value_to_json(said[one.field])):
                del new[one.field]
            elif one.field in said or one.field not in self.said.unread:
                unit.proposals.set_status(one.id, "superseded")
        for name in new:
            self._propose(record_id, name, "waiting")

    def _propose(self, record_id: str, name: str, status: ProposalStatus) -> None:
        trace = self.said.traces[name]
        self.context.unit.proposals.add(
            record_id,
            name,
            value=records.value_to_json(self.said.fields[name]),
            status=status,
            mapping_version=self.context.mappings.version,
            origin_id=self.origin.id,
            message_id=self.context.message_id,
            position=self.position,
            path=trace.expression,
            rule=trace.rule,
        )
