"""Tables as sites really send them, each through the real door: import, then the registry's export.

`--csv-cases FILE` takes another file of the same form, its files beside it; what came of each case
is printed beside what is expected.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.library import Library
from fhirbridge.sync.sent_tables import Sent
from tests.sync import csv_case, door
from tests.sync.csv_case import name, says, sent
from tests.sync.door import Door

FOLDER = Path(__file__).parents[1] / "formats" / "csv-cases"
CASES = FOLDER / "cases.json"
HABITS = FOLDER / "habits.json"

opened = partial(door.opened, index=door.INDEX)

# What waits besides: blood_loss_ml is a whole number from 0 in the study; ambulation has no reason of
# absence there.
_MORE = {
    "C17": [(3, "D3", "blood_loss_ml", "-1.5")],
    "C24": [(2, "E2", "walk", "UNK")],
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    given = metafunc.config.getoption("--csv-cases")
    files = [Path(given)] if given else [CASES, HABITS]
    cases = [case for file in files for case in csv_case.load(file)]
    wanted = {
        "case": lambda told: True,
        "other_settings": lambda told: "settings_alternative" in told,
        "mapped": lambda told: "reading_with_map" in told,
        "labelled": lambda told: "reading_with_dictionary" in told,
    }
    for argument, asked in wanted.items():
        if argument in metafunc.fixturenames:
            some = [case for case in cases if asked(case["expected"])]
            metafunc.parametrize(argument, some, ids=[case["id"] for case in some])


def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    expected = case["expected"]
    with opened(tmp_path, case.get("settings"), case["form"]) as here:
        before(here, case)
        known = [name(one) for one in here.export()]
        made = here.play(sent(case))
        told(case, made)
        if expected["refused"]:
            refused(made, expected)
            assert [name(one) for one in made.export()] == known
            return
        assert not made.refused, [i.sentence() for i in made.refused]
        assert made.rehearsed is not None
        assert made.rehearsed.counts["rows"] == expected["rows"]
        waits = [(f.line, f.cell, f.column, f.value) for f in made.faults if f.waits]
        wanted = _MORE.get(case["id"], []) if Path(case["cases"]) == CASES else []
        wanted = [
            *wanted,
            *((q["line"], q["cell"], q["column"], q["value"]) for q in expected["quarantined"]),
        ]
        assert sorted(waits) == sorted(wanted)
        explained(made, expected)
        holds(made, expected["records"], known, expected.get("gone", ()))
        preview(made, expected.get("preview", {}))
        for one in expected.get("unread", ()):
            read = [f for f in made.faults if not f.waits and f.line == one["line"]]
            assert any(one["field"] in f.cause for f in read), one
        for one in expected.get("unchanged", ()):
            assert ("unchanged", one["line"]) in [(row.fate, row.line) for row in made.rows]


def refused(made: Door, expected: dict[str, Any]) -> None:
    assert made.refused, "it was not refused"
    told = expected["refused"]
    cells = {c for issue in made.refused for c in door.CELLS.findall(issue.expression)}
    assert {*door.CELLS.findall(told["at"])} <= cells
    for issue in made.refused:
        assert issue.remedy or issue.severity != "error", issue
    for one in expected.get("also", ()):
        assert {*door.CELLS.findall(one)} <= cells, one
    if "category" in told:
        assert told["category"] in {issue.category for issue in made.refused}
    for word in told.get("says", ()):
        assert any(word in issue.sentence() for issue in made.refused), word


def explained(made: Door, expected: dict[str, Any]) -> None:
    """Each fault says why and what to do; where a case names a category, or words of the two that
    must be there, those."""
    for fault in made.faults:
        assert fault.cause, fault
        assert fault.remedy or not fault.waits, fault
    for one in expected["quarantined"]:
        found = [f for f in made.faults if (f.line, f.cell) == (one["line"], one["cell"])]
        if "category" in one:
            assert one["category"] in {f.category for f in found}, (one, found)
        for word in one.get("says", ()):
            assert any(word in f.sentence() for f in found), (word, found)


def holds(
    made: Door, wanted: list[dict[str, Any]], known: list[str], gone: Sequence[dict[str, Any]] = ()
) -> None:
    """Every record that is expected is there, none is new that is not, and none of those gone."""
    exported = made.export()
    for one in exported:
        if one["form"] != "subject" and name(one) not in known:
            assert any(not says(one, record) for record in wanted), (one, wanted)
    for one in gone:
        assert all(says(have, one) for have in exported), one
    for record in wanted:
        near = [says(one, record) for one in exported]
        assert [] in near, (record, [n for n in near if n != ["another record"]])


def preview(made: Door, wanted: dict[str, Any]) -> None:
    assert made.rehearsed is not None
    for word, count in wanted.items():
        counted = {"update": "change"}.get(word, word)
        if counted in made.rehearsed.counts:
            assert made.rehearsed.counts[counted] == count, word
    changes = [(row.subject, c) for row in made.rows for c in row.changes]
    for one in wanted.get("changes", ()):
        assert any(
            (c.cell, subject, c.field, c.old, c.new)
            == (one["cell"], one["study_id"], one["field"], one["old"], one["new"])
            for subject, c in changes
        ), (one, changes)


def test_with_other_settings(other_settings: dict[str, Any], tmp_path: Path) -> None:
    """What the case says in words: which lines wait when the site has told more."""
    case = other_settings
    found = csv_case.alternative(case)
    if found is None:
        pytest.skip(f"told in other words: {case['expected']['settings_alternative']}")
    settings, stay = found
    with opened(tmp_path, {**case.get("settings", {}), **settings}, case["form"]) as here:
        made = here.play(sent(case))
        told(case, made)
        mended = {f.line for f in made.faults if f.waits}
        first = {q["line"] for q in case["expected"]["quarantined"]}
        assert mended < first
        assert stay is None or mended == stay


def test_with_a_column_map(mapped: dict[str, Any], tmp_path: Path) -> None:
    base = Library(door.MAPPINGS).of_site(door.SITE)
    settings = {**mapped.get("settings", {}), "columns": csv_case.wide_map(mapped, base)}
    with opened(tmp_path, settings, mapped["form"]) as here:
        known = [name(one) for one in here.export()]
        made = here.play(sent(mapped))
        told(mapped, made)
        assert not made.refused
        holds(made, mapped["expected"]["reading_with_map"], known)


def test_with_the_dictionary(labelled: dict[str, Any], tmp_path: Path) -> None:
    """The columns whose header repeats are taken out, as the refusal asks for."""
    with opened(tmp_path, labelled.get("settings"), labelled["form"]) as here:
        known = [name(one) for one in here.export()]
        file = sent(labelled)
        made = here.play(replace(file, body=csv_case.without_repeated(file.body)))
        told(labelled, made)
        assert not made.refused
        holds(made, labelled["expected"]["reading_with_dictionary"], known)


def before(here: Door, case: dict[str, Any]) -> None:
    """What the registry says when the file comes."""
    rows = case.get("before", [])
    if rows:
        names = list(dict.fromkeys(key for row in rows for key in row))
        lines = [",".join(names), *(",".join(str(row.get(n, "")) for n in names) for row in rows)]
        here.play(Sent("before.csv", "\n".join(lines).encode(), case["form"]))
        assert not here.faults
    for text in case.get("uploads", ()):
        here.play(Sent("before.csv", "\n".join(text).encode(), case["form"]))
        assert not here.refused


def told(case: dict[str, Any], made: Door) -> None:
    print(f"\n{case['id']} {case['title']}")
    for issue in made.refused:
        print("  refused:", issue.sentence())
    if made.rehearsed is not None and not made.refused:
        print("  counts:", made.rehearsed.counts, *made.rehearsed.notes, sep="\n    ")
    for fault in made.faults:
        print("  fault:", fault.sentence())
    print("  expected:", json.dumps(case["expected"], ensure_ascii=False, default=str))
