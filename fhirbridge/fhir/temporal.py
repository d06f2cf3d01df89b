"""FHIR's date, dateTime, instant and time: which texts are one, and which of two is earlier.

Real calendar days only; keeps the precision that was written (https://hl7.org/fhir/R4/datatypes.html#dateTime).
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta
from decimal import Decimal

_DATE = r"([0-9]{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"([01][0-9]|2[0-3]):([0-5][0-9]):((?:[0-5][0-9]|60)(?:\.[0-9]+)?)"
_ZONE = r"(Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_MOMENT = re.compile(rf"{_DATE}(?:T{_CLOCK}{_ZONE})?)?)?")
_TIME = re.compile(_CLOCK)

Moment = tuple[int | Decimal, ...]
"""Year, month, day, hour, minute, second, in UTC where there is a time; as long as was written."""


def _parts(text: str) -> tuple[str | None, ...] | None:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    parts: tuple[str | None, ...] = found.groups()
    year, month, day = (int(part or 1) for part in parts[:3])
    return parts if year and day <= monthrange(year, month)[1] else None


def is_date(text: str) -> bool:
    """
    >>> is_date("2024-02-29"), is_date("2021-02-30"), is_date("2021-02")
    (True, False, True)
    """
    parts = _parts(text)
    return parts is not None and parts[3] is None


def is_date_time(text: str) -> bool:
    return _parts(text) is not None


def is_instant(text: str) -> bool:
    parts = _parts(text)
    return parts is not None and parts[3] is not None


def is_time(text: str) -> bool:
    return _TIME.fullmatch(text) is not None


def moment(text: str) -> Moment | None:
    """The numbers of a date or dateTime; None of any other text."""
    parts = _parts(text)
    if parts is None:
        return None
    year, month, day, hour, minute, second, zone = parts
    if hour is None or minute is None or second is None or zone is None:
        return tuple(int(part) for part in (year, month, day) if part)
    local = datetime(int(year or 1), int(month or 1), int(day or 1), int(hour), int(minute))
    return (*_utc(local, zone), Decimal(second))


def _utc(local: datetime, zone: str) -> tuple[int, ...]:
    if zone != "Z":
        shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        earliest, latest = datetime.min + shift, datetime.max - shift
        if zone[0] == "+" and local >= earliest:
            local -= shift
        elif zone[0] == "-" and local <= latest:
            local += shift
    return (local.year, local.month, local.day, local.hour, local.minute)


def in_order(start: str, end: str) -> bool | None:
    """FHIRPath's `start <= end`: None where the precisions differ and leave it open.

    >>> in_order("2020", "2021-05"), in_order("2021-01-05", "2021-01")
    (True, None)
    """
    first, last = moment(start), moment(end)
    if first is None or last is None:
        return None
    for one, other in zip(first, last, strict=False):
        if one != other:
            return one < other
    return True if len(first) == len(last) else None
