"""Jobs: pulls and deliveries in the background, asked for, looked at and cancelled."""

from __future__ import annotations

from typing import Any

from flask import g
from marshmallow import Schema, fields, validate

from fhirbridge.registry.jobs import STATES, Job
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import jobs as use
from fhirbridge.web.api.noun import (
    DecisionSchema,
    Noun,
    PageQuery,
    Text,
    caller,
    here,
    may_decide,
    may_read,
    no_such,
    page_of,
    person,
    shown,
    told,
    wanted,
)
from fhirbridge.web.issues import IssueSchema

noun = Noun("jobs", "Pulls and deliveries in the background")


class JobSchema(Schema):
    """`attempts` are those that began and never ended; `not_before` is when it is due."""

    id = fields.String(required=True)
    connection_id = fields.String(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    not_before = fields.DateTime(format="iso", required=True)
    attempts = fields.Integer(required=True)
    issues = fields.List(fields.Nested(IssueSchema), required=True)
    made_by = fields.String(required=True)
    made_at = fields.DateTime(format="iso", required=True)
    begun_at = fields.DateTime(format="iso", required=True, allow_none=True)
    ended_at = fields.DateTime(format="iso", required=True, allow_none=True)


class RunSchema(Schema):
    id = fields.String(required=True)
    state = fields.String(required=True)
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    reasons = fields.List(fields.String(), required=True)
    started_at = fields.DateTime(format="iso", required=True)
    ended_at = fields.DateTime(format="iso", required=True, allow_none=True)


class JobWithRunSchema(JobSchema):
    run = fields.Nested(RunSchema, required=True, allow_none=True)


class NewJobSchema(DecisionSchema):
    kind = fields.String(required=True, validate=validate.OneOf([*use.KINDS]))
    connection = Text(
        load_default=None, metadata={"description": "its name, where the site has several"}
    )


class JobsQuery(PageQuery):
    state = fields.String(validate=validate.OneOf(STATES))


@noun.route("", page_of(JobSchema), query=JobsQuery)
def listed(given: dict[str, Any]) -> Any:
    """The newest first."""
    may_read()
    with here().registry.read(caller().site_id) as unit:
        return told(unit.listings.jobs(wanted(given), **given))


@noun.route("/<id>", JobWithRunSchema, refusals=(404,))
def one(id: str) -> Any:
    """With the run in which it ended, and what that counted."""
    may_read()
    with here().registry.read(caller().site_id) as unit:
        found = unit.jobs.get(id)
        if found is None:
            raise no_such("job", "list the jobs")
        return _with_run(unit, shown(found))


@noun.route("", JobSchema, body=NewJobSchema, refusals=(404, 409), status=201)
def add(asked: dict[str, Any]) -> Job:
    """It is done when a worker is free; 409 while one of its kind waits or runs."""
    may_decide()
    with here().registry.unit(caller().site_id, request_id=g.request_id) as unit:
        made = use.add(unit, asked["kind"], asked["connection"], by=f"person:{person(asked)}")
        unit.commit()
    return made


@noun.route("/<id>/cancel", JobSchema, body=DecisionSchema, refusals=(404, 409))
def cancel(decision: dict[str, Any], id: str) -> Job:
    """One that runs is refused at its next commit; what it has done stays."""
    may_decide()
    with here().registry.unit(caller().site_id, request_id=g.request_id) as unit:
        if unit.jobs.get(id) is None:
            raise no_such("job", "list the jobs")
        gone = use.cancel(unit, id, by=f"person:{person(decision)}")
        unit.commit()
    return gone


def _with_run(unit: Unit, job: Job) -> dict[str, Any]:
    named = {name: getattr(job, name) for name in Job.__slots__}
    return {**named, "run": unit.runs.get(job.run_id) if job.run_id else None}
