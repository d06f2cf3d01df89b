"""Clients that sign, with keys made in the test run, and what a hostile one would send."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import uuid4

from flask import Flask
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from werkzeug.test import TestResponse

from fhirbridge.fhir.scopes import registered
from fhirbridge.web import client_keys
from fhirbridge.web.oauth import ASSERTION_TYPE
from fhirbridge.web.service import Service
from tests.web.sender import Sender

BASE = "https://fhirbridge.example.org"
TOKEN_URL = f"{BASE}/oauth/token"

Key = RSAKey | ECKey


@cache
def rsa(number: int = 0) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": f"rsa-{number}"}, auto_kid=False)


@cache
def ec(number: int = 0) -> ECKey:
    return ECKey.generate_key("P-384", {"kid": f"ec-{number}"}, auto_kid=False)


def jwks(*keys: Key, **more: Any) -> bytes:
    return json.dumps({"keys": [{**key.as_dict(private=False), **more} for key in keys]}).encode()


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def sign(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    """As any library would; headers that a good one refuses are signed too."""
    registry = jws.JWSRegistry(
        algorithms=["RS384", "ES384", "RS256", "PS384"], strict_check_header=False
    )
    alg = registry.get_alg(header["alg"])
    signing_input = f"{part(header)}.{part(claims)}"
    return f"{signing_input}.{part(alg.sign(signing_input.encode(), key))}"


@dataclass
class Signing:
    """A client of a site with registered keys; `id` is its client id."""

    app: Flask
    id: str
    site: Sender
    key: Key = field(default_factory=ec)
    alg: str = "ES384"

    @classmethod
    def at(cls, site: Sender, *, name: str = "lab", scope: str = "system/*.cruds") -> Signing:
        service: Service = site.app.extensions["fhirbridge"]
        keys = client_keys.read(jwks(rsa(), ec()), name="test")
        with service.registry.unit(site.site_id) as unit:
            made = unit.signers.add(name, scopes=str(registered((scope,))), keys=keys)
            unit.commit()
        return cls(site.app, made, site)

    def claims(self, **other: Any) -> dict[str, Any]:
        """Those of a good client; `None` leaves one out."""
        now = int(time.time())
        good = {"iss": self.id, "sub": self.id, "aud": TOKEN_URL, "exp": now + 240, "iat": now}
        made = {**good, "jti": str(uuid4()), **other}
        return {name: value for name, value in made.items() if value is not None}

    def header(self, **other: Any) -> dict[str, Any]:
        made = {"alg": self.alg, "kid": self.key.kid, "typ": "JWT", **other}
        return {name: value for name, value in made.items() if value is not None}

    def assertion(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        return sign(self.header(**(header or {})), self.claims(**claims), self.key)

    def ask(
        self, assertion: str | None = None, *, app: Flask | None = None, **form: Any
    ) -> TestResponse:
        asked = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion() if assertion is None else assertion,
            "scope": "system/*.cruds",
            **form,
        }
        sent = {name: value for name, value in asked.items() if value is not None}
        return (app or self.app).test_client().post("/oauth/token", data=sent)

    def bearing(self, scope: str = "system/*.cruds") -> Sender:
        """A sender with a fresh access token for that scope."""
        answer = self.ask(scope=scope)
        assert answer.status_code == 200, answer.text
        token = answer.get_json()["access_token"]
        return Sender(self.app, self.site.site, self.site.site_id, token)
