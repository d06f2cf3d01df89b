"""Records: one filled form of one subject, its values checked against the study definition.

A value is text, a whole number, a `Decimal`, yes/no or a list of identifiers; or it is absent for a
stated reason, which is no value. Dates stay text, as partial as they came.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.definition import ABSENT_REASONS, Field, Form, Study, near


@dataclass(frozen=True, slots=True)
class Absent:
    """A value that is not there, and why: one of ABSENT_REASONS."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """An identifier of a person or thing in the system that gave it."""

    system: str
    value: str


Value = str | int | Decimal | bool | Absent | tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """`subject` is the study's pseudonym, `source` tells where the record came from."""

    subject: str
    form: str
    fields: Mapping[str, Value]
    source: str = ""

    def key(self, form: Form) -> str:
        return form.key_of(self.fields)


_BLANK = re.compile(r"\s")
_DATETIME = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d{2})(-(?P<day>\d{2})"
    r"(?P<time>T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00))?)?)?",
    re.ASCII,
)


def is_date(text: str, *, time: bool) -> bool:
    """A real date, possibly partial (`2024`, `2024-03`); with `time`, also an instant with its
    zone.

    >>> is_date("2024-02-29", time=False), is_date("2023-02-29", time=False)
    (True, False)
    """
    found = _DATETIME.fullmatch(text)
    if found is None or (found["time"] and not time) or int(found["year"]) == 0:
        return False
    if found["month"] is None:
        return True
    year, month = int(found["year"]), int(found["month"])
    if not 1 <= month <= 12:
        return False
    return found["day"] is None or 1 <= int(found["day"]) <= calendar.monthrange(year, month)[1]


def _integer(field: Field, value: Any) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) else "is no whole number"


def _decimal(field: Field, value: Any) -> str:
    number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return "" if number and Decimal(value).is_finite() else "is no number"


def _choice(field: Field, value: Any) -> str:
    return "" if value in field.choices else "is none of the choices"


def _text(field: Field, value: Any) -> str:
    return "" if isinstance(value, str) and value.strip() else "is no text"


def _boolean(field: Field, value: Any) -> str:
    return "" if isinstance(value, bool) else "is neither yes nor no"


def _date(field: Field, value: Any) -> str:
    time = field.type == "datetime"
    fits = isinstance(value, str) and is_date(value, time=time)
    return "" if fits else "is no date of the calendar"


def _ids(field: Field, value: Any) -> str:
    fits = isinstance(value, tuple) and all(isinstance(item, Identifier) for item in value)
    if not fits or not value or len(set(value)) < len(value):
        return "is no list of different identifiers"
    whole = all(i.system and not _BLANK.search(i.system) and i.value.strip() for i in value)
    return "" if whole else "has an identifier without system or value"


_CHECKS: Mapping[str, Callable[[Field, Any], str]] = {
    "integer": _integer,
    "decimal": _decimal,
    "choice": _choice,
    "text": _text,
    "boolean": _boolean,
    "date": _date,
    "datetime": _date,
    "ids": _ids,
}

REMEDIES: Mapping[str, str] = {
    "integer": "give a whole number",
    "decimal": "give a number",
    "text": "give a text that is not blank",
    "boolean": "give true or false",
    "date": "write YYYY-MM-DD, or YYYY-MM or YYYY where no more is known",
    "datetime": "write YYYY-MM-DD (or less), or YYYY-MM-DDThh:mm:ss with the zone",
    "ids": "give system|value, several divided by a blank",
}


def check_value(field: Field, value: Any) -> Issue | None:
    """The issue that keeps this value out of this field, or None."""
    if isinstance(value, Absent):
        if not field.absent:
            remedy = f"use one of {', '.join(field.choices)}"
            return Issue("value", f"{field.name} states no reason of absence", remedy)
        if value.reason in ABSENT_REASONS:
            return None
        return Issue(
            "value", f"'{value}' is no reason of absence", near(value.reason, ABSENT_REASONS)
        )
    wrong = _CHECKS[field.type](field, value)
    if wrong:
        # Not the value itself: it may be a name, and error texts travel.
        shown = f"'{value}'" if field.type not in ("text", "ids") else "the value"
        remedy = near(str(value), field.choices) if field.choices else REMEDIES[field.type]
        return Issue("value", f"{shown} {wrong} ({field.name})", remedy)
    if field.range and not field.range[0] <= Decimal(value) <= field.range[1]:
        low, high = field.range
        cause = f"{value} is outside {low} to {high} ({field.name})"
        return Issue("business-rule", cause, "correct the value, or the unit that it is meant in")
    return None


def check(study: Study, record: Record) -> list[Issue]:
    """Every issue of a whole record: unknown fields, values, required fields without value or
    reason.
    """
    form = study.form(record.form)
    issues = [
        Issue("structure", f"the form {form.name} has no field '{name}'", near(name, form.fields))
        for name in record.fields
        if name not in form.fields
    ]
    for field in form.fields.values():
        if field.name in record.fields:
            issue = check_value(field, record.fields[field.name])
            issues += [replace(issue, expression=field.name)] if issue else []
        elif field.required:
            remedy = f"give it, or the reason why not: {', '.join(ABSENT_REASONS)}"
            cause = f"{field.name} is required"
            issues.append(Issue("required", cause, remedy, expression=field.name))
    for part in form.key:
        if isinstance(record.fields.get(part), Absent):
            cause = f"{part} is the key of the form and cannot be absent"
            issues.append(Issue("required", cause, "give its value", expression=part))
    return issues


def to_json(study: Study, record: Record, *, id: str) -> dict[str, Any]:
    """`{"id", "subject", "form", "fields", "source"}`, an absent value as `{"absent": reason}`."""
    fields = {name: value_to_json(value) for name, value in record.fields.items()}
    order = [name for name in study.form(record.form).fields if name in fields]
    return {
        "id": id,
        "subject": record.subject,
        "form": record.form,
        "fields": {name: fields[name] for name in order},
        "source": record.source,
    }


def value_to_json(value: Value) -> Any:
    if isinstance(value, Absent):
        return {"absent": value.reason}
    if isinstance(value, tuple):
        return [{"system": item.system, "value": item.value} for item in value]
    return value


def value_from_json(raw: Any) -> Any:
    """The inverse of `value_to_json`; what is no value comes back as it is, for the check to
    tell.
    """
    if isinstance(raw, dict) and raw.keys() == {"absent"}:
        return Absent(str(raw["absent"]))
    if isinstance(raw, list) and all(
        isinstance(i, dict) and {*i} == {"system", "value"} for i in raw
    ):
        return tuple(Identifier(str(i["system"]), str(i["value"])) for i in raw)
    return raw


def merge(study: Study, records: Iterable[Record]) -> Iterator[Record]:
    """Records of one subject, form and key as one: the scores of a visit come one by one.

    Two different values of a field raise `BridgeError` (conflict): whoever asks must decide.
    """
    merged: dict[tuple[str, str, str], Record] = {}
    for record in records:
        place = (record.subject, record.form, record.key(study.form(record.form)))
        known = merged.get(place)
        if known is None:
            merged[place] = record
            continue
        for name, value in record.fields.items():
            if known.fields.get(name, value) != value:
                cause = f"two values of {name} for one {record.form}"
                raise BridgeError(Issue("conflict", cause, "keep the right one", expression=name))
        merged[place] = replace(known, fields={**known.fields, **record.fields})
    yield from merged.values()
