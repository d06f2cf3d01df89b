"""CSV in and out: every fault with line and column, a blank states nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.formats import csv_records
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.study.definition import ABSENT_REASONS
from fhirbridge.study.records import Absent, Identifier, Record
from tests.laws.strategies import filled
from tests.mapping.files import mappings

STUDY = mappings().study
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
    ("nothing", b"", "x.csv:1", "'study_id' is missing", "add it"),
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


def storable(value: Any) -> Any:
    """What CSV can hold: no blank at the ends, in an identifier none at all, no reason as text."""
    if isinstance(value, str):
        text = value.strip() or "x"
        return "x" if text in ABSENT_REASONS else text
    if isinstance(value, tuple):
        made = {Identifier(i.system, "".join(i.value.split())) for i in value}
        return tuple(sorted(i for i in made))
    return value


@pytest.mark.parametrize("form", sorted(STUDY.forms))
def test_our_own_export_reads_back_as_the_same_records(form: str) -> None:
    @settings(max_examples=100, deadline=None, derandomize=True, database=None)
    @given(
        drawn=st.lists(filled(STUDY.forms[form]), max_size=3),
        text=st.text("a\r\n\",;'", max_size=5),
    )
    def holds(drawn: list[Record], text: str) -> None:
        given = []
        for record in drawn:
            kept = {n for n, f in STUDY.forms[form].fields.items() if f.type == "choice"}
            fields = {n: v if n in kept else storable(v) for n, v in record.fields.items()}
            if "text" in fields:
                fields["text"] = f"x{text}x"
            if form == "subject" and not isinstance(fields["study_id"], str):
                fields["study_id"] = "S-1"
            given.append(Record(str(fields.get("study_id", "S-1")), form, fields))
        made, faults = read(csv_records.write_csv(STUDY.forms[form], given), form)
        assert faults == []
        assert [(r.subject, r.fields) for r in made] == [(r.subject, r.fields) for r in given]
        assert str([r.fields for r in made]) == str(
            [{n: r.fields[n] for n in m.fields} for r, m in zip(given, made, strict=True)]
        )

    holds()
