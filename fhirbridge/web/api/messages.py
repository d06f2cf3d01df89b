"""Messages as they came: who sent them, when, and their bytes, unchanged."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import Schema, fields

from fhirbridge.registry.listings import MessageHead
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

noun = Noun("messages", "What arrived, as it came")
_REMEDY = "take it from a receipt's message_id"


class MessageSchema(Schema):
    id = fields.String(required=True)
    source = fields.String(required=True, metadata={"description": "client:NAME, connection:NAME"})
    kind = fields.String(required=True)
    key = fields.String(required=True, metadata={"description": "what tells a repetition"})
    sha256 = fields.String(required=True)
    received_at = fields.DateTime(format="iso", required=True)
    state = fields.String(required=True)


class MessagesQuery(PageQuery):
    source = Text()


@noun.route("", page_of(MessageSchema), query=MessagesQuery)
def listed(given: dict[str, Any]) -> Any:
    """The newest first."""
    may_read()
    with here().registry.read(caller().site_id) as unit:
        return told(unit.listings.messages(wanted(given), **given))


@noun.route("/<id>", MessageSchema, refusals=(404,))
def one(id: str) -> MessageHead:
    may_read()
    with here().registry.read(caller().site_id) as unit:
        found = unit.listings.message(id)
    if found is None:
        raise no_such("message", _REMEDY)
    return shown(found)


@noun.binary("/<id>/body")
def body(id: str) -> Response:
    """The bytes as they came; to be saved, never to be shown by a browser."""
    may_read()
    with here().registry.read(caller().site_id) as unit:
        found = unit.messages.get(id)
    if found is None:
        raise no_such("message", _REMEDY)
    made = Response(shown(found).body, content_type="application/fhir+json")
    made.headers["Content-Disposition"] = f'attachment; filename="message-{found.id}.json"'
    made.headers["X-Content-Type-Options"] = "nosniff"
    return made
