"""A site without Python: it fills in the template, uploads it, mends it, uploads it again. Synthetic."""

from __future__ import annotations

import io
import signal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import requests

from tests.journeys.bridge import SITE, Bridge

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MRN = "urn:oid:2.999.4"

# Eleven faults as people make them: (row, column, what stands there), and what would be right.
FAULTS: list[tuple[int, str, Any, Any]] = [
    (2, "pain_rest", 11, 1),
    (3, "assessed_on", "03/04/2026", "2026-04-03"),
    (4, "pain_activity", "k.A.", "unknown"),
    (5, "ecog", "#REF!", 1),
    (6, "walk_6min_m", "=300+20", 320),
    (7, "ambulation", "Rollator", "aid"),
    (8, "eq5d_vas", "ca. 80", 80),
    (9, "study_id", "MBD-Z-999", "MBD-A-008"),
    (10, "assessed_on", 46082, "2026-03-01"),
    (11, "karnofsky", 85, 80),
    (12, "study_id", None, "MBD-A-011"),
]
ROWS = 12


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    made = Bridge(tmp_path / "data").found()
    people = [f"MBD-A-{n:03},unknown,{MRN}|{n:07}" for n in range(1, ROWS + 1)]
    made.enrol("study_id,sex,hospital_ids\n" + "\n".join(people) + "\n")
    return made


def filled(template: Path, *, right: bool) -> bytes:
    """The nurse's file: a visit of each person, with her faults or without."""
    book = openpyxl.load_workbook(template)
    page = book.worksheets[0]
    columns = {cell.value: cell.column for cell in page[1]}

    def put(row: int, name: str, value: Any) -> None:
        page.cell(row, columns[name]).value = value

    for row in range(2, ROWS + 2):
        put(row, "study_id", f"MBD-A-{row - 1:03}")
        put(row, "assessed_on", f"2026-03-{row:02}")
        put(row, "pain_rest", row % 10)
        put(row, "pain_activity", 5)
        put(row, "promis_pf_version", "v2_0")
        put(row, "promis_pf_t", 40.5)
    for row, name, wrong, mended in FAULTS:
        put(row, name, mended if right else wrong)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def send(bridge: Bridge, base: str, file: bytes, **params: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {bridge.key}"}
    parts = {"file": ("visits.xlsx", file, XLSX)}
    return requests.post(
        f"{base}/api/v1/imports",
        params={"form": "assessment", **params},
        files=parts,
        headers=headers,
        timeout=60,
    )


def test_p2_a_site_without_python_fills_in_mends_and_uploads_again(
    bridge: Bridge, tmp_path: Path
) -> None:
    template = tmp_path / "assessment.xlsx"
    bridge.say("site", "template", "assessment", "--site", SITE, "-o", str(template))
    with bridge.serving() as door:
        base = door.removesuffix("/fhir")
        first = send(bridge, base, filled(template, right=False))
        assert first.status_code == 200, first.text
        told = first.json()
        assert told["upload"]["state"] == "rehearsed"
        assert visits(bridge) == 0, "a rehearsal changes nothing"
        found = {(fault["line"], fault["column"]) for fault in told["faults"]}
        assert found == {(row, name) for row, name, *_ in FAULTS}
        assert all(fault["cause"] and fault["remedy"] for fault in told["faults"])
        counts = told["counts"]
        assert (counts["rows"], counts["create"], counts["quarantined"]) == (12, 8, 4)

        id = told["upload"]["id"]
        named = {"Authorization": f"Bearer {bridge.key}"}
        back = requests.get(
            f"{base}/api/v1/imports/{id}/file?format=xlsx", headers=named, timeout=60
        )
        assert back.headers["Cache-Control"] == "no-store"
        page = openpyxl.load_workbook(io.BytesIO(back.content)).worksheets[0]
        beside = [str(row[-1].value or "") for row in page.iter_rows(min_row=2)]
        assert ("pain_rest: 11 is outside" in beside[0], beside[11]) == (True, "")

        mended = send(bridge, base, filled(template, right=True)).json()
        assert (mended["faults"], mended["counts"]["create"]) == ([], 12)
        applied = requests.post(
            f"{base}/api/v1/imports/{mended['upload']['id']}/apply",
            json={"by": "study nurse"},
            headers=named,
            timeout=60,
        )
        assert applied.status_code == 200, applied.text
        assert applied.json()["upload"]["state"] == "applied"
        assert visits(bridge) == 12

        again = send(bridge, base, filled(template, right=True), apply="true").json()
        assert (again["counts"].get("unchanged"), again["fresh"]) in ((12, True), (0, False))
        rows = requests.get(
            f"{base}/api/v1/imports/{mended['upload']['id']}", headers=named, timeout=60
        )
        assert [row["fate"] for row in rows.json()["rows"]] == ["create"] * 12
    assert "all is well" in bridge.say("verify")


def visits(bridge: Bridge) -> int:
    return len([one for one in bridge.export() if one["form"] == "assessment"])


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_r19_another_kind_of_body_is_refused(bridge: Bridge, kind: str) -> None:
    with bridge.serving() as door:
        url = f"{door.removesuffix('/fhir')}/api/v1/imports"
        headers = {"Authorization": f"Bearer {bridge.key}", "Content-Type": kind}
        assert requests.post(url, data=b"{}", headers=headers, timeout=60).status_code == 415


def test_x20_a_file_beyond_the_limit_is_refused_with_it(bridge: Bridge) -> None:
    with bridge.serving(IMPORT_BYTES="1000") as door:
        told = send(bridge, door.removesuffix("/fhir"), b"study_id,assessed_on\n" * 500)
        assert told.status_code == 413


POINTS = ["import.before-commit:2", "import.after-chunk:1"]


@pytest.mark.parametrize("point", POINTS)
def test_e16_an_import_that_is_killed_goes_on_where_it_stopped(
    bridge: Bridge, tmp_path: Path, point: str
) -> None:
    file = tmp_path / "many.csv"
    rows = [
        f"MBD-A-001,{2000 + n // 336}-{1 + n // 28 % 12:02}-{1 + n % 28:02},1" for n in range(1100)
    ]
    file.write_text("study_id,assessed_on,pain_rest\n" + "\n".join(rows) + "\n", encoding="utf-8")
    words = ("import", str(file), "--site", SITE, "--form", "assessment", "--apply")
    assert bridge.run(*words, CRASH=point).returncode == -signal.SIGKILL
    assert visits(bridge) == 500, "the chunk that was committed is there, and no half of another"
    told = bridge.say(*words)
    assert visits(bridge) == 1100
    assert "1100 create" in told.splitlines()[-2]
    assert "all is well" in bridge.say("verify")
