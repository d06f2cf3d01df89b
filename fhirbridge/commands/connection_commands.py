"""connection: the hospitals' FHIR servers of a site: how we log in there, what is set of each."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast
from uuid import uuid4

import click

from fhirbridge.commands.connection_check_command import connection_check
from fhirbridge.commands.connection_key_commands import connection_key, tell_keys
from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.options import ConnectionOptions
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.servers import trust
from fhirbridge.servers.auth import KINDS
from fhirbridge.servers.login import ALGORITHMS
from fhirbridge.servers.network import Network
from fhirbridge.servers.origin import origin
from fhirbridge.sync import onboard

_SITE = click.option("--site", "site_name", required=True, help="name of the site")


@click.group()
def connection() -> None:
    """Hospital FHIR servers of a site."""


connection.add_command(connection_check)
connection.add_command(connection_key)


@connection.command("add")
@click.argument("name")
@click.argument("base_url")
@_SITE
@click.option("--auth", type=click.Choice(KINDS), default="none")
@click.option(
    "--secret",
    envvar="SECRET",
    help="token, user:password, or the secret of oauth2; better as the variable SECRET",
)
@click.option("--client-id", default="", help="who we are to the hospital: oauth2 and smart")
@click.option("--token-url", default="", help="where tokens are had; else as the server says")
@click.option("--scope", "scopes", multiple=True, help="what to ask for; else what is needed")
@click.option("--alg", type=click.Choice(ALGORITHMS), help="of the key; else as the server says")
@click.option("--token-auth", type=click.Choice(("basic", "post")), default="basic")
@click.option("--network", "networks", multiple=True, help="private network where it stands")
@click.option("--ca-file", default="", help="PEM file of the hospital's own authority")
@pass_workshop
def connection_add(
    workshop: Workshop,
    name: str,
    base_url: str,
    site_name: str,
    auth: str,
    secret: str | None,
    client_id: str,
    token_url: str,
    scopes: tuple[str, ...],
    alg: str | None,
    token_auth: str,
    networks: tuple[str, ...],
    ca_file: str,
) -> None:
    """Add the FHIR server at BASE_URL under NAME."""
    method = cast(Literal["basic", "post"], token_auth)
    asked = onboard.Asked(auth, client_id, secret or "", token_url, scopes, alg or "", method)
    site = workshop.site(site_name)
    given = {"networks": ",".join(networks), "ca_file": ca_file and str(Path(ca_file).absolute())}
    options = ConnectionOptions().changed(given)
    network = Network.of(workshop.settings.networks, options.networks).believing(options.ca_file)
    there = origin(base_url)
    network.check_literal(there.host, there.server)
    with workshop.registry.read(site.id) as unit:
        mappings, now = workshop.mappings(unit, site), unit.now()
    made = onboard.login(
        asked,
        base_url,
        mappings,
        network=network,
        limits=workshop.settings,
        now=now,
        kid=uuid4().hex,
    )
    with workshop.registry.unit(site.id) as unit:
        held = unit.connections.add(
            name,
            base_url,
            auth_kind=auth,
            secret=made.secret,
            login=made.login.kept() if made.login else None,
            options=options.kept(),
        )
        workshop.server(held).close()  # refuses a wrong URL or secret before it is kept
        unit.audit.note("C", "connection.add", actor=COMMAND_LINE, entities={"connection": held.id})
        unit.commit()
    click.echo(f"connection {name} added")
    if made.login:
        click.echo(f"tokens come from {made.login.token_url}, and from there alone")
        click.echo(f"scopes asked ({made.login.version}): {made.login.scopes}")
        if made.login.keys:
            tell_keys(workshop, held, made.login)


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
        trust.context(Network.of(options.networks).believing(options.ca_file))
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
