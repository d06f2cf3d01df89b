"""What is kept of a login that gets its token elsewhere, and the keys that it signs with.

Private parts of keys are no part of this: they are sealed beside it.
https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from joserfc.jwk import ECKey, RSAKey

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue

MAX_AGE = timedelta(hours=1)  # what our JWK Set says that it may be kept
ALGORITHMS = ("RS384", "ES384")
_RSA_BITS = 3072  # as strong as what SHA-384 asks for within what servers take


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key of ours: it signs from a moment on, when those who look have had time to see it."""

    kid: str
    alg: str
    jwk: Mapping[str, Any]
    signs_from: datetime


@dataclass(frozen=True, slots=True)
class Login:
    """Of `oauth2` and `smart`. `scopes` are written as version 2; `version` is what is asked in."""

    client_id: str
    token_url: str
    scopes: str
    version: Literal["v1", "v2"] = "v2"
    method: Literal["basic", "post", "jwt"] = "jwt"
    keys: tuple[PublicKey, ...] = ()

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Login:
        made = (
            PublicKey(k["kid"], k["alg"], k["jwk"], datetime.fromisoformat(k["signs_from"]))
            for k in kept.get("keys", ())
        )
        return cls(**{**kept, "keys": tuple(made)})

    def kept(self) -> dict[str, Any]:
        told = [{**asdict(key), "signs_from": key.signs_from.isoformat()} for key in self.keys]
        return {**{n: getattr(self, n) for n in self.__slots__}, "keys": told}

    def signing(self, now: datetime) -> PublicKey:
        """The newest key whose time has come."""
        ready = [key for key in self.keys if key.signs_from <= now] or self.keys[:1]
        if not ready:
            cause = "the connection has no key to sign with"
            raise BridgeError(Issue("configuration", cause, "fhirbridge connection key rotate"))
        return max(ready, key=lambda key: key.signs_from)

    def published(self, now: datetime) -> tuple[PublicKey, ...]:
        """The signing key, those to come, and the one before as long as a reader may need it."""
        current = self.signing(now).signs_from if self.keys else now
        overlap = now - current < MAX_AGE
        before = max((k.signs_from for k in self.keys if k.signs_from < current), default=None)
        return tuple(
            key
            for key in self.keys
            if key.signs_from >= current or (overlap and key.signs_from == before)
        )

    def with_key(self, key: PublicKey, now: datetime) -> Login:
        """With a new key beside those that are still published."""
        return replace(self, keys=(*self.published(now), key) if self.keys else (key,))


@dataclass(frozen=True, slots=True)
class Pair:
    public: PublicKey
    private: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Pair({self.public.kid})"


def new_pair(alg: str, kid: str, *, signs_from: datetime) -> Pair:
    """A fresh key pair: P-384 for ES384, RSA for RS384."""
    made: ECKey | RSAKey
    if alg == "ES384":
        made = ECKey.generate_key("P-384", {"kid": kid}, auto_kid=False)
    else:
        made = RSAKey.generate_key(_RSA_BITS, {"kid": kid}, auto_kid=False)
    public = {**made.as_dict(private=False), "kid": kid, "alg": alg, "use": "sig"}
    signs_from = signs_from.astimezone(UTC)
    return Pair(PublicKey(kid, alg, public, signs_from), made.as_dict(private=True))


def key_set(keys: Iterable[PublicKey]) -> dict[str, Any]:
    """A JWK Set (RFC 7517) of public parts alone."""
    return {"keys": [dict(key.jwk) for key in keys]}


def sealed(privates: Mapping[str, Mapping[str, Any]]) -> str:
    """Private keys by `kid` as the text that goes into the vault."""
    return fhir_json.dump(dict(privates)).decode()


def opened(secret: str) -> dict[str, dict[str, Any]]:
    return fhir_json.parse(secret.encode()) if secret else {}
