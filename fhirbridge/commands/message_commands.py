"""message: what came, as it is kept; never its content."""

from __future__ import annotations

import click

from fhirbridge.commands.shared import MOST, Workshop, pass_workshop, tell_more
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.listings import Wanted

_SITE = click.option("--site", "site_name", required=True, help="name of the site")


@click.group()
def message() -> None:
    """Messages as they came."""


@message.command("list")
@_SITE
@click.option("--source", help="client:NAME or connection:NAME")
@click.option("--after", help="the message before the page")
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@pass_workshop
def message_list(
    workshop: Workshop, site_name: str, source: str | None, after: str | None, limit: int
) -> None:
    """The newest first."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        page = unit.listings.messages(Wanted(after, limit), source=source)
    for one in page.items:
        click.echo(f"{one.id} {one.received_at:%Y-%m-%d %H:%M} {one.source} {one.kind} {one.state}")
    tell_more(page)


@message.command("show")
@click.argument("id")
@_SITE
@pass_workshop
def message_show(workshop: Workshop, id: str, site_name: str) -> None:
    """Where the message came from, whether all of it is kept, and what became of it."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        found = unit.messages.get(id)
        receipt = unit.receipts.of_message(id)
    if found is None or receipt is None:
        cause = "there is no message with this id"
        raise BridgeError(Issue("not-found", cause, "see 'fhirbridge quarantine list'"))
    click.echo(f"{found.id}: {found.kind} from {found.source}, {found.received_at:%Y-%m-%d %H:%M}")
    click.echo(f"  {found.state}, {len(found.body)} bytes; SHA-256 as it came: {found.sha256}")
    counts = ", ".join(f"{n} {fate}" for fate, n in receipt.counts.items() if n)
    click.echo(f"  receipt {receipt.id}: {receipt.state}; {counts}")
