"""client: the senders of a site, and what they come in with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.fhir.scopes import Scopes, registered
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.audit import COMMAND_LINE, Action
from fhirbridge.registry.smart import PublicKey
from fhirbridge.registry.unit import Unit
from fhirbridge.servers import key_sets
from fhirbridge.web import client_keys
from fhirbridge.web.access import new_key

_SITE = click.option("--site", "site_name", required=True, help="name of the site")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def client() -> None:
    """Senders of a site, and what they come in with."""


@client.command("add")
@click.argument("name")
@_SITE
@click.option(
    "--jwks",
    type=_FILE,
    help="JWK Set with the public keys of a client that signs, in place of an API key",
)
@click.option("--jwks-url", "url", help="where a client that signs publishes its JWK Set itself")
@click.option("--scope", "scopes", multiple=True, help="what a client that signs may do")
@click.option(
    "--rehearsal", is_flag=True, help="an API key whose messages are answered and thrown away"
)
@pass_workshop
def client_add(
    workshop: Workshop,
    name: str,
    site_name: str,
    jwks: Path | None,
    url: str | None,
    scopes: tuple[str, ...],
    rehearsal: bool,
) -> None:
    """Add a client and print its key, once; or the client id of one that signs."""
    site_id = workshop.site(site_name).id
    if jwks is not None and url is not None:
        cause, remedy = (
            "the keys come from a file or from a URL",
            "give one of --jwks and --jwks-url",
        )
        raise BridgeError(Issue("value", cause, remedy))
    if rehearsal and (jwks is not None or url is not None):
        cause = "a client that signs has no rehearsal key"
        raise BridgeError(Issue("value", cause, "leave --jwks and --jwks-url out"))
    if jwks is not None:
        _add_signer(workshop, site_id, name, registered(scopes), keys=_read(jwks))
        return
    if url is not None:
        key_sets.allowed(url, private=workshop.settings.key_hosts)
        _add_signer(workshop, site_id, name, registered(scopes), url=url)
        return
    if scopes:
        cause, remedy = "an API key has every scope", "give --jwks too, or leave --scope out"
        raise BridgeError(Issue("value", cause, remedy))
    key = new_key()
    with workshop.registry.unit(site_id) as unit:
        made = unit.clients.add(
            name, prefix=key.prefix, secret_hash=key.secret_hash, rehearsal=rehearsal
        )
        _note(unit, "C", "add", made.id)
        unit.commit()
    click.echo(key.text)


def _add_signer(
    workshop: Workshop,
    site_id: str,
    name: str,
    scopes: Scopes,
    *,
    keys: Sequence[PublicKey] = (),
    url: str | None = None,
) -> None:
    with workshop.registry.unit(site_id) as unit:
        client_id = unit.signers.add(name, scopes=str(scopes), keys=keys, url=url)
        _note(unit, "C", "add", client_id)
        unit.commit()
    click.echo(client_id)
    with_keys = _named(keys) if url is None else f"the keys that {url} will say"
    click.echo(f"client {name} added with {with_keys} and the scopes {scopes}", err=True)
    if not workshop.settings.base_url:
        click.echo("set FHIRBRIDGE_BASE_URL: without it no tokens are given", err=True)


def _note(unit: Unit, action: Action, done: str, client_id: str) -> None:
    named = {"client": client_id}
    unit.audit.note(action, f"client.{done}", actor=COMMAND_LINE, entities=named)


def _read(file: Path) -> list[PublicKey]:
    with file.open("rb") as opened:
        return client_keys.read(opened.read(client_keys.MOST_BYTES + 1), name=file.name)


def _named(keys: Sequence[PublicKey]) -> str:
    return "the keys " + ", ".join(f"{key.kid} ({key.alg})" for key in keys)


@client.command("keys")
@click.argument("name")
@_SITE
@click.option("--jwks", type=_FILE, required=True, help="JWK Set that takes the place of the old")
@pass_workshop
def client_keys_replace(workshop: Workshop, name: str, site_name: str, jwks: Path) -> None:
    """Give a client that signs other public keys. Its tokens end."""
    keys = _read(jwks)
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        _note(unit, "U", "keys", unit.signers.replace_keys(name, keys))
        unit.commit()
    click.echo(f"client {name} has {_named(keys)}")


@client.command("revoke")
@click.argument("name")
@_SITE
@pass_workshop
def client_revoke(workshop: Workshop, name: str, site_name: str) -> None:
    """Take a client's key back, or its public keys and all of its tokens."""
    with workshop.registry.unit(workshop.site(site_name).id) as unit:
        _note(unit, "U", "revoke", unit.clients.revoke(name))
        unit.commit()
    click.echo(f"{name} is no longer let in")


@client.command("list")
@_SITE
@pass_workshop
def client_list(workshop: Workshop, site_name: str) -> None:
    """The senders of a site, and what each comes in with."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        found = unit.clients.all()
    for one in found:
        way = f"fb_{one.prefix}_..." if one.scopes is None else f"signs; id {one.id}; {one.scopes}"
        way += "; rehearsal, nothing is kept" if one.rehearsal else ""
        gone = f"; revoked {one.revoked_at:%Y-%m-%d}" if one.revoked_at else ""
        click.echo(f"{one.name}: {way}{gone}")
