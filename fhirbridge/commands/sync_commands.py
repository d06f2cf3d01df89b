"""pull, deliver, sandbox: what goes to hospitals and back."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from fhirbridge.commands.counted_work import counting
from fhirbridge.commands.held import held
from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.crash import Crash
from fhirbridge.formats import fhir_json
from fhirbridge.registry.runs import Run
from fhirbridge.sandbox import script
from fhirbridge.sandbox.hospitals import DIALECTS, written
from fhirbridge.sandbox.patients import hospital_resources
from fhirbridge.sandbox.server import Hospital as Sandbox
from fhirbridge.sandbox.server import run as run_sandbox
from fhirbridge.sandbox.smart import Smart
from fhirbridge.servers import key_sets
from fhirbridge.servers.origin import origin
from fhirbridge.servers.retry import ComeBack
from fhirbridge.sync.deliver import Deliver
from fhirbridge.sync.delivery import certificate as certificate_of_delivery
from fhirbridge.sync.pull import Pull, certificate
from fhirbridge.sync.pulling import certificate as certificates

_CONNECTION = click.option("--connection", help="its name, where the site has several")
_STEAL = click.option("--steal", is_flag=True, help="also where another process holds it")


@click.command()
@click.argument("site")
@_CONNECTION
@click.option("--each", is_flag=True, help="say of each resource what it became, or why nothing")
@click.option("--full", is_flag=True, help="read all once more, not only what is newer")
@click.option("--json", "as_json", is_flag=True, help="the certificate as JSON, and nothing else")
@click.option(
    "--wait",
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="how long to wait in all where the server asks to come later",
)
@_STEAL
@pass_workshop
def pull(
    workshop: Workshop,
    site: str,
    connection: str | None,
    *,
    each: bool,
    full: bool,
    as_json: bool,
    wait: int,
    steal: bool,
) -> None:
    """Pull the enrolled subjects' resources from the site's hospital. May be killed and run
    again.
    """
    known = workshop.hospital(site, connection)
    settings = workshop.settings
    quiet = as_json or sys.stderr.isatty()
    with (
        held(workshop, known, "pull", steal=steal) as hospital,
        click.progressbar(length=1, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar,
    ):
        one = Pull(
            hospital,
            hospital.options.page_size or settings.page_size,
            Crash(settings.crash),
            tell=_silent if quiet else click.echo,
            tell_each=click.echo if each and not as_json else _silent,
            progress=partial(_advance, bar),
            full=full,
        )
        run = _patiently(one, wait)
    click.echo(json.dumps(certificates.as_json(run), indent=2) if as_json else certificate(run))
    raise SystemExit(0 if run.state == "complete" else 1)


def _silent(line: str) -> None:
    """Say nothing."""


def _advance(bar: Any, done: int, of: int) -> None:
    bar.length = of
    bar.update(1)


def _patiently(one: Pull, wait: float) -> Run:
    """Where the server asks to come later, wait for it; beyond `wait` the run is left open."""
    while True:
        try:
            return one.run()
        except ComeBack as fault:
            if fault.not_before is None:
                raise
            seconds = (fault.not_before - datetime.now(UTC)).total_seconds()
            if seconds > wait:
                raise
            wait -= max(seconds, 1)
            time.sleep(max(seconds, 0.05))


@click.command()
@click.argument("site")
@_CONNECTION
@_STEAL
@click.option("--json", "as_json", is_flag=True, help="the certificate as JSON, and nothing else")
@pass_workshop
def deliver(
    workshop: Workshop, site: str, connection: str | None, *, as_json: bool, steal: bool
) -> None:
    """Deliver what the study sends to the site's hospital and read it back. May be run again."""
    known = workshop.hospital(site, connection)
    crash = Crash(workshop.settings.crash)
    with (
        held(workshop, known, "deliver", steal=steal) as hospital,
        counting("delivering", shown=not as_json) as bar,
    ):
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
@click.option("--dialect", type=click.Choice(sorted(DIALECTS)), help="how the hospital writes")
@click.option("--seed", default=1, show_default=True, help="of a dialect: which patients")
@click.option("--day", default=1, show_default=True, type=click.IntRange(1, 3), help="of a dialect")
@click.option("--smart", "jwks", help="SMART Backend Services: the client's JWK Set, file or URL")
@click.option("--client-id", default="", help="with --smart: the registered client")
@click.option("--grant", default="", help="with --smart: the scopes that are granted at most")
@click.option("--load", type=click.Path(exists=True, path_type=Path), help="resources as NDJSON")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="LINE|FILE.json",
    help="a fault on demand, as `truncate Observation 2`, or a file of them; several times",
)
def sandbox(
    *,
    host: str,
    port: int,
    token: str | None,
    patients: int,
    dialect: str | None,
    seed: int,
    day: int,
    jwks: str | None,
    client_id: str,
    grant: str,
    load: Path | None,
    faults: tuple[str, ...],
) -> None:
    """A small hospital FHIR server with synthetic patients, for rehearsals. Nothing of it is
    real.
    """
    lines = load.read_bytes().splitlines() if load else []
    given = [fhir_json.parse(line) for line in lines if line.strip()]
    if dialect and not given:
        given = written(dialect, patients, seed=seed, day=day).resources()
    smart = Smart(client_id, _key_set(jwks), most=grant) if jwks else None
    made = Sandbox(given or hospital_resources(patients), token=token, smart=smart)
    for one in faults:
        made.suffer(*(script.lines(Path(one).read_bytes()) if one.endswith(".json") else [one]))
    run_sandbox(made, host, port)


def _key_set(place: str) -> Callable[[], bytes]:
    """The client's JWK Set as it is when it is asked for: the sandbox keeps no copy."""
    if place.startswith(("http://", "https://")):
        host = origin(place, category="value")
        named = f"{host.host},{host.server}"
        return lambda: key_sets.fetch(place, private=named).raw
    return Path(place).read_bytes
