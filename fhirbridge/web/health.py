"""Is it alive, is it ready, and its numbers: for whoever runs the service. All three are open.

They tell which part fails in words of ours, and no identifier of anybody.
"""

from __future__ import annotations

import time
from threading import Lock

from flask import Blueprint, Response, current_app

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError
from fhirbridge.registry import fitness
from fhirbridge.web import metrics
from fhirbridge.web.service import Service

health = Blueprint("health", __name__)
_SECONDS = 1.0  # that a look at the database is remembered: anyone may ask, and it takes a lock


class Readiness:
    """What is not ready, looked at once a second at most."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = Lock()
        self._until = 0.0
        self._told: dict[str, str] = {}

    def unfit(self) -> dict[str, str]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._told = {**fitness.unfit(self._service.registry), **self._mappings()}
                self._until = time.monotonic() + _SECONDS
            return self._told

    def _mappings(self) -> dict[str, str]:
        library = self._service.library
        try:
            for site in ("", *library.sites):
                library.of_site(site)
        except BridgeError:  # 'fhirbridge check' tells each fault with its line
            return {"mappings": "they do not load; see 'fhirbridge check'"}
        return {}


@health.get("/readyz")
def ready() -> Response:
    readiness: Readiness = current_app.extensions["fhirbridge.readiness"]
    unfit = readiness.unfit()
    body = fhir_json.dump({"ready": not unfit, **({"parts": unfit} if unfit else {})})
    return Response(body, 503 if unfit else 200, content_type="application/json")


@health.get("/metrics")
def numbers() -> Response:
    service: Service = current_app.extensions["fhirbridge"]
    return Response(service.metrics.text(), content_type=metrics.CONTENT_TYPE)
