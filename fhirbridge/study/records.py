"""Records: one filled form of one subject, checked against the study definition.

A value is text, a whole number, a `Decimal`, yes or no, a list of identifiers or of words; or it
is absent for a stated reason, which is no value. Nothing is corrected here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.checks import REMEDIES, check_value, missing, needs, totals
from fhirbridge.study.forms import Form, Study, near
from fhirbridge.study.values import (
    ABSENT_REASONS,
    Absent,
    Identifier,
    Value,
    has_value,
    is_date,
    value_from_json,
    value_to_json,
)

__all__ = [
    "ABSENT_REASONS",
    "REMEDIES",
    "Absent",
    "Identifier",
    "Record",
    "Value",
    "check",
    "check_value",
    "has_value",
    "is_date",
    "merge",
    "needs",
    "to_json",
    "totals",
    "value_from_json",
    "value_to_json",
]


@dataclass(frozen=True, slots=True)
class Record:
    """`subject` is the study's pseudonym, `source` tells where the record came from."""

    subject: str
    form: str
    fields: Mapping[str, Value]
    source: str = ""

    def key(self, form: Form) -> str:
        return form.key_of(self.fields)


def check(study: Study, record: Record) -> list[Issue]:
    """Every issue of a whole record: unknown fields, values, required fields without value or
    reason, values without those that they need, totals that do not add up.
    """
    form = study.form(record.form)
    values = record.fields
    fits = form.fits(values)
    issues = [] if fits else [*_unknown(form, values), *_values(form, values)]
    if not form.related.isdisjoint(values):
        issues += [*needs(form, values), *totals(form, values)]
    return issues


def _unknown(form: Form, values: Mapping[str, Value]) -> Iterator[Issue]:
    for name in values:
        if name not in form.fields:
            cause = f"the form {form.name} has no field '{name}'"
            yield Issue("structure", cause, near(name, form.fields))


def _values(form: Form, values: Mapping[str, Value]) -> Iterator[Issue]:
    for field in form.fields.values():
        if field.name in values:
            issue = check_value(field, values[field.name])
            if issue:
                yield replace(issue, expression=field.name)
        elif field.required:
            yield missing(field)
    for part in form.key:
        if isinstance(values.get(part), Absent):
            cause = f"{part} is the key of the form and cannot be absent"
            yield Issue("required", cause, "give its value", expression=part)


def to_json(study: Study, record: Record, *, id: str) -> dict[str, Any]:
    """`{"id", "subject", "form", "fields", "source"}`, an absent value as `{"absent": reason}`."""
    values = record.fields
    order = study.form(record.form).order
    return {
        "id": id,
        "subject": record.subject,
        "form": record.form,
        "fields": {name: value_to_json(values[name]) for name in sorted(values, key=order)},
        "source": record.source,
    }


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
