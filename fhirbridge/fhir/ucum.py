"""Is a text a case-sensitive UCUM code: the grammar, and the unit codes of ucum.json.

Follows https://ucum.org/ucum, sections 2.1 and 2.2; converts nothing, and does not ask whether a
unit fits what is measured.
"""

from __future__ import annotations

import difflib
import re
from functools import cache, lru_cache

from fhirbridge.fhir import definitions

LONGEST = 200
_ANNOTATION = re.compile(r"\{[!-z|~]*\}")
_SIMPLE = re.compile(r"(?:\[[^\[\]\s]*\]|[^\[\](){}./\s])+")
_EXPONENT = re.compile(r"[+\-]?[0-9]+\Z")
_FACTOR = re.compile(r"[1-9][0-9]*")

# Spellings of order systems; the first five are refused by UCUM in HL7's own R4 examples.
_SPELT = {
    "cc": "mL",
    "drop": "[drp]",
    "ea": "{each}",
    "each": "{each}",
    "hr": "h",
    "iu": "[iU]",
    "lb": "[lb_av]",
    "mcg": "ug",
    "meq": "meq",
    "mmhg": "mm[Hg]",
    "oz": "[oz_av]",
    "sec": "s",
    "year": "a",
    "years": "a",
}


@cache
def _units() -> tuple[frozenset[str], frozenset[str]]:
    """Every unit code without a prefix, and every one with."""
    told = definitions.content("ucum.json")
    return frozenset((*told["metric"], *told["plain"])), frozenset(
        f"{prefix}{unit}" for prefix in told["prefixes"] for unit in told["metric"]
    )


@lru_cache(maxsize=1024)
def is_code(text: str) -> bool:
    """
    >>> [is_code(code) for code in ("mg/kg", "10*3/uL", "mm[Hg]", "{score}", "/min", "m2.kg")]
    [True, True, True, True, True, True]
    >>> [is_code(code) for code in ("ea", "mcg", "ml/hr", "mEq", "KG", "kg/", "k[in_i]", "")]
    [False, False, False, False, False, False, False, False]
    """
    if not text or len(text) > LONGEST:
        return False
    return _term(text, 1 if text[0] == "/" else 0) == len(text)


def nearest(text: str) -> str:
    """A code that may have been meant, or "".

    >>> nearest("KG"), nearest("mcg")
    ('kg', 'ug')
    """
    if len(text) > 20:
        return ""
    meant = _SPELT.get(text.lower(), text.lower())
    if is_code(meant):
        return meant
    units, prefixed = _units()
    near = difflib.get_close_matches(text, sorted(units | prefixed), n=1, cutoff=0.7)
    return near[0] if near else ""


def _term(text: str, place: int) -> int:
    """Where the term that begins at `place` ends; -1: there is none."""
    place = _component(text, place)
    while 0 <= place < len(text) and text[place] in "./":
        place = _component(text, place + 1)
    return place


def _component(text: str, place: int) -> int:
    if text[place : place + 1] == "(":
        inner = place + 2 if text[place + 1 : place + 2] == "/" else place + 1
        place = _term(text, inner)
        if place < 0 or text[place : place + 1] != ")":
            return -1
        return _annotated(text, place + 1)
    annotation = _ANNOTATION.match(text, place)
    if annotation:
        return annotation.end()
    found = _SIMPLE.match(text, place)
    if found is None or not _is_unit(found[0]):
        return -1
    return _annotated(text, found.end())


def _annotated(text: str, place: int) -> int:
    annotation = _ANNOTATION.match(text, place)
    return annotation.end() if annotation else place


def _is_unit(simple: str) -> bool:
    """A whole number, or a unit with its prefix and exponent."""
    if _FACTOR.fullmatch(simple):
        return True
    units, prefixed = _units()
    bare = _EXPONENT.sub("", simple)
    return any(code in units or code in prefixed for code in (simple, bare))
