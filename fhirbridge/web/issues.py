"""Issues as plain JSON, for receipts and for the errors of `/api`."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, post_dump, validate

from fhirbridge.outcome import POLICIES


class IssueSchema(Schema):
    """Empty parts are left out. `retryable`: the same bytes sent again may fare better, for the
    fault need not lie in them.
    """

    category = fields.String(required=True, validate=validate.OneOf([*POLICIES]))
    code = fields.String(required=True, metadata={"description": "FHIR issue code"})
    severity = fields.String(required=True)
    cause = fields.String(required=True)
    remedy = fields.String()
    expression = fields.String(metadata={"description": "FHIRPath in the message that was sent"})
    place = fields.String()
    retryable = fields.Boolean(required=True)

    @post_dump
    def without_empty(self, told: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {name: value for name, value in told.items() if value != ""}


class IssuesSchema(Schema):
    """Every error of `/api`."""

    issues = fields.List(fields.Nested(IssueSchema), required=True)
