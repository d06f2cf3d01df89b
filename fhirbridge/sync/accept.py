"""From proposal to record: which of a resource's values become the study's truth, and which wait.

A field belongs to the origin whose value was accepted. That origin may correct or withdraw it;
another origin that says otherwise waits for a person. Whole records are judged before anything is
written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.mapping.decode import Decoded
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue, failed
from fhirbridge.registry.proposals import Origin, Proposal
from fhirbridge.registry.records import Record as Stored
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.study import records
from fhirbridge.study.records import Record
from fhirbridge.sync.project import project


@dataclass(frozen=True, slots=True)
class Context:
    """What every change of one message has in common."""

    unit: Unit
    mappings: MappingSet
    message_id: str
    actor: str


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
    """Merge what an origin says into the record that it is about, or take back what it said."""
    return _Merge(context, decoded, subject, origin, position).run()


def _same(left: Any, right: Any) -> bool:
    return fhir_json.canonical(left) == fhir_json.canonical(right)


@dataclass
class _Merge:
    context: Context
    decoded: Decoded
    subject: Subject
    origin: Origin
    position: int

    def run(self) -> Accepted:
        context, decoded = self.context, self.decoded
        form = context.mappings.study.form(decoded.form)
        found = context.unit.records.find(self.subject.id, form.name, decoded.key)
        record_id = context.mappings.derived_id(form.name, self.subject.study_id, decoded.key)
        owners = context.unit.proposals.accepted(record_id) if found else {}
        self._leave_old_record(record_id)
        if decoded.fate == "withdraw":
            return self._withdraw(found, owners)
        before = dict(found.fields) if found else {}
        after, conflicts, taken = self._merged(before, owners)
        for name in self._dropped(owners):
            after.pop(name, None)
        wrong = self._judge(after)
        if failed(wrong):
            return Accepted("quarantined", found, tuple(wrong))
        revived = found is not None and found.status == "withdrawn"
        if found is not None and _same(before, after) and not revived:
            self._own(found.id)
            return Accepted("unchanged", found, conflicts=tuple(conflicts))
        for name in taken:
            self._propose(record_id, name, after[name], "accepted")
        stored = self._save(record_id, after, "active", "sent by the source")
        self._own(stored.id)
        return Accepted("applied", stored, conflicts=tuple(conflicts))

    def _own(self, record_id: str | None) -> None:
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
    ) -> tuple[dict[str, Any], list[Issue], list[str]]:
        """The fields after it, the conflicts, and the names of those that this origin now owns."""
        after = dict(before)
        conflicts: list[Issue] = []
        taken: list[str] = []
        for name, value in self.decoded.fields.items():
            new, trace = records.value_to_json(value), self.decoded.traces[name]
            if name in before and _same(before[name], new):
                continue
            owner = owners.get(name)
            if name in before and owner is not None and owner.origin_id != self.origin.id:
                cause = f"another source says otherwise of {name}"
                remedy = "a person decides which of the two is right"
                conflicts.append(Issue("conflict", cause, remedy, trace.expression))
            elif trace.review:
                cause = f"{name} is proposed by '{trace.rule}', which a person accepts"
                conflicts.append(
                    Issue("business-rule", cause, "accept or refuse it", trace.expression)
                )
            else:
                after[name] = new
                taken.append(name)
                continue
            self._wait(name, new)
        return after, conflicts, taken

    def _wait(self, name: str, value: Any) -> None:
        """A waiting proposal, once for the same value of the same origin."""
        d, context = self.decoded, self.context
        record_id = context.mappings.derived_id(d.form, self.subject.study_id, d.key)
        waits = (
            p
            for p in context.unit.proposals.waiting(record_id)
            if p.field == name and p.origin_id == self.origin.id
        )
        if not any(_same(p.value, value) for p in waits):
            self._propose(record_id, name, value, "waiting")

    def _propose(self, record_id: str, name: str, value: Any, status: Any) -> None:
        trace = self.decoded.traces[name]
        self.context.unit.proposals.add(
            record_id,
            name,
            value=value,
            status=status,
            mapping_version=self.context.mappings.version,
            origin_id=self.origin.id,
            message_id=self.context.message_id,
            position=self.position,
            path=trace.expression,
            rule=trace.rule,
        )

    def _dropped(self, owners: Mapping[str, Proposal]) -> list[str]:
        """Fields that this origin gave and, read without a fault, gives no more: a correction."""
        if failed(self.decoded.issues):
            return []
        return [
            name
            for name, owner in owners.items()
            if owner.origin_id == self.origin.id
            and name not in self.decoded.fields
            and self._of_block(name)
        ]

    def _of_block(self, name: str) -> bool:
        blocks = self.context.mappings.forms[self.decoded.form].blocks
        block = next(b for b in blocks if b.name == self.decoded.block)
        return name in block.fields if block.fields else True

    def _judge(self, after: Mapping[str, Any]) -> list[Issue]:
        fields = {name: records.value_from_json(raw) for name, raw in after.items()}
        record = Record(self.subject.study_id, self.decoded.form, fields)
        return records.check(self.context.mappings.study, record)

    def _save(self, record_id: str, fields: Mapping[str, Any], status: Any, reason: str) -> Stored:
        context = self.context
        stored = context.unit.records.save(
            record_id,
            subject_id=self.subject.id,
            form=self.decoded.form,
            key=self.decoded.key,
            fields=fields,
            status=status,
            mapping_version=context.mappings.version,
            actor=context.actor,
            reason=reason,
            message_id=context.message_id,
        )
        project(context.unit, context.mappings, stored, self.subject)
        return stored

    def _withdraw(self, found: Stored | None, owners: Mapping[str, Proposal]) -> Accepted:
        """Take back what this origin gave; a record of which only its key is left is withdrawn."""
        if found is None or found.status == "withdrawn":
            cause = "it is entered in error, and nothing of it was taken"
            return Accepted(
                "unchanged", found, (Issue("business-rule", cause, severity="information"),)
            )
        own = [n for n, owner in owners.items() if owner.origin_id == self.origin.id]
        stored = self._without(found, own)
        return Accepted("applied", stored) if stored is not found else Accepted("unchanged", found)

    def _without(self, found: Stored, names: list[str]) -> Stored:
        key = self.context.mappings.study.form(found.form).key
        gone = [name for name in names if name not in key]
        left = {name: value for name, value in found.fields.items() if name not in gone}
        status = "active" if any(name not in key for name in left) else "withdrawn"
        if not gone and status == "active":
            return found
        merge = self if found.form == self.decoded.form else None
        assert merge is not None
        decoded = replace(self.decoded, key=found.key)
        other = _Merge(self.context, decoded, self.subject, self.origin, self.position)
        return other._save(found.id, left, status, "withdrawn by its source")

    def _leave_old_record(self, record_id: str) -> None:
        """The origin was about another record before (its key was corrected): take that back."""
        old_id = self.origin.record_id
        if old_id is None or old_id == record_id:
            return
        old = self.context.unit.records.get(old_id)
        if old is None or old.subject_id != self.subject.id or old.form != self.decoded.form:
            return
        owners = self.context.unit.proposals.accepted(old_id)
        self._without(old, [n for n, owner in owners.items() if owner.origin_id == self.origin.id])
