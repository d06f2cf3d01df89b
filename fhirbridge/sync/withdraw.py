"""A person records that consent is given or withdrawn: a record of the form consent, as a
hospital's Consent would be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirbridge.outcome import BridgeError, Issue, failed
from fhirbridge.registry.records import Record as Stored
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.study import records
from fhirbridge.study.records import Record
from fhirbridge.sync.accept import Context
from fhirbridge.sync.consent import SCOPE
from fhirbridge.sync.project import project

BY_HAND = "by-hand"  # the consent_id of what a person recorded here


def subject_of(unit: Unit, study_id: str) -> Subject:
    subject = unit.subjects.by_study_id(study_id)
    if subject is None:
        cause = "nobody is enrolled under this study id"
        raise BridgeError(Issue("not-found", cause, "see 'fhirbridge subject list'"))
    return subject


def told(unit: Unit, subject: Subject) -> list[Stored]:
    """The subject's records of consent, of every scope."""
    return [one for one in unit.records.all("consent", subject.id) if one.status == "active"]


def give(context: Context, subject: Subject, *, reason: str) -> Stored:
    """Consent from now on, whatever was withdrawn before."""
    now = context.unit.now().isoformat(timespec="seconds")
    return _record(context, subject, {"status": "active", "signed_on": now}, reason)


def withdraw(context: Context, subject: Subject, *, reason: str) -> Stored:
    """From now on nothing more is read; what was collected stays."""
    now = context.unit.now().isoformat(timespec="seconds")
    ended = {"status": "withdrawn", "withdrawn_on": now, "withdrawal_mode": "stop"}
    return _record(context, subject, ended, reason)


def _record(context: Context, subject: Subject, says: Mapping[str, Any], reason: str) -> Stored:
    """Beside the hospital's own, which stay as they were sent: the later one counts."""
    unit, mappings = context.unit, context.mappings
    fields = {"consent_id": BY_HAND, "scope": SCOPE, **says}
    values = {name: records.value_from_json(raw) for name, raw in fields.items()}
    wrong = records.check(mappings.study, Record(subject.study_id, "consent", values))
    if failed(wrong):
        raise BridgeError(*wrong)
    stored = unit.records.save(
        mappings.derived_id("consent", subject.study_id, BY_HAND),
        subject_id=subject.id,
        form="consent",
        key=BY_HAND,
        fields=fields,
        mapping_version=mappings.version,
        actor=context.actor,
        reason=reason,
    )
    project(unit, mappings, stored, subject)
    event = "consent.give" if says["status"] == "active" else "consent.withdraw"
    named = {"subjects": [subject.id], "record": stored.id}
    unit.audit.note("U", event, actor=context.actor, entities=named)
    return stored
