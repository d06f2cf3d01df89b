"""A case of tables, told in JSON: its file as bytes, what its site has told, and what is expected."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl

from fhirbridge.sync.sent_tables import Sent

# What the study's definition does not allow, and why.
_NOT_HERE = {("assessment", "ambulation", "unknown"): "the study has no reason of absence for it"}


def load(given: Path) -> list[dict[str, Any]]:
    cases = json.loads(given.read_text(encoding="utf-8"), parse_float=Decimal)
    return [{**case, "folder": str(given.parent), "cases": str(given)} for case in cases]


def sent(case: dict[str, Any]) -> Sent:
    """The file of the case; `lines` or `sheets` stand in it where there is none beside it."""
    folder = Path(case["folder"])
    settings = case.get("settings", {})
    told = folder / case["dictionary"] if "dictionary" in case else None
    dictionary = told.read_text(encoding="utf-8") if told else ""
    return Sent(
        case["file"], body(case), case["form"], str(settings.get("charset", "")), dictionary
    )


def body(case: dict[str, Any]) -> bytes:
    if "sheets" in case:
        return _workbook(case["sheets"])
    if "lines" in case:
        text = case.get("end", "\n").join([*case["lines"], ""])
        return bytes(text.encode(case.get("encoding", "utf-8")))
    return (Path(case["folder"]) / case["file"]).read_bytes()


def _workbook(sheets: dict[str, Any]) -> bytes:
    """Each a list of rows, or with `hidden`, `merged` ranges and `formats` of cells besides."""
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    for name, told in sheets.items():
        made = told if isinstance(told, dict) else {"rows": told}
        sheet = book.create_sheet(name)
        for row in made["rows"]:
            sheet.append([_cell(one) for one in row])
        for cell, form in made.get("formats", {}).items():
            sheet[cell].number_format = form
        for cells in made.get("merged", ()):
            sheet.merge_cells(cells)
        sheet.sheet_state = "hidden" if made.get("hidden") else "visible"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cell(given: Any) -> Any:
    if isinstance(given, dict):
        return date.fromisoformat(given["date"])
    return float(given) if isinstance(given, Decimal) else given


def name(one: dict[str, Any]) -> str:
    return json.dumps(one, default=str, sort_keys=True)


def says(one: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """In what an exported record is other than expected."""
    if (one["form"], one["subject"]) != (expected["form"], expected["study_id"]):
        return ["another record"]
    wrong = []
    for field, value in expected.items():
        if field in ("form", "study_id", "absent", "without"):
            continue
        if field == "hospital_ids":
            if not {*value} <= {*one["hospital_ids"]}:
                wrong.append(field)
        elif not _same(one["fields"].get(field), value):
            wrong.append(field)
    for field in expected.get("without", ()):
        wrong += [field] if field in one["fields"] else []
    absent = {
        field: reason
        for field, reason in expected.get("absent", {}).items()
        if (one["form"], field, reason) not in _NOT_HERE
    }
    return wrong + [f for f, r in absent.items() if one["fields"].get(f) != {"absent": r}]


def _same(have: Any, wanted: Any) -> bool:
    """Digit by digit; a word of a choice also as a dictionary shows it (X-ray is xray)."""
    if isinstance(wanted, list):
        return isinstance(have, list) and list(map(_bare, have)) == list(map(_bare, wanted))
    if have is None or isinstance(have, (dict, list)) or isinstance(wanted, bool):
        return have is wanted
    if str(have) == str(wanted):
        return True
    is_word = isinstance(wanted, str) and not re.search(r"\d[.,]\d", wanted)
    return isinstance(have, str) and is_word and have.islower() and _bare(have) == _bare(wanted)


def _bare(told: Any) -> str:
    if isinstance(told, dict):
        told = f"{told.get('system', '')}|{told.get('value', '')}"
    return re.sub(r"[\W_]", "", str(told)).lower()


def alternative(case: dict[str, Any]) -> tuple[dict[str, Any], set[int] | None] | None:
    """What `settings_alternative` says in words: more settings, and the lines that wait then."""
    told = case["expected"].get("settings_alternative", "")
    settings: dict[str, Any] = {}
    for order, field in re.findall(r"`date_order: (\w+)` for (\w+)", told):
        settings.setdefault("date_order", {})[field] = order
    pairs = dict(re.findall(r"(\S+) -> (\w+)", told))
    fields = {q["column"] for q in case["expected"]["quarantined"]}
    if pairs and len(fields) == 1:
        settings["crosswalk"] = {fields.pop(): pairs}
    if not settings:
        return None
    stay = re.search(r"only lines? ([\d, and]+) stays?", told)
    if stay:
        return settings, {int(n) for n in re.findall(r"\d+", stay[1])}
    read = re.search(r"lines? ([\d, and]+) reads? ", told)
    return settings, _lines(case) - {int(n) for n in re.findall(r"\d+", read[1])} if read else None


def _lines(case: dict[str, Any]) -> set[int]:
    return {q["line"] for q in case["expected"]["quarantined"]}


def wide_map(case: dict[str, Any], base: Any) -> list[dict[str, str]]:
    """The column map that a person makes of a wide table: field, and the visit behind it."""
    form = base.study.form(case["form"])
    visits = form.fields["visit"].choices
    header = next(csv.reader([body(case).decode().splitlines()[0]]))
    made = []
    for cell in header:
        visit = next((v for v in visits if cell.endswith(f"_{v}")), "")
        field = cell.removesuffix(f"_{visit}")
        if visit:
            field = form.key[0] if field == "date" else field
            made.append({"header": cell, "field": field, "row": visit})
    return made


def without_repeated(raw: bytes) -> bytes:
    """The table without the columns whose header stands twice."""
    rows = list(csv.reader(io.StringIO(raw.decode())))
    kept = [i for i, cell in enumerate(rows[0]) if rows[0].count(cell) == 1]
    out = io.StringIO()
    csv.writer(out).writerows([[row[i] for i in kept] for row in rows])
    return out.getvalue().encode()
