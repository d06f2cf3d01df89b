"""Records as CSV and JSON: one file, one form, one header line, one row a record.

Reads UTF-8 with commas. Every value is text until its field asks for a type; a blank states
nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhirbridge.formats import csv_cells, fhir_json, ndjson
from fhirbridge.formats.csv_cells import parse_value
from fhirbridge.formats.ndjson import LIMIT, Read
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study import records
from fhirbridge.study.definition import Field, Form, Study, near
from fhirbridge.study.records import Record

__all__ = ["SUBJECT", "parse_value", "read_csv", "read_json", "rows", "template", "write_csv"]

SUBJECT = "study_id"


def read_csv(
    study: Study, form: Form, raw: bytes, *, name: str
) -> tuple[list[Record], list[Issue]]:
    """The records of the file, and every fault with line and column; a row with a fault is left
    out. Raises as `rows` does.
    """
    made: list[Record] = []
    faults: list[Issue] = []
    for record, wrong in rows(study, form, io.BytesIO(raw).read, name=name):
        made += [record] if record else []
        faults += wrong
    return made, faults


def rows(
    study: Study, form: Form, read: Read, *, name: str, limit: int = LIMIT
) -> Iterator[tuple[Record | None, list[Issue]]]:
    """Each row's record, or what is wrong with it; no more of the file is held than a row.

    Raises `BridgeError` where the columns cannot be known, and where the rest of the file cannot be
    divided into rows.
    """
    lines = csv.reader(_texts(read, name, limit), strict=True)
    try:
        columns = _columns(next(lines, None), form, name)
        for cells in lines:
            if "".join(cells).strip():
                place = f"{name}:{lines.line_num}"
                record, wrong = _row(form, columns, cells, place)
                wrong = wrong or [replace(i, place=place) for i in records.check(study, record)]
                yield (None if wrong else record), wrong
    except csv.Error as fault:
        place = f"{name}:{lines.line_num}"
        raise BridgeError(
            Issue("structure", f"no CSV: {fault}", "close the quotes", place=place)
        ) from fault


def _texts(read: Read, name: str, limit: int) -> Iterator[str]:
    """The lines of the file, each with its end."""
    for number, raw in ndjson.split(read, limit):
        place = f"{name}:{number}"
        if isinstance(raw, int):
            raise BridgeError(replace(ndjson.too_long(raw, limit), place=place))
        other = ndjson.other_kind(raw) if number == 1 else None
        if other is not None:
            raise BridgeError(replace(other, place=name))
        yield _text(raw.removeprefix(ndjson.BOM) if number == 1 else raw, place) + "\n"


def _text(raw: bytes, place: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as fault:
        cause = f"byte {raw[fault.start]:#04x} is not UTF-8"
        remedy = "save the file as UTF-8"
        raise BridgeError(Issue("structure", cause, remedy, place=place)) from fault


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the subject stands, and for each column of a field its place, field and parser."""

    count: int
    subject: int
    fields: Sequence[tuple[int, Field, csv_cells.Parse]]


def _columns(cells: list[str] | None, form: Form, name: str) -> _Columns:
    if cells is None:
        remedy = "leave it out, or see how it was written"
        raise BridgeError(Issue("structure", "the file is empty", remedy, place=name))
    header = _header(cells, form, name)
    parsed = [
        (place, form.fields[column], csv_cells.parser(form.fields[column]))
        for place, column in enumerate(header)
        if column in form.fields
    ]
    return _Columns(len(header), header.index(SUBJECT), parsed)


def _header(cells: list[str], form: Form, name: str) -> list[str]:
    known = {SUBJECT, *form.fields}
    spelled = {word.lower(): word for word in known} | {word: word for word in known}
    columns = [spelled.get(word, spelled.get(word.lower(), word)) for word in map(str.strip, cells)]
    place = f"{name}:1"
    faults = [
        Issue("structure", f"the form {form.name} has no field '{c}'", near(c, known), place=place)
        for c in columns
        if c not in known
    ]
    faults += [
        Issue("structure", f"the column '{column}' is missing", "add it", place=place)
        for column in (SUBJECT, *form.key)
        if column not in columns
    ]
    if len(set(columns)) < len(columns):
        faults.append(Issue("structure", "a column is there twice", "keep one", place=place))
    if faults:
        raise BridgeError(*faults)
    return columns


