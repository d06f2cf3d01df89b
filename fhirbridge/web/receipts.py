"""Receipts as JSON: of each entry of a message its fate, and of what was not taken the reason."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, g
from marshmallow import Schema, fields

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.listings import MessageHead
from fhirbridge.registry.receipts import Receipt
from fhirbridge.web import trail
from fhirbridge.web.errors import answer
from fhirbridge.web.issues import IssueSchema
from fhirbridge.web.watched import watch

receipts = Blueprint("receipts", __name__, url_prefix="/receipts")
watch(receipts, "receipts")


class EntrySchema(Schema):
    """`expression` is the FHIRPath of the resource in the message that was sent, and that of an
    issue the place in it. `retryable`: sent again it may fare better.
    """

    position = fields.Integer(required=True)
    part = fields.Integer(required=True)
    expression = fields.String(required=True)
    fate = fields.String(required=True)
    retryable = fields.Boolean(required=True)
    resource_type = fields.String(required=True, allow_none=True)
    source_id = fields.String(required=True, allow_none=True)
    identifier = fields.String(required=True, allow_none=True)
    record_id = fields.String(required=True, allow_none=True)
    rule = fields.String(required=True, allow_none=True)
    mapping_version = fields.String(required=True, allow_none=True)
    issues = fields.List(fields.Nested(IssueSchema), required=True)


class ReceiptSchema(Schema):
    id = fields.String(required=True)
    message_id = fields.String(required=True)
    state = fields.String(required=True)
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    created_at = fields.DateTime(format="iso", required=True)
    issues = fields.List(fields.Nested(IssueSchema), required=True)
    entries = fields.List(fields.Nested(EntrySchema), required=True)


_SCHEMA = ReceiptSchema()


def find(id: str) -> dict[str, Any]:
    """The receipt as `ReceiptSchema` tells it.

    One of another site answers like one that does not exist; so does one of another client, to a
    caller that may not read everything.
    """
    registry = current_app.extensions["fhirbridge"].registry
    with registry.read(g.caller.site_id) as unit:
        receipt = unit.receipts.get(id)
        message = unit.listings.message(receipt.message_id) if receipt else None
    own = message is not None and message.source == g.caller.source
    if receipt is None or message is None or not (own or g.caller.scopes.allow("*", "r")):
        cause = "there is no receipt with this id"
        raise BridgeError(Issue("not-found", cause, "take it from the answer's X-Receipt header"))
    trail.shows([receipt])
    return _told(receipt, message)


def _told(receipt: Receipt, message: MessageHead) -> dict[str, Any]:
    own = {name: getattr(receipt, name) for name in Receipt.__slots__}
    entries = [
        {
            **{name: getattr(entry, name) for name in type(entry).__slots__},
            "expression": _expression(message.kind, entry.position),
            "retryable": any(i.retryable for i in entry.issues if i.severity in ("fatal", "error")),
        }
        for entry in receipt.entries
    ]
    return {**own, "entries": entries}


def _expression(kind: str, position: int) -> str:
    """FHIRPath of an entry's resource.

    >>> _expression("push/Bundle", 3), _expression("push/Observation", 0)
    ('Bundle.entry[3].resource', 'Observation')
    """
    if kind == "ndjson":
        return f"line {position + 1}"
    alone = kind.removeprefix("push/")
    return f"Bundle.entry[{position}].resource" if alone in ("Bundle", "page") else alone


@receipts.get("/<id>")
def read(id: str) -> Response:
    """As `/api/v1/receipts/{id}`: the place that answers of a push name."""
    told: dict[str, Any] = _SCHEMA.dump(find(id))
    made = answer(told)
    made.content_type = "application/json"
    return made
