"""How a server is reached: its addresses and its certificate, before any request."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers import trust
from fhirbridge.servers.network import Forbidden, Network, forbidden
from fhirbridge.servers.origin import origin


@dataclass(frozen=True, slots=True)
class Certificate:
    """Of a server that proved who it is."""

    until: datetime
    issuer: str
    protocol: str


def addresses(base_url: str, network: Network) -> tuple[str, ...]:
    """Those that may be asked; `BridgeError` where the name is unknown or none is left."""
    there = origin(base_url)
    try:
        return network.addresses(there.host, there.port)
    except Forbidden as fault:
        reason = str(fault)
    except OSError:
        cause = "the host name cannot be resolved"
        raise BridgeError(
            Issue("transient", cause, "check the URL and DNS", place=there.server)
        ) from None
    raise forbidden(reason, there.server)


def certificate(base_url: str, network: Network, *, seconds: float) -> Certificate | None:
    """None for a server that is asked by http. `BridgeError` tells what is wrong with its TLS."""
    there = origin(base_url)
    if there.scheme != "https":
        return None
    context = trust.context(network)
    address = (addresses(base_url, network)[0], there.port)
    try:
        with (
            socket.create_connection(address, seconds) as plain,
            context.wrap_socket(plain, server_hostname=there.host) as wrapped,
        ):
            shown, protocol = wrapped.getpeercert() or {}, wrapped.version() or ""
    except ssl.SSLCertVerificationError as fault:
        raise BridgeError(trust.distrusted(fault, there.server)) from None
    except ssl.SSLError as fault:
        cause = f"there is no TLS: {(fault.reason or 'unknown').lower().replace('_', ' ')}"
        raise _tls(cause, "check that the port speaks https", there.server) from None
    except OSError:
        cause = "the server could not be reached"
        raise _tls(cause, "check URL and firewall", there.server) from None
    until = ssl.cert_time_to_seconds(str(shown["notAfter"]))
    return Certificate(datetime.fromtimestamp(until, UTC), _issuer(shown), protocol)


def _issuer(shown: object) -> str:
    parts = shown.get("issuer", ()) if isinstance(shown, dict) else ()
    named = {name: value for part in parts for name, value in part}
    return str(named.get("organizationName") or named.get("commonName") or "unknown")


def _tls(cause: str, remedy: str, server: str) -> BridgeError:
    return BridgeError(Issue("transient", cause, remedy, place=server))
