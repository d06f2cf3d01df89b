"""consent: whether the study may read of a person, recorded by hand; and erasure."""

from __future__ import annotations

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.registry.store import Registry
from fhirbridge.sync import withdraw
from fhirbridge.sync.accept import Context
from fhirbridge.sync.consent import standing
from fhirbridge.sync.erase import Erased, erase

_SITE = click.option("--site", "site_name", required=True, help="name of the site")
_BY = click.option("--by", required=True, help="who records it")
_REASON = click.option("--reason", required=True, help="why; the record's history keeps it")
_WORDS = {
    "given": "consent is given",
    "untold": "no record says whether consent is given",
    "withdrawn": "consent is withdrawn: nothing more is read",
}


@click.group()
def consent() -> None:
    """Whether the study may read of a person."""


@consent.command("show")
@click.argument("study_id")
@_SITE
@pass_workshop
def consent_show(workshop: Workshop, study_id: str, site_name: str) -> None:
    """What the records of consent say, and what they come to."""
    site = workshop.site(site_name)
    with workshop.registry.read(site.id) as unit:
        if unit.tombstones.stand_for([("study-id", study_id)]):
            click.echo(f"{study_id}: erased; whatever is sent of this person is refused")
            return
        subject = withdraw.subject_of(unit, study_id)
        for one in withdraw.told(unit, subject):
            told = ", ".join(f"{name} {value}" for name, value in one.fields.items())
            click.echo(f"  {told}")
        click.echo(f"{study_id}: {_WORDS[standing(unit, subject.id)]}; site: {site.consent}")


@consent.command("give")
@click.argument("study_id")
@_SITE
@_BY
@_REASON
@pass_workshop
def consent_give(workshop: Workshop, study_id: str, site_name: str, by: str, reason: str) -> None:
    """Record that consent is given from now on."""
    site = workshop.site(site_name)
    with workshop.registry.unit(site.id) as unit:
        context = Context(unit, workshop.mappings(unit, site), "", f"person:{by}")
        withdraw.give(context, withdraw.subject_of(unit, study_id), reason=reason)
        unit.commit()
    click.echo(f"{study_id}: {_WORDS['given']}")


@consent.command("withdraw")
@click.argument("study_id")
@_SITE
@click.option(
    "--policy",
    type=click.Choice(["stop", "erase"]),
    required=True,
    help="stop: nothing more is read; erase: nothing is kept, either",
)
@_BY
@_REASON
@pass_workshop
def consent_withdraw(
    workshop: Workshop, study_id: str, site_name: str, policy: str, by: str, reason: str
) -> None:
    """Record that consent is withdrawn. What is erased cannot be brought back."""
    site, registry = workshop.site(site_name), workshop.registry
    if policy == "erase" and _erased_before(registry, site.id, study_id):
        registry.compact()
        click.echo(f"{study_id} was erased before")
        return
    with registry.unit(site.id) as unit:
        mappings = workshop.mappings(unit, site)
        subject = withdraw.subject_of(unit, study_id)
        if policy == "stop":
            context = Context(unit, mappings, "", f"person:{by}")
            withdraw.withdraw(context, subject, reason=reason)
            made = None
        else:
            made = erase(unit, mappings, subject, actor=f"person:{by}")
        unit.commit()
    if made is None:
        click.echo(f"{study_id}: {_WORDS['withdrawn']}")
        return
    _tell(study_id, made)
    registry.compact()


def _erased_before(registry: Registry, site_id: str, study_id: str) -> bool:
    with registry.read(site_id) as unit:
        return unit.tombstones.stand_for([("study-id", study_id)])


def _tell(study_id: str, made: Erased) -> None:
    rows = ", ".join(f"{number} {table}" for table, number in made.rows.items() if number)
    click.echo(f"{study_id} is erased: {rows}")
    click.echo(f"messages: {made.emptied} without a body now, {made.redacted} without a part")
    for one in made.delivered:
        there = one.remote_id or "not known whether it arrived, nor under which id"
        click.echo(f"delivered to {one.connection}: {one.type}/{one.fhir_id}, there: {there}")
    if made.delivered:
        click.echo(f"{len(made.delivered)} resources are at hospitals: have them taken back there")
