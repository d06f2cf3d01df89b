"""How a connection proves who we are: the headers that go with each request to its own origin.

Never shows a secret: not in `repr`, not in an error.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

from fhirbridge.outcome import BridgeError, Issue


class Auth(Protocol):
    """Asked anew before every attempt, so that a scheme can refresh what it holds."""

    def headers(self) -> Mapping[str, str]: ...

    def renew(self) -> bool:
        """After a 401: forget what is held. False where there is nothing to renew."""
        ...

    def shut(self) -> None:
        """After a 401 of what was renewed: nothing more is asked with it."""
        ...

    def granted(self, resource_type: str, letters: str = "rs") -> bool:
        """Whether the server let us in for that, as far as it told; may log in for it."""
        ...


class _Scheme(Auth, Protocol):
    @classmethod
    def from_secret(cls, secret: str) -> Self: ...


class _Fixed:
    """What goes with each request is given by hand, and tells nothing of what it opens."""

    __slots__ = ()

    def renew(self) -> bool:
        return False

    def shut(self) -> None:
        pass

    def granted(self, resource_type: str, letters: str = "rs") -> bool:
        return True


@dataclass(frozen=True, slots=True)
class NoAuth(_Fixed):
    """An open server, or one that trusts the network it stands in."""

    @classmethod
    def from_secret(cls, secret: str) -> Self:
        if secret:
            raise _refuse("the connection has a secret but the kind 'none'", "choose another kind")
        return cls()

    def headers(self) -> Mapping[str, str]:
        return {}


@dataclass(frozen=True, slots=True)
class Bearer(_Fixed):
    """A token given by hand (RFC 6750)."""

    token: str = field(repr=False)

    def __post_init__(self) -> None:
        if not (self.token and self.token.isascii() and self.token.isprintable()):
            raise _refuse("the bearer token is empty or holds other than printable ASCII", _ANEW)
        if " " in self.token:
            raise _refuse("the bearer token holds a blank", "give the token without 'Bearer'")

    @classmethod
    def from_secret(cls, secret: str) -> Self:
        return cls(secret)

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True, slots=True)
class Basic(_Fixed):
    """User and password (RFC 7617), as UTF-8."""

    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.user or ":" in self.user or not (self.user + self.password).isprintable():
            raise _refuse("the user is empty, or user or password hold a wrong character", _ANEW)

    @classmethod
    def from_secret(cls, secret: str) -> Self:
        user, colon, password = secret.partition(":")
        if not colon:
            raise _refuse("the secret of kind 'basic' has no colon", "give it as user:password")
        return cls(user, password)

    def headers(self) -> Mapping[str, str]:
        pair = f"{self.user}:{self.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}


AUTHS: Mapping[str, type[_Scheme]] = {"none": NoAuth, "bearer": Bearer, "basic": Basic}
TOKENS = ("oauth2", "smart")  # a token is had first: `tokens`
KINDS = (*AUTHS, *TOKENS)

_ANEW = "enter the connection's secret anew"


def build(kind: str, secret: str) -> Auth:
    """A connection's scheme; `secret` is a token, `user:password`, or empty for 'none'."""
    if kind not in AUTHS:
        raise _refuse(f"there is no kind of login '{kind}'", f"use one of {', '.join(AUTHS)}")
    return AUTHS[kind].from_secret(secret)


def _refuse(cause: str, remedy: str) -> BridgeError:
    return BridgeError(Issue("configuration", cause, remedy))
