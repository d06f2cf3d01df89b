"""verify: whether the registry holds what it promises."""

from __future__ import annotations

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.registry.sites import Site
from fhirbridge.sync.verify import verify as verify_site


@click.command()
@click.option("--site", "site_name", help="name of one site; without it all of them")
@pass_workshop
def verify(workshop: Workshop, site_name: str | None) -> None:
    """Look whether the ledger ties, the audit trail is unbroken and every resource is what the
    mapping makes of its record. Changes nothing.
    """
    with workshop.registry.read(None) as unit:
        sites = [unit.sites.by_name(site_name)] if site_name else unit.sites.all()
    faults = sum(_site(workshop, site) for site in sites) + _database(workshop)
    click.echo("all is well" if not faults else f"{faults} faults")
    raise SystemExit(1 if faults else 0)


def _site(workshop: Workshop, site: Site) -> int:
    click.echo(f"site {site.name}")
    with workshop.registry.read(site.id) as unit:
        findings = verify_site(unit, workshop.mappings(unit, site))
    for finding in findings:
        click.echo(f"  {finding.name}: {finding.told}")
        _tell(finding.faults, finding.number)
    return sum(finding.number for finding in findings)


def _database(workshop: Workshop) -> int:
    found = workshop.registry.faults()
    if found is None:
        click.echo("database: not looked at; pg_amcheck does it for PostgreSQL")
        return 0
    click.echo("database: SQLite looked at its file and at what belongs together")
    _tell(found, len(found))
    return len(found)


def _tell(faults: list[str], number: int) -> None:
    for fault in faults:
        click.echo(f"    fault: {fault}")
    if number > len(faults):
        click.echo(f"    and {number - len(faults)} more")
