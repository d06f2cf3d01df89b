"""pull, deliver, sandbox: what goes to hospitals and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.crash import Crash
from fhirbridge.formats import fhir_json
from fhirbridge.jobs import holder
from fhirbridge.registry.leases import LeaseKind
from fhirbridge.sandbox.patients import hospital_resources
from fhirbridge.sandbox.server import Hospital as Sandbox
from fhirbridge.sandbox.server import run as run_sandbox
from fhirbridge.sync.deliver import Deliver
from fhirbridge.sync.holding import Holding
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.pull import Pull, certificate

_CONNECTION = click.option("--connection", help="its name, where the site has several")
_STEAL = click.option("--steal", is_flag=True, help="also where another process holds it")


@contextmanager
def _held(
    workshop: Workshop, hospital: Hospital, kind: LeaseKind, *, steal: bool
) -> Iterator[Hospital]:
    """The hospital with the lease of this run, the same that background jobs take. Raises
    `BridgeError` (conflict) with who holds it.
    """
    seconds = workshop.settings.lease
    with workshop.registry.unit(hospital.site.id) as unit:
        lease = unit.leases.take(
            hospital.connection.id,
            kind,
            holder.me(),
            seconds=seconds,
            gone=holder.gone,
            steal=steal,
        )
        unit.commit()
    try:
        with hospital.server:
            yield replace(hospital, holding=Holding(lease, seconds))
    finally:
        with workshop.registry.unit(hospital.site.id) as unit:
            unit.leases.release(lease)
            unit.commit()


@click.command()
@click.argument("site")
@_CONNECTION
@click.option("--each", is_flag=True, help="say of each resource what it became, or why nothing")
@_STEAL
@pass_workshop
def pull(workshop: Workshop, site: str, connection: str | None, each: bool, steal: bool) -> None:
    """Pull the enrolled subjects' resources from the site's hospital. May be killed and run
    again.
    """
    known = workshop.hospital(site, connection)
    settings = workshop.settings
    with _held(workshop, known, "pull", steal=steal) as hospital:
        size = hospital.options.page_size or settings.page_size
        told = Pull(hospital, size, Crash(settings.crash), tell=click.echo)
        run = (replace(told, tell_each=click.echo) if each else told).run()
    click.echo(certificate(run))
    raise SystemExit(0 if run.state == "complete" else 1)


@click.command()
@click.argument("site")
@_CONNECTION
@_STEAL
@pass_workshop
def deliver(workshop: Workshop, site: str, connection: str | None, steal: bool) -> None:
    """Deliver the study's scores to the site's hospital and read them back. May be run again."""
    known = workshop.hospital(site, connection)
    with _held(workshop, known, "deliver", steal=steal) as hospital:
        run = Deliver(hospital, Crash(workshop.settings.crash), click.echo).run()
    counts = ", ".join(f"{number} {state}" for state, number in sorted(run.counts.items()))
    click.echo(f"run {run.id}: {run.state}; {counts or 'nothing was outstanding'}")
    for reason in run.reasons:
        click.echo(f"incomplete because {reason}")
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
