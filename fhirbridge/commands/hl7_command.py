"""hl7: files of HL7 v2, single messages or batches, through the same door as the listener's."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import click

from fhirbridge.commands.shared import Workshop, pass_workshop, tell_issues
from fhirbridge.formats import hl7v2
from fhirbridge.outcome import BridgeError
from fhirbridge.registry.sites import Site
from fhirbridge.sync import additions, hl7v2_door, hl7v2_files

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("hl7")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--site", "site_name", required=True, help="name of the site")
@click.option("--feed", "feed_name", default="file", show_default=True, help="whose messages")
@click.option("--rehearse", is_flag=True, help="tell what would become of them, and keep nothing")
@pass_workshop
def hl7(
    workshop: Workshop, files: tuple[Path, ...], site_name: str, feed_name: str, rehearse: bool
) -> None:
    """Take files of HL7 v2: each message has a fate of its own, and trailers must tie."""
    site = workshop.site(site_name)
    fates: Counter[str] = Counter()
    reasons: list[str] = []
    for path in files:
        batch = hl7v2_files.read(path.read_bytes())
        reasons += [f"{path.name}: {reason}" for reason in batch.reasons]
        for number, body in enumerate(batch.messages, start=1):
            told = _take(workshop, site, f"feed:{feed_name}", body, rehearse=rehearse)
            fates[told] += 1
            click.echo(f"{path.name} {number} {_control_id(body)}: {told}")
    counted = ", ".join(f"{n} {fate}" for fate, n in sorted(fates.items())) or "none"
    click.echo(f"{fates.total()} messages: {counted}")
    for reason in reasons:
        click.echo(f"incomplete: {reason}")
    if reasons or fates["not stored"]:
        sys.exit(1)
    click.echo("complete")


def _take(workshop: Workshop, site: Site, source: str, body: bytes, *, rehearse: bool) -> str:
    """One transaction a message: what goes wrong with one undoes it alone."""
    try:
        with workshop.registry.unit(site.id) as unit:
            mappings = additions.mappings(workshop.library, unit, site.name)
            taken = hl7v2_door.take(unit, mappings, source, body)
            if not rehearse:
                unit.commit()
    except BridgeError as fault:
        tell_issues(fault.issues)
        return "not stored"
    tell_issues(hl7v2_door.waiting(taken.receipt))
    return taken.fate


def _control_id(body: bytes) -> str:
    try:
        return hl7v2.header(body).text(10) or "-"
    except ValueError:
        return "-"
