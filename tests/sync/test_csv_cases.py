"""Tables as sites really send them, each through the real door: import, then the registry's export.

`--csv-cases FILE` takes another file of the same form, its files beside it; what came of each case
is printed beside what is expected.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.sync.imports import Sent
from tests.sync import door
from tests.sync.door import Door

CASES = Path(__file__).parents[1] / "formats" / "csv-cases" / "cases.json"
_SPELT = {"X-ray": "xray", "CT": "ct", "MRI": "mri"}  # the dictionary's words as the study's
# What the study's definition does not allow, and why.
_NOT_HERE = {("assessment", "ambulation", "unknown"): "the study has no reason of absence for it"}

# What waits besides: blood_loss_ml is a whole number from 0 in the study; ambulation has no reason of
# absence there.
_MORE = {
    "C17": [(3, "D3", "blood_loss_ml", "-1.5")],
    "C24": [(2, "E2", "walk", "UNK")],
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    given = Path(metafunc.config.getoption("--csv-cases") or CASES)
    cases = json.loads(given.read_text(encoding="utf-8"), parse_float=Decimal)
    folder = [{**case, "folder": str(given.parent)} for case in cases]
    metafunc.parametrize("case", folder, ids=[case["id"] for case in cases])


def sent(case: dict[str, Any]) -> Sent:
    folder = Path(case["folder"])
    settings = case.get("settings", {})
    told = folder / case["dictionary"] if "dictionary" in case else None
    return Sent(
        case["file"],
        (folder / case["file"]).read_bytes(),
        case["form"],
        str(settings.get("charset", "")),
        told.read_text(encoding="utf-8") if told else "",
    )


def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    expected = case["expected"]
    with door.opened(tmp_path, case.get("settings")) as here:
        before(here, case)
        known = [name(one) for one in here.export()]
        made = here.play(sent(case))
        told(case, made)
        if expected["refused"]:
            assert made.refused, "it was not refused"
            cells = {c for issue in made.refused for c in door.CELLS.findall(issue.expression)}
            assert {*door.CELLS.findall(expected["refused"]["at"])} <= cells
            assert [name(one) for one in made.export()] == known
            return
        assert not made.refused
        assert made.rehearsed is not None
        assert made.rehearsed.counts["rows"] == expected["rows"]
        waits = [(f.line, f.cell, f.column, f.value) for f in made.faults if f.waits]
        wanted = _MORE.get(case["id"], []) if Path(case["folder"]) == CASES.parent else []
        wanted = [
            *wanted,
            *((q["line"], q["cell"], q["column"], q["value"]) for q in expected["quarantined"]),
        ]
        assert sorted(waits) == sorted(wanted)
        exported = made.export()
        for one in exported:
            if one["form"] != "subject" and name(one) not in known:
                assert any(says(one, record) for record in expected["records"]), one
        for record in expected["records"]:
            assert any(says(one, record) for one in exported), record
        for preview in expected.get("preview", {}).get("changes", ()):
            changes = [c for row in made.rows for c in row.changes]
            assert preview["cell"] in [c.cell for c in changes]
        for one in expected.get("unchanged", ()):
            assert ("unchanged", one["line"]) in [(row.fate, row.line) for row in made.rows]


def before(here: Door, case: dict[str, Any]) -> None:
    """What the registry says when the file comes."""
    rows = case.get("before", [])
    if rows:
        names = list(dict.fromkeys(key for row in rows for key in row))
        lines = [",".join(names), *(",".join(str(row.get(n, "")) for n in names) for row in rows)]
        here.play(Sent("before.csv", "\n".join(lines).encode(), case["form"]))
        assert not here.faults


def name(one: dict[str, Any]) -> str:
    return json.dumps(one, default=str, sort_keys=True)


def says(one: dict[str, Any], expected: dict[str, Any]) -> bool:
    if (one["form"], one["subject"]) != (expected["form"], expected["study_id"]):
        return False
    for field, value in expected.items():
        if field in ("form", "study_id", "absent", "visit"):
            continue
        if field == "hospital_ids":
            if not {*value} <= {*one["hospital_ids"]}:
                return False
        elif str(one["fields"].get(field)) != _SPELT.get(str(value), str(value)):
            return False
    absent = {
        field: reason
        for field, reason in expected.get("absent", {}).items()
        if (one["form"], field, reason) not in _NOT_HERE
    }
    return all(one["fields"].get(f) == {"absent": reason} for f, reason in absent.items())


def told(case: dict[str, Any], made: Door) -> None:
    print(f"\n{case['id']} {case['title']}")
    for issue in made.refused:
        print("  refused:", issue.sentence())
    if made.rehearsed is not None and not made.refused:
        print("  counts:", made.rehearsed.counts, *made.rehearsed.notes, sep="\n    ")
    for fault in made.faults:
        print("  fault:", fault.sentence())
    print("  expected:", json.dumps(case["expected"], ensure_ascii=False, default=str))
