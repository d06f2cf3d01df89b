"""A connection as it is kept, made into a server that can be asked."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fhirbridge.options import ConnectionOptions
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers import auth, quirks
from fhirbridge.servers.auth import Auth
from fhirbridge.servers.client import Server
from fhirbridge.servers.login import Login, opened
from fhirbridge.servers.manners import Manners
from fhirbridge.servers.network import Network
from fhirbridge.servers.tokens import Assertion, ClientSecret, Proof, TokenAuth
from fhirbridge.servers.wire import Limits


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a connection, as far as requests need it."""

    base_url: str
    auth_kind: str
    secret: str = field(default="", repr=False)
    login: Mapping[str, Any] = field(default_factory=dict)
    software: str = ""  # as the server called itself when it was last checked
    options: ConnectionOptions = field(default_factory=ConnectionOptions)


def connect(
    kept: Kept,
    *,
    limits: Limits,
    networks: str = "",
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    dice: random.Random | None = None,
) -> Server:
    """`networks`: those of the settings, beside the connection's own. Sends nothing yet."""
    options = kept.options
    network = Network.of(networks, options.networks).believing(options.ca_file)
    manners = Manners.of(
        requests_per_second=options.requests_per_second, longest_wait=options.longest_wait
    )
    dice = dice or random.Random()
    proved: Auth
    if kept.auth_kind in auth.TOKENS:
        login = Login.of(kept.login)
        proof = _proof(kept, login, clock)
        longest = manners.longest_wait
        proved = TokenAuth(login, proof, network, limits, sleep, clock, dice=dice, longest=longest)
    else:
        proved = auth.build(kept.auth_kind, kept.secret)
    return Server(
        kept.base_url,
        auth=proved,
        limits=limits,
        network=network,
        manners=manners,
        quirks=quirks.named(options.quirks, kept.software),
        sleep=sleep,
        clock=clock,
        dice=dice,
    )


def _proof(kept: Kept, login: Login, clock: Callable[[], datetime]) -> Proof:
    if kept.auth_kind == "oauth2":
        return ClientSecret(login.client_id, kept.secret, in_body=login.method == "post")
    key = login.signing(clock())
    private = opened(kept.secret).get(key.kid)
    if private is None:
        cause = "the private part of the connection's key is missing"
        raise BridgeError(Issue("configuration", cause, "fhirbridge connection key rotate"))
    return Assertion(login.client_id, login.token_url, key.kid, key.alg, private, clock)
