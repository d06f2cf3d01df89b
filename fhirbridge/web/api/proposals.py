"""Proposals: values that wait for a person, and what the person decides."""

from __future__ import annotations

from typing import Any

from flask import g
from marshmallow import Schema, fields, validate

from fhirbridge.registry.proposals import Proposal
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import additions, review
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

noun = Noun("proposals", "Values that wait for a person")


class ProposalSchema(Schema):
    """`value` as it would stand in the record; `path` is where it stood in the message."""

    id = fields.String(required=True)
    record_id = fields.String(required=True)
    field = fields.String(required=True)
    number = fields.Integer(required=True)
    value = fields.Raw(required=True, allow_none=True)
    status = fields.String(required=True)
    origin_id = fields.String(required=True, allow_none=True)
    message_id = fields.String(required=True, allow_none=True)
    position = fields.Integer(required=True, allow_none=True)
    path = fields.String(required=True, allow_none=True)
    rule = fields.String(required=True, allow_none=True)
    mapping_version = fields.String(required=True)
    at = fields.DateTime(format="iso", required=True)
    decided_by = fields.String(required=True, allow_none=True)
    decided_because = fields.String(required=True, allow_none=True)


class ProposalsQuery(PageQuery):
    status = fields.String(
        load_default="waiting",
        validate=validate.OneOf(["accepted", "waiting", "refused", "superseded"]),
    )
    record = Text(attribute="record_id")


@noun.route("", page_of(ProposalSchema), query=ProposalsQuery)
def listed(given: dict[str, Any]) -> Any:
    """The oldest first."""
    may_read()
    with here().registry.read(caller().site_id) as unit:
        return told(unit.listings.proposals(wanted(given), **given))


@noun.route("/<id>", ProposalSchema, refusals=(404,))
def one(id: str) -> Proposal:
    may_read()
    with here().registry.read(caller().site_id) as unit:
        return shown(_known(unit, id))


@noun.route("/<id>/accept", ProposalSchema, body=DecisionSchema, refusals=(400, 404, 409, 422))
def accept(decision: dict[str, Any], id: str) -> Proposal:
    """The record takes the value, as a revision that names who and why."""
    may_decide()
    with here().registry.unit(caller().site_id, request_id=g.request_id) as unit:
        _known(unit, id)
        mappings = additions.mappings(here().library, unit, caller().site_name)
        review.accept(unit, mappings, id, by=person(decision), reason=decision["reason"])
        made = _known(unit, id)
        unit.commit()
    return made


@noun.route("/<id>/refuse", ProposalSchema, body=DecisionSchema, refusals=(404, 409))
def refuse(decision: dict[str, Any], id: str) -> Proposal:
    """The record stays as it is."""
    may_decide()
    with here().registry.unit(caller().site_id, request_id=g.request_id) as unit:
        _known(unit, id)
        review.refuse(unit, id, by=person(decision), reason=decision["reason"])
        made = _known(unit, id)
        unit.commit()
    return made


def _known(unit: Unit, id: str) -> Proposal:
    found = unit.proposals.get(id)
    if found is None:
        raise no_such("proposal", "list those that wait")
    return found
