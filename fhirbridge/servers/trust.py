"""Whose certificates are believed: the public authorities', and those that a connection names.

A hospital often signs its own. Its authority is believed of that connection's servers alone.
"""

from __future__ import annotations

import ssl

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers.network import Network

_REMEDIES = {
    9: "check the clock of both machines",  # not yet valid
    10: "have the server's certificate renewed; check this machine's clock",
    62: "ask for a certificate of this host name, or use the name that stands in it",
    64: "ask for a certificate of this address, or use the name that stands in it",
}
_UNKNOWN = (
    "set the connection's option ca_file to the hospital's authority, or have the server send its"
    " whole chain"
)


def context(network: Network) -> ssl.SSLContext:
    """Raises `BridgeError` (configuration) where the connection's file holds no certificates."""
    made = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
    if network.authorities:
        try:
            made.load_verify_locations(cafile=network.authorities)
        except (OSError, ssl.SSLError) as fault:
            cause = "the file of ca_file cannot be read, or holds no certificates in PEM"
            remedy = "give the path of the authority's certificates on this machine"
            raise BridgeError(Issue("configuration", cause, remedy, place="ca_file")) from fault
    return made


def distrusted(fault: ssl.SSLCertVerificationError, server: str) -> Issue:
    """What is wrong with the certificate, by OpenSSL's own words, and who can mend it."""
    why = str(fault.verify_message or "unknown").rstrip(".")
    cause = f"the server's certificate is not trusted: {why}"
    remedy = _REMEDIES.get(fault.verify_code, _UNKNOWN)
    return Issue("transient", cause, remedy, place=server)
