"""CSV in and out: every fault with line and column, a blank states nothing."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.formats import csv_cells, csv_records
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.definition import Field, Form, Study
from fhirbridge.study.records import Absent, Identifier, Record
from tests.formats.forms import STUDY
from tests.study import real, tiny
from tests.study.made_up import filled

HEAD = "study_id,assessed_on,pain_rest,promis_pf_t\n"


def read(text: str | bytes, form: str = "assessment") -> tuple[list[Record], list[Issue]]:
    raw = text.encode() if isinstance(text, str) else text
    return csv_records.read_csv(STUDY, STUDY.forms[form], raw, name="x.csv")


def test_a_row_is_a_record_with_its_place() -> None:
    made, faults = read(f"{HEAD}S-1,2024-05-01,0,38.10\n\nS-2,2024-05-02,,\n")
    assert faults == []
    assert made == [
        Record(
            "S-1",
            "assessment",
            {"assessed_on": "2024-05-01", "pain_rest": 0, "promis_pf_t": Decimal("38.10")},
            "x.csv:2",
        ),
        Record("S-2", "assessment", {"assessed_on": "2024-05-02"}, "x.csv:4"),
    ]
    assert str(made[0].fields["promis_pf_t"]) == "38.10"


def test_a_byte_order_mark_blanks_and_capitals_in_the_header_are_read_over() -> None:
    made, faults = read("\ufeffStudy_ID , Assessed_On\r\nS-1, 2024-05-01 \r\n")
    assert faults == []
    assert made[0].fields == {"assessed_on": "2024-05-01"}


def test_a_field_with_capitals_has_a_column_however_it_is_written() -> None:
    fields = {"PSA": Field("PSA", "decimal"), "Day": Field("Day", "date", required=True)}
    form = Form("blood", "Blood", ("Day",), fields)
    study = Study("s", "S", "https://example.org", {"blood": form})
    given = Record("S-1", "blood", {"PSA": Decimal("1.50"), "Day": "2024"}, "x.csv:2")
    text = csv_records.write_csv(form, [given])
    assert text.startswith("study_id,PSA,Day")
    for spelled in (text, text.replace("PSA", "psa").replace("Day", "DAY")):
        read_back = csv_records.read_csv(study, form, spelled.encode(), name="x.csv")
        assert read_back == ([given], [])


def test_a_reason_of_absence_is_a_word() -> None:
    made, _ = read(f"{HEAD}S-1,2024-05-01,asked-declined,not-asked\n")
    assert made[0].fields["pain_rest"] == Absent("asked-declined")


def test_a_choice_that_is_also_a_reason_is_the_choice() -> None:
    made, faults = read("study_id,lesion_id,fracture_status\nS-1,1,unknown\n", "lesion")
    assert faults == []
    assert made[0].fields["fracture_status"] == "unknown"


def test_quotes_keep_commas_and_lines() -> None:
    text = 'study_id,surgery_id,performed_on,procedure,text\nS-1,1,2024,plate,"a, ""b""\nc"\n'
    made, faults = read(text, "surgery")
    assert faults == []
    assert made[0].fields["text"] == 'a, "b"\nc'


# reason, form, header and row, the column that is told, words of the cause, words of the remedy
CELLS = [
    ("a number that is a word", "assessment", f"{HEAD}S-1,2024-05-01,five,", "pain_rest", "no integer", "whole number"),
    ("a fraction", "assessment", f"{HEAD}S-1,2024-05-01,5.5,", "pain_rest", "no integer", "whole number"),
    ("two signs", "assessment", f"{HEAD}S-1,2024-05-01,--5,", "pain_rest", "no integer", "whole number"),
    ("a sign alone", "assessment", f"{HEAD}S-1,2024-05-01,-,", "pain_rest", "no integer", "whole number"),
    ("five thousand digits", "assessment", f"{HEAD}S-1,2024-05-01,{'9' * 5000},", "pain_rest", "no integer", "whole number"),
    ("digits of another script", "assessment", f"{HEAD}S-1,2024-05-01,٣,", "pain_rest", "no integer", "whole number"),
    ("a decimal comma", "assessment", f'{HEAD}S-1,2024-05-01,,"38,1"', "promis_pf_t", "no decimal", "a number"),
    ("an underscore", "assessment", f"{HEAD}S-1,2024-05-01,,1_0", "promis_pf_t", "no decimal", "a number"),
    ("no number", "assessment", f"{HEAD}S-1,2024-05-01,,NaN", "promis_pf_t", "no decimal", "a number"),
    ("out of range", "assessment", f"{HEAD}S-1,2024-05-01,11,", "pain_rest", "outside 0 to 10", "correct"),
    ("no date", "assessment", f"{HEAD}S-1,01.05.2024,1,", "assessed_on", "no date", "YYYY-MM-DD"),
    ("a key that is blank", "assessment", f"{HEAD}S-1,,1,", "assessed_on", "is required", "give it"),
    ("a key that is a reason", "assessment", f"{HEAD}S-1,unknown,1,", "assessed_on", "cannot be absent", "value"),
    ("a row of nobody", "assessment", f"{HEAD} ,2024-05-01,1,", "", "whose it is", "study_id"),
    ("a cell too many", "assessment", f"{HEAD}S-1,2024-05-01,1,2,3", "", "5 cells under 4 columns", "quotes"),
    ("no choice", "lesion", "study_id,lesion_id,bone\nS-1,1,femurr", "bone", "none of the choices", "did you mean 'femur'"),
    ("a code without system", "lesion", "study_id,lesion_id,codes\nS-1,1,urn:x|A 12", "codes", "no codes", "system|code"),
    ("a list with a hole", "surgery", "study_id,surgery_id,performed_on,procedure,lesions\nS-1,1,2024,plate,1;;2", "lesions", "no list of references", "divided by ';'"),
    ("a list that ends with its divider", "surgery", "study_id,surgery_id,performed_on,procedure,lesions\nS-1,1,2024,plate,1;", "lesions", "no list of references", "divided by ';'"),
    ("a word twice", "surgery", "study_id,surgery_id,performed_on,procedure,evidence\nS-1,1,2024,plate,marker;marker", "evidence", "no list of different choices", "imaging"),
    ("a word of a list", "surgery", "study_id,surgery_id,performed_on,procedure,evidence\nS-1,1,2024,plate,marker;image", "evidence", "no list of different choices", "imaging"),
    ("neither yes nor no", "surgery", "study_id,surgery_id,performed_on,procedure,cement\nS-1,1,2024,plate,perhaps", "cement", "no boolean", "true or false"),
    ("no identifier", "subject", "study_id,hospital_ids\nS-1,12345", "hospital_ids", "no ids", "system|value"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "text", "column", "cause", "remedy"),
    [row[1:] for row in CELLS],
    ids=[row[0] for row in CELLS],
)
def test_a_faulty_cell_is_told_with_line_and_column(
    form: str, text: str, column: str, cause: str, remedy: str
) -> None:
    made, faults = read(f"{text}\n", form)
    assert made == []
    (issue,) = faults
    assert (issue.place, issue.expression) == ("x.csv:2", column)
    assert cause in issue.cause
    assert remedy in issue.remedy


def test_a_faulty_row_is_left_out_and_the_others_are_read() -> None:
    made, faults = read(f"{HEAD}S-1,2024-05-01,x,x\nS-2,2024-05-01,1,\n")
    assert [record.subject for record in made] == ["S-2"]
    assert [issue.expression for issue in faults] == ["pain_rest", "promis_pf_t"]


# reason, bytes, place, words of the cause, words of the remedy
FILES: list[tuple[str, bytes, str, str, str]] = [
    ("a column that no field has", b"study_id,assessed_on,pain_rst\n", "x.csv:1", "no field 'pain_rst'", "did you mean 'pain_rest'"),
    ("a missing key", b"study_id,pain_rest\n", "x.csv:1", "'assessed_on' is missing", "add it"),
    ("a missing subject", b"assessed_on,pain_rest\n", "x.csv:1", "'study_id' is missing", "add it"),
    ("a column twice", b"study_id,assessed_on,ecog,ecog\n", "x.csv:1", "there twice", "keep one"),
    ("nothing", b"", "x.csv", "the file is empty", "leave it out"),
    ("an open quote", b'study_id,assessed_on\nS-1,"2024\n', "x.csv:2", "no CSV", "close the quotes"),
    ("Latin-1", "study_id,assessed_on\nS-1,2024\nSø,2024\n".encode("latin-1"), "x.csv:3", "0xf8 is not UTF-8", "UTF-8"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "place", "cause", "remedy"),
    [row[1:] for row in FILES],
    ids=[row[0] for row in FILES],
)
def test_a_file_whose_columns_cannot_be_known_is_refused(
    raw: bytes, place: str, cause: str, remedy: str
) -> None:
    with pytest.raises(BridgeError) as told:
        read(raw)
    fitting = [i for i in told.value.issues if cause in i.cause and remedy in i.remedy]
    assert [issue.place for issue in fitting] == [place]


# reason, form, header and row, field, value
LISTS: list[tuple[str, str, str, str, Any]] = [
    ("codes divided by blanks", "lesion", "study_id,lesion_id,codes\nS-1,1, urn:x|A1  urn:y|B|2 ", "codes", (Identifier("urn:x", "A1"), Identifier("urn:y", "B|2"))),
    ("a code that holds a blank", "lesion", "study_id,lesion_id,codes\nS-1,1,urn:x|A\\ 1 urn:y|B", "codes", (Identifier("urn:x", "A 1"), Identifier("urn:y", "B"))),
    ("a backslash of no meaning", "lesion", "study_id,lesion_id,codes\nS-1,1,urn:x|DOM\\user", "codes", (Identifier("urn:x", "DOM\\user"),)),
    ("references with blanks around", "surgery", "study_id,surgery_id,performed_on,procedure,lesions\nS-1,1,2024,plate, L 1 ; L2", "lesions", ("L 1", "L2")),
    ("a reference that holds the divider", "surgery", "study_id,surgery_id,performed_on,procedure,lesions\nS-1,1,2024,plate,L\\;1;L2", "lesions", ("L;1", "L2")),
    ("one word", "surgery", "study_id,surgery_id,performed_on,procedure,evidence\nS-1,1,2024,plate,marker", "evidence", ("marker",)),
    ("a reason in place of a list", "surgery", "study_id,surgery_id,performed_on,procedure,evidence\nS-1,1,2024,plate,not-asked", "evidence", Absent("not-asked")),
    ("yes in words", "surgery", "study_id,surgery_id,performed_on,procedure,cement\nS-1,1,2024,plate,Yes", "cement", True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("form", "text", "field", "value"), [r[1:] for r in LISTS], ids=[r[0] for r in LISTS]
)
def test_a_cell_holds_several(form: str, text: str, field: str, value: Any) -> None:
    made, faults = read(f"{text}\n", form)
    assert faults == []
    assert made[0].fields[field] == value
    again, faults = read(csv_records.write_csv(STUDY.forms[form], made), form)
    assert faults == []
    assert again[0].fields == made[0].fields


@pytest.mark.parametrize("form", tiny.STUDY.forms.values(), ids=lambda form: form.name)
def test_the_template_has_a_column_for_every_field(form: Form) -> None:
    header = csv_records.template(form)
    assert header.startswith("study_id,")
    assert {*header.strip().split(",")} == {"study_id", *form.fields}
    raw = header.encode()
    assert csv_records.read_csv(tiny.STUDY, form, raw, name="x.csv") == ([], [])


def storable(value: Any) -> Any:
    """What CSV can hold: no blank at the ends of a text."""
    if isinstance(value, str):
        return value.strip() or "x"
    if isinstance(value, tuple):
        return tuple(dict.fromkeys(storable(v) if isinstance(v, str) else v for v in value))
    return value


FORMS = [(s, form) for s in (real.STUDY, tiny.STUDY) for form in s.forms.values()]


@pytest.mark.parametrize(("study", "form"), FORMS, ids=[f"{s.id}-{f.name}" for s, f in FORMS])
def test_our_own_export_reads_back_as_the_same_records(study: Study, form: Form) -> None:
    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(
        drawn=st.lists(filled(form), max_size=3),
        text=st.text("a\r\n\",;\\'", max_size=5),
    )
    def holds(drawn: list[Record], text: str) -> None:
        given = []
        for record in drawn:
            kept = {n for n, f in form.fields.items() if f.choices or f.pattern}
            fields = {n: v if n in kept else storable(v) for n, v in record.fields.items()}
            if "text" in fields:
                fields["text"] = f"x{text}x"
            if "study_id" in fields and not isinstance(fields["study_id"], str):
                fields["study_id"] = "S-1"
            given.append(Record(str(fields.get("study_id", "S-1")), form.name, fields))
        raw = csv_records.write_csv(form, given).encode()
        made, faults = csv_records.read_csv(study, form, raw, name="x.csv")
        assert faults == []
        assert [(r.subject, r.fields) for r in made] == [(r.subject, r.fields) for r in given]
        assert str([r.fields for r in made]) == str(
            [{n: r.fields[n] for n in m.fields} for r, m in zip(given, made, strict=True)]
        )

    holds()


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    words=st.lists(
        st.text("a\\; ", min_size=1).filter(lambda t: t.strip() == t), min_size=1, unique=True
    )
)
def test_a_list_keeps_its_dividers_apart_from_its_words(words: list[str]) -> None:
    field = STUDY.forms["surgery"].fields["lesions"]
    assert csv_records.parse_value(field, csv_cells.cell(field, tuple(words))) == tuple(words)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    codes=st.lists(st.text("a\\; \u00a0\t|", min_size=1).filter(str.strip), min_size=1, unique=True)
)
def test_a_code_keeps_its_blanks(codes: list[str]) -> None:
    field = STUDY.forms["lesion"].fields["codes"]
    given = tuple(Identifier("urn:x", code) for code in codes)
    assert csv_records.parse_value(field, csv_cells.cell(field, given)) == given


# reason, form, field, value
KEPT: list[tuple[str, str, str, Any]] = [
    ("a text that is a reason of absence", "surgery", "text", "unknown"),
    ("such a text after a backslash", "surgery", "text", "\\unknown"),
    ("a reason of absence", "surgery", "text", Absent("unknown")),
    ("a choice that is a reason", "lesion", "fracture_status", "unknown"),
    ("one reference that is a reason", "surgery", "lesions", ("unknown",)),
    ("a system with backslashes", "lesion", "codes", (Identifier("urn:x\\\\y", "A 1"),)),
    ("a small decimal", "assessment", "promis_pf_t", Decimal("0.0000001")),
    ("a decimal with an exponent", "assessment", "promis_pf_t", Decimal("3.8E+1")),
    ("a decimal without its zeros", "assessment", "promis_pf_t", Decimal("4E+1")),
]


@pytest.mark.parametrize(
    ("form", "name", "value"), [row[1:] for row in KEPT], ids=[row[0] for row in KEPT]
)
def test_a_cell_reads_back_as_the_value_that_was_written(form: str, name: str, value: Any) -> None:
    field = STUDY.forms[form].fields[name]
    text = csv_cells.cell(field, value)
    assert str(csv_records.parse_value(field, text)) == str(value)


def test_a_choice_that_is_a_reason_is_written_as_it_is() -> None:
    field = STUDY.forms["lesion"].fields["fracture_status"]
    assert csv_cells.cell(field, "unknown") == "unknown"


def test_rows_are_read_as_they_come() -> None:
    form = STUDY.forms["assessment"]
    chunks = iter([HEAD.encode() + b"S-1,2024-05-01,", b"3,\nS-2,2024-05-02,99,\n", b'S-3,"202'])
    asked: list[int] = []

    def chunk(size: int) -> bytes:
        asked.append(size)
        return next(chunks, b"")

    rows = csv_records.rows(STUDY, form, chunk, name="x.csv")
    record, wrong = next(rows)
    assert record is not None
    assert (record.source, wrong) == ("x.csv:2", [])
    assert len(asked) == 2
    record, wrong = next(rows)
    assert (record, [issue.place for issue in wrong]) == (None, ["x.csv:3"])
    with pytest.raises(BridgeError) as told:
        next(rows)
    assert [issue.place for issue in told.value.issues] == ["x.csv:4"]


def test_a_line_beyond_the_limit_is_told_and_not_held() -> None:
    form = STUDY.forms["assessment"]
    raw = HEAD.encode() + b"S-1," + b"9" * 300
    with pytest.raises(BridgeError, match="more than the 200") as told:
        list(csv_records.rows(STUDY, form, io.BytesIO(raw).read, name="x.csv", limit=200))
    assert [issue.place for issue in told.value.issues] == ["x.csv:2"]
