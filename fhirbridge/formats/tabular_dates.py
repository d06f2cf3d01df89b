"""Dates of tables: ISO as it stands, another order only where it was told for the column, and why a
cell is none. No order is ever inferred, also not from a 25 in first place.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from fhirbridge.study.values import is_date

ORDERS = ("DMY", "MDY", "YMD")
_ISO_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?", re.ASCII
)
_PARTS = re.compile(r"(\d{1,4})[./\-](\d{1,2})[./\-](\d{1,4})(?:[T ,]+\d{1,2}:\d{2}.*)?", re.ASCII)
_SERIAL = re.compile(r"[1-9]\d{4}([.,]\d+)?", re.ASCII)
_ISO_LIKE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_MONTH = (
    "jan", "feb", "mär", "mrz", "mar", "apr", "mai", "may", "jun", "jul", "aug", "sep", "okt",
    "oct", "nov", "dez", "dec", "janv", "févr", "avr", "juin", "juil", "août", "sept", "déc", "ene",
    "abr", "ago", "dic",
)  # fmt: skip
_WORDS = re.compile(
    rf"(?:\d{{1,4}}[.\- /]{{0,2}}(?:{'|'.join(_MONTH)})[a-zäû]*\.?(?:[.\- /]{{0,2}}\d{{2,4}})?"
    rf"|(?:{'|'.join(_MONTH)})[a-zäû]*\.?[.\- /]{{1,2}}\d{{1,4}}(?:[.,\- /]{{0,2}}\d{{2,4}})?)",
    re.IGNORECASE,
)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def read(text: str, *, order: str, time: bool) -> str:
    """The date in ISO form, or nothing where it is none. `time`: an instant with its zone stays."""
    if is_date(text, time=time):
        return text
    timed = _ISO_TIME.fullmatch(text)
    if timed and is_date(timed[1], time=False):
        return timed[1]
    found = _PARTS.fullmatch(text)
    if order and found and not _ISO_LIKE.fullmatch(text):
        return _ordered(found, order)
    return ""


def _ordered(found: re.Match[str], order: str) -> str:
    parts = dict(zip(order, found.groups(), strict=True))
    if len(parts["Y"]) != 4:
        return ""
    made = f"{parts['Y']}-{parts['M']:0>2}-{parts['D']:0>2}"
    return made if is_date(made, time=False) else ""


def orders(text: str) -> frozenset[str]:
    """The orders, day or month first, in which the text would be a date."""
    found = _PARTS.fullmatch(text)
    if found is None or _ISO_LIKE.fullmatch(text):
        return frozenset()
    return frozenset(order for order in ("DMY", "MDY") if _ordered(found, order))


def looks_like_one(text: str) -> bool:
    """Whether a spreadsheet may have made a date of something else."""
    return bool(
        _ISO_TIME.fullmatch(text)
        or _ISO_LIKE.fullmatch(text)
        or _WORDS.fullmatch(text)
        or orders(text)
    )


def fault(text: str, *, order: str, both: str) -> tuple[str, str]:
    """Cause and remedy of a text that is no date. `both`: where the file holds both orders."""
    if _SERIAL.fullmatch(text):
        return _serial(text)
    found = _PARTS.fullmatch(text)
    if re.fullmatch(r"[0.\-/ ]+", text):
        return "no date; a local word for unknown?", "leave it blank, or map it to unknown"
    if found and _ISO_LIKE.fullmatch(text):
        return _impossible(text), "correct it"
    if found and len(found[1]) < 4 and len(found[3]) < 4:
        return "a two-digit year", "write YYYY-MM-DD"
    if found and order:
        return f"no date when read as {order}, the order told for this column", "correct it"
    if found:
        return _unordered(text, both), "state the order for this column, or write YYYY-MM-DD"
    if _WORDS.fullmatch(text):
        return "a month in words", "write YYYY-MM-DD"
    return "no date", "write YYYY-MM-DD"


def _serial(text: str) -> tuple[str, str]:
    days = int(re.split("[.,]", text)[0])
    new, old = date(1899, 12, 30) + timedelta(days), date(1904, 1, 1) + timedelta(days)
    cause = f"a spreadsheet serial: {new} (1900 system) or {old} (1904 system)"
    return cause, "format the column YYYY-MM-DD"


def _unordered(text: str, both: str) -> str:
    possible = orders(text)
    told = f"; the file holds both orders ({both})" if both else ""
    if len(possible) == 2:
        found = _PARTS.fullmatch(text)
        assert found is not None
        if found[1] == found[2]:
            return f"no order is stated for this column{told}"
        first, second = int(found[1]), int(found[2])
        day = f"{first} {_MONTHS[second - 1]} or {second} {_MONTHS[first - 1]}?"
        return f"{day} No order is stated for this column{told}"
    return "no order is stated for this column" + (told if possible else "")


def _impossible(text: str) -> str:
    year, month, day = (int(part) for part in text.split("-"))
    if not 1 <= month <= 12:
        return f"there is no month {month}"
    if not 1 <= day <= 31:
        return f"there is no day {day}"
    last = (date(year + month // 12, month % 12 + 1, 1) - timedelta(1)).day if year else 0
    return f"{_MONTHS[month - 1]} has {last} days"
