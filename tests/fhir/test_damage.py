"""The planted damage: the same each time, of every kind, and always a change."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.damage import at_random, kinds, probes
from bench.damage.mutant import Mutant
from bench.damage.probe_bases import BASES as PROBED
from bench.damage.source import Source
from fhirbridge.fhir.door import door
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue, failed
from tests.fhir.synthetic import BASES

EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.json"))
# What the other resources here lack: values of rare types. All of it is invented.
EXTRA = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "synthetic"},
    "note": [{"text": "x", "time": "2021-02-03T10:00:00Z"}],
    "valueTime": "10:00:00",
    "component": [
        {"code": {"text": "range"}, "valueRange": {"low": {"value": 3}, "high": {"value": 5}}},
        {
            "code": {"text": "ratio"},
            "valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 2}},
        },
        {
            "code": {"text": "a curve"},
            "valueSampledData": {
                "origin": {"value": 0},
                "period": 10,
                "dimensions": 1,
                "data": "1 2",
            },
        },
    ],
}
PROVENANCE = {
    "resourceType": "Provenance",
    "target": [{"reference": "Patient/1"}],
    "recorded": "2021-02-03T10:00:00Z",
    "agent": [{"who": {"reference": "Practitioner/1"}}],
    "signature": [
        {
            "type": [{"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.1"}],
            "when": "2021-02-03T10:00:00Z",
            "who": {"reference": "Practitioner/1"},
            "sigFormat": "application/signature+xml",
            "data": "aGVsbG8=",
        }
    ],
}
REQUEST = {
    "resourceType": "MedicationRequest",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": {"text": "synthetic"},
    "subject": {"reference": "Patient/1"},
    "dispenseRequest": {
        "expectedSupplyDuration": {
            "value": 3,
            "unit": "d",
            "system": "http://unitsofmeasure.org",
            "code": "d",
        }
    },
}


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    files = [Source(path.stem, fhir_json.parse(path.read_bytes())) for path in EXAMPLES]
    own = [Source(f"own/{name}", one) for name, one in [*BASES.items(), *PROBED.items()]]
    more: dict[str, dict[str, Any]] = {"extra": EXTRA, "provenance": PROVENANCE, "request": REQUEST}
    return [*files, *own, *(Source(f"own/{name}", one) for name, one in more.items())]


@pytest.fixture(scope="module")
def planted(sources: list[Source]) -> list[Mutant]:
    return kinds.mutants(sources, share=0.02)


def test_every_issue_says_what_is_wrong_and_what_to_do(planted: list[Mutant]) -> None:
    mute = set()
    for mutant in (*planted, *probes.mutants()):
        mute |= {issue.cause for issue in told(mutant.raw) if not (issue.cause and issue.remedy)}
    assert mute == set()


def told(raw: bytes) -> list[Issue]:
    """Every issue, warnings and the door's included."""
    try:
        resource = fhir_json.parse(raw)
    except BridgeError as error:
        return [*error.issues]
    return [*validate(resource), *door(resource)]


def test_the_sources_are_valid(sources: list[Source]) -> None:
    assert [s.id for s in sources if failed(validate(s.resource))] == []


def test_every_kind_is_planted(planted: list[Mutant]) -> None:
    assert {kind.name for kind in kinds.KINDS} - {mutant.kind for mutant in planted} == set()


def test_kinds_have_names_of_their_own() -> None:
    assert [n for n, count in Counter(kind.name for kind in kinds.KINDS).items() if count > 1] == []


def test_the_same_damage_is_planted_again(sources: list[Source], planted: list[Mutant]) -> None:
    assert kinds.mutants(sources, share=0.02) == planted


def test_one_example_less_leaves_the_damage_of_the_others_as_it_was(sources: list[Source]) -> None:
    some = kinds.KINDS[:20]
    before = {m.id: m.raw for m in kinds.mutants(sources, kinds=some, share=9)}
    after = {m.id: m.raw for m in kinds.mutants(sources[1:], kinds=some, share=9)}
    assert after
    assert after.items() <= before.items()


def test_a_mutant_differs_from_its_source(sources: list[Source], planted: list[Mutant]) -> None:
    unharmed = {fhir_json.dump(source.resource) for source in sources}
    assert [m.id for m in planted if m.raw in unharmed] == []


def test_no_content_is_planted_twice(planted: list[Mutant]) -> None:
    assert [raw for raw, count in Counter(m.raw for m in planted).items() if count > 1] == []


def test_the_sources_stay_as_they_were(sources: list[Source]) -> None:
    before = [fhir_json.dump(source.resource) for source in sources]
    kinds.mutants(sources[:8], share=0.01)
    at_random.mutants(sources, seed=3, count=50)
    assert [fhir_json.dump(source.resource) for source in sources] == before


def test_random_damage_depends_on_the_seed_alone(sources: list[Source]) -> None:
    one = at_random.mutants(sources, seed=3, count=300)
    assert one == at_random.mutants(sources, seed=3, count=300)
    assert one != at_random.mutants(sources, seed=4, count=300)


def test_random_damage_is_of_every_edit_and_always_a_change(sources: list[Source]) -> None:
    made = at_random.mutants(sources, seed=3, count=600)
    by_id = {source.id: fhir_json.dump(source.resource) for source in sources}
    assert {m.kind for m in made} == {*at_random.EDITS}
    assert [m.id for m in made if m.raw == by_id[m.source]] == []


@pytest.mark.parametrize("name", PROBED)
def test_what_a_probe_breaks_is_valid_before(name: str) -> None:
    assert [i.sentence() for i in validate(PROBED[name]) if failed([i])] == []


def test_probes_differ_from_their_bases_and_from_each_other() -> None:
    made = [mutant.raw for mutant in probes.mutants()]
    assert len({*made}) == len(made)
