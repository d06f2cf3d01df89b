"""delivery: what goes to the hospitals' servers, how far it is, and what is tried again."""

from __future__ import annotations

from typing import get_args

import click

from fhirbridge.commands.shared import Workshop, pass_workshop
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.registry.deliveries import DeliveryState
from fhirbridge.registry.listings import DeliveryHead, Wanted
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import resend
from fhirbridge.sync.delivery.writable import ANY, REFUSED

_SITE = click.option("--site", "site_name", required=True, help="name of the site")
_CONNECTION = click.option("--connection", help="of this connection alone")
_CAUSE = click.option("--cause", help="with this cause alone, as 'delivery list' tells it")
_PAGE = 500


@click.group()
def delivery() -> None:
    """Resources on their way to a hospital's server."""


@delivery.command("list")
@_SITE
@_CONNECTION
@click.option("--state", type=click.Choice(get_args(DeliveryState)), help="in this state alone")
@_CAUSE
@pass_workshop
def delivery_list(
    workshop: Workshop, site_name: str, connection: str | None, state: str | None, cause: str | None
) -> None:
    """Each delivery with its state, and the cause of what waits or ended."""
    counted, filters = 0, {"connection": connection, "cause": cause}
    states = None if state is None else [state]
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        wanted = Wanted(None, _PAGE)
        while True:
            page = unit.listings.deliveries(wanted, states=states, **filters)
            for one in page.items:
                click.echo(_line(one))
            counted += len(page.items)
            if page.next is None:
                break
            wanted = Wanted(page.next, _PAGE)
    click.echo(f"{counted} deliveries")


def _line(one: DeliveryHead) -> str:
    cause = f" ({one.cause})" if one.cause else ""
    there = f" is {one.type}/{one.remote_id} there" if one.remote_id else ""
    why = f": {one.issues[0].sentence()}" if one.issues else ""
    resource = f"{one.type}/{one.fhir_id}"
    return f"{one.id} {one.connection} {resource}{there} {one.state}{cause}{why}"


@delivery.command("show")
@click.argument("id")
@_SITE
@pass_workshop
def delivery_show(workshop: Workshop, id: str, site_name: str) -> None:
    """All that is known of one delivery."""
    with workshop.registry.read(workshop.site(site_name).id) as unit:
        one = _known(unit, id)
    click.echo(_line(one))
    click.echo(f"record {one.record_id}{', withdrawn here' if one.deleted else ''}")
    click.echo(f"version there {one.remote_version or 'not known'}")
    click.echo(f"{one.attempts} attempts, {one.failures} failures in a row")
    if one.not_before:
        click.echo(f"not before {one.not_before:%Y-%m-%dT%H:%M:%SZ}")
    for issue in one.issues:
        click.echo(f"  {issue.sentence()}")


def _known(unit: Unit, id: str) -> DeliveryHead:
    found = unit.listings.deliveries(Wanted(None, 1), ids=[id]).items
    if not found:
        raise BridgeError(Issue("not-found", "there is no such delivery", "see 'delivery list'"))
    return found[0]


@delivery.command("retry")
@click.argument("ids", nargs=-1)
@_SITE
@_CONNECTION
@click.option("--state", type=click.Choice(resend.STATES), help="in this state alone")
@_CAUSE
@click.option("--over", is_flag=True, help="write over what was changed or deleted there")
@click.option("--by", required=True, help="who decides")
@pass_workshop
def delivery_retry(
    workshop: Workshop,
    ids: tuple[str, ...],
    site_name: str,
    connection: str | None,
    state: resend.State | None,
    cause: str | None,
    over: bool,
    by: str,
) -> None:
    """Let the next 'deliver' try these again: those with IDS, or all that fit."""
    which = resend.Which(state, cause, connection, ids or None, over)
    if not (ids or state or cause or connection):
        remedy = "name ids, or give --state, --cause or --connection"
        raise BridgeError(Issue("value", "nothing says which deliveries", remedy))
    site, done, after = workshop.site(site_name).id, 0, None
    while True:
        with workshop.registry.unit(site) as unit:
            tried = resend.retry(unit, which, actor=f"person:{by}", after=after)
            unit.commit()
        done, after = done + len(tried.items), tried.next
        if after is None:
            break
    click.echo(f"{done} deliveries are tried by the next 'fhirbridge deliver {site_name}'")


@delivery.command("writes")
@click.argument("name")
@_SITE
@click.option("--forget", is_flag=True, help="forget it; the next 'deliver' asks the server anew")
@pass_workshop
def delivery_writes(workshop: Workshop, name: str, site_name: str, forget: bool) -> None:
    """What the server of the connection NAME lets us write: declared, or learned from refusals."""
    site = workshop.site(site_name).id
    if forget:
        with workshop.registry.unit(site) as unit:
            held = unit.connections.by_name(name)
            gone = unit.writability.forget(held.id)
            told = {"connection": held.id}
            unit.audit.note("U", "delivery.forget", actor=COMMAND_LINE, entities=told)
            unit.commit()
        click.echo(f"{gone} things forgotten")
        return
    with workshop.registry.read(site) as unit:
        known = unit.writability.of_connection(unit.connections.by_name(name).id)
    for one in known:
        if one.resource_type == ANY:
            click.echo(f"asked on {one.learned_at:%Y-%m-%d}")
        elif one.ability.startswith(REFUSED):
            click.echo(f"{one.resource_type}: {one.ability}, {one.times} in a row")
        else:
            may = "yes" if one.allowed else "no"
            click.echo(f"{one.resource_type}: {one.ability} {may} ({one.cause})")
    if not known:
        click.echo("nothing is known yet: the first 'deliver' asks the server")
