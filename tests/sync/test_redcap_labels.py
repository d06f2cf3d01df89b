"""REDCap exports with labels in place of raw values: read where one code is meant. Synthetic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirbridge.formats.redcap import HEADER
from fhirbridge.formats.redcap_dictionary import written
from fhirbridge.sync.sent_tables import Sent
from tests.sync import door
from tests.sync.door import Door

WALK = "1, without help | 2, with a stick | 3, with a stick | 4, 2"
MAP = (
    "variable,field,codes\nrecord_id,study_id,\nday,assessment.assessed_on,\n"
    "walk,assessment.ambulation,1=independent; 2=aid; 3=wheelchair; 4=bed\n"
    "lesion_no,lesion.lesion_id,\nsolo,lesion.solitary,\n"
)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Door]:
    with door.opened(tmp_path, redcap=MAP) as made:
        yield made


def export(text: str, walk: str = "Walking", day: str = "Day") -> Sent:
    rows = [
        HEADER,
        ["record_id", "scores", "", "text", "Record ID"],
        ["day", "scores", "", "text", day],
        ["walk", "scores", "", "dropdown", walk, WALK],
    ]
    return Sent("labels.csv", text.encode(), "redcap", "", written(rows))


def walks(here: Door) -> dict[str, object]:
    scores = [one for one in here.export() if one["form"] == "assessment"]
    return {one["subject"]: one["fields"].get("ambulation") for one in scores}


def test_labels_are_read_where_they_mean_one_code_and_else_wait(here: Door) -> None:
    here.play(
        export(
            "Record ID,Day,Walking\nMBD-A-001,2026-03-01,without help\n"
            "MBD-A-002,2026-03-01,with a stick\nMBD-A-003,2026-03-01,2\n"
        )
    )
    assert [(f.cell, f.column, f.value, f.category) for f in here.faults] == [
        ("C3", "Walking", "with a stick", "unknown-code"),
        ("C4", "Walking", "2", "unknown-code"),
    ]
    assert "may be any of the codes 2, 3 of walk" in here.faults[0].cause
    assert walks(here)["MBD-A-001"] == "independent"
    assert {walks(here).get(f"MBD-A-00{n}") for n in (2, 3)} == {None}


def test_below_raw_headers_a_code_is_a_code(here: Door) -> None:
    """Where the file shows that it has codes: 3 is no label."""
    here.play(export("record_id,day,walk\nMBD-A-001,2026-03-01,2\nMBD-A-002,2026-03-01,3\n"))
    assert here.faults == []
    assert walks(here)["MBD-A-001"] == "aid"


@pytest.mark.parametrize("others", ["", "MBD-A-003,2026-03-01,without help\n"])
def test_below_raw_headers_a_code_that_is_a_label_waits_where_nothing_shows_codes(
    here: Door, others: str
) -> None:
    """Labels below raw headers are a choice of REDCap's API (PyCap: raw_or_label)."""
    here.play(export(f"record_id,day,walk\nMBD-A-001,2026-03-01,2\n{others}"))
    assert [(f.cell, f.value, f.category) for f in here.faults] == [("C2", "2", "unknown-code")]
    assert "any of the codes 2, 4 of walk" in here.faults[0].cause
    assert walks(here)["MBD-A-001"] is None


def test_what_is_read_again_is_read_as_the_whole_file_showed(here: Door) -> None:
    sent = export("record_id,day,walk\nMBD-A-001,2026-03-01,2\n")
    here.play(sent)
    assert here.last is not None
    with here.registry.read(here.site_id) as unit:
        message = unit.messages.by_key("csv", f"upload:{here.last.upload.id}:1")
    assert message is not None
    assert b'"raw":false' in message.body.replace(b" ", b"")


def test_a_header_that_is_the_label_of_two_variables_is_refused(here: Door) -> None:
    sent = export("Record ID,Day,Walking\nMBD-A-001,2026-03-01,bed\n", day="Walking")
    here.play(sent)
    assert any(
        '"Walking" is the label of day and walk' in issue.cause and "C1" in issue.expression
        for issue in here.refused
    )


@pytest.mark.parametrize(
    ("choices", "cell", "solitary"),
    [
        ("1, No | 2, Yes", "1", False),
        ("1, No | 2, Yes", "2", True),
        ("1, one | 2, several", "1", None),
    ],
)
def test_yes_or_no_is_what_the_label_says_and_not_the_code(
    here: Door, choices: str, cell: str, solitary: bool | None
) -> None:
    told = written(
        [
            HEADER,
            ["record_id", "lesion", "", "text", "Record ID"],
            ["lesion_no", "lesion", "", "text", "Lesion"],
            ["solo", "lesion", "", "radio", "Solitary", choices],
        ]
    )
    text = f"record_id,lesion_no,solo\nMBD-A-001,L1,{cell}\n"
    here.play(Sent("raw.csv", text.encode(), "redcap", "", told))
    (lesion,) = [one for one in here.export() if one["form"] == "lesion"]
    assert lesion["fields"].get("solitary") is solitary
    assert [f.column for f in here.faults] == ([] if solitary is not None else ["solo"])
