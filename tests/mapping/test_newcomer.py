"""A newcomer adds a field: one line in study.yaml, one row in assessment.yaml, no Python."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given

from fhirbridge.formats import csv_records
from fhirbridge.library import Library
from fhirbridge.mapping.decode import decode
from fhirbridge.mapping.encode import encode
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.study.records import Record
from tests.laws.strategies import filled
from tests.laws.test_laws import LAWS, steady
from tests.mapping.files import FOLDER, mappings

LINE = """      stairs: { type: decimal, unit: "{score}", range: [0, 100], better: higher, meaning: How stairs are climbed }\n"""
ROW = "  - { field: stairs, code: $study|stairs, note: Climbing of stairs }\n"


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> MappingSet:
    folder = tmp_path_factory.mktemp("study") / "mappings"
    shutil.copytree(FOLDER, folder)
    add(folder / "study.yaml", LINE, before="      ecog: {")
    add(folder / "assessment.yaml", ROW, before="groups:")
    return Library(folder).of_site("")


def add(file: Path, line: str, *, before: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    file.write_text(text.replace(before, line + before), encoding="utf-8")


def test_csv_reads_it_fhir_carries_it_and_it_comes_back(extended: MappingSet) -> None:
    form = extended.study.forms["assessment"]
    raw = b"study_id,assessed_on,stairs\nS-1,2024-05-01,61.50\n"
    (record,), faults = csv_records.read_csv(extended.study, form, raw, name="x.csv")
    assert faults == []
    (written,) = encode(extended, record, patient={"reference": "Patient/1"})
    assert written.block == "assessment.stairs"
    assert written.resource["valueQuantity"]["value"] == Decimal("61.50")
    assert written.resource["code"]["coding"][0]["code"] == "stairs"
    (decoded,) = decode(extended, written.resource, source="x")
    assert decoded.fields == record.fields
    assert str(decoded.fields["stairs"]) == "61.50"
    header = csv_records.write_csv(form, [record]).splitlines()[0].split(",")
    assert header[header.index("ecog") - 1] == "stairs"


@pytest.mark.parametrize("law", LAWS)
def test_the_laws_know_it(extended: MappingSet, law: str) -> None:
    seen: set[str] = set()

    @steady
    @given(record=filled(extended.study.forms["assessment"]))
    def holds(record: Record) -> None:
        seen.update(record.fields)
        LAWS[law](extended, record)

    holds()
    assert "stairs" in seen


def test_ids_of_what_was_there_before_stay(extended: MappingSet) -> None:
    record = Record("S-1", "assessment", {"assessed_on": "2024-05-01", "ecog": 1})
    before, after = (
        encode(m, record, patient={"reference": "Patient/1"}) for m in (mappings(), extended)
    )
    assert before == after
    assert extended.version != mappings().version
