"""Records as CSV and JSON: one file, one form, one header line, one row a record.

Reads UTF-8 with commas. Every value is text until its field asks for a type; a blank states
nothing.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study import records
from fhirbridge.study.definition import ABSENT_REASONS, Field, Form, Study, near
from fhirbridge.study.records import Absent, Identifier, Record

SUBJECT = "study_id"
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)


def read_csv(
    study: Study, form: Form, raw: bytes, *, name: str
) -> tuple[list[Record], list[Issue]]:
    """The records of the file, and every fault with line and column; a row with a fault is left
    out.

    Raises `BridgeError` where the columns cannot be known.
    """
    rows = csv.reader(io.StringIO(_text(raw, name)), strict=True)
    made: list[Record] = []
    faults: list[Issue] = []
    try:
        header = _header(next(rows, []), form, name)
        for cells in rows:
            place = f"{name}:{rows.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                cause = f"{len(cells)} cells under {len(header)} columns"
                remedy = "put text that holds a comma in quotes"
                faults.append(Issue("structure", cause, remedy, place=place))
                continue
            record, wrong = _row(form, dict(zip(header, cells, strict=True)), place)
            wrong = wrong or [replace(i, place=place) for i in records.check(study, record)]
            faults += wrong
            made += [] if wrong else [record]
    except csv.Error as fault:
        place = f"{name}:{rows.line_num}"
        raise BridgeError(
            Issue("structure", f"no CSV: {fault}", "close the quotes", place=place)
        ) from fault
    return made, faults


def _text(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = raw[: fault.start].count(b"\n") + 1
        cause = f"byte {raw[fault.start]:#04x} is not UTF-8"
        raise BridgeError(
            Issue("structure", cause, "save the file as UTF-8", place=f"{name}:{line}")
        ) from fault


def _header(cells: list[str], form: Form, name: str) -> list[str]:
    columns = [cell.strip().lower() for cell in cells]
    known = {SUBJECT, *form.fields}
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


def _row(form: Form, cells: Mapping[str, str], place: str) -> tuple[Record, list[Issue]]:
    fields: dict[str, Any] = {}
    wrong: list[Issue] = []
    for column, text in cells.items():
        if column not in form.fields or not text.strip():
            continue
        value = parse_value(form.fields[column], text.strip())
        if value is None:
            remedy = records.REMEDIES[form.fields[column].type]
            cause = f"the value is no {form.fields[column].type}"
            wrong.append(Issue("value", cause, remedy, expression=column, place=place))
        fields[column] = value
    subject = cells[SUBJECT].strip()
    if not subject:
        wrong.append(
            Issue("required", "the row says not whose it is", "give study_id", place=place)
        )
    return Record(subject, form.name, fields, place), wrong


def parse_value(field: Field, text: str) -> Any:
    """The text as a value of the field, None where it cannot be one; the check judges the rest."""
    if text in ABSENT_REASONS and text not in field.choices:
        return Absent(text)
    if field.type == "integer":
        return int(text) if _INTEGER.fullmatch(text) else None
    if field.type == "decimal":
        return Decimal(text) if _DECIMAL.fullmatch(text) else None
    if field.type == "boolean":
        return {"true": True, "false": False, "yes": True, "no": False}.get(text.lower())
    if field.type == "ids":
        pairs = [part.partition("|") for part in text.split()]
        whole = all(system and value for system, _, value in pairs)
        return tuple(Identifier(s, v) for s, _, v in pairs) if whole else None
    return text


def read_json(study: Study, raw: bytes, *, name: str) -> tuple[list[Record], list[Issue]]:
    """A JSON list of `{"subject", "form", "fields"}`; faults name the item by its number."""
    listed = fhir_json.read(raw)
    items = listed if isinstance(listed, list) else [listed]
    made: list[Record] = []
    faults: list[Issue] = []
    for number, item in enumerate(items, start=1):
        place = f"{name} record {number}"
        parts = ("subject", "form", "fields")
        if not isinstance(item, dict) or any(part not in item for part in parts):
            faults.append(Issue("structure", "no record", f"give {', '.join(parts)}", place=place))
            continue
        kinds = (("subject", str), ("form", str), ("fields", dict))
        if wrong_kinds := [part for part, kind in kinds if not isinstance(item[part], kind)]:
            cause = f"'{wrong_kinds[0]}' is of the wrong kind"
            remedy = "subject and form are texts, fields an object"
            faults.append(Issue("structure", cause, remedy, place=place))
            continue
        if item["form"] not in study.forms:
            cause = f"the study has no form '{item['form']}'"
            faults.append(Issue("structure", cause, near(item["form"], study.forms), place=place))
            continue
        values = {n: records.value_from_json(v) for n, v in item["fields"].items()}
        record = Record(item["subject"], item["form"], values, place)
        wrong = [replace(issue, place=place) for issue in records.check(study, record)]
        faults += wrong
        made += [] if wrong else [record]
    return made, faults


def write_csv(form: Form, made: Iterable[Record]) -> str:
    """The records of one form; our own export reads back as the same records."""
    out = io.StringIO()
    columns = [SUBJECT, *(name for name in form.fields if name != SUBJECT)]
    rows = csv.writer(out, lineterminator="\r\n")  # RFC 4180; a lone CR in a text is quoted too
    rows.writerow(columns)
    for record in made:
        cells = {name: _cell(value) for name, value in record.fields.items()}
        rows.writerow(
            [cells.get(name, "") for name in columns]
            if SUBJECT in cells
            else [record.subject, *(cells.get(name, "") for name in columns[1:])]
        )
    return out.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return " ".join(f"{item.system}|{item.value}" for item in value)
    return str(value)
