"""job, schedule: what is to be done in the background, and when it comes again."""

from __future__ import annotations

from datetime import datetime

import click

from fhirbridge.commands.shared import MOST, Workshop, pass_workshop, tell_more
from fhirbridge.jobs import rules
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.registry.jobs import STATES, Job
from fhirbridge.registry.listings import Wanted
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import jobs as use

_SITE = click.option("--site", "site_name", required=True)


@click.group()
def job() -> None:
    """Background jobs: pulls and deliveries, done by 'fhirbridge work'."""


@job.command("add")
@click.argument("kind", type=click.Choice([*use.KINDS]))
@click.option("--connection", help="its name, where the site has several")
@_SITE
@pass_workshop
def job_add(workshop: Workshop, kind: str, connection: str | None, site_name: str) -> None:
    """Have a pull, a full pull or a delivery done as soon as a worker is free."""
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        made = use.add(unit, kind, connection, by=COMMAND_LINE)
        unit.commit()
    click.echo(made.id)


@job.command("list")
@click.option("--state", type=click.Choice(STATES))
@click.option("--after", help="the id of the last job of the page before")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, MOST))
@_SITE
@pass_workshop
def job_list(
    workshop: Workshop, state: str | None, after: str | None, limit: int, site_name: str
) -> None:
    """The newest first."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        page = unit.listings.jobs(Wanted(after, limit), state=state)
        names = {one.id: one.name for one in unit.connections.all()}
    for one in page.items:
        told = f" - {one.issues[0].sentence()}" if one.issues else ""
        state_of = f"{one.state} not before {_stamp(one.not_before)}" if _waits(one) else one.state
        click.echo(f"{one.id} {one.kind} {names[one.connection_id]}: {state_of}{told}")
    tell_more(page)


@job.command("show")
@click.argument("id")
@_SITE
@pass_workshop
def job_show(workshop: Workshop, id: str, site_name: str) -> None:
    """What became of a job, and why; where it ended, what its run counted."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        found = use.known(unit, id)
        run = unit.runs.get(found.run_id) if found.run_id else None
    click.echo(f"{found.kind}: {found.state}, made by {found.made_by} {_stamp(found.made_at)}")
    click.echo(f"not before {_stamp(found.not_before)}, attempts {found.attempts}")
    for name, moment in (("begun", found.begun_at), ("ended", found.ended_at)):
        if moment:
            click.echo(f"{name} {_stamp(moment)}")
    for issue in found.issues:
        click.echo(f"because {issue.sentence()}")
    if run:
        counts = ", ".join(f"{number} {name}" for name, number in sorted(run.counts.items()))
        click.echo(f"run {run.id}: {run.state}; {counts}")
        for reason in run.reasons:
            click.echo(f"incomplete because {reason}")


@job.command("cancel")
@click.argument("id")
@_SITE
@pass_workshop
def job_cancel(workshop: Workshop, id: str, site_name: str) -> None:
    """A job that waits is not done; one that runs ends before its next commit."""
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        use.cancel(unit, id, by=COMMAND_LINE)
        unit.commit()
    click.echo("cancelled")


@job.command("retry")
@click.argument("id")
@_SITE
@pass_workshop
def job_retry(workshop: Workshop, id: str, site_name: str) -> None:
    """A job that is dead or cancelled is due again."""
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        use.retry(unit, id, by=COMMAND_LINE)
        unit.commit()
    click.echo("due")


@click.group()
def schedule() -> None:
    """When a connection's jobs come again."""


@schedule.command("set")
@click.argument("connection")
@click.option("--pull", help="'every 15m', 'daily 02:00', 'weekly sun 03:00', or 'never'")
@click.option("--full", help="the same for full pulls")
@click.option("--deliver", help="the same for deliveries")
@click.option("--zone", default="UTC", show_default=True, help="of times of day: Europe/Berlin")
@_SITE
@pass_workshop
def schedule_set(
    workshop: Workshop, /, connection: str, zone: str, site_name: str, **given: str | None
) -> None:
    """Say when CONNECTION is pulled and delivered to; what is not named stays as it is."""
    asked = {kind: rule for kind, rule in given.items() if rule is not None}
    if not asked:
        raise BridgeError(Issue("value", "nothing is set", "give --pull, --full or --deliver"))
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        held = unit.connections.by_name(connection)
        for kind, rule in asked.items():
            if rule == "never":
                unit.schedules.remove(held.id, kind)
                continue
            next_at = rules.read(rule, zone).after(unit.now())
            unit.schedules.put(
                held.id, kind, rule=rule, zone=zone, next_at=next_at, by=COMMAND_LINE
            )
        told = {"connection": held.id, "kinds": sorted(asked)}
        unit.audit.note("U", "schedule.set", actor=COMMAND_LINE, entities=told)
        _show(unit)
        unit.commit()


@schedule.command("list")
@_SITE
@pass_workshop
def schedule_list(workshop: Workshop, site_name: str) -> None:
    """The schedules of a site, and the next times of each."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        _show(unit)


def _show(unit: Unit) -> None:
    names = {one.id: one.name for one in unit.connections.all()}
    for one in unit.schedules.all():
        rule = rules.read(one.rule, one.zone)
        times = [one.next_at, *rule.times(one.next_at, 2)]
        told = ", ".join(f"{time.astimezone(rule.zone):%Y-%m-%d %H:%M}" for time in times)
        click.echo(f"{names[one.connection_id]} {one.kind}: {one.rule} {one.zone}: {told}, ...")


def _waits(job: Job) -> bool:
    return job.state == "waiting"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