def _row(
    form: Form, columns: _Columns, cells: Sequence[str], place: str
) -> tuple[Record, list[Issue]]:
    if len(cells) != columns.count:
        cause = f"{len(cells)} cells under {columns.count} columns"
        remedy = "put text that holds a comma in quotes"
        return Record("", form.name, {}, place), [Issue("structure", cause, remedy, place=place)]
    fields: dict[str, Any] = {}
    wrong: list[Issue] = []
    for number, field, parse in columns.fields:
        cell = cells[number]
        if cell and not cell.isspace():
            value = fields[field.name] = parse(csv_cells.unguarded(cell))
            if value is None:
                wrong.append(_unread(field, place))
    subject = cells[columns.subject].strip()
    if not subject:
        wrong.append(
            Issue("required", "the row says not whose it is", "give study_id", place=place)
        )
    return Record(subject, form.name, fields, place), wrong


def _unread(field: Field, place: str) -> Issue:
    kind = f"list of {field.type}s" if field.many else field.type
    remedy = records.REMEDIES[field.type]
    return Issue("value", f"the value is no {kind}", remedy, expression=field.name, place=place)


def read_json(study: Study, raw: bytes, *, name: str) -> tuple[list[Record], list[Issue]]:
    """A JSON list of `{"subject", "form", "fields"}`; faults name the item by its number."""
    listed = fhir_json.read(raw)
    items = listed if isinstance(listed, list) else [listed]
    made: list[Record] = []
    faults: list[Issue] = []
    for number, item in enumerate(items, start=1):
        place = f"{name} record {number}"
        told = _misfit(study, item)
        if told is not None:
            faults.append(replace(told, place=place))
            continue
        values = {n: records.value_from_json(v) for n, v in item["fields"].items()}
        record = Record(item["subject"], item["form"], values, place)
        wrong = [replace(issue, place=place) for issue in records.check(study, record)]
        faults += wrong
        made += [] if wrong else [record]
    return made, faults


def _misfit(study: Study, item: Any) -> Issue | None:
    """What keeps an item of a list from being a record of the study."""
    parts = ("subject", "form", "fields")
    if not isinstance(item, dict) or any(part not in item for part in parts):
        return Issue("structure", "no record", f"give {', '.join(parts)}")
    kinds = (("subject", str), ("form", str), ("fields", dict))
    for part, kind in kinds:
        if not isinstance(item[part], kind):
            remedy = "subject and form are texts, fields an object"
            return Issue("structure", f"'{part}' is of the wrong kind", remedy)
    if item["form"] not in study.forms:
        cause = f"the study has no form '{item['form']}'"
        return Issue("structure", cause, near(item["form"], study.forms))
    if not item["subject"].strip():
        return Issue("required", "the record says not whose it is", "give subject")
    if item["fields"].get(SUBJECT, item["subject"]) != item["subject"]:
        cause = f"subject and {SUBJECT} are not the same"
        return Issue("business-rule", cause, "correct one of them", expression=SUBJECT)
    return None


def template(form: Form) -> str:
    """The header line that a file of this form may have; every field has its column."""
    return write_csv(form, ())


def write_csv(form: Form, made: Iterable[Record]) -> str:
    """The records of one form; our own export reads back as the same records."""
    out = io.StringIO()
    columns = [SUBJECT, *(name for name in form.fields if name != SUBJECT)]
    rows = csv.writer(out, lineterminator="\r\n")  # RFC 4180; a lone CR in a text is quoted too
    rows.writerow(columns)
    for record in made:
        cells = {n: csv_cells.cell(form.fields[n], value) for n, value in record.fields.items()}
        cells.setdefault(SUBJECT, record.subject)
        rows.writerow([csv_cells.guarded(cells.get(name, "")) for name in columns])
    return out.getvalue()
