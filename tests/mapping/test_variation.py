"""Resources as they really come: each case with what the study reads in it, and why not more.

The cases are made from public examples (each names its source); the resources under `more` are made
up. `--variation-cases FILE` takes another file of the same form; where a case there has no `reads`,
what was decoded, held and refused is printed beside what is `expected`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.formats import fhir_json
from tests.mapping.files import mappings
from tests.mapping.variation import outcome

CASES = Path(__file__).with_name("variation-cases.json")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    given = metafunc.config.getoption("--variation-cases")
    cases = fhir_json.read(Path(given or CASES).read_bytes())
    metafunc.parametrize("case", cases, ids=[str(case["id"]) for case in cases])


def test_variation(case: dict[str, Any]) -> None:
    print(f"\n{case['id']} {case.get('title', '')}\n  expected: {case['expected']}")
    seen = 0
    for one in (case, *case.get("more", ())):
        if not one.get("resource"):
            continue
        made = outcome(mappings(), one["resource"])
        print("  reads:", *map(shown, made["facts"]), *made["judge"], sep="\n    ")
        seen += 1
        if "reads" in one:
            assert shown(made) == shown(one["reads"])
    assert seen or case["resource"] is None


def shown(told: Any) -> str:
    """With every digit of a number: 38.10 is not 38.1."""
    return json.dumps(told, ensure_ascii=False, sort_keys=True, default=str)


def test_every_case_of_this_repository_says_what_is_read() -> None:
    cases = fhir_json.read(CASES.read_bytes())
    assert len(cases) == 42
    for case in cases:
        told = [one for one in (case, *case.get("more", ())) if one.get("resource")]
        assert all("reads" in one for one in told), case["id"]
        assert told or case["id"] == "V42", case["id"]  # a file of columns: tests/formats
