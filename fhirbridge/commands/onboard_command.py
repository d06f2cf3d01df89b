"""site onboard: what a site still needs before its data comes, with what to type next."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from fhirbridge.commands.forecast_command import site
from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.outcome import BridgeError
from fhirbridge.sync.onboarding import Step, View, lines, steps

__all__ = ["site", "site_onboard"]


@site.command("onboard")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="tell it as JSON")
@pass_workshop
def site_onboard(workshop: Workshop, name: str, as_json: bool) -> None:
    """The steps of a new site: done, open (with the next command), or not needed."""
    found = _steps(workshop, name)
    is_open = any(step.state == "open" for step in found)
    if as_json:
        told = {"site": name, "complete": not is_open, "steps": [asdict(one) for one in found]}
        click.echo(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        for line in lines(found):
            click.echo(line)
    sys.exit(1 if is_open else 0)


def _steps(workshop: Workshop, name: str) -> list[Step]:
    """Of a site that is not there yet, its first step."""
    with workshop.registry.read(None) as unit:
        known = {one.name: one for one in unit.sites.all()}
    if name not in known:
        command = f"fhirbridge site add {name} --unmatched hold --consent enrolment"
        told = "there is no such site; choose what becomes of strangers, and what allows to read"
        return [Step("policies", "open", told, (command,))]
    site = known[name]
    files = frozenset(workshop.library.sites.get(name, ()))
    try:
        with workshop.registry.read(site.id) as unit:
            view = View(unit, site, workshop.mappings(unit, site), files)
            return steps(view)
    except BridgeError as fault:
        if fault.issues[0].category != "configuration":
            raise
        told = "; ".join(issue.sentence() for issue in fault.issues[:3])
        return [Step("mappings", "open", told, (f"fhirbridge check --site {name}",))]
