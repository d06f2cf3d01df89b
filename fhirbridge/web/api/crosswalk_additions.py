"""A site's own crosswalk lines: what its codes mean, added while the service runs."""

from __future__ import annotations

from typing import Any

from flask import g
from marshmallow import Schema, fields, validate

from fhirbridge.mapping.crosswalk import RELATIONSHIPS
from fhirbridge.registry.crosswalk_lines import CrosswalkLine
from fhirbridge.sync import additions
from fhirbridge.web.api.noun import (
    DecisionSchema,
    Noun,
    PageQuery,
    Text,
    caller,
    here,
    may_decide,
    may_read,
    page_of,
    person,
    told,
    wanted,
)

noun = Noun("crosswalk-additions", "What a site's own codes mean")


class LineSchema(Schema):
    id = fields.String(required=True)
    crosswalk = fields.String(required=True)
    system = fields.String(required=True)
    code = fields.String(required=True)
    display = fields.String(required=True)
    target = fields.String(required=True)
    relationship = fields.String(required=True)
    added_by = fields.String(required=True)
    reason = fields.String(required=True)
    added_at = fields.DateTime(format="iso", required=True)
    withdrawn_by = fields.String(required=True, allow_none=True)
    withdrawn_reason = fields.String(required=True, allow_none=True)
    withdrawn_at = fields.DateTime(format="iso", required=True, allow_none=True)


class NewLineSchema(DecisionSchema):
    """As a line of `sites/<site>/<crosswalk>.csv`, with who says so and how it is known."""

    crosswalk = Text(required=True, most=100, metadata={"description": "its name, as bone"})
    system = Text(required=True)
    code = Text(required=True)
    target = Text(metadata={"description": "the study's word; no-match and the like have none"})
    display = Text(metadata={"description": "what the hospital calls the code"})
    relationship = fields.String(
        load_default="equal", validate=validate.OneOf(sorted(RELATIONSHIPS))
    )


@noun.route("", page_of(LineSchema), query=PageQuery)
def listed(given: dict[str, Any]) -> Any:
    """The oldest first; withdrawn ones, too."""
    may_read()
    with here().registry.read(caller().site_id) as unit:
        return told(unit.listings.crosswalk_lines(wanted(given)))


@noun.route("", LineSchema, body=NewLineSchema, refusals=(409, 422), status=201)
def add(line: dict[str, Any]) -> CrosswalkLine:
    """It counts from the next message on; what waits for the code is replayed by `replays`."""
    may_decide()
    named = {"target": "", **line, "by": person(line)}
    with here().registry.unit(caller().site_id, request_id=g.request_id) as unit:
        made = additions.add(unit, here().library, caller().site_name, **named)
        unit.commit()
    return made


@noun.route("/<id>/withdraw", LineSchema, body=DecisionSchema, refusals=(404,))
def withdraw(decision: dict[str, Any], id: str) -> CrosswalkLine:
    """For what comes from now on; what was read by it stays until it is sent again."""
    may_decide()
    with here().registry.unit(caller().site_id, request_id=g.request_id) as unit:
        gone = additions.withdraw(unit, id, by=person(decision), reason=decision["reason"])
        unit.commit()
    return gone
