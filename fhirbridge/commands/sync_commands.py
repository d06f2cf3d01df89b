"""pull, deliver, sandbox: what goes to hospitals and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.crash import Crash
from fhirbridge.formats import fhir_json
from fhirbridge.sandbox.patients import hospital_resources
from fhirbridge.sandbox.server import Hospital as Sandbox
from fhirbridge.sandbox.server import run as run_sandbox
from fhirbridge.sandbox.smart import Smart
from fhirbridge.servers import key_sets
from fhirbridge.servers.origin import origin
from fhirbridge.sync.deliver import Deliver
from fhirbridge.sync.pull import Pull, certificate

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
@pass_workshop
def deliver(workshop: Workshop, site: str, connection: str | None) -> None:
    """Deliver the study's scores to the site's hospital and read them back. May be run again."""
    hospital = workshop.hospital(site, connection)
    with hospital.server:
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
@click.option("--smart", "jwks", help="SMART Backend Services: the client's JWK Set, file or URL")
@click.option("--client-id", default="", help="with --smart: the registered client")
@click.option("--grant", default="", help="with --smart: the scopes that are granted at most")
@click.option("--load", type=click.Path(exists=True, path_type=Path), help="resources as NDJSON")
def sandbox(
    host: str,
    port: int,
    token: str | None,
    patients: int,
    jwks: str | None,
    client_id: str,
    grant: str,
    load: Path | None,
) -> None:
    """A small hospital FHIR server with synthetic patients, for rehearsals. Nothing of it is
    real.
    """
    lines = load.read_bytes().splitlines() if load else []
    given = [fhir_json.parse(line) for line in lines if line.strip()]
    smart = Smart(client_id, _key_set(jwks), most=grant) if jwks else None
    made = Sandbox(given or hospital_resources(patients), token=token, smart=smart)
    run_sandbox(made, host, port)


def _key_set(place: str) -> Callable[[], bytes]:
    """The client's JWK Set as it is when it is asked for: the sandbox keeps no copy."""
    if place.startswith(("http://", "https://")):
        host = origin(place, category="value")
        named = f"{host.host},{host.server}"
        return lambda: key_sets.fetch(place, private=named).raw
    return Path(place).read_bytes
