"""What is wrong with the files in which a site says how its own tables are read, each fault with
file and line: for `check`, before a table comes that would meet it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from fhirbridge.formats import redcap, tabular_map, tabular_units
from fhirbridge.formats.tabular_cells import Cells, Wrong
from fhirbridge.formats.tabular_columns import NUMBERS, SUBJECT, Column
from fhirbridge.formats.tabular_map import MapLine
from fhirbridge.formats.tabular_text import plain
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.definition import Field, Form, near
from fhirbridge.study.fields import DATES
from fhirbridge.study.fields import NUMBERS as NUMERIC
from fhirbridge.sync import tables

_COLUMNS = re.compile(r"columns-(.+)")
_CODED = frozenset({"ids", "codes"})
Told = tuple[str, str]
"""Cause and remedy."""


def faults(mappings: MappingSet) -> list[Issue]:
    """Of every such file of the site that the mappings are of."""
    made: list[Issue] = []
    for name, text in sorted(mappings.tables.items()):
        place = f"sites/{mappings.site}/{name}.csv"
        try:
            made += _of_file(mappings, name, text, place)
        except BridgeError as fault:
            made += fault.issues
    return made


def _of_file(mappings: MappingSet, name: str, text: str, place: str) -> Iterator[Issue]:
    form = _COLUMNS.fullmatch(name)
    if form is not None:
        yield from _columns(mappings, form[1], text, place)
    elif name == "absence":
        yield from _absence(mappings, text, place)
    elif name == "redcap":
        yield from _redcap(mappings, text, place)
    elif name == "redcap-records":
        yield from _records(text, place)
    else:
        remedy = "name it columns-<form>.csv, redcap.csv or redcap-records.csv"
        yield Issue("configuration", "nothing reads a file of this name", remedy, place=place)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    cells: Mapping[str, str]


def _lines(text: str, place: str, needed: tuple[str, ...], also: tuple[str, ...]) -> list[_Line]:
    """Raises `BridgeError` (configuration) where it is no such table."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        names = rows.fieldnames or ()
        if not {*needed} <= {*names} or {*names} - {*needed, *also}:
            cause = f"the header is not of {','.join((*needed, *also))}"
            remedy = f"write {' and '.join(needed)}, and of the others what is needed"
            raise _configuration(cause, remedy, f"{place}:1")
        made = []
        for row in rows:
            if None in row:
                cause = "more cells than the header has"
                raise _configuration(cause, "put it in quotes", f"{place}:{rows.line_num}")
            cells = {key: (row.get(key) or "").strip() for key in (*needed, *also)}
            made.append(_Line(rows.line_num, cells))
        return made
    except csv.Error as fault:
        cause, remedy = f"no CSV: {fault}", "correct the quotes"
        raise _configuration(cause, remedy, f"{place}:{rows.line_num}") from fault


def _configuration(cause: str, remedy: str, place: str) -> BridgeError:
    return BridgeError(Issue("configuration", cause, remedy, place=place))


def _told(line: int, place: str, found: Iterator[Told]) -> Iterator[Issue]:
    for cause, remedy in found:
        yield Issue("configuration", cause, remedy, place=f"{place}:{line}")


def _once() -> Callable[[str, int], Iterator[Told]]:
    seen: dict[str, int] = {}

    def told(what: str, line: int) -> Iterator[Told]:
        if what and seen.setdefault(what, line) != line:
            yield f"'{what}' stands in line {seen[what]} already", "keep one of the two lines"

    return told


def _columns(mappings: MappingSet, name: str, text: str, place: str) -> Iterator[Issue]:
    form = mappings.study.forms.get(name)
    if form is None:
        remedy = near(name, mappings.study.forms)
        yield Issue("configuration", f"the study has no form '{name}'", remedy, place=place)
        return
    _lines(text, place, ("header", "field"), tabular_map.MAP[2:])
    lines, wrong = tabular_map.map_lines(text, name=place)
    yield from wrong
    # What is wrong with the words of absence is told where they stand.
    cells = tables.cells(replace(mappings, tables={}), name, {})
    for line in lines:
        yield from _told(line.line, place, _of_column(mappings, form, line, cells))


