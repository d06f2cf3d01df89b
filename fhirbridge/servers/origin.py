"""Origins of URLs (RFC 6454): scheme, host and port, the boundary that no credential crosses.

Refuses every spelling that two URL parsers could read in two ways, instead of repairing it.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from typing import NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from fhirbridge.outcome import BridgeError, Issue

_PORTS = {"http": 80, "https": 443}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_ADDRESS = re.compile(r"[0-9a-f:.]*:[0-9a-f:.]*")  # IPv6, as urlsplit gives it: without brackets
# A last label like this makes the host an IPv4 address to browsers and to getaddrinfo:
# 127.1, 0x7f.1, 0177.0.0.1, 2130706433 are all 127.0.0.1 (https://url.spec.whatwg.org/#host-parsing).
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_REMEDY = "use an absolute http(s) URL with a plain host name, without user, password or backslash"


class Origin(NamedTuple):
    """Scheme, lower-case host and port; two URLs share credentials only where all three agree."""

    scheme: str
    host: str
    port: int

    @property
    def server(self) -> str:
        """`host:port`, for messages: unlike a URL it never holds a patient's identifier."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def origin(url: str, *, category: str = "configuration") -> Origin:
    """The origin of an absolute URL; `category` is that of the error for any other text.

    >>> origin("HTTPS://Fhir.Example.org/R4") == origin("https://fhir.example.org:443/other")
    True
    """
    parts = _split(url, category)
    host = parts.hostname or ""
    if parts.scheme not in _PORTS:
        raise _refuse("the URL's scheme is not http or https", category)
    if "@" in parts.netloc:
        raise _refuse("the URL holds a user name or password", category)
    if not (_NAME.fullmatch(host) or _ADDRESS.fullmatch(host)):
        raise _refuse("the URL's host is missing or no plain host name", category)
    if _NUMBER.fullmatch(host.rpartition(".")[2]) and not _is_ipv4(host):
        raise _refuse("the URL's host is a number, but no address of four parts", category)
    return Origin(parts.scheme, host, _port(parts, category))


def same_origin(a: str, b: str) -> bool:
    """True where both URLs have one origin; raises `BridgeError` where one of them has none."""
    return origin(a) == origin(b)


def resolve(page_url: str, link: str) -> str:
    """A server's link as an absolute URL, relative ones against the page they stand on.

    Host in lower case and without its default port, so that one page has one URL.
    Raises `BridgeError` (remote) for a link without a usable origin.
    """
    _split(link, "remote")
    try:
        joined = urljoin(page_url, link)
    except ValueError:
        raise _refuse("the link cannot be read as a URL", "remote") from None
    there = origin(joined, category="remote")
    server = there.server
    if there.port == _PORTS[there.scheme]:
        server = server.rpartition(":")[0]
    return urlsplit(joined)._replace(netloc=server).geturl()


def _split(url: str, category: str) -> SplitResult:
    """urlsplit drops tabs and line ends in silence, browsers read `\\` as `/`: neither passes.

    A backslash in the query is FHIR's own escape (https://hl7.org/fhir/R4/search.html#escaping).
    """
    if _CONTROL.search(url) or url != url.strip():
        raise _refuse("the URL holds control characters or surrounding blanks", category)
    if "\\" in re.split(r"[?#]", url, maxsplit=1)[0]:
        raise _refuse("the URL holds a backslash", category)
    try:
        return urlsplit(url)
    except ValueError:
        raise _refuse("the URL cannot be read", category) from None


def _is_ipv4(host: str) -> bool:
    """Four decimal parts without leading zeros."""
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def _port(parts: SplitResult, category: str) -> int:
    try:
        port = parts.port
    except ValueError:  # HAPI behind a proxy has written host:443:443 into its next links
        raise _refuse("the URL's port is no number from 1 to 65535", category) from None
    if port == 0:
        raise _refuse("the URL's port is no number from 1 to 65535", category)
    return _PORTS[parts.scheme] if port is None else port


def _refuse(cause: str, category: str) -> BridgeError:
    return BridgeError(Issue(category, cause, _REMEDY))
