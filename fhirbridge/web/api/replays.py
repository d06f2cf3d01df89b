"""Replays: what waits is read again, or the difference is told first; nothing of a replay is kept
but what it did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import g
from marshmallow import Schema, fields, validate

from fhirbridge.outcome import POLICIES
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import additions
from fhirbridge.sync.replay import Outcome, Selection, replay
from fhirbridge.web.api.noun import Noun, Text, caller, here, may_decide, may_read, person
from fhirbridge.web.issues import IssueSchema

noun = Noun("replays", "What waits, read again")
MOST = 100  # messages of one request


class AskedSchema(Schema):
    """What is given several ways must fit each of them; nothing given is all that waits."""

    rehearse = fields.Boolean(
        required=True,
        truthy={True},
        falsy={False},
        metadata={"description": "tell it, and change nothing"},
    )
    by = Text(required=True, most=200, metadata={"description": "who wants it"})
    causes = fields.List(
        fields.String(validate=validate.OneOf(sorted(POLICIES))),
        load_default=[],
        metadata={"description": "categories of issues for which it waits"},
    )
    codes = fields.List(Text(), load_default=[], metadata={"description": "SYSTEM|CODE"})
    messages = fields.List(Text(), load_default=[], validate=validate.Length(max=MOST))
    after = Text(load_default="", metadata={"description": "'next' of the answer before"})
    limit = fields.Integer(load_default=MOST, strict=True, validate=validate.Range(1, MOST))


class EntryChangeSchema(Schema):
    """The fate before and after; null where it was no part."""

    position = fields.Integer(required=True)
    part = fields.Integer(required=True)
    resource_type = fields.String(required=True, allow_none=True)
    before = fields.String(required=True, allow_none=True)
    after = fields.String(required=True, allow_none=True)


class FieldChangeSchema(Schema):
    record_id = fields.String(required=True)
    form = fields.String(required=True)
    field = fields.String(required=True)
    old = fields.Raw(required=True, allow_none=True)
    new = fields.Raw(required=True, allow_none=True)


class MessageChangeSchema(Schema):
    """Only what changed; `state` is null, and `issues` say why, where it could not be read."""

    message_id = fields.String(required=True)
    state = fields.String(required=True, allow_none=True)
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    entries = fields.List(fields.Nested(EntryChangeSchema), required=True)
    fields_ = fields.List(fields.Nested(FieldChangeSchema), required=True, data_key="fields")
    issues = fields.List(fields.Nested(IssueSchema), required=True)


class ReplaySchema(Schema):
    """`waited` and `waits`: parts in quarantine before and after."""

    rehearsed = fields.Boolean(required=True)
    waited = fields.Integer(required=True)
    waits = fields.Integer(required=True)
    messages = fields.List(fields.Nested(MessageChangeSchema), required=True)
    left = fields.Integer(required=True, metadata={"description": "messages beyond the limit"})
    next = fields.String(
        required=True, allow_none=True, metadata={"description": "null where none is left"}
    )


@noun.route("", ReplaySchema, body=AskedSchema, refusals=(404,))
def again(asked: dict[str, Any]) -> Any:
    """A transaction a message; one that fails does not stop the others."""
    may_decide()
    may_read()
    site = caller()

    def mappings(unit: Unit) -> Any:
        return additions.mappings(here().library, unit, site.site_name)

    report = replay(
        here().registry,
        site.site_id,
        mappings,
        Selection(
            frozenset(asked["causes"]),
            frozenset(asked["codes"]),
            tuple(asked["messages"]),
            asked["after"],
        ),
        actor=f"person:{person(asked)}",
        rehearse=asked["rehearse"],
        most=asked["limit"],
        request_id=g.request_id,
    )
    return {
        "rehearsed": asked["rehearse"],
        "waited": report.waited,
        "waits": report.waits,
        "messages": [_told(one) for one in report.outcomes],
        "left": report.left,
        "next": report.outcomes[-1].message_id if report.left else None,
    }


def _told(one: Outcome) -> Mapping[str, Any]:
    receipt = one.receipt
    return {
        "message_id": one.message_id,
        "state": receipt.state if receipt else None,
        "counts": receipt.counts if receipt else {},
        "entries": one.entries,
        "fields_": one.fields,
        "issues": one.issues,
    }
