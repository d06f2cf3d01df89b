"""crosswalk: a site's own lines, added while the service runs."""

from __future__ import annotations

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.mapping.crosswalk import RELATIONSHIPS
from fhirbridge.registry.crosswalk_lines import CrosswalkLine
from fhirbridge.sync import additions

_SITE = click.option("--site", "site_name", required=True, help="name of the site")
_BY = click.option("--by", required=True, help="who says so")
_REASON = click.option("--reason", required=True, help="how it is known; the line keeps it")


@click.group()
def crosswalk() -> None:
    """What a site's own codes mean."""


@crosswalk.command("add")
@click.argument("crosswalk")
@click.argument("code")
@click.argument("target", default="")
@_SITE
@click.option("--display", default="", help="what the hospital calls the code")
@click.option(
    "--relationship",
    type=click.Choice(sorted(RELATIONSHIPS)),
    default="equal",
    show_default=True,
)
@_BY
@_REASON
@pass_workshop
def crosswalk_add(
    workshop: Workshop,
    crosswalk: str,
    code: str,
    target: str,
    site_name: str,
    display: str,
    relationship: str,
    by: str,
    reason: str,
) -> None:
    """Let SYSTEM|CODE mean TARGET at this site, in the crosswalk CROSSWALK."""
    site = workshop.site(site_name)
    system, _, value = code.rpartition("|")
    with workshop.registry.unit(site.id) as unit:
        made = additions.add(
            unit,
            workshop.library,
            site.name,
            crosswalk=crosswalk,
            system=system,
            code=value,
            target=target,
            display=display,
            relationship=relationship,
            by=by,
            reason=reason,
        )
        unit.commit()
    click.echo(f"{_shown(made)}; then 'fhirbridge replay --site {site.name}'")


@crosswalk.command("list")
@_SITE
@pass_workshop
def crosswalk_list(workshop: Workshop, site_name: str) -> None:
    """The lines that were added here, and not in a file; withdrawn ones, too."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        for one in unit.crosswalk_lines.all():
            click.echo(_shown(one))
            click.echo(f"  {one.added_at:%Y-%m-%d} by {one.added_by}: {one.reason}")
            if one.withdrawn_at is not None:
                told = f"{one.withdrawn_at:%Y-%m-%d} by {one.withdrawn_by}: {one.withdrawn_reason}"
                click.echo(f"  withdrawn {told}")


@crosswalk.command("withdraw")
@click.argument("id")
@_SITE
@_BY
@_REASON
@pass_workshop
def crosswalk_withdraw(workshop: Workshop, id: str, site_name: str, by: str, reason: str) -> None:
    """Take a line back, for what comes from now on."""
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        gone = additions.withdraw(unit, id, by=by, reason=reason)
        unit.commit()
    click.echo(f"{_shown(gone)}: withdrawn. What was read by it stays until it is sent again")


def _shown(line: CrosswalkLine) -> str:
    means = f" -> {line.target}" if line.target else ""
    return f"{line.id} {line.crosswalk}: {line.system}|{line.code}{means} ({line.relationship})"
