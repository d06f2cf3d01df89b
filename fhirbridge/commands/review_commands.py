"""proposal: what a person decides."""

from __future__ import annotations

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.formats import fhir_json
from fhirbridge.sync import review

_SITE = click.option("--site", "site_name", required=True, help="name of the site")


@click.group()
def proposal() -> None:
    """Values that wait for a person: two sources disagree, or the rule says that one must look."""


@proposal.command("list")
@_SITE
@pass_workshop
def proposal_list(workshop: Workshop, site_name: str) -> None:
    """What the record says, what is proposed, and by which rule it was read."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        waiting = unit.proposals.waiting()
        for one in waiting:
            record = unit.records.get(one.record_id)
            subject = unit.subjects.by_id(record.subject_id) if record else None
            if record is None or subject is None:
                continue
            now, new = (_shown(value) for value in (record.fields.get(one.field), one.value))
            click.echo(f"{one.id} {subject.study_id} {record.form} {record.key}")
            click.echo(f"  {one.field}: {now} -> {new} (read by {one.rule} at {one.path})")
    click.echo(f"{len(waiting)} waiting")


def _shown(value: object) -> str:
    return "nothing" if value is None else fhir_json.dump(value).decode()


@proposal.command("accept")
@click.argument("id")
@_SITE
@click.option("--by", required=True, help="who decides")
@click.option("--reason", required=True, help="why; the record's history keeps it")
@pass_workshop
def proposal_accept(workshop: Workshop, id: str, site_name: str, by: str, reason: str) -> None:
    """Take the proposed value into the record."""
    site = workshop.site(site_name)
    with workshop.registry.unit(site.id) as unit:
        mappings = workshop.mappings(unit, site)
        stored = review.accept(unit, mappings, id, by=by, reason=reason)
        unit.commit()
    click.echo(f"record {stored.id} is now at revision {stored.number}")


@proposal.command("refuse")
@click.argument("id")
@_SITE
@click.option("--by", required=True, help="who decides")
@click.option("--reason", required=True, help="why; the proposal keeps it")
@pass_workshop
def proposal_refuse(workshop: Workshop, id: str, site_name: str, by: str, reason: str) -> None:
    """Leave the record as it is."""
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        refused = review.refuse(unit, id, by=by, reason=reason)
        unit.commit()
    click.echo(f"{refused.field} stays as it is")
