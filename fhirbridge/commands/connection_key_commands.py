"""connection key: the keys with which we sign at a hospital, for the hospital to register."""

from __future__ import annotations

from uuid import uuid4

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.registry.sites import Connection
from fhirbridge.servers.login import Login, key_set
from fhirbridge.sync import onboard

_SITE = click.option("--site", "site_name", required=True, help="name of the site")


@click.group("key")
def connection_key() -> None:
    """The keys with which we sign at a hospital's server."""


@connection_key.command("show")
@click.argument("name")
@_SITE
@pass_workshop
def key_show(workshop: Workshop, name: str, site_name: str) -> None:
    """Print our JWK Set for the hospital: public parts alone."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        held, now = unit.connections.by_name(name), unit.now()
    login = _signing(held)
    click.echo(fhir_json.dump(key_set(login.published(now))).decode())
    tell_keys(workshop, held, login)


@connection_key.command("rotate")
@click.argument("name")
@_SITE
@pass_workshop
def key_rotate(workshop: Workshop, name: str, site_name: str) -> None:
    """Make a new key; it signs in an hour, and both are published until then and an hour longer."""
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        held = unit.connections.by_name(name)
        login, kid = _signing(held), uuid4().hex
        made = onboard.rotated(login, held.secret or "", now=unit.now(), kid=kid)
        if made.login is None or made.secret is None:
            raise BridgeError(Issue("exception", "no key was made", ""))
        unit.connections.set_login(held.id, made.login.kept(), secret=made.secret)
        told = {"connection": held.id, "kid": kid}
        unit.audit.note("U", "connection.key.rotate", actor=COMMAND_LINE, entities=told)
        unit.commit()
        now = unit.now()
    click.echo(fhir_json.dump(key_set(made.login.published(now))).decode())
    tell_keys(workshop, held, made.login)


def _signing(held: Connection) -> Login:
    if held.auth_kind != "smart":
        cause = f"a connection with the login '{held.auth_kind}' has no key of ours"
        raise BridgeError(Issue("value", cause, "add one with --auth smart"))
    return Login.of(held.login)


def tell_keys(workshop: Workshop, held: Connection, login: Login) -> None:
    """On standard error, as the JWK Set alone is piped."""
    for key in login.keys:
        told = f"key {key.kid} ({key.alg}) signs from {key.signs_from:%Y-%m-%dT%H:%M:%SZ}"
        click.echo(told, err=True)
    base = workshop.settings.base_url.rstrip("/")
    url = f"{base or 'FHIRBRIDGE_BASE_URL'}/connections/{held.id}/jwks.json"
    click.echo(
        f"for the hospital to register: client id {login.client_id}, keys at {url}", err=True
    )
