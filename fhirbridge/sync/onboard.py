"""A connection's login, made when it is added: where tokens are had, what is asked for, our keys.

The token URL is pinned here. https://hl7.org/fhir/smart-app-launch/backend-services.html
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from fhirbridge.fhir.scopes import registered
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers import auth
from fhirbridge.servers.discovery import Discovery, discover, token_url
from fhirbridge.servers.login import MAX_AGE, Login, Pair, new_pair, opened, sealed
from fhirbridge.servers.network import Network
from fhirbridge.servers.wire import Limits
from fhirbridge.sync.offered import wanted


@dataclass(frozen=True, slots=True)
class Asked:
    """What whoever adds a connection says of its login."""

    kind: str
    client_id: str = ""
    secret: str = field(default="", repr=False)
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    alg: str = ""
    method: Literal["basic", "post"] = "basic"


@dataclass(frozen=True, slots=True)
class Made:
    """What is kept: `secret` goes into the vault."""

    login: Login | None
    secret: str | None = field(repr=False)


def login(
    asked: Asked,
    base_url: str,
    mappings: MappingSet,
    *,
    network: Network,
    limits: Limits,
    now: datetime,
    kid: str,
) -> Made:
    """Asks the server where its tokens are had, where the kind of login needs it."""
    _complete(asked)
    if asked.kind not in auth.TOKENS:
        return Made(None, asked.secret or None)
    found = discover(base_url, network=network, limits=limits)
    url = token_url(base_url, found, asked.token_url)
    scopes = str(registered(asked.scopes)) if asked.scopes else needed(mappings)
    version = found.version if found else "v2"
    made = Login(asked.client_id, url, scopes, version)
    if asked.kind == "oauth2":
        return Made(replace(made, method=asked.method), asked.secret)
    pair = new_pair(asked.alg or _alg(found), kid, signs_from=now)
    return Made(made.with_key(pair.public, now), sealed({kid: pair.private}))


def _alg(found: Discovery | None) -> str:
    return found.alg if found else "RS384"


def _complete(asked: Asked) -> None:
    missing = []
    if asked.kind not in ("none", "smart") and not asked.secret:
        missing.append("its secret: give --secret, or the variable SECRET")
    if asked.kind == "smart" and asked.secret:
        cause = "a connection with the login 'smart' has no secret: its keys are made here"
        raise BridgeError(Issue("value", cause, "leave --secret and SECRET out"))
    if asked.kind in auth.TOKENS and not asked.client_id:
        missing.append("the client id that the hospital gave us: --client-id")
    if missing:
        cause = f"a connection with the login '{asked.kind}' needs more"
        raise BridgeError(Issue("value", cause, "; ".join(missing)))


def needed(mappings: MappingSet) -> str:
    """No more than what a pull reads and a delivery writes, as scopes of version 2."""
    read = {"Patient", *wanted(mappings)}
    sent = delivered(mappings)
    letters = {name: "crus" if name in sent else "rs" for name in read | sent}
    return " ".join(f"system/{name}.{letters[name]}" for name in sorted(letters))


def delivered(mappings: MappingSet) -> frozenset[str]:
    """The types that a delivery sends."""
    files = mappings.files.values()
    return frozenset(m.resource for m in files if any(block.deliver for block in m.blocks))


def rotated(held: Login, secret: str, *, now: datetime, kid: str) -> Made:
    """With a new key that signs when every copy of our JWK Set is old enough to be fetched anew;
    until then the old one does, and both are published. Private parts of keys that are published no
    more are forgotten.
    """
    if any(key.signs_from > now for key in held.keys):
        cause = "a new key waits for its turn already"
        raise BridgeError(Issue("conflict", cause, "fhirbridge connection key show says when"))
    pair: Pair = new_pair(held.signing(now).alg, kid, signs_from=now + MAX_AGE)
    made = held.with_key(pair.public, now)
    known = {**opened(secret), kid: pair.private}
    return Made(made, sealed({key.kid: known[key.kid] for key in made.keys}))
