"""How we behave towards one hospital: how fast we ask, how long we wait when it asks for time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fhirbridge.servers.retry import CAP


@dataclass(frozen=True, slots=True)
class Manners:
    """`pause`: the least seconds from one request to the next. `longest_wait`: what is waited of a
    Retry-After, at most."""

    pause: float = 0.0
    longest_wait: float = CAP

    @classmethod
    def of(cls, *, requests_per_second: float, longest_wait: float) -> Manners:
        """0 requests a second: as fast as it answers."""
        pause = 1 / requests_per_second if requests_per_second else 0.0
        return cls(pause, longest_wait)


@dataclass(slots=True)
class Pace:
    """When the last request went out."""

    last: float | None = None

    def keep(
        self, pause: float, sleep: Callable[[float], None], monotonic: Callable[[], float]
    ) -> None:
        """Wait for what is left of the pause."""
        if pause and self.last is not None:
            left = self.last + pause - monotonic()
            if left > 0:
                sleep(left)
        self.last = monotonic()
