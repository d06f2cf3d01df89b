"""When work comes again, in plain words: `every 15m`, `daily 02:00`, `weekly sun 03:00`.

A time of day is the zone's. Where the clock is put forward over it, it comes as much later as the
clock was put forward; where it is put back over it, it comes the first time alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fhirbridge.outcome import BridgeError, Issue

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EVERY = re.compile(r"every ([1-9][0-9]{0,3})([mhd])")
_AT = re.compile(r"(daily|weekly ([a-z]{3})) ([01][0-9]|2[0-3]):([0-5][0-9])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_REMEDY = "write 'every 15m' (or h, d), 'daily 02:00' or 'weekly sun 03:00'"


@dataclass(frozen=True, slots=True)
class Rule:
    """`every` alone, or `at` with the day of the week where it is not each one."""

    zone: ZoneInfo
    every: timedelta | None = None
    at: time | None = None
    weekday: int | None = None

    def after(self, moment: datetime) -> datetime:
        """The first time that is later than the moment, in UTC."""
        if self.every is not None:
            return moment.astimezone(UTC) + self.every
        assert self.at is not None
        day = moment.astimezone(self.zone).date() - timedelta(days=1)
        for _ in range(10):
            if self.weekday is None or day.weekday() == self.weekday:
                # fold=0: of two such times the first, and of none the one by the old offset.
                found = datetime.combine(day, self.at, self.zone).astimezone(UTC)
                if found > moment:
                    return found
            day += timedelta(days=1)
        raise AssertionError("a week has seven days")

    def times(self, moment: datetime, count: int) -> list[datetime]:
        found: list[datetime] = []
        for _ in range(count):
            found.append(self.after(found[-1] if found else moment))
        return found


def read(text: str, zone: str = "UTC") -> Rule:
    """Raises `BridgeError` (value) with what would be right."""
    place = _zone(zone)
    words = " ".join(text.lower().split())
    if found := _EVERY.fullmatch(words):
        return Rule(place, every=int(found[1]) * _UNITS[found[2]])
    found = _AT.fullmatch(words)
    if found is None or (found[2] and found[2] not in DAYS):
        raise BridgeError(Issue("value", f"'{text}' says no time", _REMEDY))
    at = time(int(found[3]), int(found[4]))
    return Rule(place, at=at, weekday=DAYS.index(found[2]) if found[2] else None)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        cause = f"there is no time zone '{name}'"
        raise BridgeError(Issue("value", cause, "name one as Europe/Berlin")) from None
