"""What waits for a crosswalk line, a subject or a person, and why."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from fhirbridge.outcome import POLICIES
from fhirbridge.registry.messages import Held
from fhirbridge.web.api.noun import (
    Noun,
    PageQuery,
    Text,
    caller,
    here,
    may_read,
    no_such,
    page_of,
    shown,
    told,
    wanted,
)
from fhirbridge.web.issues import IssueSchema

noun = Noun("quarantine", "What waits, and why")


class HeldSchema(Schema):
    """An even `part` is a fact of an entry, an odd one what waits of the fact before it."""

    id = fields.String(required=True)
    message_id = fields.String(required=True)
    position = fields.Integer(required=True)
    part = fields.Integer(required=True)
    resource_type = fields.String(required=True, allow_none=True)
    source_id = fields.String(required=True, allow_none=True)
    issues = fields.List(fields.Nested(IssueSchema), required=True)
    state = fields.String(required=True)
    created_at = fields.DateTime(format="iso", required=True)
    released_at = fields.DateTime(format="iso", required=True, allow_none=True)


class QuarantineQuery(PageQuery):
    category = fields.String(validate=validate.OneOf([*POLICIES]))
    resource_type = Text(most=64)
    message = Text(attribute="message_id")
    state = fields.String(load_default="waiting", validate=validate.OneOf(["waiting", "released"]))


@noun.route("", page_of(HeldSchema), query=QuarantineQuery)
def listed(given: dict[str, Any]) -> Any:
    """The longest waiting first."""
    may_read()
    with here().registry.read(caller().site_id) as unit:
        return told(unit.listings.quarantine(wanted(given), **given))


@noun.route("/<id>", HeldSchema, refusals=(404,))
def one(id: str) -> Held:
    may_read()
    with here().registry.read(caller().site_id) as unit:
        found = unit.listings.held(id)
    if found is None:
        raise no_such("quarantined part", "list what waits")
    return shown(found)
