"""subject: who is enrolled. What hospitals call them goes in and never comes out again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from fhirbridge.commands.shared import Workshop, pass_workshop, tell_issues
from fhirbridge.formats import csv_records
from fhirbridge.outcome import BridgeError, Issue, failed
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.study import records
from fhirbridge.study.records import Identifier, Record
from fhirbridge.sync import visits
from fhirbridge.sync.accept import Context
from fhirbridge.sync.consent import standing
from fhirbridge.sync.enrol import enrol as enrol_subject
from fhirbridge.sync.enrol import lenient
from fhirbridge.sync.withdraw import subject_of

ACTOR = COMMAND_LINE
_SITE = click.option("--site", "site_name", required=True, help="name of the site")


@click.group()
def subject() -> None:
    """Enrolled persons."""


@subject.command("enrol")
@click.argument("study_id")
@_SITE
@click.option("--identifier", "identifiers", multiple=True, help="SYSTEM|VALUE in the hospital")
@pass_workshop
def subject_enrol(
    workshop: Workshop, study_id: str, site_name: str, identifiers: tuple[str, ...]
) -> None:
    """Enrol one person under the pseudonym STUDY_ID."""
    pairs = [_pair(text) for text in identifiers]
    site = workshop.site(site_name)
    with workshop.registry.unit(site.id) as unit:
        context = Context(unit, workshop.mappings(unit, site), "", ACTOR)
        enrol_subject(context, study_id, pairs)
        unit.commit()
    click.echo(f"{study_id} enrolled with {len(pairs)} identifiers")


def _pair(text: str) -> tuple[str, str]:
    system, _, value = text.partition("|")
    if not system or not value:
        raise BridgeError(Issue("value", "an identifier is SYSTEM|VALUE", "give both"))
    return system, value


@subject.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_SITE
@pass_workshop
def subject_import(workshop: Workshop, file: Path, site_name: str) -> None:
    """Enrol everyone of a CSV file with the columns of the form 'subject'."""
    site = workshop.site(site_name)
    study = lenient(workshop.library.of_site(site.name).study)
    form = study.form("subject")
    read, issues = csv_records.read_csv(study, form, file.read_bytes(), name=file.name)
    tell_issues(issues)
    if failed(issues):
        raise SystemExit(1)
    with workshop.registry.unit(site.id) as unit:
        context = Context(unit, workshop.mappings(unit, site), "", ACTOR)
        for record in read:
            _enrol_record(context, record)
        unit.commit()
    click.echo(f"{len(read)} enrolled")


def _enrol_record(context: Context, record: Record) -> None:
    vault = record.fields.get("hospital_ids", ())
    ids = vault if isinstance(vault, tuple) else ()
    pairs = [(i.system, i.value) for i in ids if isinstance(i, Identifier)]
    plain = {n: v for n, v in record.fields.items() if n != "hospital_ids"}
    fields = {name: records.value_to_json(value) for name, value in plain.items()}
    enrol_subject(context, record.subject, pairs, fields=fields)


@subject.command("list")
@_SITE
@pass_workshop
def subject_list(workshop: Workshop, site_name: str) -> None:
    """The study ids of everyone who is enrolled, with what consent comes to."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        enrolled = unit.subjects.all()
        for one in enrolled:
            click.echo(f"{one.study_id} consent: {standing(unit, one.id)}")
    click.echo(f"{len(enrolled)} enrolled")


@subject.command("show")
@click.argument("study_id")
@_SITE
@pass_workshop
def subject_show(workshop: Workshop, study_id: str, site_name: str) -> None:
    """How many records of which form there are, and how many identifiers are known."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        found = subject_of(unit, study_id)
        identities = unit.subjects.identities(found.id)
        records = unit.records.all(subject_id=found.id)
        told = standing(unit, found.id)
    click.echo(f"{found.study_id}: enrolled {found.created_at:%Y-%m-%d}, consent: {told}")
    click.echo(f"  {len(identities)} identifiers of {len({s for s, _ in identities})} systems")
    counted = Counter((one.form, one.status) for one in records)
    for (form, status), number in sorted(counted.items()):
        click.echo(f"  {form}: {number} {status}")


@subject.command("visits")
@click.argument("study_id")
@_SITE
@pass_workshop
def subject_visits(workshop: Workshop, study_id: str, site_name: str) -> None:
    """The visit to which each record is counted, what the visit takes of it, and what not."""
    site = workshop.site(site_name)
    study = workshop.library.of_site(site.name).study
    with workshop.registry.read(site.id) as unit:
        held = unit.records.all(subject_id=subject_of(unit, study_id).id)
    course = visits.course(study, held)
    click.echo(f"index operation: {course.index or course.reason}")
    for line in visits.lines(course, held):
        day = "" if line.day is None else f" (day {line.day})"
        click.echo(f"{line.form} {line.on}: {line.visit or 'no visit'}{day}")
        for told in filter(None, (line.reason, line.taken and f"takes {', '.join(line.taken)}")):
            click.echo(f"  {told}")
        for name, reason in line.passed.items():
            click.echo(f"  not {name}: {reason}")
