"""The generator of r4.json, on definitions made up for the test, and the file it made."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from tools import build_r4

_SYSTEM = {
    "resourceType": "CodeSystem",
    "url": "http://example.org/colours",
    "content": "complete",
    "concept": [{"code": "warm", "concept": [{"code": "red"}]}, {"code": "blue"}],
}


def _value_set(**include: Any) -> dict[str, dict[str, Any]]:
    compose = {"include": [include]}
    made = {"resourceType": "ValueSet", "url": "http://example.org/set", "compose": compose}
    return {"set": made, "system": _SYSTEM}


def test_a_whole_system_gives_the_codes_of_its_hierarchy() -> None:
    files = _value_set(system="http://example.org/colours")
    assert build_r4.value_sets(files, ["http://example.org/set"]) == {
        "http://example.org/set": {"http://example.org/colours": ["blue", "red", "warm"]}
    }


@pytest.mark.parametrize(
    "include",
    [
        {"system": "http://example.org/absent"},
        {"system": "http://example.org/colours", "filter": [{"op": "is-a"}]},
        {"valueSet": ["http://example.org/other"]},
    ],
)
def test_a_set_that_is_not_fully_in_the_package_is_left_out(include: dict[str, Any]) -> None:
    assert build_r4.value_sets(_value_set(**include), ["http://example.org/set"]) == {}


def test_the_committed_file_names_its_source_and_licence() -> None:
    text = resources.files("fhirbridge.fhir").joinpath("r4.json").read_text(encoding="utf-8")
    header = json.loads(text)["header"]
    assert header["source"] == "hl7.fhir.r4.examples 4.0.1"
    assert header["licence"] == "CC0-1.0"
    assert build_r4.render(json.loads(text)) == text
    assert len(text.encode()) < 1_500_000
