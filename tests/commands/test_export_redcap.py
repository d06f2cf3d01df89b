"""The study as a REDCap project: what is exported is read again as unchanged. All data synthetic."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.crash import Crash
from fhirbridge.formats import redcap, tabular_template
from fhirbridge.library import Library
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.registry.opening import open_registry
from fhirbridge.settings import Settings
from fhirbridge.sync import additions
from fhirbridge.sync.accept import Context
from fhirbridge.sync.enrol import enrol
from fhirbridge.sync.imports import Desk, Limits
from fhirbridge.sync.sent_tables import Sent
from tests import databases
from tests.commands.typed import typed

SITE = "A"
MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
PEOPLE = ("MBD-A-001", "MBD-A-002", "MBD-A-003")
# Beside the template's own example of each form: digits, partial days, moments, reasons, lists in
# another order than the study's, and text as people write it.
MORE = {
    "subject": "study_id,sex,race,birth_date\n"
    "MBD-A-002,female,white;asian,1951\n"
    "MBD-A-003,unknown,,unknown\n",
    "lesion": "study_id,lesion_id,bone,size_mm,text,solitary,diagnosed_on\n"
    'MBD-A-001,L2,femur,38.40,"says ""here"", and\nthere",true,2026-01\n'
    "MBD-A-001,L0,asked-declined,,=1+1,not-asked,masked\n"
    "MBD-A-002,L1,tibia,0,\\unknown,false,2025-12-24T08:30:00+01:00\n",
    "fracture_risk": "study_id,lesion,assessed_on,mirels_site,sins_pain\n"
    "MBD-A-001,L2,2026-02-01,2,3\nMBD-A-001,L0,2026-02-01,not-performed,1\n",
    "surgery": "study_id,surgery_id,performed_on,procedure,lesions,codes,asa_class\n"
    "MBD-A-001,S2,2026-02,plate,L2;L0,urn:oid:2.999.5|5-79 urn:oid:2.999.6|X,3\n"
    "MBD-A-002,S1,2026,other,L1,,not-applicable\n",
    "assessment": "study_id,assessed_on,pain_rest,promis_pf_t,promis_pf_version,ecog,karnofsky\n"
    "MBD-A-001,2026-03-01,0,44.10,v2_0,not-asked,80\n"
    "MBD-A-001,2026-06-01,error,38.4,v1_2,0,100\n"
    "MBD-A-003,2026-03-02,10,,,,\n",
    "follow_up": "study_id,seen_on,disease_status,evidence,alive\n"
    "MBD-A-002,2026-04-01,stable,marker;imaging,true\n",
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the site among the mapping files; the registry has what its files said."""
    mappings = tmp_path / "mappings"
    shutil.copytree(MAPPINGS, mappings)
    folder = mappings / "sites" / SITE
    folder.mkdir(parents=True)
    monkeypatch.setenv("FHIRBRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FHIRBRIDGE_DATABASE", databases.setting(tmp_path / "data"))
    monkeypatch.setenv("FHIRBRIDGE_MAPPINGS", str(mappings))
    said("site", "add", SITE)
    registry, library = open_registry(Settings.from_environment()), Library(mappings)
    study = library.of_site(SITE).study
    with registry.unit(None) as unit:
        site_id = unit.sites.by_name(SITE).id
    with registry.unit(site_id) as unit:
        for person in PEOPLE:
            enrol(Context(unit, library.of_site(SITE), "", COMMAND_LINE), person, [])
        unit.commit()
    desk = Desk(registry, site_id, lambda unit: additions.mappings(library, unit, SITE),
                Limits(1 << 20, 1000), COMMAND_LINE, Crash())  # fmt: skip
    for form in study.forms.values():
        if form.name not in ("study", "provenance"):
            shown = {**tabular_template.example(form), "study_id": PEOPLE[0]}
            shown.pop("hospital_ids", None)
            for text in (table([[*shown], [*shown.values()]]), MORE.get(form.name, "")):
                if text:
                    sent = Sent(f"{form.name}.csv", text.encode(), form.name)
                    desk.apply(desk.rehearse(sent).upload.id)
    registry.close()
    return folder


def table(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def cells(file: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.read_bytes().decode())))


def said(*words: str, code: int = 0) -> str:
    done = typed(*words)
    assert done.code == code, done.out + done.err
    return done.out


def exported(out: Path) -> str:
    return said("export", "redcap", "--site", SITE, "-o", str(out))


