"""Python that refuses a JSON value which is not, or not surely, one of a FHIR primitive type.

Says inline what is usual, and calls the slow pass's own test for the rest
(https://hl7.org/fhir/R4/datatypes.html#primitive).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fhirbridge.fhir import definitions, primitives, quick
from fhirbridge.fhir.compile_unit import Unit
from fhirbridge.fhir.definitions import Element

_NO_TEXT = "type({x}) is not str or not {x}"
_WHOLE = "type({x}) is not int or not {low} <= {x} <= 2147483647"

_INLINE: Mapping[str, str] = {
    "boolean": "type({x}) is not bool",
    "decimal": "not number({x})",
    "integer": _WHOLE.replace("{low}", "-2147483648"),
    "markdown": _NO_TEXT,
    "positiveInt": _WHOLE.replace("{low}", "1"),
    "string": _NO_TEXT,
    "unsignedInt": _WHOLE.replace("{low}", "0"),
    "xhtml": _NO_TEXT,
}
# The usual case by a bound method of `quick`; then the slow pass's test.
_USUAL: Mapping[str, str] = {
    "dateTime": "usual_date_or_moment",
    "id": "usual_id",
    "instant": "usual_moment",
}
_ANCHORED = ("canonical", "uri", "url")


def refusal(element: Element, x: str, unit: Unit) -> str:
    """A condition on the variable `x` that holds of every value the slow pass finds wrong."""
    kind = element.type
    if kind == "code" and element.binding and (codes := _codes(element.binding)):
        return f"type({x}) is not str or {x} not in {_bound(codes, element.binding, unit)}"
    if kind in _ANCHORED:
        usual = "usual_uri" if kind == "canonical" else "usual_link"
        return not_plain_uri(x, f"anchored({kind!r}, {x}, s)", unit, usual=usual)
    if kind == "code":
        test = unit.constant("is_code", _tests(kind))
        odd = f'not {x} or " " in {x} or not {x}.isprintable()'
        return f"type({x}) is not str or ({odd}) and not {test}({x})"
    if kind in _INLINE:
        unit.constant("number", quick.number)
        return _INLINE[kind].format(x=x)
    test = unit.constant(f"is_{kind}", _tests(kind))
    if kind == "date":
        return f"type({x}) is not str or {_day_refusal(x, unit)} and not {test}({x})"
    if kind in _USUAL:
        usual = unit.constant(_USUAL[kind], getattr(quick, _USUAL[kind]))
        seen = ""
        if kind == "dateTime":
            seen = f"{_day_refusal(x, unit)} and "
        return f"type({x}) is not str or {seen}not {usual}({x}) and not {test}({x})"
    return f"type({x}) is not str or not {test}({x})"


def _day_refusal(x: str, unit: Unit) -> str:
    days, new = unit.constant("seen_days", None), unit.constant("new_day", None)
    return f"{x} not in {days} and not {new}({x})"


def not_plain_uri(x: str, otherwise: str, unit: Unit, *, usual: str = "usual_uri") -> str:
    """Of what is no URL that everybody writes, `otherwise` decides; it may remember an anchor."""
    if usual != "usual_uri":
        unit.constant(usual, getattr(quick, usual))
    unit.constant("anchored", quick.anchored)
    unit.constant("absolute", quick.absolute)
    for name in ("seen_uris", "new_uri"):
        unit.constant(name, None)
    odd = f"{x} not in seen_uris"
    if usual == "usual_uri":
        odd += f" and not new_uri({x})"
    else:  # the name of a part of an extension comes most often
        odd += f" and not ({x}.isalpha() and {x}.isascii())"
        odd += f" and not new_uri({x}) and not {usual}({x})"
    return f"type({x}) is not str or {odd} and not {otherwise}"


def _tests(kind: str) -> Callable[[str], bool]:
    return primitives.FORMS[kind].test


def _codes(binding: str) -> frozenset[str]:
    bound = definitions.value_set(binding)
    good = primitives.FORMS["code"].test
    return frozenset(c for c in bound.codes if good(c)) if bound else frozenset()


def _bound(codes: frozenset[str], binding: str, unit: Unit) -> str:
    return unit.constant("CODES_" + binding.rpartition("/")[2], codes)
