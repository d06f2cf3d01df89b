"""SMART Backend Services as server: a signed assertion in, a short access token out.

https://hl7.org/fhir/smart-app-launch/backend-services.html. Offered only where the service knows
its own URL from its settings: a URL that the request says could be another server's, and an
assertion made for that one would be taken here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from fhirbridge.fhir.scopes import Scopes
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.web import access, assertions, client_keys, entrance, errors
from fhirbridge.web.assertions import Assertion, Refused
from fhirbridge.web.published_keys import KeySource
from fhirbridge.web.service import Service
from fhirbridge.web.throttle import Throttled

MAX_BODY = 16_384  # bytes of a token request
LIFETIME = 300  # seconds that an access token is good for
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CONFIGURATION: dict[str, Any] = {
    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
    "token_endpoint_auth_signing_alg_values_supported": [*client_keys.ALGORITHMS],
    "grant_types_supported": ["client_credentials"],
    "scopes_supported": [
        "system/*.rs", "system/*.cud", "system/*.cruds", "system/*.read", "system/*.write",
    ],
    # SMART wants it of every server, also of one to which no user ever logs in.
    "code_challenge_methods_supported": ["S256"],
    "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
}  # fmt: skip

oauth = Blueprint("oauth", __name__)
discovery = Blueprint("smart", __name__)


def service() -> Service:
    made: Service = current_app.extensions["fhirbridge"]
    return made


@discovery.get("/fhir/.well-known/smart-configuration")
def configuration() -> Response:
    url = service().token_url
    if not url:
        remedy = "use an API key, or set FHIRBRIDGE_BASE_URL"
        raise BridgeError(Issue("not-found", "SMART Backend Services is not offered here", remedy))
    return _json({"token_endpoint": url, **CONFIGURATION}, 200)


@oauth.post("/oauth/token")
def token() -> Response:
    """Used assertion and new token are one transaction. A used one is used whatever it asked."""
    asked = _form()
    here = service()
    keys = KeySource(here.registry, here.settings.key_hosts)
    judged = _judge(asked, keys.find, here.token_url, here.registry.now())
    with here.registry.unit(judged.signer.site_id) as unit:
        client = judged.signer.id
        if not unit.assertions.use(client, judged.jti_hash, until=judged.until):
            raise assertions.invalid_client("the assertion was used before: its jti is known")
        granted = Scopes.of(judged.signer.scopes).grant(asked["scope"])
        made = access.new_token()
        if granted:
            until = unit.now() + timedelta(seconds=LIFETIME)
            unit.tokens.add(client, made.hash, scopes=granted, until=until)
        unit.commit()
    if not granted:
        raise Refused("invalid_scope", "none of the scopes asked is granted to this client")
    told = {"access_token": made.text, "token_type": "bearer", "expires_in": LIFETIME}
    return _json({**told, "scope": granted}, 200)


def _form() -> dict[str, str]:
    """The request's parameters, each once (RFC 6749, section 3.2)."""
    if not service().token_url:
        raise Refused("invalid_request", "SMART Backend Services is not offered here")
    if request.mimetype != "application/x-www-form-urlencoded":
        raise Refused("invalid_request", "the request is not form-encoded")
    request.max_content_length = MAX_BODY
    lists = request.form.to_dict(flat=False)
    if any(len(values) > 1 for values in lists.values()):
        raise Refused("invalid_request", "a parameter is given twice")
    given = {name: values[0] for name, values in lists.items()}
    for name in ("grant_type", "client_assertion_type", "client_assertion", "scope"):
        if not given.get(name):
            raise Refused("invalid_request", f"{name} is missing")
    if given["grant_type"] != "client_credentials":
        raise Refused("unsupported_grant_type", "grant_type is not client_credentials")
    if given["client_assertion_type"] != ASSERTION_TYPE:
        raise assertions.invalid_client(f"client_assertion_type is not {ASSERTION_TYPE}")
    return given


def _judge(asked: dict[str, str], find: assertions.Find, audience: str, now: datetime) -> Assertion:
    judged = assertions.judge(asked["client_assertion"], find, audience=audience, now=now)
    if asked.get("client_id", judged.signer.id) != judged.signer.id:
        raise assertions.invalid_client("client_id is not the one that signed")
    return judged


def _json(body: dict[str, Any], status: int) -> Response:
    made = Response(fhir_json.dump(body), status, content_type="application/json")
    made.headers["Cache-Control"] = "no-store"
    made.headers["Pragma"] = "no-cache"
    return made


def _error(error: str, description: str, status: int) -> Response:
    return _json({"error": error, "error_description": description}, status)


@oauth.errorhandler(Refused)
def _refused(fault: Refused) -> Response:
    g.category = fault.error
    if fault.error == "invalid_client":
        try:
            entrance.login_failed(service())
        except Throttled as throttled:
            return _failed(throttled)
    return _error(fault.error, fault.description, 401 if fault.error == "invalid_client" else 400)


@oauth.errorhandler(Exception)
def _failed(fault: Exception) -> Response:
    """Whatever else ends a token request: told as OAuth's error, without what it was about."""
    if isinstance(fault, HTTPException) and fault.code and fault.code < 500:
        return _error("invalid_request", "the request is too long or not readable", fault.code)
    if isinstance(fault, Throttled):
        made = _error("temporarily_unavailable", fault.issues[0].cause, 429)
        made.headers["Retry-After"] = str(fault.seconds)
        return made
    if isinstance(fault, BridgeError) and fault.policy.status == 503:
        made = _error("temporarily_unavailable", "ask again", 503)
        made.headers["Retry-After"] = "5"
        return made
    errors.log_unexpected(fault)
    return _error("server_error", "fhirbridge failed here", 500)
