"""check, encode and decode as they are typed: what they write, say and end with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhirbridge.cli import commands
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import csv_records, fhir_json
from fhirbridge.outcome import BridgeError, failed
from fhirbridge.study import records
from tests.mapping.files import FOLDER, mappings
from tests.mapping.hospital import (
    SCT,
    concept,
    condition,
    observation,
    procedure,
    quantity,
    site,
)

SUBJECTS = (
    "study_id,hospital_ids,sex,birth_date\nS-1,urn:oid:2.16.840.1.113883.19.5|77,female,1960-02\n"
)
LESIONS = "study_id,lesion_id,bone,laterality,diagnosed_on,fracture_status\nS-1,L1,femur,left,2024-03,impending\nS-1,L2,humerus,,not-asked,none\n"
SURGERIES = 'study_id,surgery_id,performed_on,procedure,text\nS-1,O1,2024-05-01T08:30:00+02:00,plate,"Plate, left"\n'
SCORES = "study_id,assessed_on,pain_rest,promis_pf_t,promis_pf_version,ecog\nS-1,2024-05-01,0,38.10,v2_0,not-asked\nS-2,2024-05-02,10,40.0,v1_2,1\n"
RECORDS: list[dict[str, Any]] = [
    {"subject": "S-1", "form": "subject", "fields": {"study_id": "S-1", "sex": "female"}},
    {"subject": "S-1", "form": "lesion", "fields": {"lesion_id": "L1", "bone": "femur"}},
    {"subject": "S-2", "form": "assessment", "fields": {"assessed_on": "2024-05-01", "ecog": {"absent": "masked"}}},
]  # fmt: skip


def run(*words: str | Path, code: int = 0) -> Result:
    done = CliRunner().invoke(commands, [str(word) for word in words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == code, done.output
    return done


def write(folder: Path, name: str, text: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def bundles(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def decoded(*files: Path, code: int = 0) -> tuple[list[dict[str, Any]], str]:
    done = run("decode", *files, code=code)
    return json.loads(done.stdout, parse_float=Decimal), done.stderr


def fields_of(found: Sequence[dict[str, Any]], form: str) -> list[dict[str, Any]]:
    return [record["fields"] for record in found if record["form"] == form]


def test_check_tells_the_version() -> None:
    said = run("check").stdout
    assert mappings().version in said
    assert said.startswith(f"{len(mappings().study.forms)} forms")


def test_check_tells_every_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mappings"
    shutil.copytree(FOLDER, folder)
    for name in ("lesion.yaml", "surgery.yaml"):
        (folder / name).write_text((folder / name).read_text().replace("by: text", "by: txt", 1))
    monkeypatch.setenv("FHIRBRIDGE_MAPPINGS", str(folder))
    done = CliRunner().invoke(commands, ["check"])
    assert isinstance(done.exception, BridgeError)
    places = [issue.place for issue in done.exception.issues]
    assert {place.split(":")[0] for place in places} == {"lesion.yaml", "surgery.yaml"}


TABLES = {
    "columns-assessment.csv": (
        "header,field,unit,date_order,decimal,system,row,value\n"
        "Ruhe,pain_rest,,,,,,\n"
        "Ruhe ,pain_activity,,,,,,\n"
        "Gehstrecke,walk_6min,,,,,,\n"
        "Weg,walk_6min_m,kg,,,,,\n"
        "Tag,assessed_on,,DDMM,,,,\n"
        "Bogen,tess_form,,DMY,,,,\n"
        ",msts_form,,,,,,middle\n"
    ),
    "columns-assesment.csv": "header,field\n",
    "absence.csv": "word,reason,field\nk.A.,unknown,\n-99,unknow,\nk.A.,masked,\nx,unknown,pain\n",
    "redcap.csv": (
        "variable,field,codes\nid,study_id,\npain,assessment.pain,\n"
        "walk,assessment.ambulation,1=aid; 2=cane; 3\nwalk,assessment.mode,\n"
    ),
    "redcap-records.csv": "record,study_id\n101,S-1\n101,S-2\n102,\n",
    "redcap-more.csv": "variable,field\n",
}  # fmt: skip
WRONG = {
    "columns-assessment.csv": "3 4 5 6 7 8",
    "columns-assesment.csv": "",
    "absence.csv": "3 4 5",
    "redcap.csv": "3 4 4 5",
    "redcap-records.csv": "3 4",
    "redcap-more.csv": "",
}


def test_check_tells_the_faults_of_a_sites_own_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(FOLDER, tmp_path / "mappings")
    north = tmp_path / "mappings" / "sites" / "north"
    north.mkdir(parents=True)
    for name, text in TABLES.items():
        write(north, name, text)
    monkeypatch.setenv("FHIRBRIDGE_MAPPINGS", str(tmp_path / "mappings"))
    done = CliRunner().invoke(commands, ["check", "--site", "north"])
    assert isinstance(done.exception, BridgeError)
    found: dict[str, list[str]] = {}
    for issue in done.exception.issues:
        file, _, line = issue.place.removeprefix("sites/north/").partition(":")
        found.setdefault(file, []).append(line)
        assert issue.remedy
    assert {file: " ".join(sorted(lines)) for file, lines in found.items()} == WRONG


def test_check_has_nothing_against_right_tables_of_a_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(FOLDER, tmp_path / "mappings")
    north = tmp_path / "mappings" / "sites" / "north"
    north.mkdir(parents=True)
    write(
        north,
        "columns-assessment.csv",
        "header,field,unit,date_order,decimal,system,row,value\n"
        "MRN,hospital_ids,,,,urn:oid:2.999.1,,\nId,study_id,,,,,,\nTag,assessed_on,,DMY,,,,\n"
        'Weg,walk_6min_m,cm,,",",,,\nNotiz,-,,,,,,\n,msts_form,,,,,,lower\n'
        "msts_form,msts_form,,,,,,\n",
    )
    write(north, "absence.csv", "word,reason,note\nk.A.,unknown,told by phone\n")
    write(
        north, "redcap.csv", "variable,field,codes\nid,study_id,\nw,assessment.ambulation,1=aid\n"
    )
    monkeypatch.setenv("FHIRBRIDGE_MAPPINGS", str(tmp_path / "mappings"))
    assert "site north: local codes in 3 files" in run("check", "--site", "north").stdout


@pytest.mark.parametrize(
    ("form", "text"),
    [("subject", SUBJECTS), ("lesion", LESIONS), ("surgery", SURGERIES), ("assessment", SCORES)],
)
def test_what_encode_wrote_decodes_to_the_same_fields(tmp_path: Path, form: str, text: str) -> None:
    out = tmp_path / "out"
    run("encode", form, write(tmp_path, "in.csv", text), "-o", out)
    for file in bundles(out):
        assert not failed(validate(fhir_json.parse(file.read_bytes())))
    found, said = decoded(*bundles(out))
    assert "error" not in said
    study = mappings().study
    given, _ = csv_records.read_csv(study, study.forms[form], text.encode(), name="in.csv")
    told = [records.to_json(study, record, id="")["fields"] for record in given]
    assert len(told) == text.count("\n") - 1
    assert sorted(fields_of(found, form), key=str) == sorted(told, key=str)
    assert {record["subject"] for record in found} == {record.subject for record in given}


def test_the_fields_come_back_digit_by_digit(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("encode", "assessment", write(tmp_path, "in.csv", SCORES), "-o", out)
    found, _ = decoded(*bundles(out))
    assert sorted(fields_of(found, "assessment"), key=str) == [
        {"assessed_on": "2024-05-01", "pain_rest": 0, "promis_pf_t": Decimal("38.10"), "promis_pf_version": "v2_0", "ecog": {"absent": "not-asked"}},
        {"assessed_on": "2024-05-02", "pain_rest": 10, "promis_pf_t": Decimal("40.0"), "promis_pf_version": "v1_2", "ecog": 1},
    ]  # fmt: skip
    assert {str(f["promis_pf_t"]) for f in fields_of(found, "assessment")} == {"38.10", "40.0"}


def test_json_of_all_forms_comes_back_as_it_was(tmp_path: Path) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    said = run("encode", "all", write(tmp_path, "in.json", json.dumps(RECORDS)), "-o", out).stdout
    assert "3 records of 2 subjects" in said
    run("decode", *bundles(out), "-o", back)
    found = json.loads((back / "records.json").read_text(encoding="utf-8"))
    parts = ("subject", "form", "fields")
    assert sorted(({p: r[p] for p in parts} for r in found), key=str) == sorted(RECORDS, key=str)
    assert json.loads((back / "issues.json").read_text(encoding="utf-8")) == []


def test_encoding_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    file = write(tmp_path, "in.csv", SURGERIES)
    for name in ("one", "two"):
        run("encode", "surgery", file, "-o", tmp_path / name)
    one, two = bundles(tmp_path / "one"), bundles(tmp_path / "two")
    assert [(f.name, f.read_bytes()) for f in one] == [(f.name, f.read_bytes()) for f in two]


def test_a_faulty_row_is_told_the_others_are_written_and_the_end_is_1(tmp_path: Path) -> None:
    text = SCORES.replace("S-1,2024-05-01,0", "S-1,2024-05-01,11")
    done = run(
        "encode", "assessment", write(tmp_path, "in.csv", text), "-o", tmp_path / "out", code=1
    )
    assert "1 records of 1 subjects" in done.stdout
    assert "error: in.csv:2 pain_rest: 11 is outside 0 to 10" in done.stderr


def test_a_record_of_which_nothing_is_written_is_told(tmp_path: Path) -> None:
    rows = "study_id,assessed_on,pain_rest\nS-1,2024-05-01,0\nS-1,2024-05-02,\n"
    done = run("encode", "assessment", write(tmp_path, "in.csv", rows), "-o", tmp_path / "out")
    assert done.stdout.startswith("1 records of 1 subjects")
    assert done.stderr.startswith("warning: in.csv:3: nothing is said but its key")


def test_an_unknown_form_is_told(tmp_path: Path) -> None:
    file = write(tmp_path, "in.csv", SCORES)
    done = CliRunner().invoke(commands, ["encode", "scores", str(file), "-o", str(tmp_path / "o")])
    assert isinstance(done.exception, BridgeError)
    assert "assessment" in done.exception.issues[0].remedy


def hospital_bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    patient = {"resourceType": "Patient", "id": "p1", "gender": "female"}
    study = [{"system": mappings().names["study-id"], "value": "S-9"}]
    listed = [*resources, {**patient, "identifier": study}]
    base = "http://hospital.example.org/fhir"
    entry = [{"fullUrl": f"{base}/{r['resourceType']}/{r['id']}", "resource": r} for r in listed]
    return {"resourceType": "Bundle", "type": "collection", "entry": entry}


def test_a_bundle_as_mcode_has_it_is_read_with_its_patient(tmp_path: Path) -> None:
    nrs = concept((f"{mappings().study.canonical}/CodeSystem/mbd-study", "pain-nrs-activity"))
    made = hospital_bundle(
        condition(bodySite=[site("71341001", "24028007")], onsetDateTime="2024-01"),
        procedure(code=concept((SCT, "89344001")), bodySite=[site("71341001", "24028007")]),
        observation(valueInteger=2),
        observation(id="o2", code=nrs, valueQuantity=quantity(7)),
        condition(id="c2", code=concept((SCT, "94225005"))),
        observation(id="o3", code=nrs, valueString="6-7"),
    )
    found, said = decoded(write(tmp_path, "b.json", fhir_json.dump(made)), code=1)
    assert {record["subject"] for record in found} == {"S-9"}
    assert sorted(record["form"] for record in found) == [
        "assessment",
        "lesion",
        "subject",
        "surgery",
    ]
    assert fields_of(found, "assessment") == [
        {"assessed_on": "2024-05-01", "pain_activity": 7, "ecog": 2}
    ]
    (lesion,) = fields_of(found, "lesion")
    assert (lesion["bone"], lesion["laterality"], lesion["diagnosed_on"]) == (
        "femur",
        "right",
        "2024-01",
    )
    assert "Bundle.entry[4].resource.code" in said
    assert "brain" in said
    assert "Bundle.entry[5].resource.valueString" in said


def test_a_resource_of_nobody_is_not_given_to_another_patient(tmp_path: Path) -> None:
    made = hospital_bundle(observation(valueInteger=2, subject={"display": "somebody"}))
    made["type"] = "transaction"
    for entry in made["entry"]:
        entry["request"] = {"method": "POST", "url": entry["resource"]["resourceType"]}
        del entry["fullUrl"]
    found, _ = decoded(write(tmp_path, "b.json", fhir_json.dump(made)))
    subjects = {record["form"]: record["subject"] for record in found}
    assert subjects == {"subject": "S-9", "assessment": "Observation/o1"}


# reason, bytes, words that are said
BROKEN = [
    ("broken JSON", b'{"resourceType": "Condition",}', "broken.json:1:30: broken JSON"),
    ("no object", b"[]", "no JSON object"),
    ("not UTF-8", b"\xff{}", "not UTF-8"),
    ("a type that is missing", b'{"id": "1"}', "resourceType is missing"),
    ("a type that R4 has not", b'{"resourceType": "Conditon"}', "did you mean Condition"),
    ("an entry that is a number", b'{"resourceType": "Bundle", "type": "collection", "entry": [5]}', "entry[0]"),
    ("entries that are no list", b'{"resourceType": "Bundle", "type": "collection", "entry": 5}', "is a list"),
    ("an entry's resource that is text", b'{"resourceType": "Bundle", "type": "collection", "entry": [{"resource": "x"}]}', "entry[0].resource"),
    ("an invalid resource", fhir_json.dump({**observation(valueInteger=1), "status": "done"}), "Observation.status"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "word"), [r[1:] for r in BROKEN], ids=[r[0] for r in BROKEN])
def test_a_broken_file_is_told_and_the_others_are_read(
    tmp_path: Path, raw: bytes, word: str
) -> None:
    broken = write(tmp_path, "broken.json", raw)
    whole = write(tmp_path, "whole.json", fhir_json.dump(observation(valueInteger=1)))
    found, said = decoded(broken, whole, code=1)
    assert [record["source"] for record in found] == ["whole.json"]
    assert word in said
    assert "broken.json" in said


def test_an_invalid_entry_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    made = hospital_bundle(
        {**observation(valueInteger=1), "status": "done"}, observation(id="o2", valueInteger=2)
    )
    found, said = decoded(write(tmp_path, "b.json", fhir_json.dump(made)), code=1)
    assert fields_of(found, "assessment") == [{"assessed_on": "2024-05-01", "ecog": 2}]
    assert "Bundle.entry[0].resource.status" in said


def test_a_record_without_what_the_study_asks_of_it_is_told(tmp_path: Path) -> None:
    nail = {"coding": [{"system": "http://snomed.info/sct", "code": "274478003"}]}
    resource = {"resourceType": "Procedure", "id": "1", "status": "completed", "code": nail}
    resource |= {"subject": {"reference": "Patient/1"}, "performedString": "in the spring"}
    found, said = decoded(write(tmp_path, "in.ndjson", json.dumps(resource)))
    assert [record["form"] for record in found] == ["surgery"]
    assert said.startswith("warning: in.ndjson:1 surgery.performed_on: performed_on is required")


def test_two_values_of_one_visit_are_a_conflict_that_is_told(tmp_path: Path) -> None:
    made = hospital_bundle(observation(valueInteger=1), observation(id="o2", valueInteger=2))
    found, said = decoded(write(tmp_path, "b.json", fhir_json.dump(made)), code=1)
    assert [record["form"] for record in found] == ["subject"]
    assert "error: b.json ecog: two values of ecog for one assessment -> keep the right one" in said
