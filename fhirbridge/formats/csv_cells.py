"""Cells of CSV files: text to a value of a field and back, as one function for each field.

A blank states nothing, a word of ABSENT_REASONS states why there is no value. Lists are divided by
`;` (words) or blanks (system|value); a backslash keeps a divider inside a word, and a word of
ABSENT_REASONS a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from fhirbridge.study.definition import ABSENT_REASONS, Field
from fhirbridge.study.records import Absent, Identifier

Parse = Callable[[str], Any]

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,18}(\.\d{1,18})?([eE][+-]?\d{1,3})?", re.ASCII)  # as in FHIR JSON
_TRUTHS: Mapping[str, bool] = MappingProxyType(
    {"true": True, "false": False, "yes": True, "no": False}
)
_WORD_SIGNS = re.compile(r"[;\\]")
_RUNS = re.compile(r"'*[=+\-@\t\r＝＋－＠]")
_NUMBER = re.compile(r"[+-]?\d[\d.,]*([eE][+-]?\d+)?", re.ASCII)
_PAIR_SIGNS = re.compile(r"[\s\\]")


def parser(field: Field) -> Parse:
    """Cell to value: None where the cell cannot be one, the check judges the rest. The cell is not
    blank."""
    plain = _PARSERS.get(field.type, str.strip)
    if field.many:
        plain = _words
    reasons = {r: Absent(r) for r in ABSENT_REASONS if r not in field.choices}

    def parse(cell: str) -> Any:
        text = cell.strip()
        kept = text[:1] == "\\" and text.lstrip("\\") in reasons
        return plain(text[1:]) if kept else reasons.get(text) or plain(cell)

    return parse


def parse_value(field: Field, text: str) -> Any:
    """One text as a value of the field, None where it cannot be one."""
    return parser(field)(text)


def _integer(cell: str) -> int | None:
    text = cell.strip()
    return int(text) if _INTEGER.fullmatch(text) else None


def _decimal(cell: str) -> Decimal | None:
    text = cell.strip()
    return Decimal(text) if _DECIMAL.fullmatch(text) else None


def _boolean(cell: str) -> bool | None:
    return _TRUTHS.get(cell.strip().lower())


def _words(cell: str) -> tuple[str, ...] | None:
    parts = _divided(cell, ";".__eq__) if "\\" in cell else cell.split(";")
    words = tuple(part.strip() for part in parts)
    return words if all(words) else None


def _pairs(cell: str) -> tuple[Identifier, ...] | None:
    parts = filter(None, _divided(cell, str.isspace)) if "\\" in cell else cell.split()
    pairs = [part.partition("|") for part in parts]
    whole = all(system and value for system, _, value in pairs)
    return tuple(Identifier(s, v) for s, _, v in pairs) if whole else None


def _divided(cell: str, divides: Callable[[str], bool]) -> list[str]:
    """The parts of a cell with backslashes; one before anything but a divider or another stays."""
    parts, kept = [""], False
    for sign in cell:
        if kept:
            parts[-1] += sign if divides(sign) or sign == "\\" else f"\\{sign}"
            kept = False
        elif sign == "\\":
            kept = True
        elif divides(sign):
            parts.append("")
        else:
            parts[-1] += sign
    parts[-1] += "\\" * kept
    return parts


_PARSERS: Mapping[str, Parse] = MappingProxyType(
    {
        "integer": _integer,
        "decimal": _decimal,
        "boolean": _boolean,
        "ids": _pairs,
        "codes": _pairs,
    }
)


def cell(field: Field, value: Any) -> str:
    """The value as a cell that reads back as the same value, but for blanks at the ends of a text
    or a word."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Absent):
        return value.reason
    if isinstance(value, tuple) and value and isinstance(value[0], Identifier):
        return " ".join(
            f"{_kept(item.system, _PAIR_SIGNS)}|{_kept(item.value, _PAIR_SIGNS)}" for item in value
        )
    many = isinstance(value, tuple)
    text = ";".join(_kept(word, _WORD_SIGNS) for word in value) if many else str(value)
    is_reason = text.lstrip("\\") in ABSENT_REASONS and text not in field.choices
    return f"\\{text}" if is_reason else text


def guarded(text: str) -> str:
    """As a cell that no spreadsheet runs; a number stays one.

    >>> guarded("=1+1"), guarded("-1.5"), guarded("nail")
    ("'=1+1", '-1.5', 'nail')
    """
    return f"'{text}" if _RUNS.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(text: str) -> str:
    """Without the apostrophe that an export puts before what a spreadsheet would run."""
    return text[1:] if text[:1] == "'" and _RUNS.match(text) else text


def _kept(text: str, signs: re.Pattern[str]) -> str:
    return signs.sub(r"\\\g<0>", text)
