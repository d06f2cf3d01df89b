"""A lease at work: shown in every transaction of a run, and kept alive by that.

Without a thread of its own: what keeps the lease is work that goes on, so a worker that hangs loses
it, and one that was stopped and continued is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.leases import Lease
from fhirbridge.registry.unit import Unit


class LeaseLost(BridgeError):
    """Another one works there now: nothing of this one is written any more."""


class Stopped(BridgeError):
    """Told to end: what is done is kept, and the rest is done by whoever comes next."""


@dataclass
class Holding:
    """`stopping` is asked, and `alive` told, between the steps of the work."""

    lease: Lease
    seconds: float
    stopping: Callable[[], bool] = lambda: False
    alive: Callable[[], None] = lambda: None
    lost: bool = False

    def check(self) -> None:
        """Before more is asked of a hospital. Raises `LeaseLost` or `Stopped`."""
        self.alive()
        if self.lost:
            raise _lost(self.lease)
        if self.stopping():
            cause, remedy = "the worker was told to end", "the work goes on with the next one"
            raise Stopped(Issue("transient", cause, remedy))

    def renew(self, unit: Unit) -> None:
        """In the transaction of what is written. Raises `LeaseLost`.

        Nobody is stopped here: what a delivery has sent is noted, or it must be looked for.
        """
        self.alive()
        if self.lost or not unit.leases.renew(self.lease, seconds=self.seconds):
            self.lost = True
            raise _lost(self.lease)


def _lost(lease: Lease) -> LeaseLost:
    cause = f"the lease {lease.number} on the {lease.kind} was taken by another one"
    return LeaseLost(Issue("conflict", cause, "nothing was written; the other one goes on"))
