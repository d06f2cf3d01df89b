"""Receipts, found again by what the sender itself calls its messages and resources."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates

from fhirbridge.web import receipts
from fhirbridge.web.api.noun import (
    Noun,
    PageQuery,
    Text,
    caller,
    here,
    page_of,
    told,
    wanted,
)
from fhirbridge.web.receipts import ReceiptSchema

noun = Noun("receipts", "What became of messages")


class ReceiptHeadSchema(Schema):
    """A receipt without its entries, and what its message is known by."""

    id = fields.String(required=True)
    message_id = fields.String(required=True)
    state = fields.String(required=True)
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    created_at = fields.DateTime(format="iso", required=True)
    source = fields.String(required=True)
    kind = fields.String(required=True)
    key = fields.String(required=True)


class ReceiptsQuery(PageQuery):
    """`key` is the caller's own; another sender's needs its `source` beside it."""

    key = Text(metadata={"description": "Idempotency-Key, or what stood for it"})
    identifier = Text(metadata={"description": "SYSTEM|VALUE of a resource that was sent"})
    source_id = Text(metadata={"description": "Type/id of a resource that was sent"})
    source = Text(metadata={"description": "client:NAME or connection:NAME"})

    @validates("identifier")
    def names_a_system(self, value: str, **_: Any) -> None:
        if "|" not in value:
            raise ValidationError("It is not SYSTEM|VALUE.")

    @validates("source_id")
    def names_a_type(self, value: str, **_: Any) -> None:
        if not all(value.partition("/")):
            raise ValidationError("It is not Type/id.")


@noun.route("", page_of(ReceiptHeadSchema), query=ReceiptsQuery)
def listed(given: dict[str, Any]) -> Any:
    """Of the newest messages first. Without `system/*.r` only the caller's own."""
    page, source = wanted(given), given.pop("source", None)
    if not caller().scopes.allow("*", "r") or ("key" in given and source is None):
        source = caller().source
    if "source_id" in given:
        type, _, id = given["source_id"].partition("/")
        given["source_id"] = (type, id)
    with here().registry.read(caller().site_id) as unit:
        return told(unit.listings.receipts(page, source=source, **given))


@noun.route("/<id>", ReceiptSchema, refusals=(404,))
def one(id: str) -> Any:
    """Without `system/*.r` only the caller's own."""
    return receipts.find(id)
