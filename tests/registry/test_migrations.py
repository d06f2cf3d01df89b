"""The schema that migrations make is the schema that the code speaks, with data in it, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Inspector, create_engine, inspect, text

from fhirbridge.outcome import BridgeError
from fhirbridge.registry import Registry, database, tables
from fhirbridge.registry.smart import PublicKey
from tests import databases
from tests.registry import first_release
from tests.registry.filled import MRN

_NEWEST = ("tombstone", "crosswalk_line")  # tables of 0008


def test_migrations_make_the_tables_of_the_code(registry: Registry) -> None:
    with registry.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.site.metadata) == []


def test_a_table_more_or_less_would_be_noticed(registry: Registry) -> None:
    with registry.engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_origin_site_id_record_id"))
        found = compare_metadata(MigrationContext.configure(connection), tables.site.metadata)
        assert [step[0] for step in found] == ["add_index"]


def _foreign_keys(inspector: Inspector, table: str) -> set[tuple[Any, ...]]:
    return {
        (*key["constrained_columns"], key["referred_table"], key["options"].get("initially"))
        for key in inspector.get_foreign_keys(table)
    }


def test_foreign_keys_and_their_deferral_are_equal_too(registry: Registry) -> None:
    inspector, deferred = inspect(registry.engine), 0
    for table in tables.site.metadata.sorted_tables:
        wanted = {
            (*key.column_keys, key.referred_table.name, key.initially)
            for key in table.foreign_key_constraints
        }
        assert _foreign_keys(inspector, table.name) == wanted
        deferred += sum(key[-1] == "DEFERRED" for key in wanted)
    assert deferred > 0


@pytest.fixture
def old(tmp_path: Path) -> str:
    """The URL of a database that the first release left, with rows in every table."""
    return first_release.made(tmp_path / "old")


def test_upgrading_from_the_first_release_loses_nothing(old: str, key: bytes) -> None:
    told = first_release.rows()
    assert all(told.values())
    version = told.pop("alembic_version")
    assert version == [{"version_num": first_release.REVISION}]
    registry = Registry.open(old, key=key)
    found = first_release.stored(registry.engine, told)
    assert first_release.ordered(found) == first_release.ordered(told)
    with registry.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.site.metadata) == []
    registry.close()


def test_an_upgraded_database_works(old: str, key: bytes) -> None:
    registry = Registry.open(old, key=key)
    with registry.read() as unit:
        alpha, beta = unit.sites.all()
        mirth = unit.clients.find("fb_id-0001")
        assert (mirth.site_id, mirth.scopes) == (alpha.id, None) if mirth else pytest.fail("gone")
        assert unit.clients.find("fb_gone") is None
    for site in (alpha, beta):
        with registry.unit(site.id) as unit:
            subject = unit.subjects.by_identity(*MRN)
            assert subject is not None
            (record,) = unit.records.all(subject_id=subject.id)
            (origin,) = unit.origins.of_record(record.id)
            assert unit.origins.records(origin.id) == [record.id]
            assert [one.number for one in unit.records.revisions(record.id)] == [1, 2]
            found = unit.resources.search("Condition", tokens=[("code", [(None, "c1")])], count=9)
            assert [row.record_id for row in found] == [record.id]
            signer = unit.signers.add(
                "new", scopes="system/*.rs", keys=[PublicKey("k", "ES384", {})]
            )
            assert unit.signers.find(signer, "k") is not None
            unit.audit.note("C", "client.add", actor="test")
            unit.commit()
        with registry.read(site.id) as unit:
            assert (unit.trail.chain().length, unit.trail.chain().fault) == (1, "")
    with registry.read(alpha.id) as unit:
        assert unit.connections.by_name("sealed").secret == "synthetic-token"
    registry.close()


@pytest.mark.sqlite_only(reason="the dump is SQLite's")
def test_the_first_migration_makes_what_the_first_release_made(tmp_path: Path, old: str) -> None:
    engines = [create_engine(old), database.engine(database.address(databases.empty(tmp_path)))]
    database.upgrade(engines[1], to=first_release.REVISION)
    told = []
    for engine in engines:
        with engine.connect() as connection:
            made = connection.execute(text("SELECT sql FROM sqlite_master WHERE sql > ''"))
            told.append({" ".join(sql.split()) for sql in made.scalars()})
        engine.dispose()
    assert told[0] == told[1]


def test_a_failing_upgrade_leaves_the_database_as_it_was(key: bytes, tmp_path: Path) -> None:
    url = databases.empty(tmp_path)
    engine = create_engine(url)
    with engine.begin() as foreign:
        foreign.execute(text("CREATE TABLE delivery (id TEXT)"))  # in the way of the last table
    with pytest.raises(Exception, match="delivery"):
        Registry.open(url, key=key)
    assert inspect(engine).get_table_names() == ["delivery"]
    engine.dispose()


def test_a_database_of_a_newer_version_is_refused(registry: Registry, url: str, key: bytes) -> None:
    with registry.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    registry.close()
    with pytest.raises(BridgeError, match="newer version"):
        Registry.open(url, key=key)
