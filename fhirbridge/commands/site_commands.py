"""site template: the file that a site fills in, of the study's definition."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fhirbridge.commands.registry_commands import site
from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.formats import tabular_template
from fhirbridge.outcome import BridgeError, Issue

__all__ = ["site", "site_template"]


@site.command("template")
@click.argument("form")
@click.option("--site", "site_name", required=True, help="name of the site")
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FORM.xlsx (with pick lists, meanings and an example) or FORM.csv; else CSV is printed",
)
@pass_workshop
def site_template(workshop: Workshop, form: str, site_name: str, out: Path | None) -> None:
    """The empty table of FORM for a site to fill in; beside OUT, its Table Schema."""
    study = workshop.library.of_site(workshop.site(site_name).name).study
    known = study.form(form)
    names = ",".join(field.name for field in tabular_template.fields(known)) + "\r\n"
    if out is None:
        click.echo(names, nl=False)
        return
    if out.suffix.lower() not in (".csv", ".xlsx"):
        cause = f"{out.name} is neither .csv nor .xlsx"
        raise BridgeError(Issue("value", cause, "name the file so"))
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".xlsx":
        title = f"{study.title}: {known.title}"
        out.write_bytes(tabular_template.workbook(known, title=title))
    else:
        out.write_bytes(b"\xef\xbb\xbf" + names.encode())
    package = tabular_template.data_package(study, known, path=out.name)
    beside = out.with_name("datapackage.json")
    beside.write_text(json.dumps(package, indent=1) + "\n", encoding="utf-8")
    click.echo(f"{out.name} and {beside.name} written: {known.title}")