def _of_column(mappings: MappingSet, form: Form, line: MapLine, cells: Cells) -> Iterator[Told]:
    if line.field == "-" or line.field == SUBJECT:
        return
    numbers = mappings.study.form("subject").fields.get(NUMBERS)
    field = numbers if line.field == NUMBERS else form.fields.get(line.field)
    if field is None:
        known = {*form.fields, SUBJECT, NUMBERS, "-"}
        yield f"the form {form.name} has no field '{line.field}'", near(line.field, known)
        return
    if line.unit and not field.unit:
        yield f"{field.name} has no unit, and the line says {line.unit}", "leave the unit out"
    elif line.unit and tabular_units.factor(tabular_units.told(line.unit), field.unit) is None:
        cause = f"from {line.unit} to {field.unit}, the unit of {field.name}, no factor is known"
        yield cause, "write the unit as UCUM; only exact conversions are known"
    if line.order and field.type not in DATES:
        yield f"{field.name} is no date, and the line has an order of one", "leave it out"
    if line.decimal and field.type not in NUMERIC:
        yield f"{field.name} is no number, and the line has a decimal mark", "leave it out"
    if line.system and field.type not in _CODED:
        yield f"{field.name} is neither a code nor a number of a person", "leave the system out"
    if line.value and not line.header:
        column = Column(-1, field.name, field, line.order, line.decimal, line.system)
        value = cells.read(column, line.value)
        if isinstance(value, Wrong):
            yield f"'{line.value}' is no value of {field.name}: {value.cause}", value.remedy


def _absence(mappings: MappingSet, text: str, place: str) -> Iterator[Issue]:
    lines = _lines(text, place, ("word", "reason"), ("field", "note"))
    fields = {name for form in mappings.study.forms.values() for name in form.fields}
    twice = _once()
    for line in lines:
        name, word = line.cells["field"], line.cells["word"]
        found = list(twice(f"{word} of {name}" if name else word, line.number))
        if name and name not in fields:
            found.append((f"no form has a field '{name}'", near(name, fields)))
        yield from _told(line.number, place, iter(found))
    tables.absences(mappings)


def _redcap(mappings: MappingSet, text: str, place: str) -> Iterator[Issue]:
    twice, goals = _once(), _once()
    for line in _lines(text, place, ("variable", "field"), ("codes", "system", "note")):
        variable, target = line.cells["variable"], line.cells["field"]
        yield from _told(line.number, place, twice(variable, line.number))
        if variable == redcap.GROUP:
            continue
        if not variable:
            cause = ("the variable is missing", "give its name, as in the data dictionary")
            yield from _told(line.number, place, iter([cause]))
        elif target in (SUBJECT, "record"):
            again = goals(target, line.number)
            yield from _told(line.number, place, again)
        else:
            yield from _told(line.number, place, _of_variable(mappings, line.cells))


def _of_variable(mappings: MappingSet, cells: Mapping[str, str]) -> Iterator[Told]:
    form, _, name = cells["field"].partition(".")
    known = mappings.study.forms.get(form)
    field = known.fields.get(name) if known else None
    if field is None:
        names = [f"{f}.{n}" for f, one in mappings.study.forms.items() for n in one.fields]
        yield f"the study has no field '{cells['field']}'", near(cells["field"], names)
        return
    twice: set[str] = set()
    for part in filter(None, map(str.strip, cells["codes"].split(";"))):
        code, is_one, word = (text.strip() for text in part.partition("="))
        if not is_one or not code or not word:
            yield f"'{part}' is no code and its word", "write them as 1=aid; 2=bed"
            continue
        if code in twice:
            yield f"the code {code} stands twice", "keep one"
        twice.add(code)
        yield from _word(field, code, word)


def _word(field: Field, code: str, word: str) -> Iterator[Told]:
    if field.choices and word not in field.choices:
        yield f"{code} is mapped to '{word}', no word of {field.name}", near(word, field.choices)
    elif field.type == "boolean" and plain(word) not in ("1", "0", "yes", "no", "true", "false"):
        yield f"{code} is mapped to '{word}', and {field.name} is yes or no", "write yes or no"


def _records(text: str, place: str) -> Iterator[Issue]:
    twice = _once()
    for line in _lines(text, place, ("record", "study_id"), ("note",)):
        record = line.cells["record"]
        found = list(twice(record, line.number))
        if not record or not line.cells["study_id"]:
            found.append(("record or study_id is missing", "give both, or delete the line"))
        yield from _told(line.number, place, iter(found))
