"""Statements that are compiled once say what SQLAlchemy says of them; fewer trees, the same rows."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, select, text

from fhirbridge.registry import Registry, prepared, store, tables
from fhirbridge.registry.scope import Scope
from tests.registry import first_release
from tests.registry.filled import furnish, put


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    updated_at: datetime
    number: int


def _scope(unit: object) -> Scope:
    made = unit._scope  # type: ignore[attr-defined]
    assert isinstance(made, Scope)
    return made


def test_a_list_of_any_length_finds_its_members_and_no_others(
    registry: Registry, alpha: str
) -> None:
    with registry.unit(alpha) as unit:
        record = furnish(unit).record
        scope = _scope(unit)
        for many in (0, 1, 2, 3, 5, 8, 9):
            ids = [*(f"none-{number}" for number in range(many)), record.id]
            (found,) = scope.rows(tables.record, _Row, id=ids)
            assert (found.id, found.updated_at, found.number) == (record.id, record.updated_at, 1)
            assert scope.rows(tables.record, _Row, id=ids[:-1]) == []


def test_few_texts_are_made_of_lists_of_many_lengths(registry: Registry) -> None:
    dialect = registry.engine.dialect
    query = select(tables.site.c.id).where(tables.site.c.id.in_([""]))
    shapes = {prepared.filled({"ids": [*map(str, range(n))]})[0] for n in range(1, 33)}
    assert len(shapes) == 6
    assert prepared.reading(dialect, query, ()) is prepared.reading(dialect, query, ())


def test_ids_are_of_version_7_and_in_the_order_of_time() -> None:
    made = [store._uuid() for _ in range(200)]
    assert {(uuid.UUID(id).version, uuid.UUID(id).variant) for id in made} == {(7, uuid.RFC_4122)}
    assert len({*made}) == 200
    assert [id[:13] for id in made] == sorted(id[:13] for id in made)


@pytest.mark.sqlite_only(reason="about SQLite's own trees")
def test_what_nothing_points_at_lies_in_one_tree(registry: Registry) -> None:
    with registry.engine.connect() as connection:
        told = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%WITHOUT ROWID'"
        found = {*connection.exec_driver_sql(told).scalars()}
        assert len(found) == 6
        told = "SELECT tbl FROM sqlite_stat1 WHERE tbl = idx"
        assert {*connection.exec_driver_sql(told).scalars()} == found
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT id FROM proposal WHERE site_id = ? AND status = 'waiting'",
            ("a",),
        ).all()
        assert "ix_proposal_waiting" in plan[0][-1]


def test_parameters_that_look_at_the_same_are_found_by_each_name(
    registry: Registry, alpha: str
) -> None:
    with registry.unit(alpha) as unit:
        record = furnish(unit).record
        put(unit, record.id, "fhir-1", body={"a": 1}, tokens=[("patient", "", "Patient/p")])
        for asked in ("patient", "subject"):
            tokens = [(asked, [("", "Patient/p")])]
            assert len(unit.resources.search("Condition", tokens=tokens, count=9)) == 1
        for id, number in (("fhir-1", 1), ("fhir-2", 0)):
            found = unit.resources.search("Condition", tokens=[("_id", [("", id)])], count=9)
            assert len(found) == number


def test_what_the_index_held_twice_goes_and_the_rest_stays(tmp_path: Path, key: bytes) -> None:
    url = first_release.made(tmp_path / "old")
    engine = create_engine(url)
    with engine.begin() as connection:
        told = connection.execute(text("SELECT site_id, resource_id FROM resource_token")).all()
        row = "INSERT INTO resource_token VALUES (:site, :resource, :name, '', 'x')"
        for site, resource in told:
            for name in ("_id", "subject", "patient"):
                values = {"site": site, "resource": resource, "name": name}
                connection.execute(text(row), values)
    engine.dispose()
    registry = Registry.open(url, key=key)
    with registry.engine.connect() as connection:
        names = connection.execute(text("SELECT name FROM resource_token ORDER BY name"))
        assert [*names.scalars()] == ["code"] * len(told) + ["patient"] * len(told)
        indexes = {one["name"] for one in inspect(connection).get_indexes("resource_token")}
        assert indexes == {"ix_resource_token_site_id_name_value_system"}
    registry.close()
