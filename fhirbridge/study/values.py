"""Values of records: what a field may hold, as Python and as JSON.

Dates stay text, as partial as they came; a stated reason of absence is no value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

ABSENT_REASONS = (
    "unknown",
    "not-asked",
    "asked-declined",
    "masked",
    "not-applicable",
    "not-performed",
    "error",
)


@dataclass(frozen=True, slots=True)
class Absent:
    """A value that is not there, and why: one of ABSENT_REASONS."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """An identifier of a person or thing, or a code, in the system that gave it."""

    system: str
    value: str


Value = str | int | Decimal | bool | Absent | tuple[Identifier, ...] | tuple[str, ...]

_DATETIME = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d{2})(-(?P<day>\d{2})"
    r"(?P<time>T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00))?)?)?",
    re.ASCII,
)
_DAY = len("2024-05-01")


def is_date(text: str, *, time: bool) -> bool:
    """A real date, possibly partial (`2024`, `2024-03`); with `time`, also an instant with its
    zone.

    >>> is_date("2024-02-29", time=False), is_date("2023-02-29", time=False)
    (True, False)
    """
    if len(text) == _DAY:
        return _is_day(text)
    found = _DATETIME.fullmatch(text)
    if found is None:
        return False
    year, month, day, clock = found.group("year", "month", "day", "time")
    if (clock and not time) or year == "0000":
        return False
    if month is None:
        return True
    if not 1 <= int(month) <= 12:
        return False
    if day is None:
        return True
    return _is_day(text[:_DAY])


def _is_day(text: str) -> bool:
    """YYYY-MM-DD and no other of the forms that `fromisoformat` reads."""
    if text[4] != "-" or text[7] != "-":
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def surely_not_before(end: str, start: str) -> bool:
    """Whether one date is the same as another or after it, however much of either is not known; as
    FHIRPath compares (http://hl7.org/fhirpath/N1/#comparison).

    >>> surely_not_before("2024-05", "2024-04-30"), surely_not_before("2024-05", "2024-05-01")
    (True, False)
    """
    if len(end) > _DAY and len(start) > _DAY:
        moments = [datetime.fromisoformat(text) for text in (end, start)]
        return moments[0] >= moments[1]
    shared = min(len(end), len(start), _DAY)
    if end[:shared] != start[:shared]:
        return end[:shared] > start[:shared]
    return len(end) == len(start)


def has_value(value: object) -> bool:
    """False for what is not there, and for a reason of absence."""
    return value is not None and not isinstance(value, Absent)


def value_to_json(value: Value) -> Any:
    """An absent value as `{"absent": reason}`, an identifier as `{"system", "value"}`."""
    if isinstance(value, Absent):
        return {"absent": value.reason}
    if isinstance(value, tuple):
        return [item if isinstance(item, str) else _pair(item) for item in value]
    return value


def _pair(item: Identifier) -> dict[str, str]:
    return {"system": item.system, "value": item.value}


def value_from_json(raw: Any) -> Any:
    """The inverse of `value_to_json`; what is no value comes back as it is, for the check to
    tell. So does an empty list, as an empty tuple.
    """
    if isinstance(raw, dict) and raw.keys() == {"absent"}:
        return Absent(str(raw["absent"]))
    if not isinstance(raw, list):
        return raw
    if all(isinstance(item, str) for item in raw):
        return tuple(raw)
    if all(isinstance(item, dict) and item.keys() == {"system", "value"} for item in raw):
        return tuple(Identifier(str(item["system"]), str(item["value"])) for item in raw)
    return raw
