"""WSGI applications to hold the service's door against; for the benchmark alone.

`parsing` reads, parses and answers, and keeps nothing; `models` is the service with fhir.resources
in the place of its judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir.resources.R4B.bundle import Bundle
from flask import Flask, Response, request

from fhirbridge.app import create_app
from fhirbridge.fhir import verdict
from fhirbridge.formats import fhir_json, judged_json
from fhirbridge.outcome import Issue


def parsing() -> Flask:
    """The answer has a response for each entry, as that of the service has."""
    app = Flask("parsing")

    @app.post("/fhir")
    def take() -> Response:
        made = judged_json.parse(request.get_data())
        told = {"status": "201 Created", "etag": 'W/"1"', "lastModified": "2026-01-01T00:00:00Z"}
        told["location"] = "Observation/00000000-0000-4000-8000-000000000000/_history/1"
        entries = [{"response": told} for _ in made["entry"]]
        answer = {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}
        return Response(fhir_json.dump(answer), content_type="application/fhir+json")

    return app


def models() -> Flask:
    def judge(resource: Mapping[str, Any]) -> list[Issue]:
        Bundle.model_validate(resource)
        return []

    verdict.judge = judge  # type: ignore[assignment]
    return create_app()
