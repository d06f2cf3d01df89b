"""Judges the signed assertion (RFC 7523) by which a client of SMART Backend Services comes in.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html. The key is the registered
one and no other: whatever in a header names or brings another key refuses the assertion. A `jku` is
taken only where it is the registered URL, to the letter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeGuard

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.util import urlsafe_b64decode

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError
from fhirbridge.registry.smart import Signer
from fhirbridge.web import client_keys

LIFETIME = 300  # seconds, the most that SMART allows an assertion
SKEW = 30  # seconds that a client's clock may be wrong
_NEVER = ("crit", "jwk", "x5u", "x5c", "b64")
_STRANGER = "the client, its key or the signature is not known here"

Find = Callable[[str, str, str | None], Signer | None]
"""The client of this id, with the key of this `kid`; `jku` as the header says it."""


class Refused(Exception):
    """An OAuth error: its code (RFC 6749, section 5.2) and a description that quotes no input."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


def invalid_client(description: str) -> Refused:
    return Refused("invalid_client", description)


@dataclass(frozen=True, slots=True)
class Assertion:
    """`until`: how long its `jti` must be remembered."""

    signer: Signer
    jti_hash: str
    until: datetime


def judge(text: str, find: Find, *, audience: str, now: datetime) -> Assertion:
    """The client that signed it for us, now; `Refused` (invalid_client) where anything is amiss.

    The claims are read before the signature is checked only as far as they name the client.
    """
    parts = text.split(".")
    if len(parts) != 3:
        raise invalid_client("the assertion is no JWT in compact form")
    header, claims = _object(parts[0], "header"), _object(parts[1], "payload")
    alg, kid = _header(header)
    issuer = claims.get("iss")
    signer = find(issuer, kid, _jku(header)) if _name(issuer) else None
    if signer is None or signer.alg != alg or not _signed(text, signer):
        raise invalid_client(_STRANGER)
    return _claims(claims, signer, audience=audience, now=now)


def _object(part: str, what: str) -> Mapping[str, Any]:
    """Read as strictly as all JSON here, so that no name can stand twice in it."""
    try:
        return fhir_json.parse(urlsafe_b64decode(part.encode("ascii")))
    except (BridgeError, ValueError) as fault:
        raise invalid_client(f"the {what} of the assertion is no base64url JSON object") from fault


def _header(header: Mapping[str, Any]) -> tuple[str, str]:
    """`alg` and `kid`."""
    alg, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    brought = [name for name in _NEVER if name in header]
    if brought:
        raise invalid_client(f"the header has {', '.join(brought)}, which is not taken here")
    if alg not in client_keys.ALGORITHMS:
        raise invalid_client("the header's alg is not RS384 or ES384")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise invalid_client("the header's typ is not JWT")
    if not _name(kid):
        raise invalid_client("the header has no kid")
    return alg, kid


def _jku(header: Mapping[str, Any]) -> str | None:
    jku = header.get("jku")
    if "jku" in header and not isinstance(jku, str):
        raise invalid_client("the header's jku is no URL")
    return jku


def _name(value: Any) -> TypeGuard[str]:
    """What may be looked up: PostgreSQL refuses a text with NUL."""
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _signed(text: str, signer: Signer) -> bool:
    registry = jws.JWSRegistry(algorithms=[signer.alg], strict_check_header=False)
    try:
        jws.deserialize_compact(text, client_keys.usable(signer.jwk), registry=registry)
    except (JoseError, ValueError):
        return False
    return True


def _claims(
    claims: Mapping[str, Any], signer: Signer, *, audience: str, now: datetime
) -> Assertion:
    if claims.get("iss") != signer.id or claims.get("sub") != signer.id:
        raise invalid_client("iss and sub are not both the client id")
    # One audience alone: an assertion for us and for another server could be used there, or by it.
    if claims.get("aud") not in (audience, [audience]):
        raise invalid_client("aud is not the URL of this token endpoint")
    second = now.timestamp()
    expires = _seconds(claims, "exp")
    if expires is None:
        raise invalid_client("exp is missing")
    if expires <= second:
        raise invalid_client("exp is past")
    if expires > second + LIFETIME + SKEW:
        raise invalid_client(f"exp is more than {LIFETIME} seconds ahead")
    _begun(claims, second)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti:
        raise invalid_client("jti is missing")
    until = datetime.fromtimestamp(expires, UTC) + timedelta(seconds=SKEW)
    return Assertion(signer, hashlib.sha256(jti.encode()).hexdigest(), until)


def _begun(claims: Mapping[str, Any], now: float) -> None:
    """`nbf` and `iat` are optional; given, they must not lie ahead, nor `iat` long ago."""
    for name in ("nbf", "iat"):
        begun = _seconds(claims, name)
        if begun is not None and begun > now + SKEW:
            raise invalid_client(f"{name} is in the future")
        if name == "iat" and begun is not None and begun < now - LIFETIME - SKEW:
            raise invalid_client(f"iat is more than {LIFETIME} seconds ago")


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519, section 2)."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value < 10**11:
        raise invalid_client(f"{name} is no time in seconds since 1970")
    return float(value)
