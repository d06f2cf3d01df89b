"""Versions: what was overwritten is kept as it was, and each knows the revision that made it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, func, select

from fhirbridge.registry import Registry, Unit
from fhirbridge.registry.columns import stamp
from fhirbridge.registry.history_tables import resource_version
from tests.registry.filled import put, save


@pytest.fixture
def unit(registry: Registry, alpha: str) -> Iterator[Unit]:
    """A unit with the records r0 and r1 of one subject, and a message k-1 of theirs."""
    with registry.unit(alpha) as made:
        subject = made.subjects.enrol("S-1", [])
        for number in range(2):
            save(made, f"r{number}", subject.id, {"size": 1}, key=str(number))
        yield made


def sized(unit: Unit, size: str, **more: Any) -> Any:
    body = {"resourceType": "Condition", "id": "f0", "size": Decimal(size)}
    return put(unit, "r0", "f0", body=body, **more)


def test_every_version_is_found_as_it_was(unit: Unit) -> None:
    made = [sized(unit, size) for size in ("1.0", "1.00", "2")]
    gone = unit.resources.mark_deleted("Condition", "f0")
    made += [gone, sized(unit, "3")]
    assert [row.version for row in made] == [1, 2, 3, 4, 5]
    assert [unit.history.get("Condition", "f0", n) for n in range(1, 6)] == made
    assert [str(row.body["size"]) for row in made] == ["1.0", "1.00", "2", "2", "3"]
    for unknown in (0, 6):
        assert unit.history.get("Condition", "f0", unknown) is None
    assert unit.history.get("Observation", "f0", 1) is None


def test_the_history_goes_from_the_newest_back(unit: Unit) -> None:
    made = [sized(unit, str(size)) for size in range(1, 6)]
    put(unit, "r1", "f1")
    versions = unit.history.of_resource
    assert versions("Condition", "f0", count=9) == made[::-1]
    assert versions("Condition", "f0", count=2) == made[:2:-1]
    assert versions("Condition", "f0", count=2, below=4) == made[2:0:-1]
    assert versions("Condition", "f0", count=9, below=1) == []
    since = stamp(made[2].last_updated)
    assert versions("Condition", "f0", count=9, since=since) == made[:1:-1]
    assert unit.history.total("Condition", "f0") == 5
    assert unit.history.total("Condition", "f0", since=since) == 3


def test_a_version_knows_the_revision_that_made_it(registry: Registry, unit: Unit) -> None:
    record = unit.records.get("r0")
    assert record is not None
    message, _ = unit.messages.keep("client:a", "bundle", "k-1", b"{}")
    again = save(
        unit, "r0", record.subject_id, {"size": 2}, key="0", message_id=message.id, actor="client:b"
    )
    first, second = sized(unit, "1", revision=1), sized(unit, "2", revision=again.number)
    unknown = put(unit, "r1", "f1")
    makings = unit.history.makings([first, second, unknown])
    assert set(makings) == {("r0", 1), ("r0", 2)}
    told = [(makings["r0", n].actor, makings["r0", n].message_id) for n in (1, 2)]
    assert told == [("client:a", None), ("client:b", message.id)]
    assert unit.history.get("Condition", "f0", 1) == first
    assert unit.history.makings([unknown]) == {}


def test_a_first_write_and_equal_content_cost_nothing_more(registry: Registry, unit: Unit) -> None:
    """No statement about the history, until something is overwritten."""
    told: list[str] = []
    event.listen(registry.engine, "before_cursor_execute", lambda *a: told.append(a[2]))
    sized(unit, "1")
    sized(unit, "1")
    assert not [sql for sql in told if "resource_version" in sql]
    sized(unit, "2")
    assert len([sql for sql in told if "resource_version" in sql]) == 1


def test_what_is_not_committed_leaves_no_version(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        subject = unit.subjects.enrol("S-1", [])
        save(unit, "r0", subject.id, {})
        sized(unit, "1")
        unit.commit()
    with registry.unit(alpha) as unit:
        sized(unit, "2")
    with registry.engine.connect() as connection:
        counted = select(func.count()).select_from(resource_version)
        assert connection.execute(counted).scalar_one() == 0
