"""check, encode, decode: the mapping alone, without a database and without a network."""

from __future__ import annotations

import click

from fhirbridge.commands import inputs
from fhirbridge.commands.decode_command import decode
from fhirbridge.commands.encode_command import bundles, encode
from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.sync import site_tables

__all__ = ["bundles", "check", "decode", "encode"]


@click.command()
@inputs.SITE
@pass_workshop
def check(workshop: Workshop, site: str) -> None:
    """Check the study definition, every mapping file and every crosswalk, of one site or of all,
    and what sites say of their own tables."""
    mappings = workshop.library.of_site(site)
    faults: list[Issue] = []
    for name in workshop.library.sites if not site else (site,):
        if site and name not in workshop.library.sites:
            click.echo(f"site {name}: no local codes")
            continue
        click.echo(f"site {name}: local codes in {len(workshop.library.sites[name])} files")
        faults += site_tables.faults(workshop.library.of_site(name))
    if faults:
        raise BridgeError(*faults)
    fields = sum(len(form.fields) for form in mappings.study.forms.values())
    told = (
        f"{len(mappings.study.forms)} forms, {fields} fields in {len(mappings.files)} mapping files"
    )
    click.echo(f"{told}, mapping version {mappings.version}")
