"""site forecast: what the study could have of what these files are a sample of."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.commands.site_commands import site
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.sync.forecast import report
from fhirbridge.sync.forecast.rehearse import forecast
from fhirbridge.sync.forecast.sample import File

__all__ = ["site", "site_forecast"]
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@site.command("forecast")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--site", "site_name", required=True, help="name of the site")
@click.option("--form", default="", help="of tables: the form, or redcap; else the columns tell")
@click.option("--charset", default="", help="of tables that are not UTF-8, as windows-1252")
@click.option("--dictionary", type=_FILE, help="the data dictionary of a REDCap project")
@click.option("--json", "as_json", is_flag=True, help="tell it as JSON")
@click.option(
    "--report",
    "out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="write it as Markdown, for the site",
)
@pass_workshop
def site_forecast(
    workshop: Workshop,
    files: tuple[Path, ...],
    site_name: str,
    form: str,
    charset: str,
    dictionary: Path | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Rehearse sample FILES (tables, HL7 v2, FHIR): which fields can be had, and what blocks."""
    known = workshop.site(site_name)
    beside = dictionary.read_text(encoding="utf-8-sig") if dictionary else ""
    most = workshop.settings.import_bytes
    sample = [File(p.name, _read(p, most), form, charset, beside) for p in files]
    told = forecast(
        workshop.registry,
        known,
        lambda unit: workshop.mappings(unit, known),
        sample,
        rows=workshop.settings.import_rows,
        by=COMMAND_LINE,
    )
    if out is not None:
        out.write_text(report.markdown(told, workshop.registry.now()), encoding="utf-8")
        out.chmod(0o600)  # a cause may hold a value of the sample
    if as_json:
        click.echo(json.dumps(report.as_json(told), ensure_ascii=False, indent=1))
    else:
        for line in report.lines(told):
            click.echo(line)
    sys.exit(0 if told.complete else 1)


def _read(path: Path, most: int) -> bytes:
    size = path.stat().st_size
    if size > most:
        cause = f"the file has {size} bytes, {most} are taken at once"
        raise BridgeError(Issue("too-long", cause, "take a smaller sample", place=path.name))
    return path.read_bytes()
