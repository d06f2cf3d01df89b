"""connection: the hospitals' FHIR servers of a site: how we log in there, what is set of each."""

from __future__ import annotations

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.options import ConnectionOptions
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.servers.auth import AUTHS
from fhirbridge.servers.client import outcome_text
from fhirbridge.sync.offered import listed, wanted

_SITE = click.option("--site", "site_name", required=True, help="name of the site")


@click.group()
def connection() -> None:
    """Hospital FHIR servers of a site."""


@connection.command("add")
@click.argument("name")
@click.argument("base_url")
@_SITE
@click.option("--auth", type=click.Choice(sorted(AUTHS)), default="none")
@click.option(
    "--secret", envvar="SECRET", help="token, or user:password; better as the variable SECRET"
)
@pass_workshop
def connection_add(
    workshop: Workshop, name: str, base_url: str, site_name: str, auth: str, secret: str | None
) -> None:
    """Add the FHIR server at BASE_URL under NAME."""
    if auth != "none" and not secret:
        cause = f"a connection with the login '{auth}' needs its secret"
        raise BridgeError(Issue("value", cause, "give --secret, or the variable SECRET"))
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        made = unit.connections.add(name, base_url, auth_kind=auth, secret=secret)
        workshop.server(made).close()  # refuses a wrong URL or secret before it is kept
        unit.audit.note("C", "connection.add", actor=COMMAND_LINE, entities={"connection": made.id})
        unit.commit()
    click.echo(f"connection {name} added")


@connection.command("check")
@click.argument("name")
@_SITE
@pass_workshop
def connection_check(workshop: Workshop, name: str, site_name: str) -> None:
    """Ask the server what it is, and whether it lets us search what a pull needs."""
    hospital = workshop.hospital(site_name, name)
    with hospital.server as server:
        answer = server.capability()
        told = answer.body or {}
        version, software = told.get("fhirVersion"), told.get("software", {}).get("name", "?")
        click.echo(f"metadata: {answer.status}, FHIR {version}, {software}")
        wrong = 0 if version == "4.0.1" else 1
        if wrong:
            click.echo("  -> this is no R4 server: ask for its R4 base URL", err=True)
        has = listed(told)
        for name in ("Patient", *wanted(hospital.mappings)):
            if has is not None and name not in has and name != "Patient":
                click.echo(f"search {name}: not offered, so a pull does not ask for it")
                continue
            found = server.search(name, {"_count": "1"})
            told_why = f" {outcome_text(found)}" if found.status >= 400 else ""
            click.echo(f"search {name}: {found.status}{told_why}")
            wrong += found.status >= 400
    raise SystemExit(1 if wrong else 0)


@connection.command("set")
@click.argument("name")
@click.argument("given", metavar="OPTION=VALUE", nargs=-1, required=True)
@_SITE
@pass_workshop
def connection_set(workshop: Workshop, name: str, given: tuple[str, ...], site_name: str) -> None:
    """Set options of a connection; all that there are stand in the reference."""
    loose = [one for one in given if "=" not in one]
    if loose:
        raise BridgeError(Issue("value", f"'{loose[0]}' sets nothing", "write it as OPTION=VALUE"))
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        held = unit.connections.by_name(name)
        texts = dict(one.split("=", 1) for one in given)
        options = ConnectionOptions.of(held.options).changed(texts)
        unit.connections.set_options(held.id, options.kept())
        told = {"connection": held.id, "options": sorted(texts)}
        unit.audit.note("U", "connection.set", actor=COMMAND_LINE, entities=told)
        unit.commit()
    for option, value in options.kept().items():
        click.echo(f"{option}={value}")


@connection.command("list")
@_SITE
@pass_workshop
def connection_list(workshop: Workshop, site_name: str) -> None:
    """The connections of a site, and what is set of them."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        held = unit.connections.all()
    for one in held:
        options = "".join(f" {n}={v}" for n, v in ConnectionOptions.of(one.options).kept().items())
        click.echo(f"{one.name}: {one.base_url} login {one.auth_kind}{options}")
