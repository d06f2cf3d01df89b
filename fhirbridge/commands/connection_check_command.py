"""connection check: what a hospital's server can do of what we need, and what to ask for."""

from __future__ import annotations

from pathlib import Path

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.formats import fhir_json
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.servers import quirks
from fhirbridge.servers.login import Login
from fhirbridge.sync.check import report as reports
from fhirbridge.sync.check.coverage import forecast, unread
from fhirbridge.sync.check.examine import examine
from fhirbridge.sync.check.reaching import now
from fhirbridge.sync.check.report import Report
from fhirbridge.sync.check.step import Examination, Step
from fhirbridge.sync.hospital import Hospital


@click.command("check")
@click.argument("name")
@click.option("--site", "site_name", required=True, help="name of the site")
@click.option("--patient", default="", help="id of a Patient there, for searches that need one")
@click.option(
    "--report",
    "file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="write it as Markdown for the hospital's IT",
)
@click.option("--json", "as_json", is_flag=True, help="print it as JSON")
@pass_workshop
def connection_check(
    workshop: Workshop, name: str, site_name: str, patient: str, file: Path | None, as_json: bool
) -> None:
    """Look, from DNS to searches, what the server can do of what a pull and a delivery need."""
    hospital = workshop.hospital(site_name, name)
    login = Login.of(hospital.connection.login) if hospital.connection.login else None
    with hospital.server as server:
        seen = Examination(server, hospital.mappings, now(), login, patient)
        steps: list[Step] = []
        for step in examine(seen):
            steps.append(step)
            if not as_json:
                click.echo("\n".join(reports.lines(step)))
    software = quirks.software_of(seen.statement)
    made = _reported(hospital, seen, steps, software)
    _learn(hospital, software)
    if file is not None:
        file.write_text(reports.markdown(made), encoding="utf-8")
    told = reports.coverage_lines(made)
    click.echo(fhir_json.dump(reports.as_json(made)).decode() if as_json else "\n".join(told))
    raise SystemExit(1 if made.failed else 0)


def _reported(hospital: Hospital, seen: Examination, steps: list[Step], software: str) -> Report:
    known = seen.honours or seen.refused
    return Report(
        hospital.connection.name,
        hospital.base,
        seen.now,
        quirks.named(hospital.options.quirks, software).name,
        steps,
        forecast(hospital.mappings, seen.lacking) if known else None,
        unread(hospital.mappings),
    )


def _learn(hospital: Hospital, software: str) -> None:
    """Keep how the server calls itself: the quirks of its make go by it."""
    if not software or hospital.connection.learned.get("software") == software:
        return
    with hospital.unit() as unit:
        unit.connections.learn(hospital.connection.id, {"software": software})
        entities = {"connection": hospital.connection.id}
        unit.audit.note("U", "connection.check", actor=COMMAND_LINE, entities=entities)
        unit.commit()
