"""Made-up records of any study definition: every word of it is kept, totals add up."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from fhirbridge.study.definition import ABSENT_REASONS, Field, Form
from fhirbridge.study.fields import PRECISIONS
from fhirbridge.study.records import Absent, Identifier, Record, has_value
from tests.laws.strategies import dates, decimals, moments

_LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Cn"))
TEXTS = st.text(_LETTERS, min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
_SYSTEMS = st.sampled_from(("urn:oid:1.2.3.4", "http://codes.example.org", "urn:oid:1.2.3.5"))


def values(field: Field) -> st.SearchStrategy[Any]:
    """Every kind of value that the field may hold, reasons of absence not among them."""
    if field.many:
        words = st.sampled_from(field.choices) if field.choices else TEXTS
        return st.lists(words, min_size=1, max_size=3, unique=True).map(tuple)
    if field.type in ("ids", "codes"):
        pairs = st.builds(Identifier, _SYSTEMS, TEXTS)
        return st.lists(pairs, min_size=1, max_size=3, unique=True).map(tuple)
    if field.type in ("integer", "decimal"):
        return _numbers(field)
    least = PRECISIONS.get(field.precision, 0)
    made: Mapping[str, st.SearchStrategy[Any]] = {
        "text": st.from_regex(field.pattern, fullmatch=True) if field.pattern else TEXTS,
        "reference": TEXTS,
        "date": dates().filter(lambda text: len(text) >= least),
        "datetime": moments().filter(lambda text: len(text) >= least),
        "choice": st.sampled_from(field.choices or ("",)),
        "boolean": st.booleans(),
    }
    return made[field.type]


def _numbers(field: Field) -> st.SearchStrategy[Any]:
    low, high = field.range or (Decimal(-(2**31)), Decimal(2**31 - 1))
    kind: Any = int if field.type == "integer" else Decimal
    if field.only:
        return st.sampled_from(field.only).map(kind)
    if field.step is not None:
        step = field.step
        return st.integers(0, int((high - low) / step)).map(lambda n: kind(low + n * step))
    return st.integers(int(low), int(high)) if kind is int else decimals(low, high)


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
    for field in form.totals:
        _add_up(draw, form, field, fields)
    lacking = [""]
    while lacking:
        lacking = [f.name for f in form.needing if not _companions(f, fields)]
        fields = {name: value for name, value in fields.items() if name not in lacking}
    subject = fields.get("study_id", "S-001")
    return Record(subject if isinstance(subject, str) else "S-001", form.name, fields)


def _companions(field: Field, fields: Mapping[str, Any]) -> bool:
    """Whether the field has no value, or has all that it needs; dates come a year after others."""
    if not has_value(fields.get(field.name)):
        return True
    there = all(has_value(fields.get(name)) for name in field.with_)
    words = all(fields.get(name) in words for name, words in field.with_words)
    for name, lists in field.among:
        words = words and fields[field.name] in dict(lists).get(
            str(fields.get(name)), field.choices
        )
    start = fields.get(field.after)
    return there and words and (not has_value(start) or fields[field.name][:4] > str(start)[:4])


def _add_up(draw: st.DrawFn, form: Form, field: Field, fields: dict[str, Any]) -> None:
    """Make the total what its parts are; leave it out, or alone, where they are not all there."""
    if field.total is None or not has_value(fields.get(field.name)):
        return
    names = field.total.parts(fields.get(field.total.by))
    there = [name for name in names if has_value(fields.get(name))]
    if there and len(there) < len(names) and draw(st.booleans()):
        fields.update({n: draw(values(form.fields[n])) for n in names if n not in there})
        there = list(names)
    if len(there) == len(names) and names:
        fields[field.name] = sum(fields[name] for name in names)
    elif there or not field.total.alone:
        del fields[field.name]
