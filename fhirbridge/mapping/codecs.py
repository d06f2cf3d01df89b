"""Codecs: how a value changes its form between a field of the study and an element of FHIR.

Each has two directions, `read` and `write`. A reading ends as a value, as nothing, or as a `Fault`
that says why not and whether a person or a new crosswalk line can help.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol

from fhirbridge.mapping.crosswalk import Crosswalk, Line
from fhirbridge.study.definition import Field
from fhirbridge.study.records import Identifier, Value, is_date


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a value could not be read. `refused`: known, and certainly not for this study."""

    category: str
    cause: str
    remedy: str
    refused: bool = False


class Codec(Protocol):
    """`types`: the FHIR types that it reads and writes."""

    types: frozenset[str]

    def read(self, raw: Any) -> Value | Fault | None: ...

    def write(self, value: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Text:
    types = frozenset({"string", "markdown", "code", "id", "uri"})

    def read(self, raw: Any) -> Value | Fault | None:
        return raw if isinstance(raw, str) and raw.strip() else None

    def write(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class Date:
    """dateTime or date as it stands, with its precision and its zone."""

    time: bool
    types = frozenset({"date", "dateTime", "instant"})

    def read(self, raw: Any) -> Value | Fault | None:
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

    def read(self, raw: Any) -> Value | Fault | None:
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
    """A number that a system sends as text; ranges ("6-7") and words are not guessed at."""

    whole: bool
    types = frozenset({"string"})

    def read(self, raw: Any) -> Value | Fault | None:
        pattern = _INTEGER if self.whole else _DECIMAL
        if isinstance(raw, str) and pattern.fullmatch(raw.strip()):
            return int(raw) if self.whole else Decimal(raw.strip())
        return Fault("value", "the text is no single number", "a person must read it")

    def write(self, value: int | Decimal) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class Quantity:
    """Quantity in the field's unit. Another unit is a fault: nothing is converted by a guess."""

    whole: bool
    unit: str
    types = frozenset({"Quantity", "SimpleQuantity"})

    def read(self, raw: Any) -> Value | Fault | None:
        if not isinstance(raw, Mapping) or "value" not in raw:
            return None
        if "comparator" in raw:
            return Fault("business-rule", "a bound is no value", "a person must read it")
        # A score has no physical unit: 1, {score} and no unit at all say the same (UCUM section 2).
        plain = self.unit == "1" or self.unit.startswith("{")
        same = {self.unit} | ({"1", "", "{score}"} if plain else set())
        given = raw.get("code", raw.get("unit", ""))
        if given not in same:
            cause = f"the unit '{given}' is not '{self.unit}'"
            return Fault("business-rule", cause, f"send the value in {self.unit}")
        return Number(self.whole).read(raw["value"])

    def write(self, value: int | Decimal) -> dict[str, Any]:
        return {
            "value": value,
            "unit": self.unit,
            "system": "http://unitsofmeasure.org",
            "code": self.unit,
        }


@dataclass(frozen=True, slots=True)
class Code:
    """CodeableConcept, Coding or code through a crosswalk; the study's word comes out.

    `system` is what a bare `code` element implies. A code that the crosswalk does not list is
    refused where all its codings are of systems that the crosswalk covers, and waits for a person
    otherwise.
    """

    crosswalk: Crosswalk
    system: str = ""
    types = frozenset({"CodeableConcept", "Coding", "code"})

    def read(self, raw: Any) -> Value | Fault | None:
        found = [(coding, self._line(coding)) for coding in self._codings(raw)]
        lines = [line for _, line in found if line is not None]
        refusing = next((line for line in lines if line.relationship == "disjoint"), None)
        if refusing is not None:
            cause = f"{refusing.system}|{refusing.code} is not meant: {refusing.note}"
            return Fault("business-rule", cause, "nothing to do", refused=True)
        words = {line.target for line in lines if line.reads}
        if len(words) == 1:
            return words.pop()
        if words:
            told = ", ".join(sorted(words))
            return Fault("business-rule", f"the codings say {told}", "a person decides")
        if lines:
            line = lines[0]
            cause = f"{line.system}|{line.code} does not say which: {line.note}"
            return Fault(
                "business-rule", cause, "a person decides, or a crosswalk line of the site"
            )
        return self._unknown(raw, [coding for coding, _ in found])

    def _line(self, coding: Mapping[str, Any]) -> Line | None:
        return self.crosswalk.find(coding.get("system", ""), coding.get("code", ""))

    def _codings(self, raw: Any) -> Iterator[Mapping[str, Any]]:
        if isinstance(raw, str):
            yield {"system": self.system, "code": raw}
        elif isinstance(raw, Mapping):
            codings = raw.get("coding", ()) if "code" not in raw else (raw,)
            yield from (c for c in codings if isinstance(c, Mapping) and c.get("code"))

    def _unknown(self, raw: Any, codings: list[Mapping[str, Any]]) -> Fault | None:
        if not codings:
            if isinstance(raw, Mapping) and raw.get("text"):
                cause = "there is a text and no code; a text is never coded by itself"
                return Fault("unknown-code", cause, "code it at its source, or decide by hand")
            return None
        named = ", ".join(f"{c.get('system', '(no system)')}|{c['code']}" for c in codings)
        foreign = all(self.crosswalk.covers(c.get("system", "")) for c in codings)
        cause = f"{named} is not in the crosswalk '{self.crosswalk.name}'"
        line = f"add a line to {self.crosswalk.name}.csv of the site"
        remedy = f"nothing to do; where it is meant, {line}" if foreign else f"{line}, then replay"
        return Fault("unknown-code", cause, remedy, refused=foreign)

    def write(self, value: str) -> Any:
        line = self.crosswalk.back[value]
        if self.system:
            return line.code
        coding = {"system": line.system, "code": line.code}
        return {"coding": [{**coding, "display": line.display} if line.display else coding]}


@dataclass(frozen=True, slots=True)
class Grade:
    """A code that stands for a whole number; the crosswalk's targets are the numbers."""

    code: Code
    types = frozenset({"CodeableConcept", "Coding"})

    def read(self, raw: Any) -> Value | Fault | None:
        word = self.code.read(raw)
        return int(word) if isinstance(word, str) else word

    def write(self, value: int) -> Any:
        return self.code.write(str(value))


@dataclass(frozen=True, slots=True)
class Ids:
    """Every identifier of the list that is none of ours."""

    own: frozenset[str]
    types = frozenset({"Identifier"})

    def read(self, raw: Any) -> Value | Fault | None:
        if not isinstance(raw, Mapping) or raw.get("use") == "old":
            return None
        system, value = raw.get("system"), raw.get("value")
        if not system or not value or system in self.own:
            return None
        return (Identifier(system, value),)

    def write(self, value: tuple[Identifier, ...]) -> list[dict[str, str]]:
        return [{"system": item.system, "value": item.value} for item in value]


PLAIN: Mapping[str, Callable[[Field], Codec]] = MappingProxyType(
    {
        "text": lambda field: Text(),
        "date": lambda field: Date(time=field.type == "datetime"),
        "number": lambda field: Number(whole=field.type == "integer"),
        "number-word": lambda field: NumberWord(whole=field.type == "integer"),
        "quantity": lambda field: Quantity(field.type == "integer", field.unit or "1"),
    }
)
