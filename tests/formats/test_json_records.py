"""Records as JSON: faults name the item by its number."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhirbridge.formats import csv_records, fhir_json
from fhirbridge.outcome import BridgeError
from fhirbridge.study import records
from fhirbridge.study.records import Absent, Identifier, Record
from tests.formats.forms import STUDY

GIVEN = [
    Record("S-1", "subject", {"study_id": "S-1", "hospital_ids": (Identifier("urn:x", "1 2"),)}),
    Record("S-1", "assessment", {"assessed_on": "2024", "promis_pf_t": Decimal("38.10")}),
    Record("S-1", "assessment", {"assessed_on": "2025", "ecog": Absent("not-asked")}),
]


def test_what_is_told_as_json_reads_back() -> None:
    raw = fhir_json.dump([records.to_json(STUDY, record, id="1") for record in GIVEN])
    made, faults = csv_records.read_json(STUDY, b"\xef\xbb\xbf" + raw, name="x.json")
    assert faults == []
    assert [(r.subject, r.form, r.fields) for r in made] == [
        (r.subject, r.form, r.fields) for r in GIVEN
    ]
    assert str(made[1].fields["promis_pf_t"]) == "38.10"
    assert made[2].source == "x.json record 3"


def test_one_record_may_stand_alone() -> None:
    raw = fhir_json.dump(records.to_json(STUDY, GIVEN[1], id="1"))
    made, faults = csv_records.read_json(STUDY, raw, name="x.json")
    assert (len(made), faults) == (1, [])


FAULTS = [
    ("no object", b"[5]", "no record", ""),
    ("no form", b'[{"subject": "S", "fields": {}}]', "no record", ""),
    ("an unknown form", b'[{"subject": "S", "form": "leison", "fields": {}}]', "no form 'leison'", ""),
    ("a form that is no text", b'[{"subject": "S", "form": ["lesion"], "fields": {}}]', "'form' is of the wrong kind", ""),
    ("a subject that is no text", b'[{"subject": 5, "form": "lesion", "fields": {}}]', "'subject' is of the wrong kind", ""),
    ("a record of nobody", b'[{"subject": "", "form": "lesion", "fields": {"lesion_id": "1"}}]', "whose it is", ""),
    ("a subject of blanks", b'[{"subject": " ", "form": "lesion", "fields": {"lesion_id": "1"}}]', "whose it is", ""),
    ("a subject that says it is another", b'[{"subject": "S", "form": "subject", "fields": {"study_id": "T"}}]', "are not the same", "study_id"),
    ("fields that are a list", b'[{"subject": "S", "form": "lesion", "fields": []}]', "'fields' is of the wrong kind", ""),
    ("a value of another type", b'[{"subject": "S", "form": "lesion", "fields": {"lesion_id": 5}}]', "no text", "lesion_id"),
    ("a value that is null", b'[{"subject": "S", "form": "lesion", "fields": {"lesion_id": null}}]', "no text", "lesion_id"),
    ("a reason that is none", b'[{"subject": "S", "form": "lesion", "fields": {"lesion_id": "1", "bone": {"absent": "so"}}}]', "no reason of absence", "bone"),
    ("a list", b'[{"subject": "S", "form": "lesion", "fields": {"lesion_id": "1", "bone": []}}]', "none of the choices", "bone"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "cause", "expression"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_a_faulty_record_is_told_by_its_number(raw: bytes, cause: str, expression: str) -> None:
    good = fhir_json.dump(records.to_json(STUDY, GIVEN[1], id="1"))
    made, faults = csv_records.read_json(STUDY, b"[" + good + b"," + raw[1:], name="x.json")
    assert len(made) == 1
    (issue,) = faults
    assert (issue.place, issue.expression) == ("x.json record 2", expression)
    assert cause in issue.cause


def test_broken_json_is_told_with_its_own_line_and_column() -> None:
    with pytest.raises(BridgeError) as told:
        csv_records.read_json(STUDY, b"[{,}]", name="x.json")
    assert told.value.issues[0].place == "line 1, column 3"


@pytest.mark.parametrize("raw", [b"[]} , {", b'[], "more": [1]'])
def test_more_than_one_json_value_is_refused(raw: bytes) -> None:
    with pytest.raises(BridgeError):
        csv_records.read_json(STUDY, raw, name="x.json")
