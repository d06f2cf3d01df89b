"""The study as a REDCap project: its data dictionary of eighteen columns, and the map by which our
own reader knows the variables again.

One instrument a form. The form that a subject fills once is plain, every other one is a repeating
instrument: the study's visits are windows around the index operation, which REDCap's events cannot
say. Hospital numbers are not in it; they stay in the enrolment.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from fhirbridge.formats.redcap import HEADER
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.definition import Field, Form
from fhirbridge.study.fields import DATES, NUMBERS

RECORD = "record_id"
MISSING = MappingProxyType(
    {
        "UNK": ("unknown", "Unknown"),
        "NASK": ("not-asked", "Not asked"),
        "DECL": ("asked-declined", "Declined"),
        "MSK": ("masked", "Masked"),
        "NA": ("not-applicable", "Not applicable"),
        "NDONE": ("not-performed", "Not performed"),
        "ERR": ("error", "Error"),
    }
)
"""The project's missing data codes: the reason of absence, and REDCap's label."""

SHORT = 26  # characters of a variable's name that REDCap recommends
_RADIO = 5  # choices; more are a list to open
_COUNTED = 30  # numbers of a field that are listed one by one
_PARTIAL = "YYYY-MM-DD; YYYY-MM or YYYY where no more is known"
_TOLD = ("study_id", "site")  # of a subject: the record's name, and the site of the credential


@dataclass(frozen=True, slots=True)
class Entry:
    """A field of a form as a variable. `choices` are code and label."""

    form: Form
    field: Field
    name: str
    type: str
    choices: tuple[tuple[str, str], ...] = ()
    validation: str = ""
    note: str = ""


def repeats(form: Form) -> bool:
    return bool(form.key)


def entries(forms: Iterable[Form]) -> list[Entry]:
    """The variables after the record id. Raises `BridgeError` (configuration) where two fields
    would be called the same."""
    made = [_entry(form, field) for form in forms for field in _fields(form)]
    first: dict[str, Entry] = {}
    for one in made:
        other = first.setdefault(one.name, one)
        if other is not one or one.name == RECORD:
            told = f"{other.form.name}.{other.field.name} and {one.form.name}.{one.field.name}"
            cause = f"{told} are both the variable {one.name}"
            raise BridgeError(Issue("configuration", cause, "rename one of the fields"))
    return made


def _fields(form: Form) -> Iterator[Field]:
    """The key first: by it a row is known."""
    given = [f for f in form.fields.values() if f.type != "ids"]
    told = [f for f in given if form.key or f.name not in _TOLD]
    yield from sorted(told, key=lambda f: f.name not in form.key)


def variable(form: str, field: str) -> str:
    """Always with its form, so that a new field never renames another one in a project that runs.

    >>> variable("lesion", "lesion_id"), variable("surgery", "bone")
    ('lesion_id', 'surgery_bone')
    """
    return field if field.startswith(f"{form}_") else f"{form}_{field}"


def _entry(form: Form, field: Field) -> Entry:
    name = variable(form.name, field.name)
    if field.type == "boolean":
        return Entry(form, field, name, "yesno")
    if field.choices:
        choices = tuple((word, label(word)) for word in field.choices)
        kind = "checkbox" if field.many else "radio" if len(choices) <= _RADIO else "dropdown"
        return Entry(form, field, name, kind, choices)
    numbers = _numbers(field)
    if numbers:
        return Entry(form, field, name, "dropdown", tuple((n, n) for n in numbers), note=field.unit)
    if field.type in NUMBERS:
        kind = "integer" if field.type == "integer" else "number"
        return Entry(form, field, name, "text", validation=kind, note=field.unit)
    if field.type in DATES:
        if field.precision == "day":
            return Entry(form, field, name, "text", validation="date_ymd")
        return Entry(form, field, name, "text", note=_PARTIAL)
    if field.type == "codes":
        note = "SYSTEM|CODE; several divided by a blank"
        return Entry(form, field, name, "text", note=note)
    if field.type == "reference":
        several = "; several divided by ;" if field.many else ""
        return Entry(form, field, name, "text", note=f"the id of a {field.to}{several}")
    kind = "text" if field.name in form.key or field.pattern else "notes"
    return Entry(form, field, name, kind)


def _numbers(field: Field) -> list[str]:
    """Of a field that takes some numbers of its range only, those."""
    if field.only:
        return [format(number, "f") for number in field.only]
    if field.step is None or field.range is None:
        return []
    low, high = field.range
    count = int((high - low) / field.step) + 1
    if count > _COUNTED:
        return []
    return [format(low + field.step * Decimal(n), "f") for n in range(count)]


def label(word: str) -> str:
    """
    >>> label("unknown_primary"), label("IIIa"), label("C1")
    ('Unknown primary', 'IIIa', 'C1')
    """
    text = word.replace("_", " ")
    return text[:1].upper() + text[1:]


def dictionary(forms: Sequence[Form]) -> str:
    """As REDCap uploads it: the record id first, then a line a variable."""
    plain = next((form for form in forms if not repeats(form)), forms[0])
    ordered = [plain, *(form for form in forms if form is not plain)]
    record = [RECORD, plain.name, "", "text", "The pseudonym of the subject in the study"]
    rows = [[*record, *[""] * (len(HEADER) - len(record))]]
    rows += [_line(one) for one in entries(ordered)]
    return written([HEADER, *rows])


def _line(entry: Entry) -> list[str]:
    field = entry.field
    bounds = ["", ""]
    if entry.validation in ("integer", "number") and field.range:
        bounds = [format(number, "f") for number in field.range]
    # Days and free text may tell who somebody is; REDCap leaves them out of exports without names.
    names = "y" if field.type in DATES or entry.type == "notes" else ""
    must = "y" if field.required or field.name in entry.form.key else ""
    choices = " | ".join(f"{code}, {text}" for code, text in entry.choices)
    said = f"{entry.form.name}.{field.name}"
    return [
        entry.name, entry.form.name, "", entry.type, field.meaning or field.name, choices,
        entry.note, entry.validation, *bounds, names, "", must, "", "", "", "", said,
    ]  # fmt: skip


def project_map(forms: Sequence[Form]) -> str:
    """`redcap.csv` of a site: each variable with its field. A code is the study's word."""
    lines = [("variable", "field", "codes", "system"), (RECORD, "study_id", "", "")]
    lines += [(e.name, f"{e.form.name}.{e.field.name}", _codes(e), "") for e in entries(forms)]
    return written(lines)


def _codes(entry: Entry) -> str:
    if entry.field.type != "choice":
        return ""
    return "; ".join(f"{code}={code}" for code, _ in entry.choices)


def absence_words() -> str:
    """`absence.csv` of a site: the reasons that the missing data codes say."""
    lines = [("word", "reason"), *((code, reason) for code, (reason, _) in MISSING.items())]
    return written(lines)


def written(rows: Iterable[Iterable[str]]) -> str:
    """RFC 4180."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()
