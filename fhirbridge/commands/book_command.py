"""book: the mapping printed, as a page for people and as FHIR artefacts for machines."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from fhirbridge import library
from fhirbridge.book import artefacts, contents
from fhirbridge.book import page as book_page
from fhirbridge.commands import inputs, outputs
from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.formats import csv_records, fhir_json
from fhirbridge.study.values import is_date

PAGE = "book.html"


def _day(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value and not (len(value) == 10 and is_date(value, time=False)):
        raise click.BadParameter("write YYYY-MM-DD")
    return value


@click.command()
@click.option(
    "-o",
    "--out",
    default="book",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="folder of the page and the artefacts",
)
@click.option("--date", "on", default="", callback=_day, help="that the page bears; today")
@inputs.SITE
@pass_workshop
def book(workshop: Workshop, out: Path, on: str, site: str) -> None:
    """Print the mapping: book.html for people, FHIR artefacts and index.json for machines, and an
    empty CSV file of each form.
    """
    mappings = workshop.library.of_site(site)
    told = contents.gather(mappings, library.read(workshop.settings.mappings))
    made = artefacts.artefacts(told)
    page = book_page.page(told, on=on or datetime.now(UTC).date().isoformat())
    _write(out / PAGE, page.encode())
    for name, artefact in made.items():
        _write(out / name, _json(artefact))
    _write(out / artefacts.INDEX, _json(artefacts.index(told, made)))
    for form in mappings.study.forms.values():
        _write(out / f"{form.name}.csv", csv_records.template(form).encode())
    click.echo(f"{PAGE} and {len(made)} artefacts of version {told.mappings.version} in {out}")


def _write(path: Path, content: bytes) -> None:
    with outputs.written(path) as stream:
        stream.write(content)


def _json(value: dict[str, Any]) -> bytes:
    return fhir_json.dump(value) + b"\n"
