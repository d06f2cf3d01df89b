"""Enrolment: a person's identifiers go into the vault, and the subject's record begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from fhirbridge.registry.subjects import Subject
from fhirbridge.study.definition import Study
from fhirbridge.sync.accept import Context, beginning
from fhirbridge.sync.project import project


def enrol(
    context: Context,
    study_id: str,
    identities: Iterable[tuple[str, str]],
    *,
    fields: Mapping[str, Any] | None = None,
) -> Subject:
    """The subject, new or known, with these identifiers (system, value) added. What the study must
    have of a subject and `fields` do not say begins as unknown.

    Raises `BridgeError` (conflict) where an identifier is another subject's.
    """
    unit, mappings = context.unit, context.mappings
    subject = unit.subjects.enrol(study_id, identities)
    unit.hold([subject.id])
    found = unit.records.find(subject.id, "subject", "")
    untold = beginning(mappings.study.form("subject"))
    before = {**untold, **(found.fields if found else {})}
    stored = unit.records.save(
        mappings.derived_id("subject", study_id, ""),
        subject_id=subject.id,
        form="subject",
        key="",
        fields={**before, **(fields or {}), "study_id": study_id},
        mapping_version=mappings.version,
        actor=context.actor,
        reason="enrolled",
        message_id=context.message_id or None,
    )
    project(unit, mappings, stored, subject)
    unit.audit.note("C", "enrol", actor=context.actor, entities={"subjects": [subject.id]})
    return subject


def lenient(study: Study) -> Study:
    """The study as an enrolment list is judged by: what begins as unknown need not be said."""
    form = study.form("subject")
    untold = beginning(form)
    told = {n: replace(f, required=False) for n, f in form.fields.items() if n in untold}
    fields = {**form.fields, **told}
    return replace(study, forms={**study.forms, form.name: replace(form, fields=fields)})
