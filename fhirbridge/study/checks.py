"""What is wrong with a value, with a value that needs others, and with a total, and what to do.

Texts and identifiers are never repeated in an issue: they may name a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from fhirbridge.outcome import Issue
from fhirbridge.study.fields import (
    MAX_MATCHED,
    PRECISIONS,
    Field,
    Total,
    are_different_words,
    matches,
    pairs_fault,
)
from fhirbridge.study.forms import Form, near
from fhirbridge.study.values import ABSENT_REASONS, Absent, has_value, is_date, surely_not_before

REMEDIES: Mapping[str, str] = {
    "integer": "give a whole number",
    "decimal": "give a number",
    "text": "give a text that is not blank",
    "reference": "give the key of a record, several divided by ';' where the field holds many",
    "choice": "give one of its words, several divided by ';' where the field holds many",
    "boolean": "give true or false",
    "date": "write YYYY-MM-DD, or YYYY-MM or YYYY where no more is known",
    "datetime": "write YYYY-MM-DD (or less), or YYYY-MM-DDThh:mm:ss with the zone",
    "ids": "give system|value, several divided by a blank",
    "codes": "give system|code, several divided by a blank",
}
_UNTOLD = frozenset({"text", "reference", "ids", "codes"})


def check_value(field: Field, value: Any) -> Issue | None:
    """The issue that keeps this value out of this field, or None."""
    if field.fits(value):
        return None
    if isinstance(value, Absent):
        return _absence(field, value)
    wrong = _WRONG[field.type](field, value)
    if wrong:
        shown = f"'{value}'" if field.type not in _UNTOLD and not field.many else "the value"
        remedy = near(str(value), field.choices) if field.choices else REMEDIES[field.type]
        return Issue("value", f"{shown} {wrong} ({field.name})", remedy)
    if field.precision and len(value) < PRECISIONS[field.precision]:
        cause = f"{value} is not to the {field.precision} ({field.name})"
        return Issue("business-rule", cause, f"give it to the {field.precision}")
    if field.pattern and not matches(field, value):
        cause = f"the value has not the form {field.pattern} ({field.name})"
        return Issue("value", cause, f"write it so, in at most {MAX_MATCHED} characters")
    return _number(field, value)


def _absence(field: Field, value: Absent) -> Issue | None:
    if not field.absent:
        remedy = f"use one of {', '.join(field.choices)}" if field.choices else "give a value"
        return Issue("value", f"{field.name} states no reason of absence", remedy)
    if value.reason in ABSENT_REASONS:
        return None
    return Issue("value", f"'{value}' is no reason of absence", near(value.reason, ABSENT_REASONS))


def _number(field: Field, value: Any) -> Issue | None:
    """A number in its range, and one of those that the instrument has."""
    if field.range and not field.range[0] <= Decimal(value) <= field.range[1]:
        low, high = field.range
        cause = f"{value} is outside {low} to {high} ({field.name})"
        return Issue("business-rule", cause, "correct the value, or the unit that it is meant in")
    if (field.only or field.step is not None) and not field.allows(value):
        told = f"one of {', '.join(map(str, field.only))}"
        remedy = f"give {told}" if field.only else f"give a multiple of {field.step}"
        return Issue("business-rule", f"{value} does not occur in {field.name}", remedy)
    return None


def _integer(field: Field, value: Any) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) else "is no whole number"


def _decimal(field: Field, value: Any) -> str:
    number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return "" if number and Decimal(value).is_finite() else "is no number"


def _choice(field: Field, value: Any) -> str:
    if field.many:
        fits = are_different_words(value)
        words = fits and all(word in field.choices for word in value)
        return "" if words else "is no list of different choices"
    return "" if value in field.choices else "is none of the choices"


def _text(field: Field, value: Any) -> str:
    if field.many:
        return "" if are_different_words(value) else "is no list of different texts"
    return "" if isinstance(value, str) and value.strip() else "is no text"


def _boolean(field: Field, value: Any) -> str:
    return "" if isinstance(value, bool) else "is neither yes nor no"


def _date(field: Field, value: Any) -> str:
    time = field.type == "datetime"
    fits = isinstance(value, str) and is_date(value, time=time)
    return "" if fits else "is no date of the calendar"


def _pairs(field: Field, value: Any) -> str:
    return pairs_fault(value)


_WRONG: Mapping[str, Callable[[Field, Any], str]] = {
    "integer": _integer,
    "decimal": _decimal,
    "choice": _choice,
    "text": _text,
    "reference": _text,
    "boolean": _boolean,
    "date": _date,
    "datetime": _date,
    "ids": _pairs,
    "codes": _pairs,
}


def missing(field: Field) -> Issue:
    """A required field that is not there."""
    reasons = f", or the reason why not: {', '.join(ABSENT_REASONS)}" if field.absent else ""
    cause = f"{field.name} is required"
    return Issue("required", cause, f"give it{reasons}", expression=field.name)


def needs(form: Form, values: Mapping[str, Any]) -> Iterator[Issue]:
    """Every value without those that it needs (`with`), beside another word of theirs, or before
    the date that it follows (`after`)."""
    for field in form.needing:
        if field.name in values and has_value(values[field.name]):
            for name in field.with_:
                if not has_value(values.get(name)):
                    cause = f"{field.name} has a value and {name} has none"
                    remedy = f"give {name}, without which {field.name} cannot be read"
                    yield Issue("required", cause, remedy, expression=field.name)
            if field.with_words or field.among:
                yield from _other_words(field, values)
                yield from _not_among(field, values)
            if field.after:
                yield from _too_early(field, values)


def _not_among(field: Field, values: Mapping[str, Any]) -> Iterator[Issue]:
    """A word that does not go with another field's word."""
    for name, lists in field.among:
        told = values.get(name)
        possible = next((words for word, words in lists if word == told), None)
        if possible is not None and values[field.name] not in possible:
            cause = f"{field.name} is {values[field.name]}, which does not go with {name} {told}"
            remedy = f"correct one of them; with {told} go {', '.join(possible)}"
            yield Issue("business-rule", cause, remedy, expression=field.name)


