"""Generated code reads every code as the interpreter does."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from types import MappingProxyType
from typing import Any

import pytest

from fhirbridge.mapping import compile_read, fit
from fhirbridge.mapping.codecs import Codec
from fhirbridge.mapping.crosswalk import Line, Systems, build
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
