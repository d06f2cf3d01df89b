"""Records as a REDCap import file with raw values, and the page that says how to make its project.

A row is a subject or one filled form of it. What cannot stand in a cell without becoming another
value is left blank, and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhirbridge.formats import csv_cells, redcap
from fhirbridge.formats.redcap_dictionary import (
    MISSING,
    RECORD,
    SHORT,
    Entry,
    entries,
    repeats,
    written,
)
from fhirbridge.formats.tabular_cells import WITHDRAW
from fhirbridge.formats.tabular_text import trimmed
from fhirbridge.outcome import Issue
from fhirbridge.study.definition import Form, Study
from fhirbridge.study.forms import DAY
from fhirbridge.study.values import Absent

_CODE_OF = {reason: code for code, (reason, _) in MISSING.items()}


@dataclass(frozen=True, slots=True)
class Filled:
    """One filled form of a subject; `instance` counts from 1 among those of its form."""

    subject: str
    form: str
    instance: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    text: str
    rows: int
    issues: tuple[Issue, ...]


def import_file(forms: Sequence[Form], filled: Iterable[Filled]) -> Written:
    """Raw values, one column a variable, one a box of a checkbox."""
    known = entries(forms)
    heads = [name for one in known for name, _ in _columns(one)]
    rows = [[RECORD, redcap.INSTRUMENT, redcap.INSTANCE, *heads]]
    plain = {form.name for form in forms if not repeats(form)}
    issues: list[Issue] = []
    for one in filled:
        instance = [] if one.form in plain else [one.form, str(one.instance)]
        row = [one.subject, *(instance or ["", ""])]
        for entry in known:
            value = one.fields.get(entry.field.name) if entry.form.name == one.form else None
            wrong = "" if value is None else _unsayable(entry, value)
            if wrong:
                at = f"{one.form} {one.instance} of {one.subject}"
                remedy = "enter it in REDCap by hand, or correct the record"
                issues.append(Issue("not-supported", wrong, remedy, entry.name, at, "warning"))
                value = None
            row += [_cell(entry, value, code) for _, code in _columns(entry)]
        rows.append(row)
    return Written(written(rows), len(rows) - 1, tuple(issues))


def _columns(entry: Entry) -> Iterator[tuple[str, str]]:
    """The columns of a variable, of a checkbox each with its code."""
    if entry.type == "checkbox":
        for code, _ in entry.choices:
            yield f"{entry.name}___{redcap.box_name(code)}", code
        return
    yield entry.name, ""


def _cell(entry: Entry, value: Any, code: str) -> str:
    if value is None:
        return ""
    if entry.type == "checkbox":
        return "1" if code in value else "0"
    if isinstance(value, Absent):
        return _CODE_OF[value.reason]
    if isinstance(value, bool):
        return "1" if value else "0"
    if entry.validation == "date_ymd":
        return str(value)[:DAY]  # the study counts the day alone
    return csv_cells.guarded(csv_cells.cell(entry.field, value))


def _unsayable(entry: Entry, value: Any) -> str:
    """Why the value would be read as another one; empty: it would not."""
    if entry.type == "checkbox":
        return "a checkbox has no missing data code here" if isinstance(value, Absent) else ""
    if not isinstance(value, str) or entry.choices or entry.field.type != "text":
        return ""
    if value in MISSING or value == WITHDRAW:
        return f"the text '{value}' means something else in a table"
    if value != trimmed(value):
        return "REDCap keeps no blanks at the ends of a text"
    return ""


def readme(study: Study, forms: Sequence[Form], site: str) -> str:
    """How the project is set up, and how its exports come back."""
    known = entries(forms)
    repeating = ", ".join(form.name for form in forms if repeats(form))
    once = ", ".join(form.name for form in forms if not repeats(form))
    codes = " | ".join(f"{code}, {told}" for code, (_, told) in MISSING.items())
    many = sum(len(one.name) > SHORT for one in known)
    days = ", ".join(one.name for one in known if one.validation == "date_ymd")
    return f"""{study.title}: the study as a REDCap project, for the site {site}.

dictionary.csv  the data dictionary: upload it into an empty project
records.csv     the site's records, as raw values for REDCap's data import tool
redcap.csv      for fhirbridge: which variable is which field of the study
absence.csv     for fhirbridge: what the missing data codes say

Setting up the project
1. Upload dictionary.csv. {many} names of variables have more than {SHORT} characters: REDCap
   advises against them; whether your REDCap takes them was not tried
2. Enable repeating instruments, without events, for: {repeating}.
   Once for each subject: {once}.
   Visits are windows around the index operation, so they are no events.
3. Additional customizations, missing data codes:
   {codes}
4. Import records.csv, date format YYYY-MM-DD, blank values ignored. An instance keeps its number
   from one export to the next, so a later file changes what this one made, and adds to it. Where
   people add instances in REDCap themselves, numbers would meet: then take an empty project.

Reading the project's exports
Put redcap.csv and absence.csv into the folder of the site among the mapping files (where it has an
absence.csv, add the lines), and read an export "CSV / raw data" with
   fhirbridge import EXPORT.csv --site {site} --form redcap --dictionary dictionary.csv

Not in it: hospital numbers, which stay in the enrolment, and the status (complete) of instruments.
Only the day is written of {days}.
Dates that may be told in part are plain text. A text that a spreadsheet would run as a formula has
an apostrophe before it, which fhirbridge takes off again.
Variables with days or free text are marked as identifiers.
"""
