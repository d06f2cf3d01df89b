"""R4's invariants of datatypes, as a table: type or part of a type -> rules.

Each test states the FHIRPath expression of its rule, judged as written: a comparison without an
answer is a failure (https://hl7.org/fhir/R4/datatypes.html). Tests get values of right JSON shape.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from fhirbridge.fhir import narrative, primitives, temporal

UCUM = "http://unitsofmeasure.org"
URIS = "urn:ietf:rfc:3986"

Value = Mapping[str, Any]


class Rule(NamedTuple):
    """An invariant: `holds` of the object's dict; cause and remedy where it does not."""

    key: str
    holds: Callable[[Value], bool]
    cause: str
    remedy: str


def has(value: Value, *names: str) -> bool:
    """FHIRPath's exists() of any of the properties: a value, or an extension in its place."""
    return any(name in value or f"_{name}" in value for name in names)


def chosen(value: Value, choice: str) -> bool:
    """exists() of a choice element, whatever its type."""
    return any(name.removeprefix("_").startswith(choice) for name in value)


def number(value: Any) -> Decimal | None:
    """The exact number, of a float the digits it is printed with; None of what is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    made = Decimal(value) if isinstance(value, int) else Decimal(str(value))
    return made if made.is_finite() else None


def _ext_1(value: Value) -> bool:
    return ("extension" in value) != chosen(value, "value")


def _per_1(value: Value) -> bool:
    start, end = value.get("start"), value.get("end")
    if start is None or end is None:
        return True
    if not temporal.is_date_time(start) or not temporal.is_date_time(end):
        return True  # told already
    return temporal.in_order(start, end) is True


def _rng_2(value: Value) -> bool:
    """low <= high, where the units are the same; whether others convert is not ours to say."""
    low, high = value.get("low", {}), value.get("high", {})
    if any(low.get(name) != high.get(name) for name in ("system", "code", "unit")):
        return True
    least, most = number(low.get("value")), number(high.get("value"))
    return least is None or most is None or least <= most


def _rat_1(value: Value) -> bool:
    numerator, denominator = "numerator" in value, "denominator" in value
    return numerator == denominator and (numerator or "extension" in value)


def _positive(value: Value) -> bool:
    amount = number(value.get("value"))
    return amount is None or amount > 0


def _coded(value: Value) -> bool:
    return has(value, "code") or not has(value, "value")


def _ucum(value: Value) -> bool:
    return not has(value, "system") or value.get("system") == UCUM


def _cnt_3(value: Value) -> bool:
    one = not has(value, "code") or value.get("code") == "1"
    return _coded(value) and _ucum(value) and one and "." not in str(value.get("value", ""))


def _drt_1(value: Value) -> bool:
    return not has(value, "code") or (value.get("system") == UCUM and has(value, "value"))


def _tim_9(value: Value) -> bool:
    meals = {"C", "CM", "CD", "CV"}
    return not has(value, "offset") or bool(value.get("when") and not meals & set(value["when"]))


def _decoded(value: Value) -> bytes | None:
    try:
        return base64.b64decode(value.get("data", ""), validate=True)
    except ValueError:  # told by att-data
        return None


def _decodable(value: Value) -> bool:
    return _decoded(value) is not None


def _fits(value: Value, name: str, measure: Callable[[bytes], Any]) -> bool:
    told, data = value.get(name), _decoded(value)
    return told is None or "data" not in value or data is None or bool(measure(data) == told)


def _size(value: Value) -> bool:
    return _fits(value, "size", len)


def _hash(value: Value) -> bool:
    try:
        base64.b64decode(value.get("hash", ""), validate=True)
    except ValueError:
        return False

    def digest(content: bytes) -> str:
        return base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()

    return _fits(value, "hash", digest)


def _uri(value: Value) -> bool:
    told = value.get("value")
    return value.get("system") != URIS or told is None or primitives.has_scheme(told)


def _narrative(value: Value) -> bool:
    return "div" not in value or narrative.allowed(value["div"])


def _needs(name: str, *others: str) -> Callable[[Value], bool]:
    """If `name` is there, one of the others must be."""
    return lambda value: not has(value, name) or has(value, *others)


def _either(name: str, other: str) -> Callable[[Value], bool]:
    """Not both."""
    return lambda value: not (has(value, name) and has(value, other))


def _not_negative(name: str) -> Callable[[Value], bool]:
    def holds(value: Value) -> bool:
        amount = number(value.get(name))
        return amount is None or amount >= 0

    return holds


_QTY_3 = Rule("qty-3", _needs("code", "system"), "a coded unit has no system", f"add {UCUM}")
_UCUM_ONLY = "give code and system http://unitsofmeasure.org"

DATATYPE_RULES: Mapping[str, tuple[Rule, ...]] = {
    "Age": (
        _QTY_3,
        Rule(
            "age-1",
            lambda value: _coded(value) and _ucum(value) and _positive(value),
            "an age is above zero and its unit a UCUM code",
            _UCUM_ONLY,
        ),
    ),
    "Attachment": (
        Rule("att-1", _needs("data", "contentType"), "data have no contentType", "add contentType"),
        Rule(
            "att-data",
            _decodable,
            "data is no base64 that can be read",
            "write it without blanks, padded with =",
        ),
        Rule("att-size", _size, "size is not the number of bytes in data", "correct size"),
        Rule(
            "att-hash",
            _hash,
            "hash is not the SHA-1 of data, or no base64",
            "correct or leave out hash",
        ),
    ),
    "ContactPoint": (
        Rule("cpt-2", _needs("value", "system"), "a contact has no system", "add phone, email …"),
    ),
    "Count": (
        _QTY_3,
        Rule("cnt-3", _cnt_3, "a count is a whole number with the unit 1", _UCUM_ONLY),
    ),
    "Distance": (
        _QTY_3,
        Rule(
            "dis-1",
            lambda value: _coded(value) and _ucum(value),
            "a distance has a UCUM unit",
            _UCUM_ONLY,
        ),
    ),
    "Duration": (
        _QTY_3,
        Rule("drt-1", _drt_1, "a duration with a code has a value and a UCUM unit", _UCUM_ONLY),
    ),
    "Expression": (
        Rule(
            "exp-1",
            lambda value: has(value, "expression", "reference"),
            "neither expression nor reference is given",
            "give one of them",
        ),
    ),
    "Extension": (
        Rule("url", lambda value: "url" in value, "the extension has no url", "add it"),
        Rule("ext-1", _ext_1, "an extension has either a value or parts", "keep one of the two"),
    ),
    "Identifier": (
        Rule("uri", _uri, "the value is no URI, which the system says it is", "correct either"),
    ),
    "Narrative": (
        Rule(
            "txt-1, txt-2",
            _narrative,
            "div is no well-formed XHTML of FHIR's tags and attributes, or is empty",
            'send <div xmlns="http://www.w3.org/1999/xhtml">…</div>, or leave text out',
        ),
    ),
    "Period": (
        Rule(
            "per-1",
            _per_1,
            "start is not surely before end",
            "exchange them, or write both to the same precision",
        ),
    ),
    "Quantity": (_QTY_3,),
    "Range": (Rule("rng-2", _rng_2, "low is above high", "exchange them"),),
    "Ratio": (
        Rule(
            "rat-1",
            _rat_1,
            "a ratio has both numerator and denominator",
            "give both or an extension",
        ),
    ),
    "Timing.repeat": (
        Rule("tim-1", _needs("duration", "durationUnit"), "duration has no unit", "add one"),
        Rule("tim-2", _needs("period", "periodUnit"), "period has no unit", "add one"),
        Rule("tim-4", _not_negative("duration"), "duration is negative", "correct it"),
        Rule("tim-5", _not_negative("period"), "period is negative", "correct it"),
        Rule("tim-6", _needs("periodMax", "period"), "periodMax without period", "add period"),
        Rule("tim-7", _needs("durationMax", "duration"), "durationMax alone", "add duration"),
        Rule("tim-8", _needs("countMax", "count"), "countMax without count", "add count"),
        Rule("tim-9", _tim_9, "offset needs a when that is no meal itself", "correct when"),
        Rule("tim-10", _either("timeOfDay", "when"), "timeOfDay and when", "keep one of them"),
    ),
}
