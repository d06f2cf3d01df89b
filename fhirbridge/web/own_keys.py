"""The public keys with which we sign at hospitals, for their servers to fetch; open to all.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#registering-a-client
"""

from __future__ import annotations

import re

from flask import Blueprint, Response, current_app

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers.login import MAX_AGE, Login, key_set
from fhirbridge.web.service import Service

own_keys = Blueprint("own_keys", __name__)
_ID = re.compile(r"[0-9a-f-]{36}")


@own_keys.get("/connections/<id>/jwks.json")
def published(id: str) -> Response:
    """Nothing of it is secret or of a site: whoever asks gets the same."""
    here: Service = current_app.extensions["fhirbridge"]
    login = None
    if _ID.fullmatch(id):
        with here.registry.read(None) as unit:
            login, now = unit.connections.published(id), unit.now()
    if not login or not login.get("keys"):
        cause = "there is no connection with keys of this id"
        raise BridgeError(Issue("not-found", cause, "fhirbridge connection key show"))
    body = fhir_json.dump(key_set(Login.of(login).published(now)))
    made = Response(body, 200, content_type="application/json")
    made.headers["Cache-Control"] = f"public, max-age={int(MAX_AGE.total_seconds())}"
    return made
