"""FHIR JSON (https://hl7.org/fhir/R4/json.html): bytes to plain dicts and back, decimals kept digit
by digit.

Refuses what JSON or FHIR forbid and most parsers let pass: doubled keys, NaN, lone surrogates,
endless depth.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import msgspec

from fhirbridge.outcome import BridgeError, Issue

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_REMEDY = "send one FHIR resource as UTF-8 JSON"


def _refuse(cause: str, place: str = "") -> BridgeError:
    return BridgeError(Issue("structure", cause, _REMEDY, place=place))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _refuse(f"the property '{twice}' is given twice in one object")
    return made


def _constant(word: str) -> Any:
    raise _refuse(f"{word} is no JSON value")


def parse(raw: bytes) -> dict[str, Any]:
    """One JSON object, read as `read` does."""
    made = read(raw)
    if not isinstance(made, dict):
        raise _refuse("the body is no JSON object")
    return made


def read(raw: bytes) -> Any:
    """One JSON value; numbers with a fraction or an exponent as `Decimal`.

    Raises `BridgeError` (structure), its place being line and column where the parser knows it.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise _refuse(f"byte {fault.start} is not UTF-8") from fault
    try:
        made = json.loads(
            text, parse_float=Decimal, parse_constant=_constant, object_pairs_hook=_object
        )
    except json.JSONDecodeError as fault:
        place = f"line {fault.lineno}, column {fault.colno}"
        raise _refuse(f"broken JSON: {fault.msg}", place) from fault
    except RecursionError as fault:
        raise _refuse("objects and arrays are nested too deep") from fault
    except (ValueError, ArithmeticError) as fault:  # an integer of more digits than Python converts
        raise _refuse("a number has too many digits") from fault
    if "\\u" in text:
        _refuse_lone_surrogates(made)
    return made


def _refuse_lone_surrogates(made: Any) -> None:
    try:
        _ENCODER.encode(made)
    except UnicodeEncodeError as fault:
        raise _refuse("a string holds half of a surrogate pair") from fault


def holds_nul(raw: bytes) -> bool:
    """Whether a string of the JSON holds U+0000, which FHIR in XML and PostgreSQL's text cannot.

    >>> holds_nul(b'["\\\\u0000"]'), holds_nul(b'["\\\\\\\\u0000"]')
    (True, False)
    """
    return b"u0000" in raw and _NUL.search(raw) is not None


def dump(value: Any) -> bytes:
    """Compact UTF-8 JSON of dicts, lists, text, numbers and `Decimal`s; keys in the order given."""
    return _ENCODER.encode(value)


def canonical(value: Any) -> bytes:
    """The same bytes for equal content, whatever the order of keys: what content hashes are of."""
    return _CANONICAL.encode(value)


_CANONICAL = msgspec.json.Encoder(decimal_format="number", order="deterministic")
