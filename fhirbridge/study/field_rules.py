"""One field of the study definition: what its words must be, and the `Field` that they make.

Every rule yields cause and remedy, and knows no file and no line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from decimal import Decimal
from typing import Any

from fhirbridge.study.fields import (
    DATES,
    MANY,
    NUMBERS,
    PRECISIONS,
    TYPES,
    Field,
    Lists,
    Mid,
    Total,
)
from fhirbridge.study.forms import near
from fhirbridge.study.reading import is_names, is_number
from fhirbridge.study.values import ABSENT_REASONS

Fault = tuple[str, str]

WORDS: Mapping[str, str] = {
    part.name.rstrip("_"): part.name
    for part in fields(Field)
    if part.init and part.name not in ("name", "with_words")
}
"""Words of a field in the definition, and what the attribute of `Field` is called."""

_PLAIN = {p.name for p in fields(Field) if p.init and isinstance(p.default, str | bool)}

# A pattern of parts that cannot be divided in two ways, so that a match cannot take long: no
# groups, no alternatives, at most two parts of varying length.
_LENGTH = r"(?:[?*+]|\{\d{1,3}(?:,\d{0,3})?\})"
_PART = r"(?:[^\\.^$*+?{}\[\]()|]|\.|\\[dwsDWS\\.^$*+?{}\[\]()|/-]|\[\^?(?:[^\[\]\\]|\\[^\[])+\])"
_PATTERN = re.compile(rf"(?:{_PART}{_LENGTH}?)+")
_VARYING = re.compile(rf"{_PART}(?P<length>{_LENGTH}?)")
_MAX_PATTERN = 200
_SET_SIGNS = ("--", "&&", "||", "~~")  # mean something else in later versions of Python


def faults(given: Mapping[str, Any]) -> Iterator[Fault]:
    """Everything that is wrong with the words of one field by itself."""
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        yield f"'{kind}' is no type of a field", near(str(kind), TYPES)
        given = {**given, "type": ""}
    yield from _choices(given)
    for rule in (_kinds, _numbers, _reference, _pattern, _with, _among, _total, _mid, _pick):
        yield from rule(given)
    if given.get("accept", "auto") not in ("auto", "review"):
        yield f"accept: '{given['accept']}' is not known", "use auto or review"
    if given.get("precision", "") not in ("", *PRECISIONS):
        yield f"precision: '{given['precision']}' is not known", "use day or second"
    if ("precision" in given or "after" in given) and given["type"] not in DATES:
        yield "'precision' and 'after' belong to dates", "leave them out"
    if given.get("better", "") not in ("", "higher", "lower"):
        yield f"better: '{given['better']}' is not known", "use higher or lower"


def field(name: str, given: Mapping[str, Any]) -> Field:
    """The field of words without a fault."""
    plain = {word: value for word, value in given.items() if word in _PLAIN}
    made: dict[str, Any] = {
        WORDS[word]: _MAKERS[word](value) for word, value in given.items() if word in _MAKERS
    }
    if isinstance(given.get("with"), dict):
        made["with_words"] = tuple((n, tuple(words)) for n, words in given["with"].items())
    return Field(**{**plain, **made, "name": name, "type": given["type"]})


def _kinds(given: Mapping[str, Any]) -> Iterator[Fault]:
    for part in (f for f in fields(Field) if f.init and f.default is not MISSING):
        value = given.get(part.name, part.default)
        if isinstance(part.default, str | bool) and type(value) is not type(part.default):
            yield f"{part.name}: {value!r} is no {type(part.default).__name__}", "mend the value"


def _choices(given: Mapping[str, Any]) -> Iterator[Fault]:
    choices = given.get("choices")
    if (given.get("type") == "choice") != (isinstance(choices, list) and bool(choices)):
        yield "choices belong to the type 'choice', and only to it", "give a list of words"
    if not isinstance(choices, list):
        return
    odd = [word for word in choices if not isinstance(word, str)]
    if odd:
        yield f"the choice {odd[0]!r} is no word", "put it in quotes"
    if len(set(map(str, choices))) < len(choices):
        yield "a choice is given twice", "keep one of them"
    both = [reason for reason in ABSENT_REASONS if reason in choices]
    if both and given.get("absent") is not False:
        yield f"'{both[0]}' is a choice and a reason of absence", "say 'absent: false'"


def _numbers(given: Mapping[str, Any]) -> Iterator[Fault]:
    number: bool = given.get("type") in NUMBERS
    bounds: Any = given.get("range")
    if "range" in given and not (number and _is_range(bounds)):
        yield "a range is two numbers, low first, of an integer or decimal", "write [low, high]"
    only: Any = given.get("only")
    step: Any = given.get("step")
    if "only" in given and not (number and _is_numbers(only)):
        yield "'only' is a list of different numbers, of an integer or decimal", "write [0, 1, 3]"
    elif only and _is_range(bounds) and not bounds[0] <= min(only) <= max(only) <= bounds[1]:
        yield "'only' has a number outside the range", "correct one of them"
    if "step" in given and not (number and is_number(step) and step > 0):
        yield "a step is a number above 0, of an integer or decimal", "write step: 10"
    if "only" in given and "step" in given:
        yield "'only' and 'step' both say which numbers are allowed", "keep one of them"


def _is_range(bounds: Any) -> bool:
    return _is_numbers(bounds, same=True) and len(bounds) == 2 and bounds[0] <= bounds[1]


def _is_numbers(given: Any, *, same: bool = False) -> bool:
    plain = isinstance(given, list) and bool(given) and all(is_number(n) for n in given)
    return plain and (same or len({*given}) == len(given))


def _reference(given: Mapping[str, Any]) -> Iterator[Fault]:
    if (given.get("type") == "reference") != bool(given.get("to")):
        yield "'to' belongs to the type 'reference', and only to it", "name the form"
    if given.get("many") is True and given.get("type") not in MANY:
        yield "only a choice or a reference can be many", "leave 'many' out"


def _pattern(given: Mapping[str, Any]) -> Iterator[Fault]:
    if "pattern" not in given:
        return
    pattern = given["pattern"]
    if given.get("type") != "text":
        yield "a pattern belongs to the type 'text', and only to it", "leave it out"
    if not isinstance(pattern, str) or not _is_safe(pattern):
        remedy = "use characters, [sets] and lengths, at most two of them varying; no ( ) and no |"
        yield "the pattern is not a safe one", remedy
    elif not _is_readable(pattern):
        yield "the pattern is no regular expression", "mend it"


def _is_safe(pattern: str) -> bool:
    if len(pattern) > _MAX_PATTERN or any(sign in pattern for sign in _SET_SIGNS):
        return False
    if not _PATTERN.fullmatch(pattern):
        return False
    lengths = [found["length"] for found in _VARYING.finditer(pattern)]
    return sum(bool(length) and not re.fullmatch(r"\{\d+\}", length) for length in lengths) <= 2


def _is_readable(pattern: str) -> bool:
    try:
        re.compile(pattern, re.ASCII)
    except re.error:
        return False
    return True


def _with(given: Mapping[str, Any]) -> Iterator[Fault]:
    if "with" not in given:
        return
    told = given["with"]
    if isinstance(told, dict):
        if not told or not all(is_names(words) for words in told.values()):
            yield "'with' gives a field no list of words", "write { field: [word] }"
    elif not is_names(told):
        yield "'with' is no list of fields", "write [field], or { field: [word] }"


def _among(given: Mapping[str, Any]) -> Iterator[Fault]:
    if "among" not in given:
        return
    if given.get("type") != "choice" or given.get("many"):
        yield "'among' belongs to a single choice", "leave it out"
    told = given["among"]
    if not _is_by(told):
        yield "'among' is no field with lists of words", "write { field: { word: [words] } }"
        return
    (lists,) = told.values()
    choices = [word for word in _names(given.get("choices")) if isinstance(word, str)]
    for word in {word for words in lists.values() for word in words}.difference(choices):
        yield f"'among' has the word '{word}', which is no choice", "take it from the choices"


def _total(given: Mapping[str, Any]) -> Iterator[Fault]:
    if "total" not in given:
        return
    total = given["total"]
    if given.get("type") not in NUMBERS:
        yield "a total is an integer or decimal", "change the type"
    if not isinstance(total, dict) or {*total} - {"of", "alone", "by"}:
        yield "a total has the words of, alone and by, and no others", "write { of: [fields] }"
        return
    if ("of" in total) == ("by" in total):
        yield "a total is 'of' fields, or 'by' another field's word", "keep one of them"
    if "of" in total and not is_names(total["of"]):
        yield "the total is of no list of different fields", "write of: [fields]"
    if "by" in total and not _is_by(total["by"]):
        yield (
            "'by' is no field with a list of fields for each of its words",
            ("write by: { field: { word: [fields] } }"),
        )
    elif "by" in total and next(iter(total["by"])) not in _names(given.get("with")):
        yield "the total is by a field that it may be without", "name the field in 'with'"
    if not isinstance(total.get("alone", False), bool):
        yield "alone: is true or false", "mend the value"


def _is_by(by: Any) -> bool:
    if not isinstance(by, dict) or len(by) != 1:
        return False
    (lists,) = by.values()
    return isinstance(lists, dict) and bool(lists) and all(is_names(n) for n in lists.values())


def _names(given: Any) -> list[Any]:
    return [*given] if isinstance(given, list | dict) else []


def _mid(given: Mapping[str, Any]) -> Iterator[Fault]:
    if "mid" not in given:
        return
    mid = given["mid"]
    if given.get("type") not in NUMBERS or not given.get("better"):
        yield "a smallest important change needs a number with a direction", "say 'better'"
    if not isinstance(mid, dict) or {*mid} - {"value", "source", "note"}:
        yield (
            "'mid' has the words value, source and note, and no others",
            ("write { value: 2, source: where }"),
        )
        return
    value: Any = mid.get("value")
    if not is_number(value) or value <= 0:
        yield "the value of 'mid' is no size above 0", "give it without sign; 'better' directs it"
    if not isinstance(mid.get("source"), str) or not mid["source"].strip():
        yield "a smallest important change needs its source", "name where it was published"
    if not isinstance(mid.get("note", ""), str):
        yield "the note of 'mid' is no text", "put it in quotes"


def _pick(given: Mapping[str, Any]) -> Iterator[Fault]:
    pick = given.get("pick", {})
    if not isinstance(pick, dict) or not {*map(str, pick.values())} <= {"nearest", "last"}:
        yield "'pick' says for a visit which candidate it takes", "write { visit: last }"


def _exact(number: Any) -> Decimal:
    return Decimal(str(number))


def _lists(given: Mapping[str, Any]) -> Lists:
    return tuple((word, tuple(names)) for word, names in given.items())


def _made_total(given: Mapping[str, Any]) -> Total:
    by, lists = next(iter(given.get("by", {"": {}}).items()))
    return Total(
        of=tuple(given.get("of", ())),
        by=by,
        lists=_lists(lists),
        alone=given.get("alone", False),
    )


def _made_mid(given: Mapping[str, Any]) -> Mid:
    return Mid(_exact(given["value"]), given["source"], given.get("note", ""))


_MAKERS: Mapping[str, Callable[[Any], Any]] = {
    "choices": tuple,
    "with": tuple,
    "range": lambda given: (_exact(given[0]), _exact(given[1])),
    "only": lambda given: tuple(_exact(number) for number in given),
    "step": _exact,
    "among": lambda given: tuple((name, _lists(told)) for name, told in given.items()),
    "total": _made_total,
    "mid": _made_mid,
    "pick": lambda given: tuple(given.items()),
}
