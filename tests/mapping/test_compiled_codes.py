"""Generated code reads every code as the interpreter does."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from itertools import product
from types import MappingProxyType
from typing import Any

import pytest

from fhirbridge.mapping import compile_read, decode, fit
from fhirbridge.mapping.codecs import Codec
from fhirbridge.mapping.crosswalk import Crosswalk, Line, Systems, build
from fhirbridge.mapping.path import Path as Place
from fhirbridge.mapping.spec import FormMapping
from tests.mapping.both_ways import at_once, same
from tests.mapping.files import mappings


def readings() -> list[Any]:
    """Every place of a code in a resource, of each block that is read, with its codec."""
    made: dict[Any, Any] = {}
    for mapping in mappings().files.values():
        if mapping.recogniser is not None:
            known = mapping.recogniser
            made[mapping.name, known.path, ""] = (mapping, "", known.path, known.codec)
        for block in mapping.blocks:
            for reading in (r for row in block.rows for r in row.readings):
                if fit.walk_of(reading.codec) is not None:
                    key = (mapping.name, reading.path, id(reading.codec))
                    made[key] = (mapping, block.word, reading.path, reading.codec)
    return list(made.values())


@pytest.mark.parametrize(
    ("mapping", "word", "path", "codec"),
    readings(),
    ids=[f"{mapping.name}-{path.text}-{n}" for n, (mapping, _, path, _) in enumerate(readings())],
)
def test_every_line_of_every_crosswalk_is_read_the_same(
    mapping: FormMapping, word: str, path: Place, codec: Codec
) -> None:
    walk, known = fit.walk_of(codec), mapping.recogniser
    assert walk is not None
    lines = known.codec.crosswalk.forward.values() if known else ()
    base: dict[str, Any] = {"resourceType": mapping.resource}
    line = next((x for x in lines if x.relationship == "equivalent" and x.target == word), None)
    line = line or next((x for x in lines if x.relationship == "equivalent"), None)
    if known is not None and line is not None:
        known.path.write(base, coded(known.path, line.system, line.code))
    for line in walk.forward.values():
        for display in (None, line.display, "bone", 5):
            made = deepcopy(base)
            told = coded(
                path, line.system, line.code, **({} if display is None else {"display": display})
            )
            path.write(made, told)
            same(made)


@pytest.mark.parametrize(
    "mapping", [m for m in mappings().files.values() if m.recogniser], ids=lambda m: m.name
)
def test_two_codes_are_read_the_same(mapping: FormMapping) -> None:
    assert mapping.recogniser is not None
    path, walk = mapping.recogniser.path, mapping.recogniser.codec.crosswalk
    lines: dict[tuple[str, str], Line] = {}
    for line in walk.forward.values():
        lines.setdefault((line.relationship, line.target), line)
    some = [*lines.values()][:12]
    for one, other in product(some, some) if path.type == "CodeableConcept" else ():
        made: dict[str, Any] = {"resourceType": mapping.resource}
        both = [{"system": line.system, "code": line.code} for line in (one, other)]
        path.write(made, {"coding": both})
        same(made)


def known_by(resource_type: str) -> list[FormMapping]:
    return [m for m in mappings().of_resource(resource_type) if m.recogniser]


def coded_as(path: Place, codings: list[dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    path.write(made, {"coding": codings})
    return made


def lines_of(mapping: FormMapping, others: list[FormMapping]) -> list[Line]:
    """One of each relationship, alone and where another mapping of the type has the code too: read
    by both, or by one of them."""
    assert mapping.recogniser is not None
    walk = mapping.recogniser.codec.crosswalk
    told: dict[Any, Line] = {}
    for key, line in walk.forward.items():
        beside = [w.forward[key] for w in map(walk_of, others) if key in w.forward]
        told.setdefault((line.relationship, tuple(x.relationship for x in beside)), line)
    return [*told.values()]


def walk_of(mapping: FormMapping) -> Crosswalk:
    assert mapping.recogniser is not None
    return mapping.recogniser.codec.crosswalk


FOREIGN = Line("urn:x", "1", "One", "one", "equal", "", "")
SEVERAL = sorted({m.resource for m in mappings().files.values() if len(known_by(m.resource)) > 1})


@pytest.mark.parametrize("resource_type", SEVERAL)
def test_codes_of_which_another_mapping_takes_one_or_none_are_read_the_same(
    resource_type: str,
) -> None:
    """Of several mappings of a type one may read a code that another lists and does not read."""
    candidates = known_by(resource_type)
    lines = [
        line
        for one in candidates
        for line in lines_of(one, [m for m in candidates if m is not one])
    ]
    path = next(m.recogniser.path for m in candidates if m.recogniser)
    assert {line.reads for line in lines} == {True, False}
    for one, other in product([*lines, FOREIGN], repeat=2):
        both = [{"system": line.system, "code": line.code} for line in (one, other)]
        for codings in (both[:1], both):
            same({"resourceType": resource_type, **coded_as(path, codings)})


def test_two_words_for_one_block_are_left_to_the_interpreter() -> None:
    """The block takes any word, and none of its rows reads the code again."""
    surgery = mappings().files["surgery"]
    rows = tuple(
        row
        for row in surgery.blocks[0].rows
        if all(reading.path.steps[0].name != "code" for reading in row.readings)
    )
    blocks = (replace(surgery.blocks[0], rows=rows),)
    alone = replace(mappings(), files={"surgery": replace(surgery, blocks=blocks)})
    lines = {line.target: line for line in walk_of(surgery).forward.values() if line.reads}
    codings = [{"system": line.system, "code": line.code} for line in lines.values()]
    for number in (1, 2):
        made = {"resourceType": "Procedure", "status": "completed", "performedDateTime": "2024"}
        resource = {**made, "code": {"coding": codings[:number]}}
        meant = decode.interpret(alone, resource, source="x")
        assert meant == decode.decode(alone, resource, source="x")
        assert meant[0].fate == ("record", "hold")[number - 1]


def test_a_withdrawn_code_is_left_to_the_interpreter() -> None:
    systems = Systems(MappingProxyType({}), frozenset())
    lines = [Line("urn:x", "1", "One", "one", kind, "", "") for kind in ("equal", "deprecated")]
    told = [compile_read.plain(build("x", [line], (), systems)[0]) for line in lines]
    assert told == [{("urn:x", "1", None): lines[0], ("urn:x", "1", "One"): lines[0]}, {}]


def test_values_that_differ_or_are_bounds_are_read_the_same() -> None:
    score = {"resourceType": "Observation", "effectiveDateTime": "2024-05-01",
             "code": {"coding": [{"system": "http://loinc.org", "code": "91721-1"}]},
             "valueQuantity": {"value": 41, "code": "{score}"}}  # fmt: skip
    assert at_once(score)
    same({**score, "valueQuantity": {"value": 41, "code": "{score}", "comparator": "<"}})
    sites = [
        {"coding": [{"system": "http://snomed.info/sct", "code": code}]}
        for code in ("71341001", "85050009")
    ]
    lesion = {
        "resourceType": "Condition",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "94222008"}]},
    }
    assert at_once({**lesion, "bodySite": sites[:1]})
    same({**lesion, "bodySite": sites})


def coded(path: Place, system: str, code: str, **more: Any) -> Any:
    coding = {"system": system, "code": code, **more}
    if path.type == "CodeableConcept":
        return {"coding": [coding]}
    return coding if path.type == "Coding" else code
