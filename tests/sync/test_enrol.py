"""Enrolment: what the study must have of a subject and nobody has told is unknown, until somebody
tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from fhirbridge.cli import commands
from fhirbridge.fhir.validate import validate
from tests import databases
from tests.sync.ward import Ward, patient
from tests.web.sender import person, whose


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Ward.open(tmp_path, patient()) as made:
        made.enrol()
        yield made


def sexes(ward: Ward) -> list[str]:
    return [one["sex"] for one in ward.records("subject")]


def test_a_subject_of_whom_only_a_number_is_known_is_of_unknown_sex(ward: Ward) -> None:
    assert sexes(ward) == ["unknown"]
    with ward.registry.read(ward.site_id) as unit:
        row = unit.resources.search("Patient", count=1)[0]
    assert row.body["gender"] == "unknown"
    assert [i for i in validate({**row.body, "id": row.fhir_id}) if i.severity == "error"] == []


def test_who_knows_it_says_it(ward: Ward) -> None:
    ward.push(person(gender="female", id="p1"))
    assert sexes(ward) == ["female"]
    ward.enrol()
    assert sexes(ward) == ["female"]
    ward.push(person(gender="male", id="p1"))
    assert sexes(ward) == ["male"]


def test_where_the_subject_stands_in_the_study_joins_the_record(ward: Ward) -> None:
    study = {"system": "https://fhirbridge.example.org/fhir/sid/study", "value": "mbd-surgery"}
    enrolled = {
        "resourceType": "ResearchSubject",
        "status": "on-study",
        "study": {"identifier": study},
        "individual": whose(),
        "period": {"start": "2026-01-10"},
    }
    receipt = ward.push(enrolled)
    assert [line.fate for line in receipt.entries] == ["applied"], receipt
    one = ward.records("subject")[0]
    assert (one["sex"], one["status"], one["enrolled_on"]) == ("unknown", "on_study", "2026-01-10")


@pytest.mark.parametrize(
    ("listed", "sex"),
    [
        ("study_id,hospital_ids\nA-1,urn:x|1\n", "unknown"),
        ("study_id,hospital_ids,sex\nA-1,urn:x|1,\n", "unknown"),
        ("study_id,hospital_ids,sex\nA-1,urn:x|1,female\n", "female"),
    ],
    ids=["no column", "no value", "told"],
)
def test_an_enrolment_list_need_not_say_it(tmp_path: Path, listed: str, sex: str) -> None:
    file = tmp_path / "subjects.csv"
    file.write_text(listed, encoding="utf-8")
    data = tmp_path / "data"
    ours = {"FHIRBRIDGE_DATA": str(data), "FHIRBRIDGE_DATABASE": databases.setting(data)}

    def say(*words: str) -> str:
        done = CliRunner().invoke(commands, words, env=ours)
        assert done.exit_code == 0, done.output
        return done.output

    say("site", "add", "A")
    assert "1 enrolled" in say("subject", "import", str(file), "--site", "A")
    assert f'"sex":"{sex}"' in say("record", "export", "--site", "A").replace(" ", "")
