"""Blueprints whose reading the audit trail tells: before the answer goes out, or instead of it."""

from __future__ import annotations

from typing import Any

from flask import Response

from fhirbridge.outcome import BridgeError
from fhirbridge.web import errors, trail


def watch(blueprint: Any, kind: str) -> None:
    """`kind` is what its views show. One that shows nothing of a person is told all the same."""

    def tell(response: Response) -> Response:
        try:
            trail.read(kind, response.status_code)
        except BridgeError as fault:
            return errors.failure(fault)
        return response

    blueprint.after_request(tell)
