"""Bytes -> one FHIR resource and its issues, by the fast verdict where it can be had.

Reads exactly what fhir_json.parse reads, and gives the same tree; whatever is not plainly so goes
that way (https://hl7.org/fhir/R4/json.html).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from fhirbridge.fhir import verdict
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import Issue

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode
_colon_escaped = re.compile(rb"\\u003[aA]").search


class Judged(NamedTuple):
    """The resource as fhir_json.parse gives it; of an accepted one there is not even advice."""

    resource: dict[str, Any]
    issues: list[Issue]


def judge(raw: bytes, *, profiles: Sequence[str] = ()) -> Judged:
    """Raises `BridgeError` (structure) where the bytes are no JSON object."""
    tree = accepted(raw, profiles=profiles)
    if tree is not None:
        return Judged(tree, [])
    tree = fhir_json.parse(raw)
    return Judged(tree, validate(tree, profiles=profiles))


def accepted(raw: bytes, *, profiles: Sequence[str] = ()) -> dict[str, Any] | None:
    """The tree of a resource without errors; None: it has some, or the fast way cannot tell."""
    tree = _decoded(raw)
    if type(tree) is not dict or not verdict.accepts(tree, profiles=profiles):
        return None
    return tree if _kept_all(tree, raw) else None


def parse(raw: bytes) -> dict[str, Any]:
    """One JSON object as fhir_json.parse gives it, or refuses it."""
    tree = faithful(raw)
    return tree if type(tree) is dict else fhir_json.parse(raw)


def faithful(raw: bytes) -> Any:
    """The tree that fhir_json.read gives, judged or not; None where the fast way cannot tell."""
    tree = _decoded(raw)
    return tree if _kept_all(tree, raw) else None


def _decoded(raw: bytes) -> Any:
    """msgspec's reading, but for doubled keys that of fhir_json; None of what it may not be."""
    try:
        return _decode(raw)  # refuses half of a surrogate pair
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError):
        return None


def _kept_all(tree: Any, raw: bytes) -> bool:
    """No key was doubled: surely so where the tree's own JSON is the same. Else by counting colons:

    The tree keeps the last of two keys, so each dropped one takes at least the colon after its
    name from the tree's own JSON. Every other colon of `raw` stands in a string or after a name
    that is kept, and is written again as it is; only the escape for a colon could make one more,
    and with it nothing is taken here. So the counts are equal just where nothing was dropped.
    """
    own = _encode(tree)
    if own == raw:
        return True
    if own.count(b":") != raw.count(b":"):
        return False
    return b"\\u003" not in raw or _colon_escaped(raw) is None
