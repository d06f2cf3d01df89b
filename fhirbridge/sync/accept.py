"""From proposal to record: what an origin says is merged, judged as a whole record, and written
with whose it is and what waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue, failed
from fhirbridge.registry.origins import Origin
from fhirbridge.registry.proposals import ProposalStatus
from fhirbridge.registry.records import Name
from fhirbridge.registry.records import Record as Stored
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.study import records
from fhirbridge.study.definition import Form
from fhirbridge.study.records import Record
from fhirbridge.sync.merge import Merge, agree, same
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
    """Merge what an origin says into the record that it is about. A value that does not go with
    the rest waits alone where `_alone` allows it, and else keeps the whole record waiting."""
    form = context.mappings.study.form(said.form)
    alone: dict[str, Issue] = {}
    while True:
        made = _Acceptance(context, said, subject, origin, position, alone).run()
        more = _alone(form, said, made, partial=context.partial)
        if made.fate != "quarantined" or more.keys() <= alone.keys():
            break
        alone = {**more, **alone}
    if made.fate == "quarantined":
        return replace(made, issues=(*made.issues, *alone.values()))
    return made


def _alone(form: Form, said: Said, made: Accepted, *, partial: bool) -> dict[str, Issue]:
    """The values that are said and do not go with the rest, each with why. Of what says all that
    its source knows only those that lack another one: it may come in a resource of its own."""
    wrong: dict[str, list[Issue]] = {}
    for issue in made.issues:
        if issue.expression in said.fields.keys() - {*form.key} and failed([issue]):
            wrong.setdefault(issue.expression, []).append(issue)
    return {
        name: replace(issues[0], expression=said.traces[name].expression)
        for name, issues in wrong.items()
        if partial
        or (not form.fields[name].required and {i.category for i in issues} == {"required"})
    }


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
    if not owned or (same(left, found.fields) and lives == (found.status == "active")):
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


@dataclass(frozen=True, slots=True)
class _Acceptance:
    """`alone`: what is said and waits alone, with why."""

    context: Context
    said: Said
    subject: Subject
    origin: Origin
    position: int
    alone: Mapping[str, Issue]

    def run(self) -> Accepted:
        context, said, unit = self.context, self.said, self.context.unit
        form = context.mappings.study.form(said.form)
        record_id = context.mappings.derived_id(said.form, self.subject.study_id, said.key)
        unit.hold([self.subject.id])
        unit.foresee({Name(self.subject.id, said.form, said.key): record_id})
        found = unit.records.find(self.subject.id, said.form, said.key)
        before = dict(found.fields if found else beginning(form))
        owners = unit.proposals.accepted(record_id) if found else {}
        waiting = unit.proposals.waiting(record_id) if said.promotes else ()
        merge = Merge(
            form, said, self.origin, context.partial, before, owners, frozenset(self.alone)
        )
        merged = merge.run(waiting)
        wrong = _judged(context, self.subject, said.form, merged.after)
        if failed(wrong):
            return Accepted("quarantined", found, tuple(wrong))
        conflicts = (*merged.waits.values(), *self.alone.values(), *merge.not_its_own())
        if found is None or found.status == "withdrawn" or not same(before, merged.after):
            for name in merged.taken:
                self._propose(record_id, name, "accepted")
            for one in merged.promoted:
                unit.proposals.set_status(one.id, "accepted")
            record = Record(self.subject.study_id, said.form, _values(merged.after))
            stored = _save(context, self.subject, record, (record_id, said.key))
            made = Accepted("applied", stored, conflicts=conflicts)
        else:
            made = Accepted("unchanged", found, conflicts=conflicts)
        self._own(record_id)
        self._wait(form, record_id, merged.waits)
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
        )
        self.context.unit.origins.link(o.id, record_id)

    def _wait(self, form: Form, record_id: str, waits: Mapping[str, Issue]) -> None:
        """What waits of this origin: each value once, and what it says no more is superseded."""
        unit, new = self.context.unit, dict(waits)
        for one in unit.proposals.waiting(record_id):
            if one.origin_id != self.origin.id or one.field in self.said.promotes:
                continue
            said = self.said.fields
            if one.field in new and agree(
                form.fields[one.field], one.value, records.value_to_json(said[one.field])
            ):
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
