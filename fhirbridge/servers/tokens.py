"""Logins that get a token first: OAuth2's client credentials, by secret or by signed assertion.

RFC 6749, section 4.4; https://hl7.org/fhir/smart-app-launch/backend-services.html. The credential
goes to the pinned token URL alone, with every attempt made anew, and the token to the connection's
own origin.
"""

from __future__ import annotations

import base64
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote_plus
from uuid import uuid4

import requests
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from fhirbridge.fhir.scopes import Scopes, in_version_1
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers import retry
from fhirbridge.servers.answer import Answer
from fhirbridge.servers.login import Login
from fhirbridge.servers.network import Network
from fhirbridge.servers.origin import origin
from fhirbridge.servers.wire import Limits, exchange, open_session

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFETIME = 240  # seconds of an assertion; SMART allows 300
SKEW = 30.0  # seconds before its end that a token is not used any more
UNSAID = 300.0  # seconds of a token that does not say
MOST_BYTES = 256_000
_WORD = re.compile(r"[a-z_]{1,40}")


class Proof(Protocol):
    """What goes with a token request to show who we are; made anew for each."""

    def form(self) -> Mapping[str, str]: ...
    def headers(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """RFC 6749, section 2.3.1: in the header as form-encoded parts, or in the body."""

    client_id: str
    secret: str = field(repr=False)
    in_body: bool = False

    def form(self) -> Mapping[str, str]:
        if not self.in_body:
            return {}
        return {"client_id": self.client_id, "client_secret": self.secret}

    def headers(self) -> Mapping[str, str]:
        if self.in_body:
            return {}
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


@dataclass(frozen=True, slots=True)
class Assertion:
    """SMART's private_key_jwt; a `jti` of its own each time, also when a request is repeated."""

    client_id: str
    audience: str
    kid: str
    alg: str
    private: Mapping[str, Any] = field(repr=False)
    clock: Callable[[], datetime]
    ids: Callable[[], str] = lambda: str(uuid4())

    def form(self) -> Mapping[str, str]:
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.signed()}

    def headers(self) -> Mapping[str, str]:
        return {}

    def signed(self) -> str:
        now = int(self.clock().timestamp())
        header = {"alg": self.alg, "kid": self.kid, "typ": "JWT"}
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "iat": now,
            "exp": now + LIFETIME,
            "jti": self.ids(),
        }
        kind = ECKey if self.alg == "ES384" else RSAKey
        key = kind.import_key(dict(self.private))
        return jwt.encode(header, claims, key, algorithms=[self.alg])


@dataclass(frozen=True, slots=True)
class Token:
    """`until` on the monotonic clock; `scopes` is what was granted, as the server wrote it."""

    text: str = field(repr=False)
    until: float
    scopes: str


@dataclass(frozen=True, slots=True)
class _Limits:
    connect_timeout: float
    read_timeout: float
    retries: int
    max_answer: int = MOST_BYTES


def small(limits: Limits) -> _Limits:
    """The same patience, for an answer that cannot be large."""
    return _Limits(limits.connect_timeout, min(limits.read_timeout, 10.0), limits.retries)


@dataclass(slots=True)
class TokenAuth:
    """Holds a token as long as it is good. Not for several threads at once."""

    login: Login
    proof: Proof = field(repr=False)
    network: Network = field(repr=False)
    limits: Limits = field(repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)
    monotonic: Callable[[], float] = field(default=time.monotonic, repr=False)
    dice: random.Random = field(default_factory=random.Random, repr=False)
    longest: float = retry.CAP
    _held: Token | None = field(default=None, init=False, repr=False)
    _shut: bool = field(default=False, init=False, repr=False)

    @property
    def asked(self) -> str:
        """The scopes as the server understands them."""
        if self.login.version == "v1":
            return in_version_1(self.login.scopes)
        return self.login.scopes

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token().text}"}

    def renew(self) -> bool:
        """The next request gets a new token."""
        self._held = None
        return True

    def shut(self) -> None:
        self._shut = True

    def token(self) -> Token:
        """The one that is held, or a new one where it ends within half a minute."""
        if self._shut:
            raise self._remote("two tokens were refused in a row: nothing more is asked")
        if self._held is None or self.monotonic() >= self._held.until:
            self._held = self._fetched()
        return self._held

    def granted(self, resource_type: str, letters: str = "rs") -> bool:
        return Scopes.of(self.token().scopes, narrowed=True).allow(resource_type, letters)

    def _fetched(self) -> Token:
        """Raises `ComeBack` where the server asks for patience, `BridgeError` (remote) where it
        refuses."""
        limits = small(self.limits)
        patience = retry.Patience(limits.retries, self.sleep, self.clock, self.dice, self.longest)
        begun = self.monotonic()
        answer = retry.persist(lambda: self._attempt(limits), retry.READING, patience)
        return self._read(answer, begun)

    def _attempt(self, limits: Limits) -> Answer:
        form = {"grant_type": "client_credentials", **self.proof.form()}
        if self.asked:
            form["scope"] = self.asked
        with open_session(self.network, limits) as session:
            session.headers["Accept"] = "application/json"
            request = requests.Request("POST", self.login.token_url, data=form)
            request.headers.update(self.proof.headers())
            prepared = session.prepare_request(request)
            reply = exchange(session, prepared, limits=limits, monotonic=self.monotonic)
        try:
            body = fhir_json.parse(reply.raw)
        except BridgeError:  # a page of a proxy: the status alone speaks
            body = None
        return Answer(reply.status, body, reply.raw, "", "", reply.url, reply.headers)

    def _read(self, answer: Answer, begun: float) -> Token:
        body = answer.body or {}
        if answer.status != 200:
            raise self._refused(answer)
        text, kind = body.get("access_token"), body.get("token_type")
        if not (isinstance(text, str) and text.isascii() and text.isprintable() and text):
            raise self._remote("the token endpoint answered without a token")
        if " " in text or not (isinstance(kind, str) and kind.lower() == "bearer"):
            raise self._remote("the token endpoint gave a token that is no bearer token")
        scopes = body.get("scope")
        seconds = _seconds(body.get("expires_in"))
        until = begun + seconds - min(SKEW, seconds / 2)
        return Token(text, until, scopes if isinstance(scopes, str) else self.asked)

    def _refused(self, answer: Answer) -> BridgeError:
        """Its error code is told (RFC 6749, section 5.2), its words are not."""
        if 300 <= answer.status < 400:
            return self._remote(f"the token endpoint answered {answer.status}, a redirect")
        error = (answer.body or {}).get("error")
        code = error if isinstance(error, str) and _WORD.fullmatch(error) else "no reason given"
        remedies = {
            "invalid_client": "have the hospital register our client id and key (fhirbridge "
            "connection key show), and compare both clocks",
            "invalid_scope": "have the hospital allow the scopes, or add the connection with less",
        }
        cause = f"the token endpoint answered {answer.status} ({code})"
        return self._remote(cause, remedies.get(code))

    def _remote(self, cause: str, remedy: str | None = None) -> BridgeError:
        place = origin(self.login.token_url).server
        remedy = remedy or "fhirbridge connection check tells what the server says of its login"
        return BridgeError(Issue("remote", cause, remedy, place=place))


def _seconds(given: Any) -> float:
    """`expires_in`: a number, though some write it as text."""
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        return UNSAID
    return seconds if 0 < seconds < 10**8 and not isinstance(given, bool) else UNSAID
