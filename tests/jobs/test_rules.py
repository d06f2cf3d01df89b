"""When work comes again: by the clock of a zone, whatever that clock does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhirbridge.jobs import rules
from fhirbridge.outcome import BridgeError

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "zone", "now", "then"),
    [
        ("every 15m", "UTC", "2026-03-01T10:00", "2026-03-01T10:15"),
        ("every 2h", BERLIN, "2026-03-29T00:30", "2026-03-29T02:30"),  # hours, not the clock's
        ("daily 02:00", "UTC", "2026-03-01T01:59", "2026-03-01T02:00"),
        ("daily 02:00", "UTC", "2026-03-01T02:00", "2026-03-02T02:00"),  # later, never now
        ("Daily  02:00", BERLIN, "2026-01-15T00:30", "2026-01-15T01:00"),
        ("daily 23:30", "America/Los_Angeles", "2026-01-15T00:00", "2026-01-15T07:30"),
        ("weekly sun 03:00", BERLIN, "2026-11-30T00:00", "2026-12-06T02:00"),
        ("weekly mon 00:00", "Pacific/Auckland", "2026-07-05T00:00", "2026-07-05T12:00"),
    ],
)
def test_the_next_time(rule: str, zone: str, now: str, then: str) -> None:
    assert rules.read(rule, zone).after(at(now)) == at(then)


@pytest.mark.parametrize(
    ("rule", "before", "times"),
    [
        # In the night of 29 March the clock goes from 02:00 to 03:00.
        ("daily 02:30", "2026-03-28T00:00", ["03-28T01:30", "03-29T01:30", "03-30T00:30"]),
        # In the night of 25 October it goes from 03:00 to 02:00: 02:30 is there twice.
        ("daily 02:30", "2026-10-24T00:00", ["10-24T00:30", "10-25T00:30", "10-26T01:30"]),
        ("weekly sun 02:30", "2026-10-24T12:00", ["10-25T00:30", "11-01T01:30"]),
    ],
)
def test_e27_once_a_day_where_the_clock_is_put_forward_or_back(
    rule: str, before: str, times: list[str]
) -> None:
    found = rules.read(rule, BERLIN).times(at(before), len(times))
    assert found == [at(f"2026-{time}") for time in times]


@pytest.mark.parametrize(
    "text",
    ["", "daily", "daily 25:00", "daily 2:00", "weekly foo 02:00", "every 0m", "every 15", "* * *"],
)
def test_what_is_no_time_is_told_with_what_would_be(text: str) -> None:
    with pytest.raises(BridgeError, match="every 15m"):
        rules.read(text)


@pytest.mark.parametrize("zone", ["Mars/North", "", "../../etc/passwd", "/etc/passwd"])
def test_an_unknown_zone_is_told(zone: str) -> None:
    with pytest.raises(BridgeError, match="Europe/Berlin"):
        rules.read("daily 02:00", zone)
