"""No JSON breaks the judge: any value in any place, once or more often, is judged like the rest."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.damage.probe_bases import BASES as PROBED
from fhirbridge.fhir import definitions, packages, verdict
from fhirbridge.fhir.door import door
from fhirbridge.fhir.validate import validate
from fhirbridge.outcome import failed
from tests.fhir.synthetic import GONE, PATIENT, changed
from tests.fhir.test_verdict import RESOURCES, VALUES, paths

BASES: dict[str, dict[str, Any]] = {
    **{f"probe {name}": one for name, one in PROBED.items()},
    **RESOURCES,
}
PLACES = {name: paths(resource) for name, resource in BASES.items()}
NAMES = sorted({p[-1] for found in PLACES.values() for p in found if isinstance(p[-1], str)})
NAMES += [f"_{name}" for name in NAMES] + ["valueFoo", "display", "contained", "modifierExtension"]
PROFILES = sorted(definitions.content("profiles.json")["profiles"])
URLS = st.sampled_from(PROFILES) | st.sampled_from(sorted(packages.extensions()))
SINGLE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=4)
    | st.just("x" * 10_000)
    | st.characters(categories=["Cs"])
    | URLS
    | st.sampled_from(VALUES)
)
ANY = st.recursive(
    SINGLE,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=8,
)


def at(value: Any, way: tuple[Any, ...]) -> Any:
    for step in way:
        value = value[step]
    return value


ELSEWHERE = st.sampled_from(sorted(BASES)).flatmap(
    lambda name: st.sampled_from(PLACES[name]).map(lambda way: at(BASES[name], way))
)


@st.composite
def any_damage(draw: st.DrawFn) -> dict[str, Any]:
    """A valid resource with one to six places that hold any JSON, or a part of another one."""
    name = draw(st.sampled_from(sorted(BASES)))
    made = deepcopy(BASES[name])
    for _ in range(draw(st.integers(1, 6))):
        *way, last = draw(st.sampled_from(PLACES[name]))
        try:
            place = at(made, tuple(way))
            if isinstance(place, dict):
                key = last if draw(st.booleans()) else draw(st.sampled_from(NAMES))
                key = key if isinstance(key, str) else "x"  # a list stood here
                renamed = key != last and draw(st.booleans())
                place[key] = place.pop(last) if renamed else deepcopy(draw(ANY | ELSEWHERE))
            elif draw(st.booleans()):
                place[last] = deepcopy(draw(ANY | ELSEWHERE))
            else:
                place[last] = [place[last]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return made


@settings(max_examples=1200, deadline=None)
@given(any_damage(), st.lists(st.sampled_from(PROFILES), max_size=2))
def test_whatever_is_sent_is_judged(made: dict[str, Any], asked: list[str]) -> None:
    told = validate(made, profiles=asked)
    told_at_the_door = door(made)
    assert all(issue.cause and issue.remedy for issue in (*told, *told_at_the_door))
    assert not (verdict.accepts(made, profiles=asked) and failed(told))


OUT_OF_PLACE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Patient", {"extension.0.url": []}),
    ("Patient", {"extension.0.url": ["http://example.org/x"]}),
    ("Patient", {"contained": 1.5}),
    ("Patient", {"contained": ["o1"], "resourceType": "Bundle"}),
    ("Patient", {"contained": [[]], "resourceType": "Binary"}),
    ("Patient", {"_name": None}),
    ("Patient", {"_contact": [None]}),
    ("Observation", {"valueQuantity.display": ["x"]}),
    ("Observation", {"_referenceRange": None}),
    ("Condition", {"_subject": {"extension": None}}),
)


@pytest.mark.parametrize(("base", "changes"), OUT_OF_PLACE)
def test_what_once_broke_the_judge_is_told(base: str, changes: dict[str, Any]) -> None:
    made = changed(BASES[base], changes)
    assert failed(validate(made))
    door(made)
    assert not verdict.accepts(made)


def test_a_profile_that_reads_a_list_where_others_have_one_value() -> None:
    """statusReason is a concept of a Procedure, and a list of an administration."""
    made = {
        "resourceType": "MedicationAdministration",
        "status": "stopped",
        "statusReason": [{"text": "x"}],
        "medicationCodeableConcept": {"text": "x"},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2024-01-01",
    }
    claim = "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-cancer-related-medication-administration"
    assert claim in PROFILES
    assert not failed(validate(made, profiles=[claim]))


def test_what_is_gone_is_told_once() -> None:
    made = changed(PATIENT, {"resourceType": GONE})
    assert [issue.cause for issue in validate(made)] == ["resourceType is missing"]
