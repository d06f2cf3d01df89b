"""Receipts as JSON: of each entry of a message its fate, and of what was not taken the reason."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, g
from marshmallow import Schema, fields

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.web.errors import answer

receipts = Blueprint("receipts", __name__, url_prefix="/receipts")


class EntrySchema(Schema):
    """`expression` in an issue is the FHIRPath in the message that was sent."""

    position = fields.Integer()
    part = fields.Integer()
    fate = fields.String()
    resource_type = fields.String(allow_none=True)
    source_id = fields.String(allow_none=True)
    identifier = fields.String(allow_none=True)
    record_id = fields.String(allow_none=True)
    rule = fields.String(allow_none=True)
    mapping_version = fields.String(allow_none=True)
    issues = fields.Function(lambda entry: [issue.as_json() for issue in entry.issues])


class ReceiptSchema(Schema):
    id = fields.String()
    message_id = fields.String()
    state = fields.String()
    counts = fields.Dict(keys=fields.String(), values=fields.Integer())
    created_at = fields.DateTime(format="iso")
    issues = fields.Function(lambda receipt: [issue.as_json() for issue in receipt.issues])
    entries = fields.List(fields.Nested(EntrySchema))


@receipts.get("/<id>")
def read(id: str) -> Response:
    """A receipt of another site answers like one that does not exist; so does one of another
    client, to a caller that may not read everything.
    """
    registry = current_app.extensions["fhirbridge"].registry
    with registry.read(g.caller.site_id) as unit:
        receipt = unit.receipts.get(id)
        message = unit.messages.get(receipt.message_id) if receipt else None
    own = message is not None and message.source == g.caller.source
    if receipt is None or not (own or g.caller.scopes.allow("*", "r")):
        cause = "there is no receipt with this id"
        raise BridgeError(Issue("not-found", cause, "take it from the answer's X-Receipt header"))
    told: dict[str, Any] = ReceiptSchema().dump(receipt)
    made = answer(told)
    made.content_type = "application/json"
    return made
