"""site canary: whether characters, clock and answers come through a site's real channel."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from fhirbridge.commands.listen_command import only_of, secured
from fhirbridge.commands.onboard_command import site
from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.crash import Crash
from fhirbridge.formats import hl7v2, tabular_text, tabular_xlsx
from fhirbridge.listener.server import Listener
from fhirbridge.listener.watched import WatchedDesk
from fhirbridge.mapping.feed import Feed as Rules
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.feeds import Feed
from fhirbridge.sync import canary
from fhirbridge.sync.canary import Answered, Finding
from fhirbridge.web import logs

__all__ = ["site", "site_canary"]
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)


@site.command("canary")
@click.argument("came", required=False, type=_FILE)
@click.option("--site", "site_name", required=True, help="name of the site")
@click.option("--write", "out", type=_OUT, help="write the canary: a .hl7 message or a .csv table")
@click.option("--charset", default="", help="of what is written, or of a table that came")
@click.option("--feed", "feed_name", help="listen for it on this feed of rehearsal")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--wait", default=300.0, show_default=True, help="seconds until it must have come")
@click.option("--settle", default=15.0, show_default=True, help="seconds to see it come again")
@secured
@pass_workshop
def site_canary(
    workshop: Workshop,
    /,
    came: Path | None,
    site_name: str,
    out: Path | None,
    charset: str,
    feed_name: str | None,
    host: str,
    wait: float,
    settle: float,
    **tls: Path | int | None,
) -> None:
    """See what a site's channel does to a message or table of nobody: write it, have the site send
    it, and look at what CAME as a file or by the feed. Nothing of it is kept."""
    if [came, out, feed_name].count(None) != 2:
        cause = "one thing at a time: write the canary, look at a file, or listen on a feed"
        raise BridgeError(Issue("value", cause, "give one of --write, CAME and --feed"))
    known = workshop.site(site_name)
    rules = workshop.library.of_site(known.name).shapes.feed
    if out is not None:
        _write(out, rules, charset)
        return
    if came is not None:
        found = _of_file(came, rules, charset, most=workshop.settings.import_bytes)
    else:
        feed = _feed(workshop, known.id, str(feed_name))
        found = _of_feed(workshop, feed, rules, host, (wait, settle), tls)
    for one in found:
        click.echo(one.line())
    sys.exit(1 if any(one.state == "wrong" for one in found) else 0)


def _write(out: Path, rules: Rules, charset: str) -> None:
    now = datetime.now(UTC)
    kind = out.suffix.lower()
    if kind not in (".hl7", ".csv"):
        raise BridgeError(Issue("value", f"{out.name} is neither .hl7 nor .csv", "name it so"))
    told = charset or rules.charset or "UNICODE UTF-8"
    if kind == ".hl7" and told.upper() not in hl7v2.CHARSETS:
        raise BridgeError(Issue("value", f"the charset '{told}' is not read here", "see MSH-18"))
    out.write_bytes(canary.message(now, rules, told) if kind == ".hl7" else canary.table(now))
    click.echo(f"{out.name} written; have the site send it as it sends its own")


def _of_file(path: Path, rules: Rules, charset: str, *, most: int) -> list[Finding]:
    now, status = datetime.now(UTC), path.stat()
    if status.st_size > most:
        raise BridgeError(Issue("too-long", f"{path.name} is no canary", "send the canary alone"))
    body = path.read_bytes()
    saved = datetime.fromtimestamp(status.st_mtime, UTC)
    if body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"MSH", b"FHS", b"BHS")):
        return canary.examine(Answered(body, (), 0.0, saved), rules, by_file=True)
    try:
        rows = _rows(body, charset)
    except BridgeError as fault:
        return [Finding("characters", "wrong", i.cause, i.remedy) for i in fault.issues]
    return canary.examine_table(rows, saved, now)


def _rows(body: bytes, charset: str) -> list[tuple[str, ...]]:
    def known(name: str) -> bool:
        return name in ("canary", "value")

    if tabular_xlsx.is_workbook(body):
        sheet = tabular_xlsx.open_workbook(body, known, [known])
    else:
        sheet = tabular_text.open_text(body, known, [known], charset=charset)
    return [row.cells for row in sheet.rows()]


def _feed(workshop: Workshop, site_id: str, name: str) -> Feed:
    with workshop.registry.read(site_id) as unit:
        found = next((one for one in unit.feeds.all() if one.name == name), None)
    if found is None or not found.rehearsal:
        cause = f"{name} is no feed of rehearsal of this site"
        remedy = "fhirbridge feed add NAME --site S --port PORT --rehearsal"
        raise BridgeError(Issue("not-found", cause, remedy))
    return found


def _of_feed(
    workshop: Workshop,
    feed: Feed,
    rules: Rules,
    host: str,
    seconds: tuple[float, float],
    tls: dict[str, Path | int | None],
) -> list[Finding]:
    """What comes by the feed is answered as the real one would be, and thrown away."""
    logs.install()
    desk = WatchedDesk(workshop.registry, workshop.library, Crash())
    with workshop.registry.read() as unit:
        sites = {one.id: one.name for one in unit.sites.all()}
    listener = Listener(desk, sites)
    try:
        port = only_of(feed, listener, host, tls)
        click.echo(f"ready on port {port}; waiting {seconds[0]:g} seconds for the canary")
        came = desk.awaited(seconds[0], settle=seconds[1])
    finally:
        listener.stop()
    if came is None:
        told = f"nothing came by {feed.name} within {seconds[0]:g} seconds"
        remedy = f"see that the site reaches {host} port {port}: address, firewall, certificate"
        return [Finding("channel", "wrong", told, remedy)]
    return canary.examine(came, rules)
