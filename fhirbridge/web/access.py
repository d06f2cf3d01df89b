"""Who may come in: API keys of a site's clients, `fb_<prefix>_<secret>`, and access tokens of
clients that sign, `fbt_<secret>`. Both are told once and kept as a hash.

The site comes from the credential and from nothing else. Keys are compared in constant time, for
unknown prefixes too; a token is looked up by its hash, which tells nothing of it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from fhirbridge.fhir.scopes import EVERYTHING, Scopes
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.store import Registry

_TOKEN = "fbt_"
_KEY = re.compile(r"fb_([0-9a-f]+)_([0-9a-f]+)")
_REHEARSAL = Scopes.of("system/*.cu")
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client, the site that it speaks for, and what it may do there. What comes
    of one of `rehearsal` is thrown away."""

    site_id: str
    site_name: str
    client: str
    scopes: Scopes = EVERYTHING
    rehearsal: bool = False

    @property
    def source(self) -> str:
        return f"client:{self.client}"

    def must(self, letters: str, type: str) -> None:
        """Raise `BridgeError` (forbidden) unless the scopes allow every letter for the type."""
        if not self.scopes.allow(type, letters):
            raise forbidden(f"system/{type}.{letters}")


def forbidden(scope: str) -> BridgeError:
    cause = f"the access token's scopes do not allow {scope}"
    return BridgeError(Issue("forbidden", cause, "ask for a token with that scope"))


@dataclass(frozen=True, slots=True)
class NewKey:
    """`text` is shown once; `prefix` and `secret_hash` are kept."""

    text: str
    prefix: str
    secret_hash: str


def new_key(token: Callable[[int], str] = secrets.token_hex) -> NewKey:
    prefix, secret = token(5), token(24)
    return NewKey(f"fb_{prefix}_{secret}", prefix, _hash(secret))


@dataclass(frozen=True, slots=True)
class NewToken:
    """`text` goes to the client; `hash` is kept."""

    text: str
    hash: str


def new_token() -> NewToken:
    text = f"{_TOKEN}{secrets.token_urlsafe(32)}"
    return NewToken(text, _hash(text))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class NotIn(BridgeError):
    """No valid credential; `whose` is the client whose key's prefix came with another secret."""

    def __init__(self, issue: Issue, *, whose: Caller | None) -> None:
        super().__init__(issue)
        self.whose = whose


def caller(registry: Registry, authorization: str, api_key: str) -> Caller:
    """The client of `Authorization: Bearer KEY-OR-TOKEN` or `X-API-Key: KEY`; else `BridgeError`
    (login).
    """
    scheme, _, token = authorization.partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else api_key.strip()
    if scheme.lower() == "bearer" and given.startswith(_TOKEN):
        return _bearer(registry, given)
    found = _KEY.fullmatch(given)
    prefix, secret = (found[1], found[2]) if found else ("", "")
    with registry.read(None) as unit:
        client = unit.clients.find(prefix) if prefix else None
        known = client.secret_hash if client else _NOBODY
        fits = hmac.compare_digest(_hash(secret), known)
        site = unit.sites.by_id(client.site_id) if client and fits else None
    if client is None or site is None:
        cause = "no valid key came with the request" if given else "no key came with the request"
        remedy = "send 'Authorization: Bearer KEY' with the key that the registry gave your site"
        whose = Caller(client.site_id, "", client.name) if client else None
        raise NotIn(Issue("login", cause, remedy), whose=whose)
    scopes = _REHEARSAL if client.rehearsal else EVERYTHING
    return Caller(site.id, site.name, client.name, scopes, client.rehearsal)


def _bearer(registry: Registry, token: str) -> Caller:
    with registry.read(None) as unit:
        found = unit.tokens.find(_hash(token))
        site = unit.sites.by_id(found.site_id) if found else None
    if found is None or site is None:
        cause = "the access token is not known, has ended, or its client was revoked"
        raise BridgeError(Issue("login", cause, "get a new one from the token endpoint"))
    return Caller(site.id, site.name, found.client, Scopes.of(found.scopes))
