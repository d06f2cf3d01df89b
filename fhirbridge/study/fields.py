"""One data element of the study: its words, and the quick test of a value that they make.

Knows nothing of YAML and nothing of FHIR.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as part
from decimal import Decimal, InvalidOperation
from typing import Any

from fhirbridge.study.values import ABSENT_REASONS, Absent, Identifier, is_date

TYPES = frozenset(
    {
        "text",
        "integer",
        "decimal",
        "date",
        "datetime",
        "choice",
        "boolean",
        "reference",
        "ids",
        "codes",
    }
)
NUMBERS = frozenset({"integer", "decimal"})
DATES = frozenset({"date", "datetime"})
PAIRS = frozenset({"ids", "codes"})
MANY = frozenset({"choice", "reference"})
PRECISIONS = {"day": len("2024-05-01"), "second": len("2024-05-01T12:00:00Z")}
MAX_MATCHED = 1000  # characters of a text that a pattern is tried on

Fits = Callable[[Any], bool]
Lists = tuple[tuple[str, tuple[str, ...]], ...]
Range = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Mid:
    """The smallest important change that a source has published, as a size: `better` of the field
    gives its direction."""

    value: Decimal
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Total:
    """The field is the sum of others: of `of`, or of those that `lists` has for the word that the
    field `by` holds. `alone`: may be there without any of them."""

    of: tuple[str, ...] = ()
    by: str = ""
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()
    alone: bool = False

    def parts(self, word: object) -> tuple[str, ...]:
        """The fields to add up; empty where `by` decides and `word` is none of its words."""
        return next((names for known, names in self.lists if known == word), self.of)


@dataclass(frozen=True, slots=True)
class Field:
    """One data element. `type` is one of TYPES: `date` and `datetime` may be partial, `datetime`
    may carry a time with its zone; `ids` is a list of system and value, kept in the identity
    vault; `codes` is such a list too, of codes as their source gave them; `reference` is the key
    of a record of the form `to`."""

    name: str
    type: str
    meaning: str = ""
    unit: str = ""  # UCUM
    range: Range | None = None
    choices: tuple[str, ...] = ()
    better: str = ""  # "higher" or "lower": the direction of the score
    required: bool = False  # a value or a reason for its absence must be there
    absent: bool = True  # may be absent for a reason; False where its choices must say it all
    accept: str = "auto"  # "review": a proposal waits for a person
    source: str = ""
    licence: str = ""
    to: str = ""  # the form that a reference leads to
    many: bool = False  # a choice or reference that holds several different words
    with_: tuple[str, ...] = ()  # a value needs values of these; `with` in the definition
    among: tuple[tuple[str, Lists], ...] = ()  # by another field's word, these alone are possible
    with_words: tuple[tuple[str, tuple[str, ...]], ...] = ()  # and these hold one of the words
    total: Total | None = None
    only: tuple[Decimal, ...] = ()  # the numbers of the range that are allowed
    step: Decimal | None = None  # between allowed numbers, from the low end of the range
    pattern: str = ""  # the whole text must match
    precision: str = ""  # "day" or "second": how precise a date must at least be
    after: str = ""  # another date of the form, which this one is surely not before
    mid: Mid | None = None
    instrument: str = ""  # one of the study's instruments
    pick: tuple[tuple[str, str], ...] = ()  # visit and which candidate it takes
    fits: Fits = part(init=False, repr=False, compare=False)  # True: nothing to object

    def __post_init__(self) -> None:
        object.__setattr__(self, "fits", _or_absent(self, _FITS[self.type](self)))

    def picks(self, visit: str) -> str:
        """`nearest` or `last`: which candidate of its window the visit takes."""
        return dict(self.pick).get(visit, "nearest")

    def allows(self, number: int | Decimal) -> bool:
        """Whether a number of the range is one of those that `only` and `step` leave."""
        if self.only:
            return number in self.only
        if self.step is None:
            return True
        try:
            return (number - (self.range[0] if self.range else 0)) % self.step == 0
        except InvalidOperation:  # more steps than a Decimal has digits for
            return False


def _or_absent(field: Field, plain: Fits) -> Fits:
    if not field.absent:
        return plain
    reasons = frozenset(ABSENT_REASONS)
    return lambda value: plain(value) or (type(value) is Absent and value.reason in reasons)


def _integer(field: Field) -> Fits:
    if field.only or field.step is not None:
        return _counted(field)
    if field.range is None:
        return lambda value: type(value) is int
    low, high = math.ceil(field.range[0]), math.floor(field.range[1])
    return lambda value: type(value) is int and low <= value <= high


def _counted(field: Field) -> Fits:
    def fits(value: Any) -> bool:
        if type(value) is not int:
            return False
        inside = field.range is None or field.range[0] <= value <= field.range[1]
        return inside and field.allows(value)

    return fits


def _decimal(field: Field) -> Fits:
    low, high = field.range or (Decimal("-Infinity"), Decimal("Infinity"))
    plain = not field.only and field.step is None

    def fits(value: Any) -> bool:
        number = value.is_finite() if type(value) is Decimal else type(value) is int
        return number and low <= value <= high and (plain or field.allows(value))

    return fits


def _words(field: Field) -> Fits:
    words = frozenset(field.choices)
    if not field.many:
        return lambda value: type(value) is str and value in words
    return lambda value: are_different_words(value) and words.issuperset(value)


def are_different_words(value: object) -> bool:
    """A tuple of at least one text, none blank, none twice."""
    return (
        type(value) is tuple
        and bool(value)
        and all(type(word) is str and word.strip() for word in value)
        and len({*value}) == len(value)
    )


def _text(field: Field) -> Fits:
    if field.many:
        return are_different_words
    if field.pattern:
        return lambda value: type(value) is str and bool(value.strip()) and matches(field, value)
    return lambda value: type(value) is str and bool(value) and not value.isspace()


def matches(field: Field, text: str) -> bool:
    """The whole text has the form that the field's pattern asks for."""
    whole = len(text) <= MAX_MATCHED and re.fullmatch(field.pattern, text, re.ASCII)
    return bool(whole)


def _boolean(field: Field) -> Fits:
    return lambda value: value is True or value is False


def _date(field: Field) -> Fits:
    time, least = field.type == "datetime", PRECISIONS.get(field.precision, 0)
    if not least:
        return lambda value: type(value) is str and is_date(value, time=time)
    return lambda value: type(value) is str and len(value) >= least and is_date(value, time=time)


def _pairs(field: Field) -> Fits:
    return lambda value: not pairs_fault(value)


def pairs_fault(value: object) -> str:
    """What keeps the value from being a list of systems and their values; empty: nothing."""
    fits = isinstance(value, tuple) and all(isinstance(item, Identifier) for item in value)
    if not isinstance(value, tuple) or not fits or not value or len({*value}) < len(value):
        return "is no list of different identifiers"
    whole = all(i.system and not _BLANK.search(i.system) and i.value.strip() for i in value)
    return "" if whole else "has an identifier without system or value"


_BLANK = re.compile(r"\s")
_FITS: Mapping[str, Callable[[Field], Fits]] = {
    "integer": _integer,
    "decimal": _decimal,
    "choice": _words,
    "text": _text,
    "reference": _text,
    "boolean": _boolean,
    "date": _date,
    "datetime": _date,
    "ids": _pairs,
    "codes": _pairs,
}
