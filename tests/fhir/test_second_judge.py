"""fhir.resources (R4B models) as second judge: what it refuses, ours refuses too.

R4B equals R4 in the four types. The other direction is not asked: its models check less.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fhir.resources.R4B.condition import Condition
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.patient import Patient
from fhir.resources.R4B.procedure import Procedure
from pydantic import ValidationError

from tests.fhir.mutations import MUTATIONS
from tests.fhir.synthetic import BASES, GONE, changed, faults

MODELS: dict[str, Any] = {
    "Condition": Condition,
    "Observation": Observation,
    "Patient": Patient,
    "Procedure": Procedure,
}
SUBSTITUTES: tuple[Any, ...] = (
    GONE,
    None,
    "",
    "no value of this kind",
    "2021-02-30",
    -1,
    True,
    [],
    {},
    [None],
    ["x"],
    {"colour": "red"},
    [{"colour": "red"}],
    {"extension": [{"url": "http://example.org/x"}]},
)


def sweep(base: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The base with each of its values in turn replaced by each substitute: name and resource."""
    for path in _paths(base, ""):
        for index, substitute in enumerate(SUBSTITUTES):
            yield f"{path}:{index}", changed(base, {path: substitute})


def _paths(value: Any, path: str) -> Iterator[str]:
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        pairs = [(name, one) for name, one in value.items() if name != "resourceType"]
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    for name, one in pairs:
        at = f"{path}.{name}" if path else str(name)
        yield at
        yield from _paths(one, at)


def _refused(kind: str, resource: dict[str, Any]) -> bool:
    try:
        MODELS[kind].model_validate(resource)
    except ValidationError:
        return True
    return False


@pytest.mark.parametrize("kind", MODELS)
def test_both_accept_the_bases(kind: str) -> None:
    assert not _refused(kind, BASES[kind])
    assert faults(BASES[kind]) == []


def test_what_the_second_judge_refuses_of_the_table_is_refused() -> None:
    # Its models stumble over an unknown type instead of judging it.
    rows = [
        m
        for m in MUTATIONS
        if m.base in MODELS and "resourceType" not in m.changes and m.category != "not-supported"
    ]
    refused = [m for m in rows if _refused(m.base, m.apply())]
    assert len(refused) > 50
    assert [m.reason for m in refused if not faults(m.apply())] == []


@pytest.mark.parametrize("kind", MODELS)
def test_what_the_second_judge_refuses_of_a_sweep_is_refused(kind: str) -> None:
    refused = [(name, made) for name, made in sweep(BASES[kind]) if _refused(kind, made)]
    assert len(refused) > 100
    assert [name for name, made in refused if not faults(made)] == []
