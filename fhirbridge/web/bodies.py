"""The body of a request, read as far as it may be and as it was declared, or not at all."""

from __future__ import annotations

from flask import Request

from fhirbridge.outcome import BridgeError, Issue

_JSON_TYPES = ("application/fhir+json", "application/json", "application/json+fhir", "")


def read_body(request: Request) -> bytes:
    """The JSON that was sent; `BridgeError` (media-type) where it is declared as another thing."""
    if request.mimetype not in _JSON_TYPES:
        cause = f"'{request.mimetype}' is not read here"
        raise BridgeError(Issue("media-type", cause, "send application/fhir+json"))
    return request.get_data()
