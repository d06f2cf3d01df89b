"""Where a server says that its tokens are had: `.well-known/smart-configuration`.

https://hl7.org/fhir/smart-app-launch/conformance.html. Asked without credentials, when a connection
is added and when it is checked; what it says later never moves the token URL (CVE-2025-27370).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import requests

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers.login import ALGORITHMS
from fhirbridge.servers.network import Network
from fhirbridge.servers.origin import origin, same_origin
from fhirbridge.servers.tokens import small
from fhirbridge.servers.wire import Limits, exchange, open_session

PATH = ".well-known/smart-configuration"


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is of use of it; empty where it does not say."""

    token_url: str
    capabilities: frozenset[str]
    algorithms: tuple[str, ...]

    @property
    def version(self) -> Literal["v1", "v2"]:
        """Version 1 unless it says that it knows the scopes of version 2: those of SMART 1 say
        nothing of versions."""
        return "v2" if "permission-v2" in self.capabilities else "v1"

    @property
    def alg(self) -> str:
        """ES384 where the server says that it takes it, else RS384, which more know."""
        return "ES384" if "ES384" in self.algorithms else "RS384"


def discover(base_url: str, *, network: Network, limits: Limits) -> Discovery | None:
    """None where the server has no such page (404). Follows no redirect."""
    url = f"{base_url.rstrip('/')}/{PATH}"
    bounds, server = small(limits), origin(base_url).server
    with open_session(network, bounds) as session:
        session.headers["Accept"] = "application/json"
        request = session.prepare_request(requests.Request("GET", url))
        reply = exchange(session, request, limits=bounds, monotonic=time.monotonic)
    if reply.status in (404, 410):
        return None
    if reply.status != 200:
        raise _remote(f"{PATH} was answered with {reply.status}", server)
    try:
        told = fhir_json.parse(reply.raw)
    except BridgeError:
        raise _remote(f"{PATH} is no JSON object", server) from None
    endpoint = told.get("token_endpoint")
    return Discovery(
        endpoint if isinstance(endpoint, str) else "",
        frozenset(_texts(told.get("capabilities"))),
        tuple(
            alg
            for alg in _texts(told.get("token_endpoint_auth_signing_alg_values_supported"))
            if alg in ALGORITHMS
        ),
    )


def token_url(base_url: str, found: Discovery | None, given: str) -> str:
    """The token URL to pin. One at another origin than the FHIR server counts only where a person
    gave it: a server must not be able to name another hospital's."""
    url = given or (found.token_url if found else "")
    server = origin(base_url).server
    if not url:
        cause = "the server does not say where its tokens are had"
        raise BridgeError(Issue("value", cause, "ask the hospital, give --token-url", place=server))
    there = origin(url, category="value")
    if "#" in url:
        raise BridgeError(Issue("value", "the token URL holds a fragment", "give it without"))
    if origin(base_url).scheme == "https" and there.scheme != "https":
        raise BridgeError(Issue("value", "the token URL is not https", "ask the hospital for it"))
    if not given and not same_origin(url, base_url):
        cause = f"the server names a token URL at another origin, {there.server}"
        remedy = f"have the hospital confirm it, and give it: --token-url {url}"
        raise BridgeError(Issue("value", cause, remedy, place=server))
    return url


def moved(found: Discovery | None, pinned: str) -> str:
    """What is told where the server names another token URL than the pinned one, else empty."""
    if found is None or not found.token_url or found.token_url == pinned:
        return ""
    try:
        there = origin(found.token_url, category="remote").server
    except BridgeError:
        there = "an unreadable URL"
    return f"the server now names another token URL, at {there}; the pinned one is used"


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _remote(cause: str, server: str) -> BridgeError:
    return BridgeError(
        Issue("remote", cause, "ask the hospital, or give --token-url", place=server)
    )
