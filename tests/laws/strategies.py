"""Records for any study definition: every type, range, choice, precision and absence that it allows.

All values are made up.
"""

from __future__ import annotations

import calendar
import math
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from fhirbridge.study.definition import ABSENT_REASONS, Field, Form
from fhirbridge.study.records import Absent, Identifier, Record
from fhirbridge.study.values import has_value, surely_not_before

# FHIR's string holds no control characters (https://hl7.org/fhir/R4/datatypes.html#string).
_LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Cn"))
_TEXTS = st.text(_LETTERS, min_size=1, max_size=20).filter(lambda text: bool(text.strip()))
_CODES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.-]{0,9}", fullmatch=True)
_SYSTEMS = st.sampled_from(
    (
        "urn:oid:2.16.840.1.113883.19.4",
        "https://hospital.example.org/sid/mrn",
        "urn:oid:2.16.840.1.113883.19.5",
    )
)
_ZONES = ("Z", "+00:00", "+02:00", "-05:00", "+14:00", "-13:59")


@st.composite
def dates(draw: st.DrawFn, *, precision: str = "") -> str:
    """A real day, or only its month or year where that is precise enough."""
    year, month = draw(st.integers(1900, 2100)), draw(st.integers(1, 12))
    day = draw(st.integers(1, calendar.monthrange(year, month)[1]))
    whole = f"{year:04}-{month:02}-{day:02}"
    return whole if precision else whole[: draw(st.sampled_from((4, 7, 10)))]


@st.composite
def moments(draw: st.DrawFn, *, precision: str = "") -> str:
    """A date as partial as it comes, or a time with its zone."""
    date = draw(dates(precision=precision))
    if len(date) < 10 or (precision != "second" and draw(st.booleans())):
        return date
    clock = ":".join(f"{draw(st.integers(0, top)):02}" for top in (23, 59, 59))
    fraction = draw(st.sampled_from(("", ".5", ".120", ".123456")))
    return f"{date}T{clock}{fraction}{draw(st.sampled_from(_ZONES))}"


@st.composite
def decimals(draw: st.DrawFn, low: Decimal, high: Decimal) -> Decimal:
    """A number whose trailing zeros are part of it: 38.10 is not 38.1."""
    places = draw(st.integers(0, 6))
    scale = 10**places
    number = draw(st.integers(math.ceil(low * scale), math.floor(high * scale)))
    return Decimal(number).scaleb(-places)


def _integers(field: Field, low: Decimal, high: Decimal) -> st.SearchStrategy[int]:
    if field.only:
        return st.sampled_from([int(number) for number in field.only])
    if field.step is not None:
        return st.sampled_from(range(int(low), int(high) + 1, int(field.step)))
    return st.integers(int(low), int(high))


def values(field: Field) -> st.SearchStrategy[Any]:
    """Every kind of value that the field may hold, reasons of absence not among them."""
    low, high = field.range or (Decimal(-(2**31)), Decimal(2**31 - 1))
    pairs = st.lists(st.builds(Identifier, _SYSTEMS, _TEXTS), min_size=1, max_size=3, unique=True)
    codes = st.lists(st.builds(Identifier, _SYSTEMS, _CODES), min_size=1, max_size=3, unique=True)
    texts = st.from_regex(field.pattern, fullmatch=True) if field.pattern else _TEXTS
    words = st.sampled_from(field.choices or ("",))
    if field.many:
        one = words if field.type == "choice" else _TEXTS
        return st.lists(one, min_size=1, max_size=3, unique=True).map(tuple)
    made: dict[str, st.SearchStrategy[Any]] = {
        "text": texts,
        "integer": _integers(field, low, high),
        "decimal": decimals(low, high),
        "date": dates(precision=field.precision),
        "datetime": moments(precision=field.precision),
        "choice": words,
        "boolean": st.booleans(),
        "reference": _TEXTS,
        "ids": pairs.map(tuple),
        "codes": codes.map(tuple),
    }
    return made[field.type]


@st.composite
def filled(draw: st.DrawFn, form: Form) -> Record:
    """A record of the form that the study definition allows."""
    fields: dict[str, Any] = {}
    for field in form.fields.values():
        states = [values(field)]
        if field.absent and field.name not in form.key:
            states.append(st.sampled_from(ABSENT_REASONS).map(Absent))
        if field.required or draw(st.booleans()):
            fields[field.name] = draw(st.one_of(states))
    subject = fields.get("study_id", "S-001")
    told = allowed(form, fields)
    return Record(subject if isinstance(subject, str) else "S-001", form.name, told)


def allowed(form: Form, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields without those that others forbid, with each total as its parts make it."""
    before: dict[str, Any] = {}
    while before != fields:
        before = dict(fields)
        for field in form.fields.values():
            value = fields.get(field.name)
            if not has_value(value):
                continue
            if not _companions(form, field, fields):
                del fields[field.name]
            elif field.total is not None:
                _add_up(field, fields)
    return fields


def _companions(form: Form, field: Field, fields: dict[str, Any]) -> bool:
    for name in field.with_:
        words = dict(field.with_words).get(name, ())
        if not has_value(fields.get(name)) or (words and fields[name] not in words):
            return False
    for name, lists in field.among:
        if fields[field.name] not in dict(lists).get(fields.get(name, ""), field.choices):
            return False
    start = fields.get(field.after)
    return not isinstance(start, str) or surely_not_before(fields[field.name], start)


def _add_up(field: Field, fields: dict[str, Any]) -> None:
    assert field.total is not None
    parts = field.total.parts(fields.get(field.total.by))
    given = [fields[name] for name in parts if has_value(fields.get(name))]
    if len(given) == len(parts):
        fields[field.name] = sum(given)
    elif given or not field.total.alone:
        del fields[field.name]
