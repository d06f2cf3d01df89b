"""Codecs: how a value changes its form between a field of the study and an element of FHIR.

Each has two directions, `read` and `write`. A reading ends as a value, as a value with a `Remark`,
as nothing, or as a `Fault` that says why not and whether a person or a new crosswalk line can help.
Codes are in `mapping/coded.py`, references in `mapping/referring.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol

from fhirbridge.study.definition import Field
from fhirbridge.study.records import Absent, Identifier, Value, is_date

UCUM = "http://unitsofmeasure.org"
WHOLE = frozenset({""})
"""Parts of an element that a codec reads: all of it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a value could not be read. `refused`: known, and certainly not for this study. `code`:
    what is not listed in the crosswalk `walk`. `slip`: which of it fails its check digit."""

    category: str
    cause: str
    remedy: str
    refused: bool = False
    code: str = ""
    walk: str = ""
    slip: str = ""

    @property
    def elsewhere(self) -> bool:
        """True where the code may mean another field of the same resource."""
        return self.refused or self.category == "unknown-code"


@dataclass(frozen=True, slots=True)
class Remark:
    """A value that was read, and what must be said of it all the same."""

    value: Value
    cause: str
    remedy: str


Read = Value | Fault | Remark | None


class Codec(Protocol):
    """`types`: the FHIR types that it reads and writes. `parts`: what of them it understands, as
    paths below the element; the rest of it is lost."""

    types: frozenset[str]
    parts: frozenset[str]

    def read(self, raw: Any) -> Read: ...

    def write(self, value: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Text:
    types = frozenset({"string", "markdown", "code", "id", "uri", "canonical", "instant"})
    parts = WHOLE

    def read(self, raw: Any) -> Read:
        return raw if isinstance(raw, str) and raw.strip() else None

    def write(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class Date:
    """dateTime or date as it stands, with its precision and its zone."""

    time: bool
    types = frozenset({"date", "dateTime", "instant"})
    parts = WHOLE

    def read(self, raw: Any) -> Read:
        if isinstance(raw, str) and is_date(raw, time=True):
            return raw if self.time else raw[:10]
        return Fault("value", "no date of the calendar", "correct the date at its source")

    def write(self, value: str) -> str:
        return value


_INTEGER = re.compile(r"-?\d{1,9}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Number:
    """integer or decimal; `whole` is the field's own type. Never rounds."""

    whole: bool
    types = frozenset({"integer", "positiveInt", "unsignedInt", "decimal"})
    parts = WHOLE

    def read(self, raw: Any) -> int | Decimal | Fault:
        if isinstance(raw, bool) or not isinstance(raw, int | Decimal):
            return Fault("value", "no number", "send a JSON number")
        number = Decimal(raw)
        if not number.is_finite() or number.adjusted() > 18:  # 1E+999999999 would fill the memory
            return Fault("value", "the number is out of all bounds", "correct it at its source")
        if not self.whole:
            return number
        if number % 1:
            return Fault("business-rule", f"{raw} is no whole number", "say what it stands for")
        return int(raw)

    def write(self, value: int | Decimal) -> int | Decimal:
        return value


@dataclass(frozen=True, slots=True)
class NumberWord:
    """A number that a system sends as text; ranges ("6-7") and words are not guessed at. `reasons`
    are the words that systems send in place of a number, each with its reason of absence. A number
    among them (99) is one where it lies outside the field's `range` alone."""

    whole: bool
    reasons: tuple[tuple[str, str], ...] = ()
    range: tuple[Decimal, Decimal] | None = None
    types = frozenset({"string"})
    parts = WHOLE

    def read(self, raw: Any) -> Read:
        text = raw.strip() if isinstance(raw, str) else ""
        reason = dict(self.reasons).get(text.upper())
        if (_INTEGER if self.whole else _DECIMAL).fullmatch(text):
            if reason and self.range and not self.range[0] <= Decimal(text) <= self.range[1]:
                return Absent(reason)
            return int(text) if self.whole else Decimal(text)
        if reason:
            return Absent(reason)
        return Fault("value", "the text is no single number", "a person must read it")

    def write(self, value: int | Decimal) -> str:
        return str(value)


CONVERSIONS: Mapping[tuple[str, str], Decimal] = MappingProxyType(
    {
        ("Gy", "cGy"): Decimal(100),
        ("cm", "mm"): Decimal(10),
        ("m", "mm"): Decimal(1000),
        ("km", "m"): Decimal(1000),
        ("cm", "m"): Decimal("0.01"),
        ("[in_i]", "mm"): Decimal("25.4"),
        ("[ft_i]", "m"): Decimal("0.3048"),
        ("L", "mL"): Decimal(1000),
        ("l", "mL"): Decimal(1000),
        ("ml", "mL"): Decimal(1),
        ("dL", "mL"): Decimal(100),
        ("h", "min"): Decimal(60),
        ("wk", "d"): Decimal(7),
        ("g/d", "mg/d"): Decimal(1000),
    }
)
"""Exact factors between UCUM units of one kind (https://ucum.org/ucum)."""


