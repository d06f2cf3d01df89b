"""receipt: what became of messages."""

from __future__ import annotations

import click

from fhirbridge.commands.shared import MOST, Workshop, pass_workshop, tell_more
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.listings import ReceiptHead, Wanted
from fhirbridge.registry.receipts import Receipt

_SITE = click.option("--site", "site_name", required=True, help="name of the site")


@click.group()
def receipt() -> None:
    """What became of messages."""


@receipt.command("list")
@_SITE
@click.option("--identifier", help="SYSTEM|VALUE of a resource that was sent")
@click.option("--source-id", help="Type/id of a resource that was sent")
@click.option("--key", help="Idempotency-Key, or what stood for it")
@click.option("--source", help="client:NAME or connection:NAME")
@click.option("--after", help="the receipt before the page")
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@pass_workshop
def receipt_list(
    workshop: Workshop,
    site_name: str,
    identifier: str | None,
    source_id: str | None,
    key: str | None,
    source: str | None,
    after: str | None,
    limit: int,
) -> None:
    """Of the newest messages first."""
    type, divided, id = (source_id or "").partition("/")
    if source_id is not None and not (type and divided and id):
        raise BridgeError(Issue("value", "--source-id is no Type/id", "give both"))
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        page = unit.listings.receipts(
            Wanted(after, limit),
            source=source,
            key=key,
            identifier=identifier,
            source_id=(type, id) if source_id is not None else None,
        )
    for one in page.items:
        click.echo(f"{one.id} {one.created_at:%Y-%m-%d %H:%M} {one.source} {_summary(one)}")
    tell_more(page)


@receipt.command("show")
@click.argument("id")
@_SITE
@pass_workshop
def receipt_show(workshop: Workshop, id: str, site_name: str) -> None:
    """Each entry of the message: its fate, and why."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        found = unit.receipts.get(id)
    if found is None:
        raise BridgeError(Issue("not-found", "there is no receipt with this id", "see X-Receipt"))
    _tell_receipt(found)


def _tell_receipt(found: Receipt) -> None:
    click.echo(f"receipt {found.id}: {_summary(found)}")
    for entry in found.entries:
        also = ", also" if entry.part else ""
        click.echo(f"  entry {entry.position} {entry.resource_type or ''}{also}: {entry.fate}")
        for issue in entry.issues:
            click.echo(f"    {issue.sentence()}")


def _summary(found: Receipt | ReceiptHead) -> str:
    counts = ", ".join(f"{number} {fate}" for fate, number in found.counts.items() if number)
    return f"{found.state}; {counts}"
