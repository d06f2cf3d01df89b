"""Law 5: what cannot be decoded is absent and named, with place, cause and remedy.

Something unreadable is planted into a resource that we wrote; every other field stays as it was.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.mapping.spec import Reading, Row
from fhirbridge.study.records import Record
from tests.laws import checkers
from tests.laws.strategies import filled, values
from tests.laws.test_laws import FORMS, steady
from tests.mapping.files import mappings

CONCEPTS: tuple[Any, ...] = (
    {"coding": [{"system": "https://hospital.example.org/codes", "code": "X-1"}]},
    {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]},
    {"coding": [{"system": "http://snomed.info/sct", "code": "94225005"}]},
    {"coding": [{"code": "no-system"}]},
    {"text": "in words"},
)
QUANTITIES: tuple[Any, ...] = (
    {"value": 5, "unit": "mm", "code": "mm", "system": "http://unitsofmeasure.org"},
    {"value": 5, "comparator": "<"},
    {"value": 10**6},
    {"value": -1},
)
PLANTS: dict[str, tuple[Any, ...]] = {
    "CodeableConcept": CONCEPTS,
    "Quantity": QUANTITIES,
    "integer": (-1, 10**6),
    "string": ("6-7", "severe", "1,5", "٣"),
    "code": ("no-code-of-ours",),
}


def planted(resource: dict[str, Any], reading: Reading, junk: Any) -> dict[str, Any]:
    """The resource with the junk where the reading looks; other types of the choice taken away."""
    made = deepcopy(resource)
    choice = reading.path.steps[0].name
    if choice.startswith("value"):
        made = {n: v for n, v in made.items() if not n.startswith("value")}
        made.pop("dataAbsentReason", None)
    *way, last = reading.path.steps
    here = made
    for step in way:
        below = here[step.name]
        if step.is_list:
            below = next(
                i for i in below if not step.selector or i.get(step.selector[0]) == step.selector[1]
            )
        here = below
    if isinstance(junk, dict) and last.is_list:
        kept = {n: v for n, v in here[last.name][0].items() if n == "extension"}
        here[last.name][0] = {**kept, **junk}
    else:
        here[last.name] = junk
    return made


def targets(form: str) -> list[tuple[str, Row, Reading]]:
    """Every reading with a codec that can fail: the first of each row, and all of a score's."""
    mapping = mappings().forms[form]
    made = []
    for block in mapping.blocks:
        for row in block.rows:
            scored = row.field.name in block.fields
            readable = row.readings if scored else row.readings[:1]
            coded = row.field.type in ("choice", "integer", "decimal")
            made += [(block.name, row, r) for r in readable if coded and r.path.type in PLANTS]
    return made


PLANTED = [(form, *target) for form in FORMS for target in targets(form)]


@pytest.mark.parametrize(
    ("form", "block", "row", "reading"), PLANTED, ids=[f"{b}-{r.rule}" for _, b, _, r in PLANTED]
)
def test_what_is_unreadable_is_absent_and_named(
    form: str, block: str, row: Row, reading: Reading
) -> None:
    name = row.field.name

    @settings(steady, max_examples=40)
    @given(
        record=filled(mappings().study.forms[form]),
        value=values(row.field),
        junk=st.sampled_from(PLANTS[reading.path.type]),
    )
    def holds(record: Record, value: Any, junk: Any) -> None:
        record = replace(record, fields={**record.fields, name: value})
        made = {e.block: e.resource for e in checkers.resources(mappings(), record)}
        before = checkers.read(mappings(), made[block])
        after = checkers.read(mappings(), planted(made[block], reading, junk))
        assert name not in after.fields
        assert any(i.severity == "error" and i.cause and i.remedy and i.expression
                   for i in after.issues)  # fmt: skip
        place = f"{mappings().forms[form].resource}.{reading.path.steps[0].name}"
        assert any(issue.expression.startswith(place) for issue in after.issues)
        for other, kept in after.fields.items():
            assert before.fields[other] == kept, f"{other} was invented"

    holds()


def test_every_kind_of_plant_is_tried() -> None:
    assert {reading.path.type for *_, reading in PLANTED} == PLANTS.keys()
