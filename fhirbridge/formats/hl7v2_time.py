"""Times of HL7 v2 (`YYYY[MM[DD[HH[MM[SS[.S]]]]]][+ZZZZ]`) as FHIR writes them.

Precision is kept, a day is never moved, and a filler ("00", 19000101) is no time.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from fhirbridge.study.values import is_date

Zone = Callable[[str], str]
"""The offset at a local time (`2026-03-01T09:30:00`), such as `+01:00`."""

_TIME = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(\.\d{1,4})?)?)?)?)?)?([+-]\d{4})?",
    re.ASCII,
)
_FILLERS = ("1900-01-01", "1800-01-01", "1753-01-01", "9999-12-31", "0001-01-01")


def when(text: str, zone: Zone) -> str | None:
    """As a FHIR dateTime; None where it is no moment of the calendar. Without an offset it is the
    sender's local time."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    date = "-".join(part for part in (year, month, day) if part)
    if date[:10] in _FILLERS:
        return None
    if hour is None:
        return date if is_date(date, time=False) else None
    told = f"{date}T{hour}:{minute or '00'}:{second or '00'}{fraction or ''}"
    if not is_date(f"{told}Z", time=True):
        return None
    return told + (f"{offset[:3]}:{offset[3:]}" if offset else zone(told.partition(".")[0]))


def day(text: str) -> str | None:
    """The date alone, as it is written; partial where it is."""
    told = when(text, lambda _: "Z")
    return told[:10] if told else None


def looks_like(text: str) -> bool:
    """Whether a value that should be a score is a date or a time."""
    return len(text) in (8, 12, 14) and text.isdigit() and day(text) is not None
