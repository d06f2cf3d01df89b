"""How many requests are taken of one client, and how many failed logins of one address.

Each worker process counts for itself, in memory: a limit is a fence and no account.
"""

from __future__ import annotations

import math
import time
from threading import Lock

from limits import RateLimitItem, parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from fhirbridge.outcome import BridgeError, Issue

_MOST = 10_000  # names that are counted before those are forgotten whose window has ended


class _Counts(Storage):
    """In memory and without a thread: limits' own storage starts one for every request in a new
    moment (0.3 ms each, measured in November 2026 with limits 5.8).
    """

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__(None)
        self._lock = Lock()
        self._counted: dict[str, tuple[int, float]] = {}  # number, and when its window ends

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        with self._lock:
            if len(self._counted) > _MOST:
                now = time.time()
                self._counted = {k: held for k, held in self._counted.items() if held[1] > now}
            number, until = self._counted.get(key, (0, 0.0))
            if until <= time.time():
                number, until = 0, time.time() + expiry
            self._counted[key] = (number + amount, until)
            return number + amount

    def get(self, key: str) -> int:
        number, until = self._counted.get(key, (0, 0.0))
        return number if until > time.time() else 0

    def get_expiry(self, key: str) -> float:
        return self._counted.get(key, (0, time.time()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        number = len(self._counted)
        self._counted = {}
        return number

    def clear(self, key: str) -> None:
        self._counted.pop(key, None)


class Throttle:
    """`rate` is "100/second" or the like; "" is no limit."""

    def __init__(self, rate: str, *, setting: str) -> None:
        self._item = _item(rate, setting) if rate else None
        self._limiter = FixedWindowRateLimiter(_Counts()) if rate else None

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
