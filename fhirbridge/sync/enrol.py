"""Enrolment: a person's identifiers go into the vault, and the subject's record begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fhirbridge.registry.subjects import Subject
from fhirbridge.sync.accept import Context
from fhirbridge.sync.project import project


def enrol(
    context: Context,
    study_id: str,
    identities: Iterable[tuple[str, str]],
    *,
    fields: Mapping[str, Any] | None = None,
) -> Subject:
    """The subject, new or known, with these identifiers (system, value) added.

    Raises `BridgeError` (conflict) where an identifier is another subject's.
    """
    unit, mappings = context.unit, context.mappings
    subject = unit.subjects.enrol(study_id, identities)
    found = unit.records.find(subject.id, "subject", "")
    before = dict(found.fields) if found else {}
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
    return subject
