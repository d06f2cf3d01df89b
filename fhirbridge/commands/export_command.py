"""export redcap: the study as a REDCap project, with a site's records in it."""

from __future__ import annotations

from pathlib import Path

import click

from fhirbridge.commands.shared import Workshop, pass_workshop, tell_issues
from fhirbridge.formats import redcap_dictionary, redcap_export
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.sync import redcap_project


@click.group()
def export() -> None:
    """The study and a site's records in the form of other systems."""


@export.command("redcap")
@click.option("--site", "site_name", required=True, help="name of the site")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="the folder to write into",
)
@pass_workshop
def export_redcap(workshop: Workshop, site_name: str, out: Path) -> None:
    """The study's REDCap data dictionary, the site's records as an import file, the map by which
    `import --form redcap` reads them again, and how to set up the project."""
    site = workshop.site(site_name)
    with workshop.registry.read(site.id) as unit:
        mappings = workshop.mappings(unit, site)
        forms = redcap_project.forms(mappings)
        filled = list(redcap_project.filled(unit, forms))
        named = [one.id for one in unit.subjects.all()]
    made = redcap_export.import_file(forms, filled)
    with workshop.registry.unit(site.id) as unit:
        told = {"subjects": named, "as": "redcap"}
        unit.audit.note("R", "export", actor=COMMAND_LINE, entities=told)
        unit.commit()
    out.mkdir(parents=True, exist_ok=True)
    texts = {
        "dictionary.csv": redcap_dictionary.dictionary(forms),
        "records.csv": made.text,
        "redcap.csv": redcap_dictionary.project_map(forms),
        "absence.csv": redcap_dictionary.absence_words(),
        "README.txt": redcap_export.readme(mappings.study, forms, site.name),
    }
    for name, text in texts.items():
        path = out / name
        if name == "records.csv":  # it tells of persons
            path.touch(mode=0o600)
            path.chmod(0o600)
        path.write_bytes(text.encode())
    tell_issues(made.issues)
    click.echo(f"{', '.join(texts)} written: {len(forms)} instruments, {made.rows} rows")
    raise SystemExit(1 if made.issues else 0)
