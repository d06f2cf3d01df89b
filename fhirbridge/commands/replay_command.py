"""replay: what waits is read again, or the difference is told first."""

from __future__ import annotations

import click

from fhirbridge.commands.shared import Workshop, pass_workshop, tell_issues
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import POLICIES
from fhirbridge.sync.replay import Outcome, Selection
from fhirbridge.sync.replay import replay as replay_messages


@click.command()
@click.option("--site", "site_name", required=True, help="name of the site")
@click.option(
    "--cause",
    "causes",
    multiple=True,
    type=click.Choice(sorted(POLICIES)),
    metavar="CATEGORY",
    help="only what waits for this cause, for example unknown-code; repeatable",
)
@click.option("--code", "codes", multiple=True, help="only what waits for SYSTEM|CODE; repeatable")
@click.option("--message", "messages", multiple=True, help="only this message; repeatable")
@click.option("--rehearse", is_flag=True, help="tell the difference, and change nothing")
@pass_workshop
def replay(
    workshop: Workshop,
    site_name: str,
    causes: tuple[str, ...],
    codes: tuple[str, ...],
    messages: tuple[str, ...],
    rehearse: bool,
) -> None:
    """Read every message again of which something waits, with today's mappings and enrolments."""
    site = workshop.site(site_name)
    report = replay_messages(
        workshop.registry,
        site.id,
        lambda unit: workshop.mappings(unit, site),
        Selection(frozenset(causes), frozenset(codes), messages),
        rehearse=rehearse,
        tell=_tell,
    )
    number = len(report.outcomes)
    if rehearse:
        click.echo(f"{number} messages rehearsed; nothing was changed, {report.waits} wait")
    else:
        told = f"{report.waited} waited, {report.waits} still wait"
        click.echo(f"{number} messages replayed; {told}")
    raise SystemExit(1 if report.failed else 0)


def _tell(outcome: Outcome) -> None:
    """What changed of the message; nothing of what did not."""
    if outcome.receipt is None:
        click.echo(f"{outcome.message_id}: not read")
        tell_issues(outcome.issues)
        return
    counts = ", ".join(f"{n} {fate}" for fate, n in outcome.receipt.counts.items() if n)
    click.echo(f"{outcome.message_id}: {outcome.receipt.state}; {counts}")
    for one in outcome.entries:
        part = f" part {one.part}" if one.part else ""
        name = f"entry {one.position}{part} {one.resource_type or ''}".rstrip()
        click.echo(f"  {name}: {one.before or 'nothing'} -> {one.after or 'nothing'}")
    for change in outcome.fields:
        old, new = (_shown(value) for value in (change.old, change.new))
        click.echo(f"  {change.form} {change.record_id} {change.field}: {old} -> {new}")


def _shown(value: object) -> str:
    return "nothing" if value is None else fhir_json.dump(value).decode()
