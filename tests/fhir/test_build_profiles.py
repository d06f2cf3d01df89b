"""The generators of the judge's data, on definitions made up for the test, and the files they made.

That the files are what the tools make of HL7's packages is seen by `make hospital`, which fetches them.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from bench.reference import packages as fetched
from tools import build_profiles, build_r4, build_terminology, build_ucum, snapshots

LARGEST = {
    "profiles.json": 500_000,
    "extensions.json": 700_000,
    "code_systems.json": 1_200_000,
    "value_sets.json": 300_000,
    "ucum.json": 10_000,
}


def _committed(name: str) -> str:
    return resources.files("fhirbridge.fhir").joinpath(name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LARGEST)
def test_the_committed_file_names_its_sources_and_is_lean(name: str) -> None:
    text = _committed(name)
    content = json.loads(text)
    header = content["header"]
    told = header.get("sources", [header])
    assert all(one["source"] and one["licence"] for one in told)
    assert build_r4.render(content) == text
    assert len(text.encode()) < LARGEST[name]


@pytest.mark.npm
def test_the_committed_files_are_what_the_tools_make() -> None:
    named = ("hl7.fhir.r4.examples", "hl7.terminology.r4", "hl7.fhir.uv.extensions.r4")
    official = [fetched.archive(p) for p in fetched.BY_NPM if p.partition("@")[0] in named]
    found = (*official, fetched.US_CORE, fetched.archive(fetched.MCODE))
    profiles, extensions = build_profiles.build(snapshots.Packages(found))
    assert build_r4.render(profiles) == _committed("profiles.json")
    assert build_r4.render(extensions) == _committed("extensions.json")
    for name, content in build_terminology.build(found).items():
        assert build_r4.render(content) == _committed(name)


def _element(path: str, **more: Any) -> dict[str, Any]:
    return {"id": path, "path": path, "min": 0, "max": "*", **more}


def _definition(*elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    url = more.setdefault("url", "http://example.org/base")
    return {
        "resourceType": "StructureDefinition",
        "type": "Thing",
        "name": "Thing",
        "baseDefinition": url,
        "snapshot": {"element": list(elements)},
        **more,
    }


_PATTERN = {"coding": [{"code": "a"}]}
_CODE = [{"code": "CodeableConcept"}]


@pytest.fixture
def packages(tmp_path: Path) -> snapshots.Packages:
    """A base type and a profile of it, as a package of files."""
    base = _definition(
        _element("Thing"),
        _element("Thing.kind", type=_CODE),
        _element("Thing.value[x]", max="1", type=[{"code": "string"}, {"code": "Quantity"}]),
    )
    slicing = {"discriminator": [{"type": "pattern", "path": "$this"}], "rules": "closed"}
    one = _element("Thing.kind", type=_CODE, min=1, patternCodeableConcept=_PATTERN)
    profile = _definition(
        _element("Thing", constraint=[_rule("x-1", "a"), _rule("ele-1", "told by the type")]),
        _element("Thing.kind", type=_CODE, min=1, slicing=slicing),
        {**one, "id": "Thing.kind:one", "sliceName": "one"},
        _element("Thing.value[x]", max="1", type=[{"code": "Quantity"}]),
        url="http://example.org/profile",
        derivation="constraint",
        title="Made up",
    )
    for number, content in enumerate((base, profile)):
        (tmp_path / f"StructureDefinition-{number}.json").write_text(json.dumps(content))
    about = {"name": "made.up", "version": "1.0.0", "license": "CC0-1.0"}
    (tmp_path / "package.json").write_text(json.dumps(about))
    return snapshots.Packages([tmp_path])


def _rule(key: str, expression: str) -> dict[str, str]:
    return {"key": key, "severity": "error", "human": "made up", "expression": expression}


def test_a_profile_is_what_it_asks_beyond_its_type(packages: snapshots.Packages) -> None:
    profiles, extensions = build_profiles.build(packages)
    assert extensions["extensions"] == {}
    entry = profiles["profiles"]["http://example.org/profile"]
    assert (entry["type"], entry["title"], entry["source"]) == ("Thing", "Made up", "made.up 1.0.0")
    assert entry["node"] == {
        "rules": ["x-1"],
        "children": {
            "kind": {
                "min": 1,
                "slicing": {"by": [["pattern", "$this"]], "rules": "closed"},
                "slices": [
                    {
                        "name": "one",
                        "match": [{"path": [], "pattern": _PATTERN}],
                        "min": 1,
                        "pattern": _PATTERN,
                    }
                ],
            },
            "value[x]": {"types": ["Quantity"]},
        },
    }
    assert list(profiles["invariants"]) == ["x-1"]


def test_one_key_with_two_expressions_becomes_two_rules(packages: snapshots.Packages) -> None:
    writer = build_profiles.Writer(packages)
    told = [writer.rule(_rule("x-1", text)) for text in ("a", "b", "a ")]
    assert told == ["x-1", "x-1#2", "x-1"]


def _terminology(tmp_path: Path, *sets: dict[str, Any]) -> build_terminology.Terminology:
    system = {
        "resourceType": "CodeSystem",
        "url": "http://hl7.org/fhir/made-up",
        "content": "complete",
        "concept": [
            {"code": "warm", "concept": [{"code": "red", "display": "Red"}]},
            {"code": "blue"},
        ],
    }
    about = {"name": "made.up", "version": "1", "license": "CC0-1.0"}
    (tmp_path / "package.json").write_text(json.dumps(about))
    (tmp_path / "CodeSystem-a.json").write_text(json.dumps(system))
    for number, one in enumerate(sets):
        made = {"resourceType": "ValueSet", "url": f"http://example.org/{number}", "compose": one}
        (tmp_path / f"ValueSet-{number}.json").write_text(json.dumps(made))
    return build_terminology.Terminology([tmp_path])


_OWN = "http://hl7.org/fhir/made-up"
_BELOW = {"property": "concept", "op": "is-a", "value": "warm"}


@pytest.mark.parametrize(
    ("compose", "codes", "unlisted"),
    [
        ({"include": [{"system": _OWN}]}, {_OWN: None}, set()),
        ({"include": [{"system": _OWN, "filter": [_BELOW]}]}, {_OWN: {"warm", "red"}}, set()),
        ({"include": [{"system": _OWN}], "exclude": [{"system": _OWN, "filter": [_BELOW]}]},
         {_OWN: {"blue"}}, set()),
        ({"include": [{"system": "http://x", "concept": [{"code": "1"}]}]},
         {"http://x": {"1"}}, set()),
        ({"include": [{"system": "http://x", "filter": [_BELOW]}]}, {}, {"http://x"}),
        ({"include": [{"valueSet": ["http://example.org/absent"]}]}, {}, {"*"}),
    ],
)  # fmt: skip
def test_a_value_set_is_expanded_as_far_as_the_packages_go(
    tmp_path: Path, compose: dict[str, Any], codes: Any, unlisted: set[str]
) -> None:
    found = _terminology(tmp_path, compose)
    assert found.expand("http://example.org/0", ()) == (codes, unlisted)


def test_a_code_system_keeps_displays_and_its_case(tmp_path: Path) -> None:
    made = _terminology(tmp_path).code_systems()[_OWN]
    assert made == {"anyCase": True, "codes": {"warm": "", "red": "Red", "blue": ""}}


def test_units_are_sorted_by_whether_they_take_a_prefix() -> None:
    essence = """<root version="0"><prefix Code="k"/><base-unit Code="m"/>
        <unit Code="l" isMetric="yes"/><unit Code="[in_i]" isMetric="no"/></root>"""
    made = build_ucum.build(essence)
    assert (made["prefixes"], made["metric"], made["plain"]) == (["k"], ["m", "l"], ["[in_i]"])