def read_again(site: Path, out: Path, *words: str, code: int = 0) -> dict[str, Any]:
    """The export through our own reader, with the map and the words that were written beside it."""
    for name in ("redcap.csv", "absence.csv"):
        shutil.copy(out / name, site / name)
    told = said(
        "import", str(out / "records.csv"), "--site", SITE, "--form", "redcap", "--json",
        "--dictionary", str(out / "dictionary.csv"), *words, code=code,
    )  # fmt: skip
    made: dict[str, Any] = json.loads(told)
    return made


def test_what_redcap_gets_is_read_again_as_unchanged(site: Path, tmp_path: Path) -> None:
    out = tmp_path / "redcap"
    exported(out)
    before = said("record", "export", "--site", SITE, "--json")
    told = read_again(site, out, "--apply")
    rows = cells(out / "records.csv")
    assert told["faults"] == []
    assert [row["fate"] for row in told["rows"]] == ["unchanged"] * (len(rows) - 1)
    assert told["changes"] == []
    assert said("record", "export", "--site", SITE, "--json") == before
    written = {form for row in rows[1:] for form in [row[1] or "subject"]}
    records = json.loads(before)
    assert written == {one["form"] for one in records}
    assert len(rows) - 1 == len(records)


def test_a_value_that_is_changed_in_redcap_is_told_with_its_cell(
    site: Path, tmp_path: Path
) -> None:
    out = tmp_path / "redcap"
    exported(out)
    rows = cells(out / "records.csv")
    column = rows[0].index("lesion_size_mm")
    line = next(n for n, row in enumerate(rows) if row[column] == "38.40")
    rows[line][column] = "41.5"
    (out / "records.csv").write_text(table(rows), encoding="utf-8")
    told = read_again(site, out, code=1)
    (fault,) = [fault for fault in told["faults"] if fault["value"] == "41.5"]
    assert fault["column"] == "lesion_size_mm"


def test_an_instance_keeps_its_number_when_an_earlier_key_comes_later(
    site: Path, tmp_path: Path
) -> None:
    exported(tmp_path / "one")
    later = tmp_path / "later.csv"
    later.write_text("study_id,lesion_id,bone\nMBD-A-001,A0,hand\n", encoding="utf-8")
    said("import", str(later), "--site", SITE, "--form", "lesion", "--apply")
    exported(tmp_path / "two")
    before = instances(tmp_path / "one")
    after = instances(tmp_path / "two")
    assert {name: after[name] for name in before} == before
    assert after["MBD-A-001", "A0"] == str(1 + len([n for n in before if n[0] == "MBD-A-001"]))


def instances(out: Path) -> dict[tuple[str, str], str]:
    rows = csv.DictReader(io.StringIO((out / "records.csv").read_bytes().decode()))
    return {
        (row["record_id"], row["lesion_id"]): row["redcap_repeat_instance"]
        for row in rows
        if row["redcap_repeat_instrument"] == "lesion"
    }


def test_the_dictionary_is_one_that_redcap_takes(site: Path, tmp_path: Path) -> None:
    out = tmp_path / "redcap"
    exported(out)
    raw = (out / "dictionary.csv").read_bytes()
    assert b"\r\n" in raw
    assert b"\n" not in raw.replace(b"\r\n", b"")
    rows = cells(out / "dictionary.csv")
    assert rows[0] == list(redcap.HEADER)
    assert {len(row) for row in rows} == {18}
    assert rows[1][0] == "record_id"
    names = [row[0] for row in rows[1:]]
    assert len({*names}) == len(names)
    assert all(redcap.box_name(name) == name and "__" not in name for name in names)
    assert {row[3] for row in rows[1:]} == {
        "text", "radio", "checkbox", "yesno", "notes", "dropdown"
    }  # fmt: skip
    assert {row[11] for row in rows[1:]} == {""}
    by_name = {row[0]: row for row in rows}
    assert by_name["assessment_pain_rest"][7:10] == ["integer", "0", "10"]
    assert by_name["fracture_risk_sins_pain"][5] == "0, 0 | 1, 1 | 3, 3"
    told = (out / "README.txt").read_text(encoding="utf-8")
    assert "repeating instruments, without events, for: consent," in told
    codes = {row[0] for row in cells(out / "absence.csv")[1:]}
    choices = {part.split(",")[0] for row in rows[1:] for part in row[5].split(" | ")}
    assert not codes & choices
    assert (out / "records.csv").stat().st_mode & 0o077 == 0
