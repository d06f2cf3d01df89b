"""The reference page of a study definition: every form, field, instrument and visit in Markdown.

A test holds `docs/reference/study.md` to be this page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fhirbridge.study.fields import Field, Lists, Total
from fhirbridge.study.forms import Form, Outcomes, Study, Visits
from fhirbridge.study.values import ABSENT_REASONS

_HEAD = """# The study's fields

What `mappings/study.yaml` defines, in the study's own words; what [its
words](mapping-files.md#studyyaml) mean is told with the mapping files. Where each field stands in
FHIR is said by `mappings/<form>.yaml`. A required field holds a value, or a reason why there is
none: {reasons}.
A reason is not a value, and 0 is one.

Dates stay as partial as they came (`2024`, `2024-03`); a `datetime` may carry a time with its zone.
Decimals keep their digits. A record is the same record again when form, subject and key are the
same. A total is judged against its parts and never corrected. This page is made from the
definition: change that."""
_BAR = "\\|"
_VISITS = """Day 0 is `{anchor.form}.{anchor.field}`{where}. A visit takes the candidate nearest to
its target inside its window, of two as near the earlier, unless the field says otherwise; a date
that is not known to the day is counted to no visit. A window that ends on day 0 ends with the
moment of day 0 where both times are known. What lies in no window is `{otherwise}`."""
_OUTCOMES = """Change from `{start}` to `{end}`. Missing is shown with its reason, and never imputed
here.

* primary: {primary}"""


def page(study: Study) -> str:
    """The whole page; ends with one line feed."""
    parts = [_HEAD.format(reasons=_code(ABSENT_REASONS))]
    parts += [part for form in study.forms.values() for part in _form(form)]
    if study.instruments:
        parts += [
            "## Instruments",
            _table(("instrument", "version", "source", "licence"), _owned(study)),
        ]
    if study.visits:
        parts += [
            "## Visits",
            _anchor(study.visits),
            _table(("visit", "target day", "window"), _days(study.visits)),
        ]
    if study.outcomes.primary:
        parts += ["## Outcomes", _outcomes(study.outcomes)]
    mids = list(_changes(study))
    if mids:
        parts += [
            "## Smallest important changes",
            _table(("field", "change", "source", "note"), mids),
        ]
    return "\n\n".join(parts) + "\n"


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_line(head), "|" + "---|" * len(head), *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', _BAR) for cell in cells)} |"


def _form(form: Form) -> Iterator[str]:
    yield f"## {form.name}: {form.title}"
    yield f"Key within the subject: {_code(form.key)}." if form.key else "Once for each subject."
    rows = (
        (f"`{field.name}`", _kind(field), _values(field), _meaning(field))
        for field in form.fields.values()
    )
    yield _table(("field", "type", "values", "meaning"), rows)


def _kind(field: Field) -> str:
    to = f" to {field.to}" if field.to else ""
    return f"{field.type}{to}{', several' if field.many else ''}"


def _values(field: Field) -> str:
    parts = [_code(field.choices)] if field.choices else []
    if field.range:
        unit = f" {field.unit}" if field.unit and not field.unit.startswith("{") else ""
        parts.append(f"{field.range[0]} to {field.range[1]}{unit}")
    if field.only:
        parts.append(f"only {', '.join(map(str, field.only))}")
    if field.step is not None:
        parts.append(f"in steps of {field.step}")
    if field.pattern:
        parts.append(f"of the form `{field.pattern}`")
    if field.better:
        parts.append(f"{field.better} is better")
    if field.total:
        parts.append(_sum(field.total))
    parts += [_needed(field, name) for name in field.with_]
    parts += [_going(name, lists) for name, lists in field.among]
    if field.precision:
        parts.append(f"to the {field.precision}")
    if field.after:
        parts.append(f"not before `{field.after}`")
    parts += [f"{visit}: the {pick}" for visit, pick in field.pick]
    return "; ".join(parts)


def _needed(field: Field, name: str) -> str:
    words = dict(field.with_words).get(name, ())
    return f"with `{name}`{f' ({_code(words)})' if words else ''}"


def _going(name: str, lists: Lists) -> str:
    told = "; ".join(f"{_code(words)} ({word})" for word, words in lists)
    return f"by `{name}`: {told}"


def _sum(total: Total) -> str:
    alone = " or alone" if total.alone else ""
    if total.of:
        return f"the sum of {_code(total.of)}{alone}"
    lists = " or ".join(f"{_code(names)} ({word})" for word, names in total.lists)
    return f"the sum of {lists}, by `{total.by}`{alone}"


def _meaning(field: Field) -> str:
    told = [field.meaning]
    told += [f"Instrument: {field.instrument}"] if field.instrument else []
    told += [field.source] if field.source else []
    told += [field.licence] if field.licence else []
    told += ["Required"] if field.required else []
    told += ["Takes no reason of absence"] if not field.absent else []
    told += ["What is read waits for a person"] if field.accept == "review" else []
    return ". ".join(part.rstrip(".") for part in told if part)


def _owned(study: Study) -> Iterator[Sequence[str]]:
    for one in study.instruments.values():
        yield f"`{one.name}`: {one.title}", one.version, one.source, one.licence


def _anchor(visits: Visits) -> str:
    where = f" of the record whose `{visits.anchor.where}` says yes" if visits.anchor.where else ""
    return _VISITS.format(anchor=visits.anchor, where=where, otherwise=visits.otherwise)


def _days(visits: Visits) -> Iterator[Sequence[str]]:
    for name, window in visits.schedule.items():
        yield f"`{name}`", str(window.target), f"{window.low} to {window.high}"


def _outcomes(told: Outcomes) -> str:
    first = _OUTCOMES.format(start=told.start, end=told.end, primary=_code(told.primary))
    return f"{first}\n* secondary: {_code(told.secondary)}" if told.secondary else first


def _changes(study: Study) -> Iterator[Sequence[str]]:
    for form in study.forms.values():
        for field in form.fields.values():
            if field.mid:
                change = f"{field.mid.value} {field.better}"
                yield f"`{form.name}.{field.name}`", change, field.mid.source, field.mid.note
