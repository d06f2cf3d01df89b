"""Cells, headers and dates of tables, a line of reason each. Pure: no registry."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.formats import tabular_columns, tabular_dates, tabular_map, tabular_text
from fhirbridge.formats.tabular_cells import WITHDRAW, Cells, Marks, Wrong
from fhirbridge.formats.tabular_columns import Column, Names
from fhirbridge.formats.tabular_text import RawRow
from fhirbridge.outcome import BridgeError
from fhirbridge.study import definition
from fhirbridge.study.definition import Study
from fhirbridge.study.values import Absent, Identifier

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"


@cache
def study() -> Study:
    return definition.load((MAPPINGS / "study.yaml").read_text(encoding="utf-8"))


def read(place: str, text: str, *, marks: Marks | None = None, **more: Any) -> Any:
    form, _, name = place.partition(".")
    field = study().form(form).fields[name]
    cells = Cells({("", "-99"): "unknown"}, lambda field, word: "", {0: marks or Marks()})
    key = name in study().form(form).key
    return cells.read(Column(0, name, field, **more), text, key=key)


READ = [
    ("assessment.pain_rest", "0", 0, "0 is a value"),
    ("assessment.pain_rest", " 2\u00a0", 2, "blanks at the ends"),
    ("assessment.pain_rest", "", None, "a blank states nothing"),
    ("assessment.pain_rest", "-99", Absent("unknown"), "the site's word"),
    ("assessment.pain_rest", "not-asked", Absent("not-asked"), "always known"),
    ("assessment.pain_rest", "withdraw", WITHDRAW, "taken back"),
    ("assessment.promis_pf_t", "38.40", Decimal("38.40"), "every digit"),
    ("lesion.size_mm", "3.5 cm", Decimal("35"), "UCUM beside the number"),
    ("lesion.size_mm", "1.5 [in_i]", Decimal("38.1"), "exactly"),
    ("subject.sex", "M", "male", "table 0001"),
    ("subject.sex", "unknown", "unknown", "a choice goes before a reason"),
    ("surgery.cement", "yes", True, ""),
    ("surgery.codes", "http://snomed.info/sct|1234", (Identifier("http://snomed.info/sct", "1234"),), ""),
    ("surgery.lesions", "L1|L2", ("L1", "L2"), "a list where the field repeats"),
    ("surgery.text", "=SUM(A1)", "=SUM(A1)", "text is text"),
    ("assessment.assessed_on", "2026-03-01T09:30", "2026-03-01", "the date as written"),
    ("assessment.assessed_on", "2026-03-01T09:30:00+01:00", "2026-03-01T09:30:00+01:00", "an instant"),
    ("lesion.diagnosed_on", "2026-03", "2026-03", "as partial as it came"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "text", "value", "why"), READ)
def test_a_cell_is_read(place: str, text: str, value: Any, why: str) -> None:
    assert read(place, text) == value, why
    assert str(read(place, text)) == str(value), "with every digit"


WRONG = [
    ("assessment.pain_rest", "11", "outside 0 to 10"),
    ("assessment.pain_rest", "2.0", "no whole number"),
    ("assessment.pain_rest", "٢", "no whole number"),
    ("assessment.pain_rest", "NA", "not applicable, not available"),
    ("assessment.pain_rest", "k.A.", "unknown word of absence"),
    ("assessment.pain_rest", "#REF!", "error cell"),
    ("assessment.pain_rest", "####", "too narrow"),
    ("assessment.promis_pf_t", "38,4", "a comma"),
    ("lesion.size_mm", "ca. 30", "no number"),
    ("lesion.size_mm", "3 ft", "no unit for it"),
    ("lesion.lesion_id", "01.Feb", "looks like a date"),
    ("lesion.lesion_id", "1.5E+03", "scientific"),
    ("lesion.lesion_id", "2026-02-03 00:00:00", "looks like a date"),
    ("lesion.bone", "humerus|femur", "two values"),
    ("lesion.bone", "Femur", "not in the value list"),
    ("subject.sex", "2", "numbers differ"),
    ("surgery.codes", "1234", "without its system"),
    ("assessment.assessed_on", "46082", "2026-03-01 (1900 system) or 2030-03-02"),
    ("assessment.assessed_on", "25/03/2026", "no order is stated"),
    ("assessment.assessed_on", "2026-04-31", "April has 30 days"),
    ("assessment.assessed_on", "2025-02-29", "February has 28 days"),
    ("assessment.assessed_on", "2026-13-01", "no month 13"),
    ("assessment.assessed_on", "01.03.26", "two-digit year"),
    ("assessment.assessed_on", "00.00.0000", "no date"),
    ("assessment.assessed_on", "2026-03", "needs the day"),
    ("assessment.assessed_on", "withdraw", "must have a value"),
]


@pytest.mark.parametrize(("place", "text", "cause"), WRONG)
def test_a_cell_waits_with_its_cause(place: str, text: str, cause: str) -> None:
    told = read(place, text)
    assert isinstance(told, Wrong)
    assert cause in told.cause
    assert told.remedy


def test_a_decimal_comma_is_told_or_proven_by_the_whole_column() -> None:
    field = "assessment.promis_pf_t"
    assert read(field, "38,4", marks=Marks(commas=",")) == Decimal("38.4")
    assert isinstance(read(field, "1,250", marks=Marks(commas=",")), Wrong)
    assert isinstance(read(field, "38.4", marks=Marks(commas="mixed")), Wrong)
    assert read(field, "38,45", decimal=",") == Decimal("38.45")
    assert isinstance(read(field, "38.4", decimal=","), Wrong)


def test_an_order_of_dates_is_told() -> None:
    assert read("assessment.assessed_on", "03/04/2026", order="DMY") == "2026-04-03"
    assert read("assessment.assessed_on", "03/04/2026", order="MDY") == "2026-03-04"
    assert isinstance(read("assessment.assessed_on", "03/25/2026", order="DMY"), Wrong)
    assert tabular_dates.orders("03/25/2026") == {"MDY"}


def opened(text: str | bytes, form: str = "assessment", charset: str = "") -> tabular_text.Sheet:
    names = Names(study().form(form), [])
    raw = text if isinstance(text, bytes) else text.encode()

    def key(part: str) -> tabular_text.Known:
        return lambda name: names.gives(name, part)

    keys = [key(part) for part in ("study_id", *study().form(form).key)]
    return tabular_text.open_text(raw, names.known, keys, charset=charset)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_that_under_which_names_are_known(delimiter: str) -> None:
    lines = [["study_id", "assessed_on", "pain_rest"], ["MBD-A-001", "2026-03-01", "2"]]
    sheet = opened("\n".join(delimiter.join(line) for line in lines))
    assert sheet.delimiter == delimiter
    assert [row.cells for row in sheet.rows()] == [tuple(lines[1])]


def test_a_directive_sets_it_and_is_no_row() -> None:
    sheet = opened("sep=;\nstudy_id;assessed_on\nMBD-A-001;2026-03-01\n")
    (row,) = sheet.rows()
    assert (sheet.delimiter, row.line, row.row) == (";", 3, 3)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_tells_the_encoding(encoding: str) -> None:
    raw = "study_id,assessed_on,mode\nMBD-A-001,2026-03-01,ß\n".encode(encoding)
    (row,) = opened(raw).rows()
    assert row.cells[2] == "ß"


REFUSED = [
    (b"", "empty"),
    (b"PK\x03\x04....", "ZIP"),
    (b"\xd0\xcf\x11\xe0....", "old kind"),
    (b"%PDF-1.7", "PDF"),
    (b'{"a": 1}', "JSON"),
    (b"a,b\n1,2\n", "has a name of a column"),
    (b'study_id,assessed_on\nMBD-A-001,"2026\n', "not closed"),
    ("study_id,mode\nMBD-A-001,ß\n".encode("latin-1"), "0xDF"),
]


@pytest.mark.parametrize(("raw", "cause"), REFUSED)
def test_what_is_no_table_is_refused_with_its_cause(raw: bytes, cause: str) -> None:
    with pytest.raises(BridgeError, match=cause):
        list(opened(raw).rows())


def test_a_quote_that_is_open_names_the_line_it_opens_in() -> None:
    with pytest.raises(BridgeError) as caught:
        list(opened('study_id,assessed_on\nMBD-A-001,2026-03-01\nMBD-A-002,"x\ny\n').rows())
    assert caught.value.issues[0].expression == "line 3"


def test_every_fault_of_a_header_is_told_at_once() -> None:
    names = Names(study().form("assessment"), [])
    header = RawRow(1, 1, ("pain_rest", "pain_rest", "lesion_id", "pain_activty"))
    with pytest.raises(BridgeError) as caught:
        tabular_columns.resolve(study(), header, names)
    causes = " ".join(issue.cause for issue in caught.value.issues)
    for part in (
        "pain_rest stands twice",
        "lesion_id",
        "no column study_id",
        "no column assessed_on",
    ):
        assert part in causes


def test_a_unit_in_the_header_counts_for_its_column() -> None:
    names = Names(study().form("lesion"), [])
    header = RawRow(1, 1, ("study_id", "lesion_id", "size (cm)"))
    made = tabular_columns.resolve(study(), header, names)
    assert [(c.field.name, c.factor) for c in made.fields][1] == ("size_mm", Decimal(10))
    header = RawRow(1, 1, ("study_id", "assessed_on", "walk_6min_m [ft]"))
    with pytest.raises(BridgeError, match="in ft, and the field is in m"):
        tabular_columns.resolve(study(), header, Names(study().form("assessment"), []))


def test_a_column_map_with_faults_tells_them_all() -> None:
    text = "header,field,date_order,decimal\na,,DMY,\nb,pain_rest,DYM,\nc,pain_rest,,x\n"
    with pytest.raises(BridgeError) as caught:
        tabular_map.read_map(text, name="columns-assessment.csv")
    assert [i.place for i in caught.value.issues] == [
        f"columns-assessment.csv:{n}" for n in (2, 3, 4)
    ]