def converted(value: Decimal, factor: Decimal) -> Decimal:
    """Times the factor; a power of ten moves the point, and adds no digit: 3.50 cm are 35.0 mm."""
    power = factor.adjusted()
    if factor != Decimal(1).scaleb(power):
        return value * factor
    moved = value.scaleb(power)
    return moved.quantize(Decimal(1)) if moved.as_tuple().exponent > 0 else moved  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class Quantity:
    """Quantity in the field's unit. A unit of the same kind is converted exactly; any other is a
    fault. `same`: units in which the number means the same (a percentage of a score in percent)."""

    whole: bool
    unit: str
    same: frozenset[str] = frozenset()
    types = frozenset({"Quantity", "SimpleQuantity", "Age", "Duration"})
    parts = frozenset({"value", "unit", "system", "code"})

    def read(self, raw: Any) -> Read:
        if not isinstance(raw, Mapping) or "value" not in raw:
            return None
        if "comparator" in raw:
            return Fault("business-rule", "a bound is no value", "a person must read it")
        told = raw["value"]
        if isinstance(told, str) and _DECIMAL.fullmatch(told):  # no R4, and yet it says one thing
            value = self.read({**raw, "value": Decimal(told)})
            number_as_text = "the number stands there as a text", "send a JSON number"
            return Remark(value, *number_as_text) if isinstance(value, int | Decimal) else value
        number = Number(self.whole).read(told)
        given = raw.get("code", raw.get("unit", ""))
        if self.fits(given):
            return number
        factor = CONVERSIONS.get((given, self.unit)) if raw.get("system", UCUM) == UCUM else None
        exact = Number(whole=False).read(told)
        if factor is not None and not isinstance(exact, Fault):
            return Number(self.whole).read(converted(Decimal(exact), factor))
        if isinstance(number, Fault):
            return number
        cause = f"the unit '{given}' is not '{self.unit}'"
        return Fault("business-rule", cause, f"send the value in {self.unit}")

    def fits(self, given: str) -> bool:
        # A score has no physical unit: 1, {score} and no unit at all say the same (UCUM section 2).
        plain = self.unit == "1" or self.unit.startswith("{")
        return given == self.unit or given in self.same or (plain and given in _PLAIN_UNITS)

    def write(self, value: int | Decimal) -> dict[str, Any]:
        return {"value": value, "unit": self.unit, "system": UCUM, "code": self.unit}


_PLAIN_UNITS = frozenset({"1", "", "{score}", "{T-score}", "{Tscore}", "score"})


@dataclass(frozen=True, slots=True)
class Boolean:
    types = frozenset({"boolean"})
    parts = WHOLE

    def read(self, raw: Any) -> Read:
        return raw if isinstance(raw, bool) else None

    def write(self, value: bool) -> bool:
        return value


@dataclass(frozen=True, slots=True)
class YesNo:
    """A boolean element whose two sides are words of the study."""

    yes: str
    no: str
    types = frozenset({"boolean"})
    parts = WHOLE

    def read(self, raw: Any) -> Read:
        return (self.yes if raw else self.no) if isinstance(raw, bool) else None

    def write(self, value: str) -> bool:
        return value == self.yes


@dataclass(frozen=True, slots=True)
class There:
    """That the element is there says the word; for reading. Which value it holds, another row
    says."""

    word: str
    types = frozenset({"dateTime", "date", "instant", "Period", "Reference"})
    parts = WHOLE

    def read(self, raw: Any) -> Read:
        return self.word

    def write(self, value: str) -> Any:
        raise TypeError("what only is there has no own form to be written")


@dataclass(frozen=True, slots=True)
class Ids:
    """Every identifier of the list that is none of ours."""

    own: frozenset[str]
    types = frozenset({"Identifier"})
    parts = frozenset({"system", "value", "use", "type", "assigner"})

    def read(self, raw: Any) -> Read:
        if not isinstance(raw, Mapping) or raw.get("use") == "old":
            return None
        system, value = raw.get("system"), raw.get("value")
        if not system or not value or system in self.own:
            return None
        return (Identifier(system, value),)

    def write(self, value: tuple[Identifier, ...]) -> list[dict[str, str]]:
        return [{"system": item.system, "value": item.value} for item in value]


@dataclass(frozen=True, slots=True)
class Codings:
    """Every coding as its sender chose it. A coding that the mapping itself derives from a word of
    the study carries `userSelected: false`, and is none of these."""

    types = frozenset({"Coding"})
    parts = frozenset({"system", "code", "display", "userSelected"})

    def read(self, raw: Any) -> Read:
        if not isinstance(raw, Mapping) or raw.get("userSelected") is False:
            return None
        system, code = raw.get("system"), raw.get("code")
        if not system and code:
            cause = f"'{code}' has no system: a code alone means nothing"
            return Fault("value", cause, "send its system with it")
        return (Identifier(system, code),) if system and code else None

    def write(self, value: tuple[Identifier, ...]) -> list[dict[str, str]]:
        return [{"system": item.system, "code": item.value} for item in value]


PLAIN: Mapping[str, Callable[[Field], Codec]] = MappingProxyType(
    {
        "text": lambda field: Text(),
        "date": lambda field: Date(time=field.type == "datetime"),
        "number": lambda field: Number(whole=field.type == "integer"),
        "number-word": lambda field: NumberWord(whole=field.type == "integer"),
        "quantity": lambda field: Quantity(field.type == "integer", field.unit or "1"),
        "boolean": lambda field: Boolean(),
        "codings": lambda field: Codings(),
    }
)
