"""message: what came, as it is kept; never its content."""

from __future__ import annotations

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.outcome import BridgeError, Issue

_SITE = click.option("--site", "site_name", required=True, help="name of the site")


@click.group()
def message() -> None:
    """Messages as they came."""


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
