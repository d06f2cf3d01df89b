"""decode and encode line by line, and the other formats: what they write, tell and leave out."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.fhir.validate import validate
from fhirbridge.formats import csv_records, fhir_json
from tests.commands.typed import typed
from tests.mapping.files import mappings
from tests.mapping.hospital import LOINC, SCT, concept, condition, observation, quantity

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "gender": "female",
    "identifier": [{"system": mappings().names["study-id"], "value": "S-9"}],
}
PROMIS = observation(id="o2", code=concept((LOINC, "91721-1")), valueQuantity=quantity(Decimal("38.10")))  # fmt: skip
UNKNOWN = "https://hospital.example.org/StructureDefinition/score"
ECOG = observation(valueInteger=1)
SCORES = "study_id,assessed_on,pain_rest,promis_pf_t,promis_pf_version,ecog\nS-1,2024-05-01,0,38.10,v2_0,not-asked\nS-2,2024-05-02,10,40.0,v1_2,1\n"


def lined(*resources: dict[str, Any]) -> bytes:
    return b"".join(fhir_json.dump(resource) + b"\n" for resource in resources)


def file(folder: Path, name: str, *resources: dict[str, Any]) -> Path:
    path = folder / name
    path.write_bytes(lined(*resources))
    return path


def read_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in text.splitlines()]


def test_a_file_of_lines_is_merged_and_its_patient_known_wherever_it_stands(tmp_path: Path) -> None:
    said = typed("decode", file(tmp_path, "x.ndjson", ECOG, PROMIS, PATIENT))
    found = {r["form"]: (r["subject"], r["fields"]) for r in json.loads(said.out)}
    assert found["assessment"][0] == "S-9"
    assert found["assessment"][1] == {
        "assessed_on": "2024-05-01",
        "promis_pf_t": 38.10,
        "promis_pf_version": "v2_0",
        "ecog": 1,
    }
    assert (said.code, len(found)) == (0, 2)


def test_ndjson_is_a_record_a_resource_as_it_stands(tmp_path: Path) -> None:
    said = typed("decode", file(tmp_path, "x.ndjson", ECOG, PROMIS, PATIENT), "--format", "ndjson")
    found = read_lines(said.out)
    assert [(r["subject"], r["form"], r["source"]) for r in found] == [
        ("Patient/p1", "assessment", "x.ndjson:1"),
        ("Patient/p1", "assessment", "x.ndjson:2"),
        ("S-9", "subject", "x.ndjson:3"),
    ]
    assert found[0]["id"] == found[1]["id"]  # parts of one record
    assert str(found[1]["fields"]["promis_pf_t"]) == "38.10"


@pytest.mark.parametrize(
    ("words", "records"),
    [
        (("--format", "ndjson", "--merge"), 2),
        (("--format", "json", "--no-merge"), 3),
        (("--format", "ndjson", "--form", "assessment"), 2),
        (("--format", "ndjson", "--form", "lesion"), 0),
    ],
)
def test_merging_and_the_form_can_be_chosen(
    tmp_path: Path, words: tuple[str, ...], records: int
) -> None:
    said = typed("decode", file(tmp_path, "x.ndjson", ECOG, PROMIS, PATIENT), *words)
    found = json.loads(said.out) if "json" in words else read_lines(said.out)
    assert len(found) == records
    assert said.code == 0


def test_csv_of_one_form_reads_back(tmp_path: Path) -> None:
    path = file(tmp_path, "x.ndjson", ECOG, PROMIS, PATIENT)
    said = typed("decode", path, "--format", "csv", "--form", "assessment", "-o", tmp_path / "out")
    assert said.out == f"1 records, 0 issues written to {tmp_path / 'out'}\n"
    study = mappings().study
    raw = (tmp_path / "out" / "records.csv").read_bytes()
    (record,), wrong = csv_records.read_csv(study, study.forms["assessment"], raw, name="x")
    assert wrong == []
    assert (record.subject, record.fields["promis_pf_t"]) == ("S-9", Decimal("38.10"))
    assert json.loads((tmp_path / "out" / "issues.json").read_bytes()) == []


def test_csv_without_a_form_is_refused(tmp_path: Path) -> None:
    said = typed("decode", file(tmp_path, "x.ndjson", ECOG), "--format", "csv")
    assert said.code == 1
    assert "--form" in said.err


def test_issues_stand_beside_the_records_line_by_line(tmp_path: Path) -> None:
    path = file(tmp_path, "x.ndjson", ECOG, {**ECOG, "status": "done"}, PATIENT)
    said = typed("decode", path, "--format", "ndjson", "-o", tmp_path / "out")
    assert said.code == 1
    assert said.out == f"2 records, 1 issues written to {tmp_path / 'out'}\n"
    (issue,) = read_lines((tmp_path / "out" / "issues.ndjson").read_text(encoding="utf-8"))
    assert (issue["place"], issue["expression"]) == ("x.ndjson:2", "Observation.status")
    assert len((tmp_path / "out" / "records.ndjson").read_bytes().splitlines()) == 2


def test_a_bundle_on_a_line_knows_its_own_patient_alone(tmp_path: Path) -> None:
    entries = [{"fullUrl": f"urn:uuid:{n}{'0' * 7}-0000-4000-8000-000000000000", "resource": r} for n, r in enumerate((ECOG, PATIENT))]  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    said = typed("decode", file(tmp_path, "x.ndjson", bundle, ECOG), "--format", "ndjson")
    subjects = [(r["subject"], r["source"]) for r in read_lines(said.out)]
    assert subjects == [("S-9", "x.ndjson:1"), ("S-9", "x.ndjson:1"), ("Patient/p1", "x.ndjson:2")]


def test_a_patient_of_one_file_is_nobody_in_another(tmp_path: Path) -> None:
    said = typed("decode", file(tmp_path, "a.ndjson", PATIENT), file(tmp_path, "b.ndjson", ECOG))
    subjects = {r["source"]: r["subject"] for r in json.loads(said.out)}
    assert subjects == {"a.ndjson:1": "S-9", "b.ndjson:1": "Patient/p1"}


def scores(folder: Path, text: str = SCORES) -> Path:
    path = folder / "in.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_encode_writes_a_file_a_type_and_every_line_is_valid(tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = typed("encode", "assessment", scores(tmp_path), "-o", out, "--format", "ndjson")
    assert said.out == f"2 records of 6 resources written to {out}\n"
    (path,) = out.iterdir()
    assert path.name == "Observation.ndjson"
    made = [fhir_json.parse(line) for line in path.read_bytes().splitlines()]
    assert [issue for one in made for issue in validate(one) if issue.severity == "error"] == []
    assert [one["subject"]["identifier"]["value"] for one in made] == ["S-1"] * 3 + ["S-2"] * 3


def test_what_was_encoded_line_by_line_decodes_to_the_same(tmp_path: Path) -> None:
    out = tmp_path / "out"
    typed("encode", "assessment", scores(tmp_path), "-o", out, "--format", "ndjson")
    said = typed("decode", out / "Observation.ndjson")
    assert [(r["subject"], r["fields"]) for r in json.loads(said.out, parse_float=str)] == [
        ("S-1", {"assessed_on": "2024-05-01", "pain_rest": 0, "promis_pf_t": "38.10", "promis_pf_version": "v2_0", "ecog": {"absent": "not-asked"}}),
        ("S-2", {"assessed_on": "2024-05-02", "pain_rest": 10, "promis_pf_t": "40.0", "promis_pf_version": "v1_2", "ecog": 1}),
    ]  # fmt: skip


def test_what_decode_writes_as_ndjson_encode_reads(tmp_path: Path) -> None:
    path = file(tmp_path, "x.ndjson", ECOG, PROMIS, PATIENT)
    typed("decode", path, "--format", "ndjson", "--merge", "-o", tmp_path)
    said = typed("encode", "all", tmp_path / "records.ndjson", "-o", tmp_path / "out")
    assert said.out.startswith("2 records of 1 subjects")
    assert said.code == 0


@pytest.mark.parametrize("kind", ["bundle", "ndjson"])
def test_what_is_no_valid_r4_is_told_and_not_written(tmp_path: Path, kind: str) -> None:
    text = "study_id,sex,hospital_ids\nS-1,male,urn:oid:not-an-oid|7\nS-2,male,https://hospital.example.org/mrn|7\n"
    out = tmp_path / "out"
    said = typed("encode", "subject", scores(tmp_path, text), "-o", out, "--format", kind)
    assert said.code == 1
    assert said.out.startswith("1 records of 1 ")
    assert said.err.startswith("error: in.csv:2 Patient.identifier[")
    assert b"not-an-oid" not in b"".join(path.read_bytes() for path in out.iterdir())


def test_who_is_not_written_is_not_referred_to(tmp_path: Path) -> None:
    given = [
        {"subject": "S-1", "form": "subject", "fields": {"study_id": "S-1", "hospital_ids": [{"system": "urn:oid:x", "value": "7"}]}},
        {"subject": "S-1", "form": "lesion", "fields": {"lesion_id": "1", "bone": "femur"}},
    ]  # fmt: skip
    out = tmp_path / "out"
    said = typed("encode", "all", file(tmp_path, "in.ndjson", *given), "-o", out)
    assert said.code == 1
    (path,) = out.iterdir()
    made = fhir_json.parse(path.read_bytes())
    assert [entry["resource"]["resourceType"] for entry in made["entry"]] == ["Condition"]
    assert made["entry"][0]["resource"]["subject"]["identifier"]["value"] == "S-1"
    assert [issue for issue in validate(made) if issue.severity == "error"] == []


def test_a_second_record_of_one_key_is_told_and_left_out(tmp_path: Path) -> None:
    text = SCORES + "S-1,2024-05-01,9,,,\n"
    out = tmp_path / "out"
    said = typed("encode", "assessment", scores(tmp_path, text), "-o", out)
    assert said.code == 1
    assert said.out.startswith("2 records of 2 subjects")
    assert said.err == "error: in.csv:4: another assessment of the subject has the same key -> keep one of them\n"  # fmt: skip
    for path in out.iterdir():
        assert [
            i for i in validate(fhir_json.parse(path.read_bytes())) if i.severity == "error"
        ] == []


def test_a_table_of_standard_input_is_known_by_how_it_begins(tmp_path: Path) -> None:
    said = typed("encode", "assessment", "-", "-o", tmp_path, stdin=SCORES.encode())
    assert said.code == 0
    assert len([*tmp_path.glob("*.json")]) == 2


def test_a_table_must_name_its_form(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(SCORES)
    said = typed("encode", "all", path, "-o", tmp_path)
    assert said.code == 1
    assert "x.csv: a CSV file holds one form -> name it instead of 'all': subject" in said.err


def test_a_valid_resource_has_advice_unless_only_errors_are_asked_for(tmp_path: Path) -> None:
    path = file(tmp_path, "x.ndjson", observation(valueInteger=1, meta={"profile": [UNKNOWN]}))
    told, short = (typed("validate", "--json", *words, path) for words in ((), ("--errors-only",)))
    assert (told.code, short.code) == (0, 0)
    assert read_lines(told.out)[0]["issues"]
    assert read_lines(short.out)[0] == {"file": str(path), "line": 1, "valid": True, "issues": []}


@pytest.mark.parametrize("name", [b"modifierExtension", rb"modifi\u0065rExtension"])
def test_what_may_turn_the_meaning_round_is_seen_however_it_is_written(
    tmp_path: Path, name: bytes
) -> None:
    turned = {"modifierExtension": [{"url": "urn:oid:2.999.1", "valueBoolean": True}], **ECOG}
    path = tmp_path / "x.ndjson"
    path.write_bytes(lined(turned).replace(b"modifierExtension", name))
    said = typed("decode", path, "--format", "ndjson")
    assert (said.code, said.out) == (1, "")
    assert "x.ndjson:1 Observation.modifierExtension: an unknown modifierExtension" in said.err


@pytest.mark.parametrize("name", ["x.ndjson", "x.json"])
def test_resources_without_id_and_identifier_are_not_taken_for_one(
    tmp_path: Path, name: str
) -> None:
    told = [condition(onsetDateTime="2024-05-01"), condition(bodySite=[concept((SCT, "71341001"))])]
    for one in told:
        del one["id"]
    if name == "x.json":
        urls = (f"urn:uuid:6f1c2b1e-0c1d-4c55-9a53-{n:012}" for n in range(2))
        entries = [{"fullUrl": url, "resource": one} for url, one in zip(urls, told, strict=True)]
        told = [{"resourceType": "Bundle", "type": "collection", "entry": entries}]
    made = json.loads(typed("decode", file(tmp_path, name, *told)).out)
    fields = [{n for n in one["fields"] if n in ("bone", "diagnosed_on")} for one in made]
    assert fields == [{"diagnosed_on"}, {"bone"}]
    assert len({one["fields"]["lesion_id"] for one in made}) == 2


def test_what_is_withdrawn_is_told_and_no_fault(tmp_path: Path) -> None:
    status = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    wrong = condition(verificationStatus=concept((status, "entered-in-error")))
    wrong.pop("clinicalStatus", None)
    said = typed("decode", file(tmp_path, "x.ndjson", condition(), wrong))
    told = f"information: x.ndjson:2: Condition/{wrong['id']} is withdrawn by its status"
    assert [line.split(" -> ")[0] for line in said.err.splitlines() if "withdrawn" in line] == [
        told
    ]
    assert (said.code, len(json.loads(said.out))) == (0, 1)


def test_a_record_of_another_form_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    lesion = {"subject": "S-1", "form": "lesion", "fields": {"lesion_id": "L1", "bone": "femur"}}
    score = {
        "subject": "S-1",
        "form": "assessment",
        "fields": {"assessed_on": "2024-05-01", "ecog": 1},
    }
    path.write_bytes(fhir_json.dump([lesion, score]))
    said = typed("encode", "assessment", path, "-o", tmp_path / "out")
    assert said.code == 0
    assert "x.json record 1: it is a record of the form lesion -> say all" in said.err
