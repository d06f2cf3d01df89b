"""Who may come in: API keys of a site's clients, `fb_<prefix>_<secret>`, told once and kept as a
hash.

The site comes from the key and from nothing else. Compared in constant time, for unknown prefixes
too.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.store import Registry

_NOBODY = hashlib.sha256(b"nobody").hexdigest()


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client and the site that it speaks for."""

    site_id: str
    site_name: str
    client: str

    @property
    def source(self) -> str:
        return f"client:{self.client}"


@dataclass(frozen=True, slots=True)
class NewKey:
    """`text` is shown once; `prefix` and `secret_hash` are kept."""

    text: str
    prefix: str
    secret_hash: str


def new_key(token: Callable[[int], str] = secrets.token_hex) -> NewKey:
    prefix, secret = token(5), token(24)
    return NewKey(f"fb_{prefix}_{secret}", prefix, _hash(secret))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def caller(registry: Registry, authorization: str, api_key: str) -> Caller:
    """The client of `Authorization: Bearer KEY` or `X-API-Key: KEY`; else `BridgeError` (login)."""
    scheme, _, token = authorization.partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else api_key.strip()
    parts = given.split("_")
    prefix, secret = (parts[1], parts[2]) if len(parts) == 3 and parts[0] == "fb" else ("", "")
    with registry.read(None) as unit:
        client = unit.clients.find(prefix) if prefix else None
        known = client.secret_hash if client else _NOBODY
        fits = hmac.compare_digest(_hash(secret), known)
        site = unit.sites.by_id(client.site_id) if client and fits else None
    if client is None or site is None:
        cause = "no valid key came with the request" if given else "no key came with the request"
        remedy = "send 'Authorization: Bearer KEY' with the key that the registry gave your site"
        raise BridgeError(Issue("login", cause, remedy))
    return Caller(site.id, site.name, client.name)