def _too_early(field: Field, values: Mapping[str, Any]) -> Iterator[Issue]:
    start, end = values.get(field.after), values[field.name]
    dates = all(isinstance(text, str) and is_date(text, time=True) for text in (start, end))
    if dates and not surely_not_before(end, str(start)):
        cause = f"{field.name} is not surely after {field.after}"
        remedy = "correct one of them, or give both to the day"
        yield Issue("business-rule", cause, remedy, expression=field.name)


def _other_words(field: Field, values: Mapping[str, Any]) -> Iterator[Issue]:
    """What it needs is there, and says another thing."""
    for name, words in field.with_words:
        told = values.get(name)
        if has_value(told) and told not in words:
            cause = f"{field.name} has a value and {name} is {told}"
            remedy = f"one of them is wrong: {name} must be {' or '.join(words)}"
            yield Issue("business-rule", cause, remedy, expression=field.name)


def totals(form: Form, values: Mapping[str, Any]) -> list[Issue]:
    """Every total of the values that its parts do not add up to; also of a record of which only a
    part is known. A total is never corrected: nobody knows which of the numbers is wrong.
    """
    issues = []
    for field in form.totals:
        if field.total and field.name in values and _is_number(values[field.name]):
            issue = _total(field, field.total, values)
            issues += [issue] if issue else []
    return issues


def _total(field: Field, total: Total, values: Mapping[str, Any]) -> Issue | None:
    word = values.get(total.by) if total.by else None
    names = total.parts(word)
    if not names:
        return None  # `with` tells that the word is missing
    there = [name for name in names if has_value(values.get(name))]
    if not there and total.alone:
        return None
    given = values[field.name]
    if len(there) < len(names):
        lacking = ", ".join(name for name in names if name not in there)
        cause = f"{field.name} is {given}, but there is no {lacking}"
        remedy = "give what is missing, or the reason why the total is absent"
        return Issue("business-rule", cause, remedy, expression=field.name)
    if not all(_is_number(values[name]) for name in names):
        return None  # told as a value that does not fit
    told = " + ".join(f"{name} {values[name]}" for name in names)
    added = sum(values[name] for name in names)
    if added == given:
        return None
    cause = f"{field.name} is {given}, but {told} = {added}"
    remedy = "correct the part or the total that is wrong; nothing is corrected here"
    return Issue("business-rule", cause, remedy, expression=field.name)


def _is_number(value: object) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) and not isinstance(value, bool)
