"""site, quarantine, record: the registry by hand."""

from __future__ import annotations

import json
from typing import Any, Literal

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.formats import fhir_json
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.study import records
from fhirbridge.study.records import Record
from fhirbridge.sync import visits
from fhirbridge.sync.project import values_of

ACTOR = COMMAND_LINE
_SITE = click.option("--site", "site_name", required=True, help="name of the site")


@click.group()
def site() -> None:
    """Sites of the study."""


@site.command("add")
@click.argument("name")
@click.option(
    "--unmatched",
    type=click.Choice(["hold", "enrol", "refuse"]),
    default="hold",
    help="what becomes of a patient whom nobody enrolled",
)
@click.option(
    "--consent",
    type=click.Choice(["enrolment", "record"]),
    default="enrolment",
    help="what allows to read of a person: the enrolment, or a record of consent",
)
@pass_workshop
def site_add(
    workshop: Workshop,
    name: str,
    unmatched: Literal["hold", "enrol", "refuse"],
    consent: Literal["enrolment", "record"],
) -> None:
    """Add a site."""
    with workshop.registry.unit(None) as unit:
        made = unit.sites.add(name, unmatched=unmatched, consent=consent)
        unit.audit.note("C", "site.add", actor=ACTOR, site_id=made.id)
        unit.commit()
    click.echo(f"site {name} added; patients whom nobody enrolled: {unmatched}")
    click.echo(f"what allows to read of a person: {consent}")


@site.command("list")
@pass_workshop
def site_list(workshop: Workshop) -> None:
    """The sites, and what waits at each."""
    with workshop.registry.read(None) as unit:
        sites = unit.sites.all()
    for one in sites:
        with workshop.registry.read(one.id) as unit:
            people, waits = len(unit.subjects.all()), unit.quarantine.count_waiting()
        told = f"unmatched {one.unmatched}, consent by {one.consent}"
        click.echo(f"{one.name}: {told}; {people} enrolled, {waits} waiting")


@click.group()
def quarantine() -> None:
    """What waits, and why."""


@quarantine.command("list")
@_SITE
@pass_workshop
def quarantine_list(workshop: Workshop, site_name: str) -> None:
    """The longest waiting first."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        held, count = unit.quarantine.waiting(), unit.quarantine.count_waiting()
    for one in held:
        part = " (a part)" if one.part % 2 else ""
        click.echo(f"{one.message_id} entry {one.position} {one.resource_type}{part}")
        for issue in one.issues:
            click.echo(f"  {issue.sentence()}")
    click.echo(f"{count} waiting")


@click.group()
def record() -> None:
    """The study's truth."""


@record.command("export")
@_SITE
@click.option("--json", "as_json", is_flag=True, help="the only form there is yet")
@pass_workshop
def record_export(workshop: Workshop, site_name: str, as_json: bool) -> None:
    """Every active record as JSON, with the hospital identifiers of its subject."""
    told = [fhir_json.dump(one).decode() for one in exported(workshop, site_name)]
    click.echo("[\n" + ",\n".join(told) + "\n]" if told else json.dumps([]))


def exported(workshop: Workshop, site_name: str) -> list[dict[str, Any]]:
    """Every active record of the site, with what tells whose and which it is; noted in the
    trail."""
    site = workshop.site(site_name)
    study = workshop.library.of_site(site.name).study
    told = []
    with workshop.registry.read(site.id) as unit:
        everyone = unit.subjects.all()
        for subject in everyone:
            ids = [{"system": s, "value": v} for s, v in unit.subjects.identities(subject.id)]
            held = unit.records.all(subject_id=subject.id)
            course = visits.course(study, held)
            for stored in held:
                if stored.status == "active":
                    made = Record(subject.study_id, stored.form, values_of(course.fields(stored)))
                    one = records.to_json(study, made, id=stored.id)
                    one |= {"subject_identifiers": ids}
                    placed = course.told(stored)
                    told.append(one | ({"visit": placed} if placed else {}))
    with workshop.registry.unit(site.id) as unit:
        named = {"subjects": [subject.id for subject in everyone]}
        unit.audit.note("R", "export", actor=ACTOR, entities=named)
        unit.commit()
    return told
