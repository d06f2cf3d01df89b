"""Records for any study definition: every type, range, choice, precision and absence that it allows.

All values are made up.
"""

from __future__ import annotations

import calendar
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from fhirbridge.study.definition import ABSENT_REASONS, Field, Form
from fhirbridge.study.records import Absent, Identifier, Record

# FHIR's string holds no control characters (https://hl7.org/fhir/R4/datatypes.html#string).
_LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Cn"))
_TEXTS = st.text(_LETTERS, min_size=1, max_size=20).filter(lambda text: bool(text.strip()))
_SYSTEMS = st.sampled_from(
    ("urn:oid:1.2.3.4", "https://hospital.example.org/sid/mrn", "urn:oid:1.2.3.5")
)
_ZONES = ("Z", "+00:00", "+02:00", "-05:00", "+14:00", "-13:59")


@st.composite
def dates(draw: st.DrawFn) -> str:
    """A real day, or only its month or year."""
    year, month = draw(st.integers(1900, 2100)), draw(st.integers(1, 12))
    day = draw(st.integers(1, calendar.monthrange(year, month)[1]))
    whole = f"{year:04}-{month:02}-{day:02}"
    return whole[: draw(st.sampled_from((4, 7, 10)))]


@st.composite
def moments(draw: st.DrawFn) -> str:
    """A date as partial as it comes, or a time with its zone."""
    date = draw(dates())
    if len(date) < 10 or draw(st.booleans()):
        return date
    clock = ":".join(f"{draw(st.integers(0, top)):02}" for top in (23, 59, 59))
    fraction = draw(st.sampled_from(("", ".5", ".120", ".123456")))
    return f"{date}T{clock}{fraction}{draw(st.sampled_from(_ZONES))}"


@st.composite
def decimals(draw: st.DrawFn, low: Decimal, high: Decimal) -> Decimal:
    """A number whose trailing zeros are part of it: 38.10 is not 38.1."""
    places = draw(st.integers(0, 6))
    scale = 10**places
    number = draw(st.integers(int(low * scale), int(high * scale)))
    return Decimal(number).scaleb(-places)


def values(field: Field) -> st.SearchStrategy[Any]:
    """Every kind of value that the field may hold, reasons of absence not among them."""
    low, high = field.range or (Decimal(-(2**31)), Decimal(2**31 - 1))
    identifiers = st.builds(Identifier, _SYSTEMS, _TEXTS)
    made: dict[str, st.SearchStrategy[Any]] = {
        "text": _TEXTS,
        "integer": st.integers(int(low), int(high)),
        "decimal": decimals(low, high),
        "date": dates(),
        "datetime": moments(),
        "choice": st.sampled_from(field.choices or ("",)),
        "boolean": st.booleans(),
        "ids": st.lists(identifiers, min_size=1, max_size=3, unique=True).map(tuple),
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
    return Record(subject if isinstance(subject, str) else "S-001", form.name, fields)
