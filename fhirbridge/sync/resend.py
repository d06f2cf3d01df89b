"""Deliveries that ended or wait, tried again because a person says so: the next run sends them.

Over what was changed at the hospital only where the person says that, too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.deliveries import Changes
from fhirbridge.registry.listings import DeliveryHead, Page, Wanted
from fhirbridge.registry.unit import Unit

State = Literal["pending", "conflict", "dead"]
STATES: tuple[State, ...] = ("pending", "conflict", "dead")
MOST = 500  # of one transaction


@dataclass(frozen=True, slots=True)
class Which:
    """What is given several ways must fit each of them; `state` None is all that have an end or
    wait. `over`: what stands there is written over, and made again where it is gone."""

    state: State | None = None
    cause: str | None = None
    connection: str | None = None
    ids: Collection[str] | None = None
    over: bool = False


def retry(unit: Unit, which: Which, *, actor: str, after: str | None = None) -> Page[DeliveryHead]:
    """Those that the next run tries, at most `MOST`; the caller commits. What was learned from a
    server's refusals is forgotten: they may have been mended there.

    Raises `BridgeError` where an id is of no delivery that can be tried.
    """
    page = unit.listings.deliveries(
        Wanted(after, MOST),
        connection=which.connection,
        states=STATES if which.state is None else (which.state,),
        cause=which.cause,
        ids=which.ids,
    )
    # What was refused there and withdrawn here never arrived: there is nothing to send.
    chosen = [one for one in page.items if one.remote_id or not one.deleted]
    known = {one.id for one in chosen}
    if which.ids is not None and (lost := sorted({*which.ids} - known)):
        cause = f"there is no delivery {lost[0]} that can be tried again"
        remedy = "those that are verified are not; list the others"
        raise BridgeError(Issue("not-found", cause, remedy))
    for one in chosen:
        unit.deliveries.put(one.connection_id, one.resource_id, **_changes(one, which))
    for connection_id in {one.connection_id for one in chosen}:
        unit.writability.forget_refusals(connection_id)
    if chosen:
        told = {
            "deliveries": sorted(known),
            "subjects": unit.records.subjects({one.record_id for one in chosen}),
        }
        unit.audit.note("U", "delivery.retry", actor=actor, entities=told)
    return Page(chosen, page.next)


def _changes(one: DeliveryHead, which: Which) -> Changes:
    changes: Changes = {"state": "pending", "cause": "retried", "failures": 0, "not_before": None}
    changes["sent_sha256"] = None
    if which.over:
        changes["remote_version"] = None
        if one.cause == "gone":
            changes["remote_id"] = None
    return changes
