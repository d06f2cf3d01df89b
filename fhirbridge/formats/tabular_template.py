"""The file that a site fills in, of the study's own definition: CSV, Excel with pick lists and
ranges, and a Table Schema (https://specs.frictionlessdata.io) by which it can be checked before it
is sent.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import openpyxl
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from fhirbridge.study.definition import ABSENT_REASONS, Field, Form, Study
from fhirbridge.study.fields import NUMBERS as NUMERIC

SUBJECT = "study_id"
EXAMPLE_SUBJECT = "MBD-A-000"  # enrolled nowhere
ROWS = 2000  # of an empty workbook that have their pick lists
_SHORT = 255  # characters of a list that Excel takes in place
_SYSTEM = "https://hospital.example.org/mrn"


def fields(form: Form) -> list[Field]:
    """The columns: who, the key, then the others as the definition has them."""
    study_id = Field(SUBJECT, "text", "The pseudonym of the subject in the study", required=True)
    # Of a subject the site is told by the credential.
    told = (SUBJECT, "site") if form.name == "subject" else (SUBJECT,)
    others = [f for f in form.fields.values() if f.name not in told]
    return [study_id, *sorted(others, key=lambda f: f.name not in form.key)]


def example(form: Form) -> dict[str, str]:
    """One filled row, of nobody: each cell could be taken as it stands."""
    made = {f.name: _example(f) for f in fields(form)}
    for field in form.totals:
        made[field.name] = ""  # a sum of what else stands there
    for field in form.fields.values():
        for name, lists in field.among:
            possible = dict(lists).get(made[name], field.choices)
            made[field.name] = next(iter(possible), "")
    return {**made, SUBJECT: EXAMPLE_SUBJECT}


def _example(field: Field) -> str:
    if field.choices:
        return field.choices[0]
    if field.type in NUMERIC:
        low = field.range[0] if field.range else Decimal(1)
        return format(low, "f")
    if field.type in ("date", "datetime"):
        return "2026-02-10"
    if field.type == "boolean":
        return "false"
    if field.type in ("ids", "codes"):
        return f"{_SYSTEM}|0000000"
    if field.pattern:
        return "11111" if field.pattern == "[1-5]{5}" else ""
    return f"{field.name.removesuffix('_id')}-1"


def explained(form: Form) -> Iterator[tuple[str, ...]]:
    """Column, meaning, must it be filled, what may stand there, unit, an example."""
    shown = example(form)
    for field in fields(form):
        must = "key" if field.name in (SUBJECT, *form.key) else "yes" if field.required else ""
        yield field.name, field.meaning, must, values(field), field.unit, shown[field.name]


def values(field: Field) -> str:
    if field.choices:
        several = "; several divided by ;" if field.many else ""
        return ", ".join(field.choices) + several
    if field.range:
        kind = "whole number" if field.type == "integer" else "number"
        return f"{kind} from {field.range[0]} to {field.range[1]}"
    told = {
        "integer": "whole number",
        "decimal": "number with a point",
        "date": "YYYY-MM-DD",
        "datetime": "YYYY-MM-DD",
        "boolean": "true or false",
        "ids": "SYSTEM|NUMBER",
        "codes": "SYSTEM|CODE; several divided by a blank",
        "reference": f"the id of a {field.to}",
    }
    return told.get(field.type, "text")


def workbook(form: Form, *, title: str) -> bytes:
    """Sheet 1 to fill in, sheet 2 what the columns mean, sheet 3 a filled example."""
    book = openpyxl.Workbook()
    page = book.active
    page.title = form.name[:31]
    columns = fields(form)
    lists = book.create_sheet("lists")
    page.append([field.name for field in columns])
    for index, field in enumerate(columns, start=1):
        letter = get_column_letter(index)
        page.column_dimensions[letter].width = max(12, len(field.name) + 2)
        page.column_dimensions[letter].number_format = "@"
        if _as_text(field):
            for row in range(2, ROWS + 2):
                page.cell(row, index).number_format = "@"
        rule = _rule(field, lists)
        if rule is not None:
            page.add_data_validation(rule)
            rule.add(f"{letter}2:{letter}{ROWS + 1}")
    _heading(page)
    _page(book, "columns", ("column", "meaning", "must be filled", "values", "unit", "example"),
          explained(form))  # fmt: skip
    shown = example(form)
    _page(book, "example", tuple(f.name for f in columns), [tuple(shown[f.name] for f in columns)])
    book.properties.title = title
    lists.sheet_state = "hidden"
    book.move_sheet("lists", len(book.sheetnames))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _as_text(field: Field) -> bool:
    """What a spreadsheet would make something else of: ids, dates, codes."""
    return field.type not in NUMERIC and not field.choices


def _rule(field: Field, lists: Any) -> Any:
    """The pick list or range of a column; a word of absence is let through with a warning."""
    if field.type == "boolean":
        return _list('"true,false"')
    if field.choices and not field.many:
        text = ",".join((*field.choices, *(ABSENT_REASONS if field.absent else ())))
        if len(text) <= _SHORT - 2:
            return _list(f'"{text}"')
        column = lists.max_column + 1 if lists.cell(1, 1).value else 1
        for row, word in enumerate(text.split(","), start=1):
            lists.cell(row, column, word)
        letter = get_column_letter(column)
        return _list(f"lists!${letter}$1:${letter}${text.count(',') + 1}")
    if field.type in NUMERIC and field.range:
        kind = "whole" if field.type == "integer" else "decimal"
        low, high = field.range
        rule = DataValidation(type=kind, operator="between", formula1=str(low), formula2=str(high))
        return _spoken(rule, f"{low} to {high}, or a word for why there is none")
    return None


def _list(formula: str) -> Any:
    return _spoken(DataValidation(type="list", formula1=formula), "take one of the list")


def _spoken(rule: Any, text: str) -> Any:
    rule.allow_blank, rule.showErrorMessage, rule.errorStyle = True, True, "warning"
    rule.error, rule.errorTitle = text, "fhirbridge"
    return rule


def _heading(page: Any) -> None:
    for cell in page[1]:
        cell.font = Font(bold=True)
    page.freeze_panes = "B2"


def _page(
    book: Any, name: str, heading: Sequence[str], rows: Iterator[tuple[str, ...]] | Sequence[Any]
) -> None:
    page = book.create_sheet(name)
    page.append(list(heading))
    for row in rows:
        page.append(list(row))
    for cells in page.iter_rows(min_row=2):
        for cell in cells:
            cell.number_format, cell.alignment = "@", Alignment(wrap_text=True, vertical="top")
            cell.data_type = "s" if cell.value is not None else "n"
    _heading(page)


def data_package(study: Study, form: Form, *, path: str) -> dict[str, Any]:
    """As `frictionless validate` reads it."""
    return {
        "profile": "tabular-data-package",
        "name": f"{study.id}-{form.name}".replace("_", "-").lower(),
        "title": f"{study.title}: {form.title}",
        "resources": [
            {
                "name": form.name.replace("_", "-"),
                "path": path,
                "profile": "tabular-data-resource",
                "encoding": "utf-8",
                "schema": {
                    "fields": [_schema(form, field) for field in fields(form)],
                    "primaryKey": [SUBJECT, *form.key],
                    "missingValues": ["", *ABSENT_REASONS, "withdraw"],
                },
            }
        ],
    }


def _schema(form: Form, field: Field) -> dict[str, Any]:
    kind = {"integer": "integer", "decimal": "number", "boolean": "boolean"}
    key = field.name in (SUBJECT, *form.key)
    rules: dict[str, Any] = {"required": True} if key else {}
    if field.choices and not field.many:
        rules["enum"] = list(field.choices)
    if field.range:
        whole = field.type == "integer"
        rules["minimum"], rules["maximum"] = (int(n) if whole else float(n) for n in field.range)
    made: dict[str, Any] = {
        "name": field.name,
        "type": kind.get(field.type, "string"),
        "description": field.meaning,
    }
    return {**made, "constraints": rules} if rules else made
