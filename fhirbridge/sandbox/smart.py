"""SMART Backend Services at the sandbox hospital: it checks assertions as a strict server would.

https://hl7.org/fhir/smart-app-launch/backend-services.html. One client is registered, by its JWK
Set or by a secret. On request tokens are short, scopes narrow, or the server of version 1 only.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

import flask
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from fhirbridge.fhir.scopes import Scopes, in_version_1
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError
from fhirbridge.sandbox.store import Refusal

_ALGORITHMS = ["RS384", "ES384"]
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST = 300  # seconds of an assertion
_LETTERS = {"POST": "c", "PUT": "u", "DELETE": "d"}


class Wrong(Exception):
    """An OAuth error and, for people, why."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error = error


@dataclass(frozen=True, slots=True)
class _Token:
    until: datetime
    scopes: Scopes


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Smart:
    """What the hospital has registered; `keys` gives the client's JWK Set as it is now.

    `most`: the scopes that are granted at most; empty: what is asked. `endpoint`: what the
    configuration names in place of the own token URL. `refusals` says why requests failed.
    """

    client_id: str
    keys: Callable[[], bytes] | None = None
    secret: str = ""
    lifetime: int | None = 300  # None: the answer does not say
    most: str = ""
    version: str = "v2"
    endpoint: str = ""
    clock: Callable[[], datetime] = _now
    refusals: list[str] = field(default_factory=list)
    granted: list[str] = field(default_factory=list)
    _tokens: dict[str, _Token] = field(default_factory=dict, repr=False)
    _used: set[str] = field(default_factory=set, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def install(self, app: flask.Flask) -> None:
        app.add_url_rule(
            "/fhir/.well-known/smart-configuration", "smart-configuration", self._configuration
        )
        app.add_url_rule("/oauth/token", "oauth-token", self._token, methods=["POST"])

    def open_to(self, path: str) -> bool:
        return path in ("/fhir/.well-known/smart-configuration", "/oauth/token")

    def forget_tokens(self) -> None:
        """As if the server had been started anew: each token is unknown from now on."""
        with self._lock:
            self._tokens.clear()

    def check(self, request: flask.Request) -> None:
        """Raises `Refusal` (401, 403) where the request's token does not open what it asks."""
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        held = self._tokens.get(text) if kind == "Bearer" else None
        if held is None or held.until <= self.clock():
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise Refusal("login", "this token is not known or has ended", headers=challenge)
        parts = request.path.removeprefix("/fhir").strip("/").split("/")
        letter = _letter(request.method, parts)
        if parts[0] and not held.scopes.allow(parts[0], letter):
            raise Refusal("forbidden", f"the scopes do not open {parts[0]} for '{letter}'")

    def _configuration(self) -> flask.Response:
        versions = ["permission-v1"] if self.version == "v1" else ["permission-v1", "permission-v2"]
        told = {
            "token_endpoint": self.endpoint or f"{flask.request.host_url}oauth/token",
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
            "token_endpoint_auth_signing_alg_values_supported": _ALGORITHMS,
            "capabilities": ["client-confidential-asymmetric", *versions],
            "code_challenge_methods_supported": ["S256"],
        }
        return _json(told, 200)

    def _token(self) -> flask.Response:
        form = flask.request.form.to_dict()
        try:
            if flask.request.mimetype != "application/x-www-form-urlencoded":
                raise Wrong("invalid_request", "the request is not form-encoded")
            if form.get("grant_type") != "client_credentials":
                raise Wrong("unsupported_grant_type", "grant_type is not client_credentials")
            self._prove(form)
            scopes = self._scopes(form.get("scope", ""))
        except Wrong as wrong:
            self.refusals.append(str(wrong))
            told = {"error": wrong.error, "error_description": str(wrong)}
            return _json(told, 401 if wrong.error == "invalid_client" else 400)
        text = secrets.token_urlsafe(24)
        until = self.clock() + timedelta(seconds=self.lifetime or 300)
        with self._lock:
            self._tokens[text] = _Token(until, Scopes.of(scopes))
            self.granted.append(scopes)
        ends = {} if self.lifetime is None else {"expires_in": self.lifetime}
        return _json({"access_token": text, "token_type": "bearer", "scope": scopes, **ends}, 200)

    def _scopes(self, asked: str) -> str:
        """What of the asked is granted; version 1 knows no letters."""
        if self.version == "v1" and in_version_1(asked) != " ".join(asked.split()):
            raise Wrong("invalid_scope", "scopes of version 2 are not known here")
        granted = Scopes.of(self.most).grant(asked) if self.most else asked
        if not granted:
            raise Wrong("invalid_scope", "none of the scopes is granted")
        return granted

    def _prove(self, form: Mapping[str, str]) -> None:
        if self.secret:
            self._prove_secret(form)
        elif form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise Wrong("invalid_client", "client_assertion_type is missing or another one")
        else:
            self._prove_assertion(form.get("client_assertion", ""))

    def _prove_secret(self, form: Mapping[str, str]) -> None:
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        kind, _, text = flask.request.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            id_, _, secret = base64.b64decode(text).decode().partition(":")
            given = (unquote_plus(id_), unquote_plus(secret))
        expected = f"{self.client_id}\n{self.secret}"
        if not hmac.compare_digest("\n".join(given).encode(), expected.encode()):
            raise Wrong("invalid_client", "client id or secret are wrong")

    def _prove_assertion(self, text: str) -> None:
        """Signature, header, claims, and that its `jti` comes for the first time."""
        if self.keys is None:
            raise Wrong("invalid_client", "no key is registered")
        try:
            keys = KeySet.import_key_set(fhir_json.parse(self.keys()))  # type: ignore[arg-type]
            registry = jws.JWSRegistry(algorithms=_ALGORITHMS)
            found = jwt.decode(text, keys, algorithms=_ALGORITHMS, registry=registry)
        except (JoseError, ValueError, BridgeError) as fault:
            raise Wrong("invalid_client", f"the assertion does not hold: {fault}") from fault
        if found.header.get("typ") != "JWT" or not found.header.get("kid"):
            raise Wrong("invalid_client", "typ is not JWT, or kid is missing")
        self._judge(found.claims)

    def _judge(self, claims: Mapping[str, Any]) -> None:
        now = int(self.clock().timestamp())
        here = f"{flask.request.host_url}oauth/token"
        who = jwt.JWTClaimsRegistry(
            now=now,
            iss={"essential": True, "value": self.client_id},
            sub={"essential": True, "value": self.client_id},
            aud={"essential": True, "value": here},
            exp={"essential": True},
            jti={"essential": True},
        )
        try:
            who.validate(dict(claims))
        except JoseError as fault:
            raise Wrong("invalid_client", f"a claim is wrong: {fault}") from fault
        if claims["exp"] > now + _LONGEST:
            raise Wrong("invalid_client", "exp is more than five minutes ahead")
        with self._lock:
            if claims["jti"] in self._used:
                raise Wrong("invalid_client", "the jti was used before")
            self._used.add(claims["jti"])


def _letter(method: str, parts: list[str]) -> str:
    """Of SMART's `cruds`, what a request of FHIR is."""
    if parts[-1] == "_search" or (method == "GET" and len(parts) == 1):
        return "s"
    return _LETTERS.get(method, "r")


def _json(told: Mapping[str, Any], status: int) -> flask.Response:
    made = flask.Response(fhir_json.dump(dict(told)), status, content_type="application/json")
    made.headers["Cache-Control"] = "no-store"
    return made
