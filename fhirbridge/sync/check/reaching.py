"""Steps from the network to the login: address, certificate, metadata, clock, token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fhirbridge.outcome import BridgeError
from fhirbridge.servers import certificates
from fhirbridge.servers.answer import Answer
from fhirbridge.servers.auth import NoAuth
from fhirbridge.servers.discovery import discover, moved
from fhirbridge.servers.quirks import software_of
from fhirbridge.sync.check.step import Examination, Step, Stop

_SOON = 30  # days before its end that a certificate is worth a word
_DRIFT = 60.0  # seconds between both clocks that are worth a word


def address(seen: Examination) -> Iterator[Step]:
    server = seen.server
    try:
        found = certificates.addresses(server.base_url, server.network)
    except BridgeError as fault:
        yield Step.of("address", fault)
        raise Stop from fault
    yield Step("address", "ok", f"resolves to {', '.join(found)}")


def certificate(seen: Examination) -> Iterator[Step]:
    server = seen.server
    seconds = server.limits.connect_timeout
    try:
        shown = certificates.certificate(server.base_url, server.network, seconds=seconds)
    except BridgeError as fault:
        yield Step.of("certificate", fault)
        raise Stop from fault
    if shown is None:
        told = "http: whoever is on the way reads and changes what goes by"
        yield Step("certificate", "warning", told, "ask for an https URL")
        return
    days = (shown.until - seen.now).days
    told = f"{shown.protocol}, by {shown.issuer}, until {shown.until:%Y-%m-%d} ({days} days)"
    soon = "have the certificate renewed" if days < _SOON else ""
    yield Step("certificate", "warning" if soon else "ok", told, soon)


def metadata(seen: Examination) -> Iterator[Step]:
    """An R4 server that says what it is; without a statement the steps after it look themselves."""
    try:
        answer = _openly(seen)
    except BridgeError as fault:
        yield Step.of("metadata", fault)
        if fault.issues[0].category == "transient":
            raise Stop from fault
        return
    seen.date = answer.headers.get("Date", "")
    if answer.status >= 400:
        remedy = "ask for the FHIR base URL; /metadata should be open"
        yield Step("metadata", "failed", f"answered {answer.status}", remedy)
        return
    seen.statement = answer.body or {}
    version, software = seen.statement.get("fhirVersion"), software_of(seen.statement) or "?"
    told = f"{answer.status}, FHIR {version}, {software}"
    if version != "4.0.1":
        yield Step("metadata", "failed", told, "this is no R4 server: ask for its R4 base URL")
        return
    yield Step("metadata", "ok", told)


def _openly(seen: Examination) -> Answer:
    """Without credentials first: it should be open, and we may not be registered yet."""
    with replace(seen.server, auth=NoAuth()) as stranger:
        try:
            return stranger.capability()
        except BridgeError as fault:
            if fault.issues[0].category == "transient":
                raise
    return seen.server.capability()


def clock(seen: Examination) -> Iterator[Step]:
    try:
        theirs = parsedate_to_datetime(seen.date)
    except ValueError:
        yield Step("clock", "unknown", "the server sends no Date header")
        return
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    drift = (theirs - seen.now).total_seconds()
    if abs(drift) <= _DRIFT:
        yield Step("clock", "ok", f"within {_DRIFT:.0f} seconds of ours")
        return
    side = "ahead of" if drift > 0 else "behind"
    remedy = "have both clocks set by NTP: signed logins end within minutes"
    yield Step("clock", "warning", f"{abs(drift):.0f} seconds {side} ours", remedy)


def token_url(seen: Examination) -> Iterator[Step]:
    """What the server says of its tokens never moves the pinned URL; a difference is told."""
    if seen.login is None:
        return
    server = seen.server
    try:
        found = discover(server.base_url, network=server.network, limits=server.limits)
    except BridgeError as fault:
        yield Step.of("token URL", fault, "warning")
        return
    if told := moved(found, seen.login.token_url):
        remedy = "refused: have the hospital confirm it by telephone, then add the connection anew"
        yield Step("token URL", "failed", told, remedy)
        return
    told = "as the server says" if found else "given by hand; the server has no SMART configuration"
    yield Step("token URL", "ok", f"{seen.login.token_url}, {told}")


def login(seen: Examination) -> Iterator[Step]:
    """The token, and which types it opens. Of other logins the searches tell."""
    if seen.login is None:
        return
    try:
        seen.granted = {name: seen.server.granted(name) for name in seen.types}
    except BridgeError as fault:
        yield Step.of("login", fault)
        raise Stop from fault
    asked = seen.login.scopes
    shut = [name for name, open in seen.granted.items() if not open]
    unsent = [name for name in seen.sent if not seen.server.granted(name, "cu")]
    if shut or unsent:
        parts = [f"not granted: reading {', '.join(shut)}"] if shut else []
        parts += [f"not granted: writing {', '.join(unsent)}"] if unsent else []
        remedy = f"ask the hospital to allow: {asked}"
        yield Step("login", "warning", f"a token came; {'; '.join(parts)}", remedy)
        return
    yield Step("login", "ok", f"a token came, with all that was asked: {asked}")


def now() -> datetime:
    return datetime.now(UTC)
