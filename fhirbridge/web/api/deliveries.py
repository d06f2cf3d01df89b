"""Deliveries: resources on their way to a hospital's server, and those that are tried again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from flask import g
from marshmallow import Schema, fields, validate

from fhirbridge.registry.deliveries import DeliveryState
from fhirbridge.registry.listings import DeliveryHead, Wanted
from fhirbridge.sync import resend
from fhirbridge.web.api.noun import (
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

noun = Noun("deliveries", "Resources on their way to a hospital's server")


class DeliverySchema(Schema):
    """`type` and `fhir_id` name the resource here, `remote_id` is its id at the hospital."""

    id = fields.String(required=True)
    connection = fields.String(required=True)
    type = fields.String(required=True)
    fhir_id = fields.String(required=True)
    record_id = fields.String(required=True)
    state = fields.String(required=True)
    cause = fields.String(required=True, allow_none=True)
    attempts = fields.Integer(required=True)
    failures = fields.Integer(required=True)
    not_before = fields.DateTime(format="iso", required=True, allow_none=True)
    remote_id = fields.String(required=True, allow_none=True)
    remote_version = fields.String(required=True, allow_none=True)
    issues = fields.List(fields.Nested(IssueSchema), required=True)
    updated_at = fields.DateTime(format="iso", required=True)


class DeliveriesQuery(PageQuery):
    state = fields.String(validate=validate.OneOf(get_args(DeliveryState)))
    cause = Text(most=40)
    connection = Text()


class RetrySchema(Schema):
    """What is given several ways must fit each of them."""

    by = Text(required=True, most=200, metadata={"description": "who decides"})
    ids = fields.List(Text(), validate=validate.Length(1, resend.MOST))
    state = fields.String(load_default=None, validate=validate.OneOf(resend.STATES))
    cause = Text(load_default=None, most=40)
    connection = Text(load_default=None)
    after = Text(load_default=None)
    over = fields.Boolean(
        load_default=False,
        truthy={True},
        falsy={False},
        metadata={"description": "write over what was changed or deleted there"},
    )


class RetriedSchema(Schema):
    """Those that the next run tries; `next` is null on the last page."""

    ids = fields.List(fields.String(), required=True)
    next = fields.String(required=True, allow_none=True)


@noun.route("", page_of(DeliverySchema), query=DeliveriesQuery)
def listed(given: dict[str, Any]) -> Any:
    """By id."""
    may_read()
    with here().registry.read(caller().site_id) as unit:
        states = [given.pop("state")] if "state" in given else None
        return told(unit.listings.deliveries(wanted(given), states=states, **given))


@noun.route("/<id>", DeliverySchema, refusals=(404,))
def one(id: str) -> DeliveryHead:
    may_read()
    with here().registry.read(caller().site_id) as unit:
        found = unit.listings.deliveries(Wanted(None, 1), ids=[id]).items
    if not found:
        raise no_such("delivery", "list them")
    return shown(found[0])


@noun.route("/retry", RetriedSchema, body=RetrySchema, refusals=(404,))
def retry(asked: dict[str, Any]) -> Mapping[str, Any]:
    """At most 500; the next ones with 'next' as 'after'."""
    may_decide()
    which = resend.Which(
        asked["state"], asked["cause"], asked["connection"], asked.get("ids"), asked["over"]
    )
    with here().registry.unit(caller().site_id, request_id=g.request_id) as unit:
        tried = resend.retry(unit, which, actor=f"person:{person(asked)}", after=asked["after"])
        unit.commit()
    return {"ids": [each.id for each in tried.items], "next": tried.next}
