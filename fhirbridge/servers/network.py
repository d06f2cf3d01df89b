"""Where requests may go: public addresses, and private networks that somebody named.

Metadata addresses of clouds are never asked, whatever was named. An address is judged as what it
stands for, whatever its spelling.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from fhirbridge.outcome import BridgeError, Issue

Address = IPv4Address | IPv6Address
Range = IPv4Network | IPv6Network

# Of AWS, Azure, Google and OpenStack by IPv4 and IPv6, of Alibaba, of Oracle, and of Azure's agent.
_METADATA = tuple(
    ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",
        "fd20:ce::254/128",
        "100.100.100.200/32",
        "192.0.0.192/32",
        "168.63.129.16/32",
    )
)
# RFC 6052, section 2.1, and RFC 8215: an IPv4 address in the last 32 bits.
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_REMEDY = (
    "where it is the hospital's server, name its network when you add the connection, as "
    "--network 10.20.0.0/16 (on this machine 127.0.0.1/32)"
)


@dataclass(frozen=True, slots=True)
class Network:
    """`allowed`: the private networks that may be asked, beside all public addresses.
    `authorities`: a PEM file of those whose certificates are believed, beside the public ones."""

    allowed: tuple[Range, ...] = ()
    authorities: str = ""

    @classmethod
    def of(cls, *texts: str) -> Network:
        """From networks in CIDR, with commas; `BridgeError` (value) for what is none."""
        words = [w.strip() for text in texts for w in text.split(",") if w.strip()]
        try:
            return cls(tuple(ip_network(word) for word in words))
        except ValueError as fault:
            cause, remedy = f"'{', '.join(words)}' holds no network", "write it as 10.20.0.0/16"
            raise BridgeError(Issue("value", cause, remedy)) from fault

    def believing(self, ca_file: str) -> Network:
        return replace(self, authorities=ca_file)

    def refused(self, address: Address) -> str:
        """Why this address is not asked; empty where it may be.

        >>> Network().refused(ip_address("2002:a9fe:a9fe::"))
        'a metadata or link-local address'
        >>> Network.of("10.20.0.0/16").refused(ip_address("::ffff:10.20.0.5"))
        ''
        """
        for one in meant(address):
            if any(one in net for net in _METADATA):
                return "a metadata or link-local address"
            if one.is_multicast or one.is_unspecified:
                return "no address of a single host"
        if any(one in net for one in meant(address) for net in self.allowed):
            return ""
        if any(one.is_loopback for one in meant(address)):
            return "an address of this machine"
        return "" if all(one.is_global for one in meant(address)) else "a private address"

    def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Those of the host that may be asked, as the name is resolved now.

        Raises `socket.gaierror`, or `Forbidden` where none is left.
        """
        told = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found = dict.fromkeys(str(one[4][0]) for one in told)
        reasons = {text: self.refused(ip_address(text)) for text in found}
        allowed = tuple(text for text, reason in reasons.items() if not reason)
        if not allowed:
            raise Forbidden(next(iter(reasons.values()), "no address"))
        return allowed

    def check_literal(self, host: str, server: str) -> None:
        """A host that is written as an address is judged before it is kept."""
        try:
            address = ip_address(host)
        except ValueError:
            return
        if reason := self.refused(address):
            raise forbidden(reason, server)


class Forbidden(OSError):
    """Every address of the host is one that must not be asked."""


def forbidden(reason: str, server: str) -> BridgeError:
    cause = f"the server's address is not allowed: {reason}"
    return BridgeError(Issue("configuration", cause, _REMEDY, place=server))


def meant(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 address that it stands for: mapped, 6to4, Teredo, NAT64.

    Python 3.11 calls the NAT64 and 6to4 forms of a private address global.
    """
    yield address
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.teredo:
            inner = address.teredo[1]
        if inner is None and any(address in net for net in _NAT64):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        compatible = int(address) >> 32 == 0 and int(address) > 1
        if inner is None and compatible:  # ::127.0.0.1, long out of use
            inner = IPv4Address(int(address))
        if inner is not None:
            yield inner


EVERYWHERE = Network((ip_network("0.0.0.0/0"), ip_network("::/0")))  # but to metadata
