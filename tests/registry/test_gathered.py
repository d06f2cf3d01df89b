"""What a unit has gathered is there for whoever asks, and gone with what is undone."""

from __future__ import annotations

import pytest
from sqlalchemy import event, text

from fhirbridge.outcome import BridgeError
from fhirbridge.registry import Registry, Unit
from fhirbridge.registry.records import Name
from tests.registry.filled import put, save


@pytest.fixture
def subject(registry: Registry, alpha: str) -> str:
    with registry.unit(alpha) as unit:
        made = unit.subjects.enrol("S-1", []).id
        unit.commit()
    return made


def foresee(unit: Unit, subject: str) -> None:
    unit.foresee({Name(subject, "lesion", "1"): "r-1"})


def fail_after_saving(unit: Unit, subject: str) -> None:
    with unit.attempt():
        save(unit, "r-1", subject, {"size": 1})
        unit.proposals.add("r-1", "size", value=1, status="accepted", mapping_version="m")
        raise RuntimeError


def test_what_is_gathered_is_there_for_the_next_read(
    registry: Registry, alpha: str, subject: str
) -> None:
    with registry.unit(alpha) as unit:
        foresee(unit, subject)
        save(unit, "r-1", subject, {"size": 1})
        assert [one.id for one in unit.records.all()] == ["r-1"]
        assert [one.number for one in unit.records.revisions("r-1")] == [1]


def test_a_record_saved_often_is_written_once_with_every_revision(
    registry: Registry, alpha: str, subject: str
) -> None:
    written: list[str] = []
    with registry.unit(alpha) as unit:
        foresee(unit, subject)
        event.listen(
            registry.engine, "before_cursor_execute", lambda *given: written.append(given[2])
        )
        for size in range(4):
            save(unit, "r-1", subject, {"size": size})
        unit.proposals.add("r-1", "size", value=3, status="accepted", mapping_version="m")
        put(unit, "r-1", "f-1")
        unit.commit()
    first = [one.split()[:3] for one in written if one.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert len(first) == 5  # record, revision, proposal, resource, token
    with registry.read(alpha) as unit:
        record = unit.records.get("r-1")
        assert record is not None
        assert (record.number, record.fields) == (4, {"size": 3})
        assert [one.number for one in unit.records.revisions("r-1")] == [1, 2, 3, 4]


def test_a_stored_record_is_overwritten_once_and_its_resource_gets_a_version(
    registry: Registry, alpha: str, subject: str
) -> None:
    with registry.unit(alpha) as unit:
        save(unit, "r-1", subject, {"size": 0})
        put(unit, "r-1", "f-1")
        unit.commit()
    with registry.unit(alpha) as unit:
        foresee(unit, subject)
        unit.resources.know(["r-1"])
        for size in (1, 2):
            save(unit, "r-1", subject, {"size": size})
        for tokens in ([("code", "urn:s", "c2")], [("code", "urn:s", "c3")]):
            put(
                unit,
                "r-1",
                "f-1",
                tokens=tokens,
                body={"resourceType": "Condition", "id": tokens[0][2]},
            )
        unit.commit()
    with registry.read(alpha) as unit:
        (row,) = unit.resources.of_record("r-1")
        record = unit.records.get("r-1")
        assert record is not None
        assert (record.number, row.version) == (3, 3)
        found = [
            len(unit.resources.search("Condition", tokens=[("code", [("urn:s", code)])], count=5))
            for code in ("c1", "c2", "c3")
        ]
        assert found == [0, 0, 1]


def test_what_was_gathered_in_an_attempt_is_undone_with_it(
    registry: Registry, alpha: str, subject: str
) -> None:
    with registry.unit(alpha) as unit:
        foresee(unit, subject)
        with pytest.raises(RuntimeError):
            fail_after_saving(unit, subject)
        assert unit.records.find(subject, "lesion", "1") is None
        assert unit.proposals.accepted("r-1") == {}
        assert save(unit, "r-1", subject, {"size": 2}).number == 1
        unit.commit()
    with registry.read(alpha) as unit:
        assert len(unit.records.revisions("r-1")) == 1


def test_what_another_statement_changed_is_not_known_any_more(
    registry: Registry, alpha: str, subject: str
) -> None:
    with registry.unit(alpha) as unit:
        save(unit, "r-1", subject, {"size": 1})
        made = unit.proposals.add("r-1", "size", value=1, status="waiting", mapping_version="m")
        foresee(unit, subject)
        assert [one.id for one in unit.proposals.waiting("r-1")] == [made.id]
        unit.proposals.set_status(made.id, "refused")
        assert unit.proposals.waiting("r-1") == []


@pytest.mark.postgresql_only
def test_a_record_that_somebody_else_changed_meanwhile_is_a_collision(
    registry: Registry, alpha: str, subject: str
) -> None:
    with registry.unit(alpha) as unit:
        save(unit, "r-1", subject, {"size": 0})
        unit.commit()
    with registry.unit(alpha) as late:
        foresee(late, subject)
        with registry.unit(alpha) as unit:
            save(unit, "r-1", subject, {"size": 1})
            unit.commit()
        save(late, "r-1", subject, {"size": 2})
        with pytest.raises(BridgeError) as error:
            late.commit()
    assert error.value.issues[0].category == "transient"


@pytest.mark.sqlite_only(reason="its planner is told what PostgreSQL finds out by itself")
def test_a_token_is_looked_up_by_its_value_and_not_by_its_site(registry: Registry) -> None:
    asked = (
        "EXPLAIN QUERY PLAN SELECT resource_id, system, value FROM resource_token"
        " WHERE site_id = 'a' AND name = 'identifier' AND value IN ('b', 'c', 'd')"
    )
    with registry.engine.connect() as connection:
        (plan,) = connection.execute(text(asked))
    assert "(site_id=? AND name=? AND value=?)" in plan[3]
