"""Generated code says what the interpreter says, for every form and every kind of damage.

All values are made up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.formats import fhir_json
from fhirbridge.mapping import decode, encode
from fhirbridge.sandbox.patients import hospital_resources
from fhirbridge.study.records import Absent, Record
from tests.laws import checkers
from tests.laws.checkers import PATIENT, SOURCE
from tests.laws.strategies import filled
from tests.laws.test_laws import FORMS, steady
from tests.mapping.both_ways import JUNK, at_once, damaged, exact, places, same
from tests.mapping.files import mappings


def containers(value: Any) -> list[int]:
    """The identity of every object and list."""
    if isinstance(value, dict):
        return [id(value), *(i for held in value.values() for i in containers(held))]
    if isinstance(value, list):
        return [id(value), *(i for held in value for i in containers(held))]
    return []


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_the_same(form: str) -> None:
    @steady
    @given(record=filled(mappings().study.forms[form]))
    def holds(record: Record) -> None:
        made = encode.encode(mappings(), record, patient=PATIENT)
        meant = encode.interpret(mappings(), record, patient=PATIENT)
        assert made == meant
        assert [exact(e.resource) for e in made] == [exact(e.resource) for e in meant]
        for one in made:
            assert one.id == mappings().derived_id(one.block, record.subject, one.key)

    holds()


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_shared_between_two_results(form: str) -> None:
    @steady
    @given(record=filled(mappings().study.forms[form]))
    def holds(record: Record) -> None:
        made = [*encode.encode(mappings(), record, patient=PATIENT),
                *encode.encode(mappings(), record, patient=PATIENT)]  # fmt: skip
        seen = [i for one in made for i in containers(one.resource)] + containers(PATIENT)
        assert len(seen) == len(set(seen))

    holds()


@pytest.mark.parametrize("form", FORMS)
def test_what_is_read_of_our_own_is_the_same(form: str) -> None:
    @steady
    @given(
        record=filled(mappings().study.forms[form]),
        root=st.sampled_from(("", "Bundle.entry[3].resource")),
    )
    def holds(record: Record, root: str) -> None:
        for encoded in checkers.resources(mappings(), record):
            same(encoded.resource, root)

    holds()


def test_what_hospitals_send_is_read_the_same() -> None:
    for resource in hospital_resources(30):
        same(resource)


def varied() -> list[dict[str, Any]]:
    """The resources of the variation cases."""
    cases = fhir_json.read(Path(__file__).with_name("variation-cases.json").read_bytes())
    told = [one.get("resource") for case in cases for one in (case, *case.get("more", ()))]
    return [resource for resource in told if resource]


def test_what_really_comes_is_read_the_same() -> None:
    assert len(varied()) > 42
    for resource in varied():
        same(resource)
        for way in places(resource):
            if way != ("resourceType",):
                for harm in ("drop", "double"):
                    same(damaged(resource, way, harm, None))


HARMS = st.sampled_from(("drop", "replace", "replace", "double", "shadow", "beside"))


@pytest.mark.parametrize("form", FORMS)
def test_what_is_damaged_is_read_the_same(form: str) -> None:
    @steady
    @given(record=filled(mappings().study.forms[form]), data=st.data())
    def holds(record: Record, data: st.DataObject) -> None:
        for encoded in checkers.resources(mappings(), record):
            resource = encoded.resource
            for _ in range(data.draw(st.integers(1, 2))):
                way = data.draw(st.sampled_from(places(resource)))
                if way != ("resourceType",):
                    resource = damaged(
                        resource, way, data.draw(HARMS), data.draw(st.sampled_from(JUNK))
                    )
            same(resource)

    holds()


def test_every_place_of_what_hospitals_send_is_tried_with_every_harm() -> None:
    for resource in hospital_resources(10)[10:]:
        for way in places(resource):
            if way != ("resourceType",):
                for harm in ("drop", "double", "shadow", "beside"):
                    same(damaged(resource, way, harm, {"extension": []}))


@pytest.mark.parametrize("form", FORMS)
def test_usual_resources_take_the_generated_way(form: str) -> None:
    counted: Counter[tuple[str, bool]] = Counter()

    @steady
    @given(record=filled(mappings().study.forms[form]))
    def holds(record: Record) -> None:
        plain = {n: v for n, v in record.fields.items() if not isinstance(v, Absent)}
        for one in encode.interpret(mappings(), replace(record, fields=plain), patient=PATIENT):
            meant = decode.interpret(mappings(), one.resource, source=SOURCE)
            if not any(decoded.issues for decoded in meant):
                counted[one.block, at_once(one.resource)] += 1

    holds()
    for _, block in mappings().blocks(form):
        hits, misses = counted[block.name, True], counted[block.name, False]
        assert hits >= 9 * misses, f"{block.name}: {hits} of {hits + misses}"
        assert hits, block.name


def test_another_shape_is_left_to_the_interpreter() -> None:
    score = {"resourceType": "Observation", "status": "final", "effectiveDateTime": "2024-05-01",
             "code": {"coding": [{"system": "http://loinc.org", "code": "89247-1"}]}, "valueInteger": 1}  # fmt: skip
    assert at_once(score)
    assert not at_once({**score, "status": "preliminary"})
    assert not at_once({**score, "modifierExtension": [{"url": "urn:x"}]})
    assert not at_once({**score, "valueInteger": 9})
    assert not at_once({**score, "effectiveDateTime": None, "_effectiveDateTime": {"id": "x"}})
    assert not at_once(
        {**score, "category": [{"coding": [{"modifierExtension": [{"url": "urn:x"}]}]}]}
    )
