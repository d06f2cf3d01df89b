"""Law 5: what cannot be decoded is absent and named, with place, cause and remedy.

Something unreadable is planted into a resource that we wrote; every other field stays as it was.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fhirbridge.mapping.spec import Block, FormMapping, Reading, Row
from fhirbridge.study.records import Record
from tests.laws import checkers
from tests.laws.strategies import allowed, filled, values
from tests.laws.test_laws import steady
from tests.mapping.files import mappings

CONCEPTS: tuple[Any, ...] = (
    {"coding": [{"system": "https://hospital.example.org/codes", "code": "X-1"}]},
    {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]},
    {"coding": [{"system": "http://snomed.info/sct", "code": "94225005"}]},
    {"coding": [{"code": "no-system"}]},
    {"text": "in words"},
)
QUANTITIES: tuple[Any, ...] = (
    {"value": 5, "unit": "kg", "code": "kg", "system": "http://unitsofmeasure.org"},
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
    *way, last = reading.path.steps
    here = made
    for step in way:
        below = here[step.name]
        if step.is_list:
            below = next(i for i in below if not step.selector or step.selector.fits(i))
        here = below
    beside = last.is_list and last.name not in here  # read in place of the value, never written
    if last.name.startswith("value") or beside:
        for name in [n for n in here if n.startswith("value") or n == "dataAbsentReason"]:
            del here[name]
    if beside:
        here[last.name] = [junk]
    elif isinstance(junk, dict) and last.is_list:
        kept = {n: v for n, v in here[last.name][0].items() if n == "extension"}
        here[last.name][0] = {**kept, **junk}
    else:
        here[last.name] = junk
    return made


Target = tuple[Block, Row, Reading]


def targets(mapping: FormMapping) -> list[Target]:
    """Every reading with a codec that can fail: the first of each row, and those beside it."""
    made = []
    for block in mapping.blocks:
        for row in (row for row in block.rows if not row.reads_only):
            first = row.first.path.steps
            readable = [r for r in row.readings if r.path.steps[:-1] == first[:-1]]
            readable = [r for r in readable if r is row.first or first[-1].name.startswith("value")]
            coded = row.field.type in ("choice", "integer", "decimal") and not row.field.many
            made += [(block, row, r) for r in readable if coded and r.path.type in PLANTS]
    return made


PLANTED = {
    name: found
    for name, mapping in mappings().files.items()
    if not mapping.reads_only and (found := targets(mapping))
}


@st.composite
def plants(draw: st.DrawFn, name: str) -> tuple[int, Record, Any]:
    """A place of the file, by its number, a record whose resource has a value there, and what is put there."""
    form = mappings().files[name].form
    number = draw(st.integers(0, len(PLANTED[name]) - 1))
    block, row, reading = PLANTED[name][number]
    about = {r.field.name for r in block.rows} | {*block.needs}
    record = draw(filled(form))
    kept = {n: v for n, v in record.fields.items() if n in about or form.fields[n].required}
    fields = allowed(form, {**kept, row.field.name: draw(values(row.field))})
    assume(row.field.name in fields)
    junk = draw(st.sampled_from(PLANTS[reading.path.type]))
    return number, replace(record, fields=fields), junk


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_unreadable_is_absent_and_named(name: str) -> None:
    @steady
    @given(plant=plants(name))
    def holds(plant: tuple[int, Record, Any]) -> None:
        number, record, junk = plant
        block, row, reading = PLANTED[name][number]
        made = {e.block: e.resource for e in checkers.resources(mappings(), record)}
        assume(block.name in made)
        before = checkers.read(mappings(), made[block.name])
        after = checkers.read(mappings(), planted(made[block.name], reading, junk))
        assert row.field.name not in after.fields
        assert any(i.severity == "error" and i.cause and i.remedy and i.expression
                   for i in after.issues)  # fmt: skip
        place = f"{made[block.name]['resourceType']}.{reading.path.steps[0].name}"
        assert any(issue.expression.startswith(place) for issue in after.issues)
        for other, kept in after.fields.items():
            if not (isinstance(junk, dict) and kept == junk.get("text")):  # the planted words
                assert before.fields[other] == kept, f"{other} was invented"

    holds()


def test_every_kind_of_plant_is_tried() -> None:
    tried = {reading.path.type for found in PLANTED.values() for _, _, reading in found}
    assert tried == PLANTS.keys()
