"""Fetches a client's JWK Set: the only thing that a request from outside can make us fetch.

https only, from public addresses only, unless the settings name the host; no redirect, bounded in
size and time. The address is judged as of any server (`network`): before anything is sent, and no
name that changes its address leads inside.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import requests

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers.network import EVERYWHERE, Network
from fhirbridge.servers.origin import Origin, origin
from fhirbridge.servers.wire import exchange, open_session

MOST_BYTES = 256_000
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})\b", re.IGNORECASE)
_NO_CACHE = re.compile(r"(?:^|[\s,])no-(?:store|cache)\b", re.IGNORECASE)
_LEAST, _MOST, _UNSAID = 60, 3600, 300  # seconds that a set is kept


@dataclass(frozen=True, slots=True)
class _Limits:
    connect_timeout: float = 2.0
    read_timeout: float = 1.0  # the whole body may take five of these
    max_answer: int = MOST_BYTES
    retries: int = 1


@dataclass(frozen=True, slots=True)
class Fetched:
    """`seconds`: how long it may be kept."""

    raw: bytes
    seconds: int


def allowed(url: str, *, private: str) -> Origin:
    """The URL's origin; `BridgeError` (value) for one that is not fetched from.

    `private` are the hosts of the setting: `host` may lie inside, `host:port` speak http, too.
    """
    there = origin(url, category="value")
    if "#" in url:
        raise _refuse("the URL of the JWK Set holds a fragment")
    if there.scheme == "https" or there.server in _hosts(private):
        return there
    raise _refuse("the URL of the JWK Set is not https")


def fetch(url: str, *, private: str) -> Fetched:
    """Raises `BridgeError` (value, remote, transient, too-long) that names the server alone."""
    there = allowed(url, private=private)
    inside = bool({there.host, there.server} & _hosts(private))
    with open_session(EVERYWHERE if inside else Network(), _Limits()) as session:
        session.headers["Accept"] = "application/json"
        request = session.prepare_request(requests.Request("GET", url))
        reply = exchange(session, request, limits=_Limits(), monotonic=time.monotonic)
    if reply.status != 200:
        cause = f"the JWK Set was answered with {reply.status}"
        raise BridgeError(Issue("remote", cause, "see that the URL is right", place=there.server))
    return Fetched(reply.raw, _seconds(reply.headers.get("Cache-Control", "")))


def _seconds(cache_control: str) -> int:
    """What the answer allows, within an hour and not below a minute.

    >>> _seconds("public, max-age=600"), _seconds("no-store"), _seconds("max-age=999999")
    (600, 60, 3600)
    """
    found = _MAX_AGE.search(cache_control)
    asked = int(found[1]) if found else _UNSAID
    return min(max(0 if _NO_CACHE.search(cache_control) else asked, _LEAST), _MOST)


def _hosts(private: str) -> set[str]:
    return {one.strip().lower() for one in private.split(",") if one.strip()}


def _refuse(cause: str) -> BridgeError:
    remedy = "give an https URL, or name its host in FHIRBRIDGE_KEY_HOSTS"
    return BridgeError(Issue("value", cause, remedy))
