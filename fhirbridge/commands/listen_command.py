"""listen: take HL7 v2 over MLLP; feed: by which port or certificate a site's messages come in."""

from __future__ import annotations

import re
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from fhirbridge.commands.serve_command import settle
from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.crash import Crash
from fhirbridge.listener.server import Limits, Listener, Secure, Whose, fingerprint
from fhirbridge.listener.taking import Desk
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.registry.feeds import Feed
from fhirbridge.web import logs

Command = Callable[..., None]
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SITE = click.option("--site", "site_name", required=True, help="name of the site")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.group()
def feed() -> None:
    """HL7 v2 feeds: what comes in by a port or with a certificate is that site's."""


@feed.command("add")
@click.argument("name")
@_SITE
@click.option("--port", type=click.IntRange(1, 65535), help="port of this feed alone")
@click.option("--certificate", help="SHA-256 of the client's certificate, in hexadecimal digits")
@click.option("--rehearsal", is_flag=True, help="messages are answered and thrown away")
@pass_workshop
def feed_add(
    workshop: Workshop,
    name: str,
    site_name: str,
    port: int | None,
    certificate: str | None,
    rehearsal: bool,
) -> None:
    """Add a feed; a listener that runs sees a new port when it is started again."""
    told = re.sub(r"[:\s]", "", certificate or "").lower()
    if (port is None) == (not told):
        cause = "a feed has a port or a certificate"
        raise BridgeError(Issue("value", cause, "give one of --port and --certificate"))
    if told and not re.fullmatch(r"[0-9a-f]{64}", told):
        cause = "that is no SHA-256 fingerprint"
        remedy = "see 'openssl x509 -noout -fingerprint -sha256'"
        raise BridgeError(Issue("value", cause, remedy, place="--certificate"))
    if not _NAME.fullmatch(name):
        cause = f"'{name}' is no name of a feed"
        raise BridgeError(Issue("value", cause, "use letters, digits, dot, hyphen", place="NAME"))
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        made = unit.feeds.add(name, port=port, fingerprint=told or None, rehearsal=rehearsal)
        unit.audit.note("C", "feed.add", actor=COMMAND_LINE, entities={"feed": made.id})
        unit.commit()
    click.echo(_line(made))


@feed.command("list")
@_SITE
@pass_workshop
def feed_list(workshop: Workshop, site_name: str) -> None:
    """The site's feeds."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        for one in unit.feeds.all():
            click.echo(_line(one))


@feed.command("end")
@click.argument("name")
@_SITE
@pass_workshop
def feed_end(workshop: Workshop, name: str, site_name: str) -> None:
    """Take no more of a feed, for good; connections that are open are hung up on."""
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        ended = unit.feeds.end(name)
        unit.audit.note("U", "feed.end", actor=COMMAND_LINE, entities={"feed": ended.id})
        unit.commit()
    click.echo(f"{ended.name} ended")


def _line(one: Feed) -> str:
    way = f"port {one.port}" if one.port else f"certificate {one.fingerprint}"
    return f"{one.name}: {way}{'; rehearsal, nothing is kept' if one.rehearsal else ''}"


_TLS = (
    click.option("--tls-port", type=click.IntRange(0, 65535), help="of feeds with a certificate"),
    click.option("--tls-cert", type=_FILE, help="our certificate (PEM)"),
    click.option("--tls-key", type=_FILE, help="its key (PEM)"),
    click.option("--tls-ca", type=_FILE, help="who vouches for the clients' certificates (PEM)"),
)


def secured(command: Command) -> Command:
    """With the options of TLS."""
    for option in reversed(_TLS):
        command = option(command)
    return command


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@secured
@click.option("--max-message", default=16 * 1024 * 1024, show_default=True, help="bytes")
@click.option("--frame-timeout", default=30.0, show_default=True, help="seconds")
@click.option("--answer-within", default=5.0, show_default=True, help="seconds; else hang up")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="of numbers for Prometheus")
@pass_workshop
def listen(
    workshop: Workshop,
    host: str,
    tls_port: int | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_ca: Path | None,
    max_message: int,
    frame_timeout: float,
    answer_within: float,
    metrics_port: int | None,
) -> None:
    """Take HL7 v2 over MLLP: on the port of each feed, and on one with TLS for the others."""
    secure = _secure(tls_port, tls_cert, tls_key, tls_ca)
    with workshop.registry.read() as unit:
        feeds = unit.feeds.all()
        sites = {site.id: site.name for site in unit.sites.all()}
    if not any(one.port for one in feeds) and secure is None:
        cause = "no feed has a port, and no port with TLS is given"
        raise BridgeError(Issue("configuration", cause, "see 'fhirbridge feed add'"))
    for name in sites.values():
        workshop.library.of_site(name)  # a fault of a site's files is told here
    logs.install()
    crash = Crash(workshop.settings.crash)
    desk = Desk(workshop.registry, workshop.library, crash, within=answer_within)
    listener = Listener(desk, sites, Limits(max_message, frame_timeout))
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with desk.metrics.served(host, metrics_port) as port:
        if port is not None:
            click.echo(f"metrics http://{host}:{port}/metrics")
        try:
            _open(listener, host, feeds)
            if secure is not None:
                port = listener.listen(host, tls_port or 0, _by_certificate(workshop), secure)
                click.echo(f"listening mllps://{host}:{port}")
            settle()
            click.echo("ready")
            stopped.wait()
        finally:
            listener.stop()


def _open(listener: Listener, host: str, feeds: list[Feed]) -> None:
    for one in feeds:
        if one.port:
            listener.listen(host, one.port, lambda _, feed=one: feed)  # type: ignore[misc]
            click.echo(f"listening mllp://{host}:{one.port} {one.name}")


def only_of(feed: Feed, listener: Listener, host: str, tls: Mapping[str, Path | int | None]) -> int:
    """Listen for this feed alone; the port."""
    if feed.port:
        return listener.listen(host, feed.port, lambda _: feed)
    port, *files = (tls[name] for name in ("tls_port", "tls_cert", "tls_key", "tls_ca"))
    cert, key, authorities = (one if isinstance(one, Path) else None for one in files)
    secure = _secure(port if isinstance(port, int) else None, cert, key, authorities)
    if secure is None:
        cause = f"{feed.name} comes with a certificate"
        raise BridgeError(Issue("configuration", cause, "give the four options of TLS"))

    def whose(connection: socket.socket) -> Feed | None:
        return feed if fingerprint(connection) == feed.fingerprint else None

    return listener.listen(host, int(str(port)), whose, secure)


def _by_certificate(workshop: Workshop) -> Whose:
    def whose(connection: socket.socket) -> Feed | None:
        told = fingerprint(connection)
        with workshop.registry.read() as unit:
            return next((one for one in unit.feeds.all() if one.fingerprint == told), None)

    return whose


def _secure(
    port: int | None, cert: Path | None, key: Path | None, ca: Path | None
) -> Secure | None:
    given = (port, cert, key, ca)
    if all(one is None for one in given):
        return None
    if cert is None or key is None or ca is None or port is None:
        remedy = "give --tls-port, --tls-cert, --tls-key and --tls-ca"
        raise BridgeError(Issue("configuration", "TLS needs four options", remedy))
    return Secure(cert, key, ca)
