"""A view's columns, evaluated as FHIRPath by another's program, give what decode gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from fhirpathpy import compile
from fhirpathpy.models import models
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.book import naming
from fhirbridge.mapping.codecs import Codings, Ids, YesNo
from fhirbridge.mapping.coded import Grade
from fhirbridge.mapping.decode import decode
from fhirbridge.mapping.encode import Encoded, encode
from fhirbridge.mapping.spec import MappingSet, Row
from fhirbridge.study.records import Absent, Record, Value
from tests.book import printed
from tests.laws.strategies import filled
from tests.laws.test_laws import steady
from tests.mapping.files import mappings

PATIENT = {"reference": "Patient/1"}
BLOCKS = {
    block.name: (mapping, block)
    for form in mappings().study.forms
    for mapping, block in mappings().blocks(form)
}
FEW = 40  # records a form: FHIRPath in Python is slow


def view(artefacts: Mapping[str, dict[str, Any]], block: str) -> dict[str, Any]:
    return artefacts[f"ViewDefinition-{naming.id_of(block)}.json"]


@cache
def compiled(path: str) -> Callable[[Mapping[str, Any], Mapping[str, Any] | None], list[Any]]:
    return compile(path, models["r4"])


def fhirpath(resource: dict[str, Any], path: str) -> list[Any]:
    return compiled(path)(resource, None)


def selects(told: Mapping[str, Any], resource: dict[str, Any]) -> bool:
    return resource["resourceType"] == told["resource"] and all(
        fhirpath(resource, f"{told['resource']}.where({one['path']}).exists()") == [True]
        for one in told.get("where", ())
    )


def row_of(told: Mapping[str, Any], resource: dict[str, Any]) -> dict[str, list[Any]]:
    """Each column's values; several are allowed where the column says so."""
    made = {}
    for column in told["select"][0]["column"]:
        values = fhirpath(resource, column["path"])
        assert len(values) < 2 or column.get("collection"), column["path"]
        made[column["name"]] = values
    return made


def words(
    artefacts: Mapping[str, dict[str, Any]], walk: str, codes: list[Any], systems: list[Any]
) -> list[str]:
    """What the ConceptMap says that the codes mean; a bare code has its map's only system."""
    groups = artefacts[f"ConceptMap-{naming.id_of(walk)}.json"]["group"]
    found = []
    for number, code in enumerate(codes):
        found += [
            e["target"][0]["code"]
            for group in groups
            for e in group["element"]
            if e["code"] == code
            and (not systems or group["source"] == systems[number])
            and e["target"][0]["equivalence"] in ("equivalent", "equal", "wider")
        ]
    return found


def expected(value: Value) -> list[Any]:
    if isinstance(value, tuple):
        return sorted(v if isinstance(v, str) else f"{v.system}|{v.value}" for v in value)
    return [value]


def read(
    artefacts: Mapping[str, dict[str, Any]], row: Row, told: dict[str, list[Any]]
) -> list[Any]:
    """The field's value from the columns, as a user of the view would take it."""
    name, codec = row.field.name, row.first.codec
    values, systems = told[name], told.get(f"{name}_system", [])
    if isinstance(codec, Codings):
        return sorted(f"{s}|{v}" for s, v in zip(systems, values, strict=True))
    if isinstance(codec, YesNo):
        return [codec.yes if value else codec.no for value in values]
    walk = row.first.rule.rpartition("/")[2]
    if row.field.choices or isinstance(codec, Grade):
        found = words(artefacts, walk, values, systems)
        return sorted(found) if row.field.many else found
    if row.field.type == "decimal":
        return [Decimal(str(value)) for value in values]
    if row.field.type == "integer":
        return [int(value) for value in values]
    if row.field.type in ("date", "datetime"):
        return [str(value) for value in values]
    return sorted(values) if row.field.many else values


def compare(artefacts: Mapping[str, dict[str, Any]], told: MappingSet, encoded: Encoded) -> int:
    """How many values were the same."""
    one = view(artefacts, encoded.block)
    assert selects(one, encoded.resource)
    row = row_of(one, encoded.resource)
    assert row["patient_reference"] == ["Patient/1"] if "patient_reference" in row else True
    if "record_id" in row:
        assert row["record_id"] == [encoded.id]
    (decoded,) = (d for d in decode(told, encoded.resource, source="x") if d.block == encoded.block)
    rows = {
        r.field.name: r
        for _, b in told.blocks(encoded.form)
        if b.name == encoded.block
        for r in b.rows
        if not r.reads_only
    }
    same = 0
    for name, value in decoded.fields.items():
        if isinstance(rows[name].first.codec, Ids):
            assert name not in row
        elif isinstance(value, Absent):
            reasons = row[f"{name}_absent"]
            assert (
                words(artefacts, "absent-reason", reasons, []) if rows[name].absent else reasons
            ) == [value.reason]
            assert row[name] == []
        else:
            assert read(artefacts, rows[name], row) == expected(value), name
        same += 1
    silent = {r for r in rows if r not in decoded.fields and r in row}
    assert {name for name in silent if row[name]} == set()
    return same


@pytest.mark.parametrize("form", sorted(mappings().study.forms))
def test_columns_give_what_decode_gives(form: str) -> None:
    seen: set[str] = set()
    counted = 0

    @settings(steady, max_examples=FEW)
    @given(record=filled(mappings().study.forms[form]))
    def holds(record: Record) -> None:
        nonlocal counted
        for encoded in encode(mappings(), record, patient=PATIENT):
            counted += compare(printed.made(), mappings(), encoded)
            seen.add(encoded.block)

    holds()
    assert counted
    assert seen == {block.name for _, block in mappings().blocks(form)}


def test_a_view_takes_its_own_resources_and_no_other_of_its_type() -> None:
    taken: dict[str, set[str]] = {name: set() for name in BLOCKS}

    @settings(steady, max_examples=3)
    @given(records=st.tuples(*(filled(form) for form in mappings().study.forms.values())))
    def holds(records: tuple[Record, ...]) -> None:
        for record in records:
            for encoded in encode(mappings(), record, patient=PATIENT):
                for name, (mapping, _) in BLOCKS.items():
                    if mapping.resource == encoded.resource["resourceType"]:
                        told = view(printed.made(), name)
                        taken[name] |= {encoded.block} if selects(told, encoded.resource) else set()

    holds()
    assert {name: blocks for name, blocks in taken.items() if blocks - {name}} == {}


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("final", True),
        ("amended", True),
        ("entered-in-error", False),
        ("preliminary", False),
        (None, True),
    ],
)
def test_a_status_that_does_not_count_is_not_in_the_view(status: str | None, counts: bool) -> None:
    record = Record("S-1", "assessment", {"assessed_on": "2024-05-01", "ecog": 1})
    (encoded,) = encode(mappings(), record, patient=PATIENT)
    resource = {k: v for k, v in {**encoded.resource, "status": status}.items() if v is not None}
    assert selects(view(printed.made(), encoded.block), resource) is counts


def test_views_are_shaped_as_sql_on_fhir_asks() -> None:
    names = []
    for name in BLOCKS:
        told = view(printed.made(), name)
        assert told.keys() >= {"resourceType", "url", "name", "status", "fhirVersion", "resource"}
        names.append(told["name"])
        columns = [column["name"] for column in told["select"][0]["column"]]
        assert len(columns) == len({*columns})
        assert [
            w for w in (told["name"], *columns) if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", w)
        ] == []
        assert all(column["type"] for column in told["select"][0]["column"])
    assert len(names) == len({*names})
