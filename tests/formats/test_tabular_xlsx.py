"""Workbooks: what is read of a cell, and what is refused before it is unpacked. Synthetic."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime
from typing import Any

import openpyxl
import pytest

from fhirbridge.formats import tabular_template, tabular_xlsx
from fhirbridge.formats.tabular_text import RawRow, Sheet
from fhirbridge.outcome import BridgeError
from tests.formats.test_tabular import study


def book(*rows: list[Any]) -> bytes:
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def opened(raw: bytes) -> Sheet:
    return tabular_xlsx.open_workbook(raw, {"study_id", "x"}.__contains__, [])


def test_cells_are_text_as_their_type_surely_says() -> None:
    raw = book(
        ["study_id", "x"], ["a", 2], ["b", 2.5], ["c", datetime(2026, 3, 1)], ["d", date(2026, 3, 1)],
        ["e", True], ["f", "0012"], ["g", None], ["h", "=1+1"], ["i", datetime(2026, 3, 1, 9, 30)],
    )  # fmt: skip
    rows = list(opened(raw).rows())
    assert [row.cells[1] for row in rows] == [
        "2", "2.5", "2026-03-01", "2026-03-01", "true", "0012", "", "=1+1", "2026-03-01 09:30:00",
    ]  # fmt: skip
    assert [row.row for row in rows if row.formulas] == [9]
    assert rows[0] == RawRow(2, 2, ("a", "2"))


def test_the_zeros_that_a_format_shows_are_kept() -> None:
    made = openpyxl.Workbook()
    made.active.append(["study_id", "x"])
    made.active.append(["a", 38.4])
    made.active["B2"].number_format = "0.00"
    out = io.BytesIO()
    made.save(out)
    assert [row.cells[1] for row in opened(out.getvalue()).rows()] == ["38.40"]


def packed(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/") + ".xml", content)
    return out.getvalue()


def test_x20_a_bomb_is_not_unpacked() -> None:
    bomb = packed(xl__workbook=b"<a/>", xl__sheet1=b"0" * (40 << 20))
    assert len(bomb) < 100_000
    with pytest.raises(BridgeError, match="times its length") as caught:
        opened(bomb)
    assert caught.value.policy.status == 413


def test_an_archive_of_another_kind_is_refused() -> None:
    with pytest.raises(BridgeError, match="no Excel workbook"):
        opened(packed(word__document=b"<a/>"))
    with pytest.raises(BridgeError, match="broken archive"):
        opened(b"PK\x03\x04 and then nothing")
    with pytest.raises(BridgeError, match="cannot be read"):
        opened(packed(xl__workbook=b"<not xml"))


@pytest.mark.parametrize("form", ["assessment", "surgery", "lesion", "subject", "primary_cancer"])
def test_a_template_is_read_as_an_empty_table_of_its_form(form: str) -> None:
    known = study().form(form)
    raw = tabular_template.workbook(known, title="Synthetic")
    sheet = tabular_xlsx.open_workbook(raw, lambda name: name in {"study_id", *known.fields}, [])
    assert list(sheet.header.cells) == [field.name for field in tabular_template.fields(known)]
    assert not [row for row in sheet.rows() if not row.blank]
    made = openpyxl.load_workbook(io.BytesIO(raw))
    assert made.sheetnames == [form, "columns", "example", "lists"]
    rules = made.active.data_validations.dataValidation
    assert {rule.type for rule in rules} & {"list", "whole", "decimal"}
