"""The vault: what must not stand in the database in the clear, sealed with a key from outside it.

Look-up goes by keyed hash (HMAC-SHA256), reading back by AES-256-GCM; all keys are derived from
the one key (HKDF, RFC 5869). A sealed value opens only at the place that it was sealed for.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from pathlib import Path
from uuid import uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fhirbridge.outcome import BridgeError, Issue

_SIZE = 32
_NONCE = 12


def key(path: Path) -> bytes:
    """The 32 bytes of the key file; made at first use, readable by its owner alone.

    Several processes may come first at once: all get the same key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(path)
    found = path.read_bytes()
    if len(found) != _SIZE:
        raise _unusable(f"the key file has {len(found)} bytes instead of {_SIZE}", place=str(path))
    return found


def _make(path: Path) -> None:
    """Write beside, then link: nobody ever reads half a key, and the first one wins."""
    beside = path.with_name(f"{path.name}.{uuid4().hex}")
    target = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(target, "wb") as file:
            file.write(os.urandom(_SIZE))
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)
    except FileExistsError:
        return
    finally:
        beside.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Vault:
    """Hashes, chains, seals and gives tickets with keys derived from one."""

    __slots__ = ("_chain_key", "_hash_key", "_seal", "_tickets")

    def __init__(self, key: bytes) -> None:
        if len(key) != _SIZE:
            raise _unusable(f"the vault key has {len(key)} bytes instead of {_SIZE}")
        self._hash_key = _derived(key, b"fhirbridge identity look-up")
        self._chain_key = _derived(key, b"fhirbridge audit trail")
        self._seal = AESGCM(_derived(key, b"fhirbridge sealed values"))
        self._tickets = AESGCM(_derived(key, b"fhirbridge tickets"))

    def __repr__(self) -> str:
        return "Vault()"

    def hash(self, *parts: str) -> str:
        """Hexadecimal keyed hash of the parts and of where each of them ends."""
        told = b"".join(b"%d:%b" % (len(raw), raw) for raw in (part.encode() for part in parts))
        return hmac.digest(self._hash_key, told, "sha256").hex()

    def chain(self, told: bytes) -> str:
        """Hexadecimal keyed hash of a row of the audit trail."""
        return hmac.digest(self._chain_key, told, "sha256").hex()

    def seal(self, plain: bytes, *, place: str) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._seal.encrypt(nonce, plain, place.encode())

    def unseal(self, sealed: bytes, *, place: str) -> bytes:
        """Raises `BridgeError` (configuration) for another key, another place or a changed byte."""
        try:
            return self._seal.decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode())
        except InvalidTag as fault:
            raise _unusable("a sealed value does not open with this vault key") from fault

    def ticket(self, plain: bytes, *, place: str) -> str:
        """What a client carries and brings back, sealed by a key that seals nothing stored."""
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._tickets.encrypt(nonce, plain, place.encode())
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def read_ticket(self, text: str, *, place: str) -> bytes | None:
        """None for another key, another place or a changed letter."""
        try:
            sealed = base64.b64decode(f"{text}{'=' * (-len(text) % 4)}", b"-_", validate=True)
            return self._tickets.decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode())
        except (binascii.Error, ValueError, InvalidTag):
            return None


def _derived(key: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_SIZE, salt=None, info=use).derive(key)


def _unusable(cause: str, *, place: str = "") -> BridgeError:
    remedy = "use the key file that this database was made with; restore it from its backup"
    return BridgeError(Issue("configuration", cause, remedy, place=place))
