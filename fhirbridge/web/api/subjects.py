"""Subjects by their study ids. Hospital identifiers stay in the vault and are never shown."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from fhirbridge.sync import visits
from fhirbridge.web.api.noun import (
    Noun,
    PageQuery,
    caller,
    here,
    may_read,
    no_such,
    page_of,
    shown,
    told,
    wanted,
)

noun = Noun("subjects", "Enrolled persons, by their study ids")


class SubjectSchema(Schema):
    study_id = fields.String(required=True)
    created_at = fields.DateTime(format="iso", required=True)


class SubjectRecordSchema(Schema):
    id = fields.String(required=True)
    form = fields.String(required=True)
    status = fields.String(required=True)


class WholeSubjectSchema(SubjectSchema):
    records = fields.List(fields.Nested(SubjectRecordSchema), required=True)


class VisitLineSchema(Schema):
    """One dated record: its visit, and of which of its fields the visit takes the value."""

    record_id = fields.String(required=True)
    form = fields.String(required=True)
    on = fields.String(required=True, metadata={"description": "its date"})
    visit = fields.String(required=True, metadata={"description": "empty: none is known"})
    day = fields.Integer(required=True, allow_none=True)
    reason = fields.String(required=True, metadata={"description": "what is to be said of it"})
    taken = fields.List(fields.String(), required=True)
    passed = fields.Dict(
        required=True,
        keys=fields.String(),
        values=fields.String(),
        metadata={"description": "field: why another record gives the visit its value"},
    )


class CourseSchema(Schema):
    study_id = fields.String(required=True)
    index = fields.String(required=True, metadata={"description": "day 0; empty: see reason"})
    reason = fields.String(required=True)
    lines = fields.List(fields.Nested(VisitLineSchema), required=True)


@noun.route("", page_of(SubjectSchema), query=PageQuery)
def listed(given: dict[str, Any]) -> Any:
    """By study id."""
    may_read()
    with here().registry.read(caller().site_id) as unit:
        return told(unit.listings.subjects(wanted(given)))


@noun.route("/<study_id>", WholeSubjectSchema, refusals=(404,))
def one(study_id: str) -> Any:
    may_read()
    with here().registry.read(caller().site_id) as unit:
        found = unit.subjects.by_study_id(study_id)
        records = unit.records.all(subject_id=found.id) if found else []
    if found is None:
        raise no_such("subject", "enrol it first")
    shown(found)
    return {"study_id": found.study_id, "created_at": found.created_at, "records": records}


@noun.route("/<study_id>/visits", CourseSchema, refusals=(404,))
def visits_of(study_id: str) -> Any:
    """The visit to which each of its records is counted, and what is not taken, and why."""
    may_read()
    with here().registry.read(caller().site_id) as unit:
        found = unit.subjects.by_study_id(study_id)
        held = unit.records.all(subject_id=found.id) if found else []
    if found is None:
        raise no_such("subject", "enrol it first")
    shown(found)
    course = visits.course(here().library.of_site(caller().site_name).study, held)
    return {
        "study_id": found.study_id,
        "index": course.index,
        "reason": course.reason,
        "lines": visits.lines(course, held),
    }
