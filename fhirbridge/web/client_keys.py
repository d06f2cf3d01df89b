"""The public keys of a client, from its JWK Set (RFC 7517), as SMART Backend Services wants them.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html. Takes RSA keys for RS384
and P-384 keys for ES384. Refuses private parts, a `kid` twice, and what does not fit together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import base64_to_int

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.smart import PublicKey

ALGORITHMS = ("RS384", "ES384")
MOST_BYTES, MOST_KEYS = 100_000, 20
_ALGORITHM_OF = {"RSA": "RS384", "EC": "ES384"}
_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_RSA_BITS = (2048, 4096)  # the least that is safe; the most that an assertion's size limit takes

Key = RSAKey | ECKey


def read(raw: bytes, *, name: str) -> list[PublicKey]:
    """The keys of the file; `BridgeError` tells every fault with its place, never a key's value."""
    if len(raw) > MOST_BYTES:
        raise BridgeError(_fault(name, "it is too long", f"give at most {MOST_BYTES} bytes"))
    try:
        listed = fhir_json.parse(raw).get("keys")
    except BridgeError as fault:
        told = fault.issues[0]
        place = f"{name} {told.place}".strip()
        raise BridgeError(_fault(place, told.cause, "give a JWK Set: one JSON object")) from fault
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_KEYS:
        cause = "it is no JWK Set with keys"
        raise BridgeError(_fault(name, cause, f'give {{"keys": [...]}} with 1 to {MOST_KEYS} keys'))
    places = [f"{name}: keys[{n}]" for n in range(len(listed))]
    faults = [i for jwk, at in zip(listed, places, strict=True) for i in _faults(jwk, at)]
    faults += _twice([jwk.get("kid") for jwk in listed if isinstance(jwk, dict)], name)
    if faults:
        raise BridgeError(*faults)
    return [_public(jwk) for jwk in listed]


def usable(jwk: Mapping[str, Any]) -> Key:
    """The key for a signature's check; raises `JoseError` or `ValueError` where it is none."""
    kind = RSAKey if jwk["kty"] == "RSA" else ECKey
    return kind.import_key(dict(jwk))


def _public(jwk: Mapping[str, Any]) -> PublicKey:
    kept = {member: jwk[member] for member in _MEMBERS[jwk["kty"]]}
    return PublicKey(jwk["kid"], _ALGORITHM_OF[jwk["kty"]], kept)


def _faults(jwk: Any, place: str) -> Iterator[Issue]:
    if not isinstance(jwk, dict):
        yield _fault(place, "it is no JSON object", "give a JWK")
        return
    private = [member for member in _PRIVATE if member in jwk]
    kind, kid = jwk.get("kty"), jwk.get("kid")
    if private:
        cause = f"it holds private or secret parts: {', '.join(private)}"
        yield _fault(place, cause, "make a new key pair, and give its public part alone")
    elif kind not in _ALGORITHM_OF:
        yield _fault(place, "its kty is not taken", "give RSA, or EC with the curve P-384")
    elif fault := _of_kind(jwk, kind):
        yield _fault(place, *fault)
    if not isinstance(kid, str) or not 0 < len(kid) <= 200 or not kid.isprintable():
        yield _fault(place, "it has no kid", "give each key a kid of 1 to 200 printed characters")


def _of_kind(jwk: Mapping[str, Any], kind: str) -> tuple[str, str] | None:
    """What is wrong with an RSA or EC key, and what to do."""
    fits = _ALGORITHM_OF[kind]
    if jwk.get("alg", fits) != fits:
        return f"its alg does not fit the kty {kind}", f"give alg {fits}, or leave it out"
    if jwk.get("use", "sig") != "sig" or jwk.get("key_ops", ["verify"]) != ["verify"]:
        return "it is not meant for signatures", 'give "use": "sig"'
    if kind == "EC" and jwk.get("crv") != "P-384":
        return "its curve is not taken", "give a key of the curve P-384"
    if not all(isinstance(jwk.get(member), str) for member in _MEMBERS[kind]):
        return "a part of it is missing", f"give {', '.join(_MEMBERS[kind])} as texts"
    low, high = _RSA_BITS
    try:
        if kind == "RSA" and not (
            len(jwk["n"]) <= high // 4 and low <= base64_to_int(jwk["n"]).bit_length() <= high
        ):
            return "its size is not taken", f"give {low} to {high} bits"
        usable({member: jwk[member] for member in _MEMBERS[kind]})
    except (JoseError, ValueError):
        return "its numbers are no key", "export it again"
    return None


def _twice(kids: list[Any], name: str) -> list[Issue]:
    named = [kid for kid in kids if isinstance(kid, str)]
    if len(named) == len({*named}):
        return []
    return [_fault(name, "two keys have the same kid", "give each key a kid of its own")]


def _fault(place: str, cause: str, remedy: str) -> Issue:
    return Issue("value", cause, remedy, place=place)
