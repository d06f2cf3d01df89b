"""pull, deliver, sandbox: what goes to hospitals and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from fhirbridge.commands.counted_work import counting
from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.crash import Crash
from fhirbridge.formats import fhir_json
from fhirbridge.sandbox.patients import hospital_resources
from fhirbridge.sandbox.server import Hospital as Sandbox
from fhirbridge.sandbox.server import run as run_sandbox
from fhirbridge.sync.deliver import Deliver
from fhirbridge.sync.delivery import certificate as certificate_of_delivery
from fhirbridge.sync.pull import Pull, certificate


def _silent(line: str) -> None:
    """Say nothing."""


_CONNECTION = click.option("--connection", help="its name, where the site has several")


@click.command()
@click.argument("site")
@_CONNECTION
@click.option("--each", is_flag=True, help="say of each resource what it became, or why nothing")
@pass_workshop
def pull(workshop: Workshop, site: str, connection: str | None, each: bool) -> None:
    """Pull the enrolled subjects' resources from the site's hospital. May be killed and run
    again.
    """
    hospital = workshop.hospital(site, connection)
    settings = workshop.settings
    with hospital.server:
        size = hospital.options.page_size or settings.page_size
        told = Pull(hospital, size, Crash(settings.crash), tell=click.echo)
        run = (replace(told, tell_each=click.echo) if each else told).run()
    click.echo(certificate(run))
    raise SystemExit(0 if run.state == "complete" else 1)


@click.command()
@click.argument("site")
@_CONNECTION
@click.option("--json", "as_json", is_flag=True, help="the certificate as JSON, and nothing else")
@pass_workshop
def deliver(workshop: Workshop, site: str, connection: str | None, as_json: bool) -> None:
    """Deliver what the study sends to the site's hospital and read it back. May be run again."""
    hospital = workshop.hospital(site, connection)
    crash = Crash(workshop.settings.crash)
    with hospital.server, counting("delivering", shown=not as_json) as bar:
        tell = _silent if as_json else bar.tell
        run = Deliver(hospital, crash, tell, bar.progress).run()
    if as_json:
        told = certificate_of_delivery.as_json(run, hospital.connection.name)
        click.echo(fhir_json.dump(told))
    else:
        click.echo(certificate_of_delivery.certificate(run))
    raise SystemExit(0 if run.state == "complete" else 1)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=0, help="0 takes a free one")
@click.option("--token", help="requests must carry it")
@click.option("--patients", default=30, show_default=True)
@click.option("--load", type=click.Path(exists=True, path_type=Path), help="resources as NDJSON")
def sandbox(host: str, port: int, token: str | None, patients: int, load: Path | None) -> None:
    """A small hospital FHIR server with synthetic patients, for rehearsals. Nothing of it is
    real.
    """
    lines = load.read_bytes().splitlines() if load else []
    given = [fhir_json.parse(line) for line in lines if line.strip()]
    run_sandbox(Sandbox(given or hospital_resources(patients), token=token), host, port)
