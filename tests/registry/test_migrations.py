"""The schema that migrations make is the schema that the code speaks, with data in it, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Inspector, create_engine, inspect, text

from fhirbridge.outcome import BridgeError
from fhirbridge.registry import Registry, tables
from fhirbridge.registry.smart import PublicKey
from tests import databases
from tests.registry.filled import MRN, furnish


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


def test_upgrading_a_database_with_data_keeps_it(registry: Registry, url: str, key: bytes) -> None:
    with registry.unit() as unit:
        site = unit.sites.add("Alpha")
        unit.commit()
    with registry.unit(site.id) as unit:
        house = furnish(unit)
        unit.commit()
    with registry.engine.begin() as connection:  # as the first release had it
        for table in ("origin_record", "access_token", "assertion_seen", "client_key"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("ALTER TABLE client DROP COLUMN scopes"))
        for column in ("subject_id", "answer"):
            connection.execute(text(f"ALTER TABLE receipt_entry DROP COLUMN {column}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        led = text("UPDATE origin SET record_id = :record")
        connection.execute(led, {"record": house.record.id})
    registry.close()
    again = Registry.open(url, key=key)
    with again.read(site.id) as unit:
        assert unit.subjects.by_identity(*MRN) == house.subject
        assert unit.origins.records(house.origin.id) == [house.record.id]
        assert unit.origins.of_record(house.record.id) == [house.origin]
        assert ("mirth", None) in [(one.name, one.scopes) for one in unit.clients.all()]
    with again.unit(site.id) as unit:
        signer = unit.signers.add("new", scopes="system/*.rs", keys=[PublicKey("k", "ES384", {})])
        assert unit.signers.find(signer, "k") is not None
    again.close()


def test_a_database_of_the_second_version_takes_signing_clients(
    registry: Registry, url: str, key: bytes, alpha: str
) -> None:
    with registry.unit(alpha) as unit:
        unit.clients.add("mirth", prefix="p1", secret_hash="h")
        unit.commit()
    with registry.engine.begin() as connection:
        for table in ("access_token", "assertion_seen", "client_key"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("ALTER TABLE client DROP COLUMN scopes"))
        for column in ("subject_id", "answer"):
            connection.execute(text(f"ALTER TABLE receipt_entry DROP COLUMN {column}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    registry.close()
    again = Registry.open(url, key=key)
    with again.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.site.metadata) == []
    with again.read() as unit:
        found = unit.clients.find("p1")
        assert found is not None
        assert (found.name, found.scopes) == ("mirth", None)
    again.close()


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
