"""How many requests are taken of one client, and how many failed logins of one address.

Each worker process counts for itself, in memory: a limit is a fence and no account.
"""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from fhirbridge.outcome import BridgeError, Issue


class Throttle:
    """`rate` is "100/second" or the like; "" is no limit."""

    def __init__(self, rate: str, *, setting: str) -> None:
        self._item = _item(rate, setting) if rate else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage()) if rate else None

    def wait(self, whom: str) -> int:
        """Seconds until one more is taken; 0 where this one is."""
        if self._limiter is None or self._item is None or self._limiter.hit(self._item, whom):
            return 0
        reset, _ = self._limiter.get_window_stats(self._item, whom)
        return max(1, math.ceil(reset - time.time()))


def _item(rate: str, setting: str) -> RateLimitItem:
    try:
        return parse(rate)
    except ValueError:
        remedy = "write it as 100/second or 20/minute"
        raise BridgeError(Issue("configuration", "it is no rate", remedy, place=setting)) from None


class Throttled(BridgeError):
    """`seconds` until it may be tried again."""

    def __init__(self, cause: str, seconds: int) -> None:
        super().__init__(Issue("throttled", cause, f"wait {seconds} seconds, then send it again"))
        self.seconds = seconds
