"""When a delivery is tried again, and which failures are the server's."""

from __future__ import annotations

from datetime import datetime, timedelta

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.servers.client import ComeBack, OutcomeUnknown
from fhirbridge.servers.wire import Lost, Unreached
from fhirbridge.sync.delivery.parcel import Parcel
from fhirbridge.sync.refusals import Failing

_LONGEST_REST = timedelta(hours=12)  # that a server can ask for
_LONGEST_WAIT = timedelta(hours=6)


def rest_after(failures: int) -> timedelta:
    """None after the first failure, which most often was a lost connection; then a minute, doubled
    with each.

    >>> [str(rest_after(n)) for n in (1, 2, 3, 20)]
    ['0:00:00', '0:01:00', '0:02:00', '6:00:00']
    """
    if failures < 2:
        return timedelta()
    return min(_LONGEST_WAIT, timedelta(minutes=2 ** min(failures - 2, 20)))


def failures_of(parcel: Parcel) -> int:
    """In a row, of this very content."""
    return parcel.delivery.failures if parcel.delivery and parcel.again else 0


def counted(fault: BridgeError) -> bool:
    """Whether the resource can be at fault for it."""
    return isinstance(fault, Failing | OutcomeUnknown | Lost)


def waits(parcel: Parcel, now: datetime) -> Issue | None:
    """Why it is not its time yet."""
    delivery = parcel.delivery
    if delivery is None or not parcel.again or delivery.not_before is None:
        return None
    if delivery.not_before <= now or delivery.state not in ("pending", "sent"):
        return None
    cause = f"it waits after {delivery.failures} tries, not before {_told(delivery.not_before)}"
    return Issue("transient", cause, "'fhirbridge delivery retry' lets it try now")


def of_the_server(fault: BridgeError) -> bool:
    """Not of our own database or settings."""
    kinds = (ComeBack, OutcomeUnknown, Lost, Unreached, Failing)
    return isinstance(fault, kinds) or fault.issues[0].category in ("remote", "too-long")


def asked(fault: BridgeError, now: datetime) -> datetime | None:
    """Until when the server wants rest, as far as we follow it."""
    told = fault.not_before if isinstance(fault, ComeBack) else None
    return None if told is None else min(told, now + _LONGEST_REST)


def rest_until(until: datetime) -> Issue:
    cause = f"the server asked for rest, not before {_told(until)}"
    return Issue("transient", cause, "run it again then")


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
