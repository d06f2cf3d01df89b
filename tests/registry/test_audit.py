"""The audit trail: without it nothing is stored, it is only added to, and it shows tampering."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from fhirbridge.outcome import BridgeError
from fhirbridge.registry import Registry
from fhirbridge.registry.audit import Chain
from tests import databases

_KEY = bytes(range(32))


def note(registry: Registry, site: str, *events: str) -> None:
    with registry.unit(site, request_id="r-1") as unit:
        for event in events:
            unit.audit.note("U", event, actor="client:a", entities={"message": "m-1"})
        unit.commit()


def chain(registry: Registry, site: str) -> Chain:
    with registry.read(site) as unit:
        return unit.trail.chain()


def test_p7_events_are_told_in_order_and_without_gap(registry: Registry, alpha: str) -> None:
    note(registry, alpha, "push", "review")
    note(registry, alpha, "push")
    with registry.read(alpha) as unit:
        events = unit.trail.events()
        assert unit.trail.events(after=1, limit=1) == events[1:2]
    assert [(one.seq, one.event) for one in events] == [(1, "push"), (2, "review"), (3, "push")]
    assert [one.previous for one in events] == ["", events[0].hash, events[1].hash]
    assert {(one.actor, one.request_id, one.entities["message"]) for one in events} == {
        ("client:a", "r-1", "m-1")
    }
    assert chain(registry, alpha) == Chain(3, events[-1].hash)


def test_each_site_has_a_trail_of_its_own(registry: Registry, alpha: str, beta: str) -> None:
    note(registry, alpha, "push")
    note(registry, beta, "push")
    assert chain(registry, alpha).length == chain(registry, beta).length == 1
    assert chain(registry, alpha).head != chain(registry, beta).head
    with registry.unit(alpha) as unit, pytest.raises(ValueError, match="another site"):
        unit.audit.note("C", "push", actor="client:a", site_id=beta)
    with registry.unit() as unit, pytest.raises(BridgeError, match="without a site"):
        unit.audit.note("C", "push", actor="client:a")


def test_a_site_is_made_with_the_first_event_of_its_trail(registry: Registry) -> None:
    with registry.unit() as unit:
        made = unit.sites.add("Gamma")
        unit.audit.note("C", "site.add", actor="command line", site_id=made.id)
        unit.commit()
    assert chain(registry, made.id).length == 1


def test_what_is_not_committed_is_not_told(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        unit.audit.note("U", "push", actor="client:a")
    assert chain(registry, alpha) == Chain(0, "")


def test_u7_without_its_audit_nothing_is_stored(registry: Registry, alpha: str) -> None:
    with registry.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_head"))
    with registry.unit(alpha) as unit:
        unit.subjects.enrol("S-1", [])
        unit.audit.note("C", "enrol", actor="client:a")
        with pytest.raises(BridgeError, match="no beginning"):
            unit.commit()
    with registry.read(alpha) as unit:
        assert unit.subjects.all() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'nobody'",
        "UPDATE audit SET actor = 'nobody' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit",
    ],
)
def test_p7_the_trail_is_only_added_to(registry: Registry, alpha: str, statement: str) -> None:
    note(registry, alpha, "push", "push")
    with registry.engine.connect() as connection, pytest.raises(DBAPIError, match="only added to"):
        connection.execute(text(statement))


@pytest.mark.sqlite_only(reason="REPLACE is its own word")
def test_p7_nothing_of_the_trail_is_replaced(registry: Registry, alpha: str) -> None:
    note(registry, alpha, "push")
    with registry.engine.connect() as connection, pytest.raises(DBAPIError, match="only added to"):
        connection.execute(text("REPLACE INTO audit SELECT * FROM audit"))


@pytest.mark.postgresql_only
def test_p7_the_trail_is_not_truncated(registry: Registry, alpha: str) -> None:
    note(registry, alpha, "push")
    with registry.engine.connect() as connection, pytest.raises(DBAPIError, match="only added to"):
        connection.execute(text("TRUNCATE audit"))


@contextmanager
def _operator(registry: Registry) -> Iterator[Connection]:
    """Somebody with all rights in the database, who takes the triggers away."""
    with registry.engine.begin() as connection:
        if databases.on_postgresql():
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_not_changed"))
        else:
            for name in ("changed", "deleted", "replaced"):
                connection.execute(text(f"DROP TRIGGER audit_not_{name}"))
        yield connection


TAMPERED: dict[str, tuple[str, str]] = {
    "an edited actor": ("UPDATE audit SET actor = 'x' WHERE seq = 2", "event 2 was changed"),
    "an edited time": ("UPDATE audit SET at = replace(at, '2024', '2023') WHERE seq = 2", "event 2 was changed"),
    "an edited outcome": ("UPDATE audit SET outcome = 'failed' WHERE seq = 1", "event 1 was changed"),
    "edited entities": ("UPDATE audit SET entities = '{}' WHERE seq = 3", "event 3 was changed"),
    "an edited request": ("UPDATE audit SET request_id = NULL WHERE seq = 3", "event 3 was changed"),
    "a deleted event": ("DELETE FROM audit WHERE seq = 2", "event 2 is missing"),
    "the first one deleted": ("DELETE FROM audit WHERE seq = 1", "event 1 is missing"),
    "the last one deleted": ("DELETE FROM audit WHERE seq = 3", "the trail ends at event 2, its head at event 3"),
    "another site's event": ("UPDATE audit SET site_id = 'id-0002' WHERE site_id = 'id-0001' AND seq = 3", "the trail ends at event 2, its head at event 3"),
    "a broken link": ("UPDATE audit SET previous = hash WHERE seq = 2", "event 2 does not follow event 1"),
    "the head set back": ("UPDATE audit_head SET seq = 2", "the trail ends at event 3, its head at event 2"),
    "no head": ("DELETE FROM audit_head WHERE site_id = 'id-0001'", "the trail ends at event 3, its head nowhere"),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
def test_u8_the_first_broken_link_is_named(
    registry: Registry, alpha: str, beta: str, how: str
) -> None:
    note(registry, alpha, "push", "push", "push")
    statement, fault = TAMPERED[how]
    with _operator(registry) as connection:
        connection.execute(text(statement))
    assert chain(registry, alpha).fault == fault


def test_u8_a_chain_that_another_key_made_is_told(
    registry: Registry, alpha: str, url: str, key: bytes
) -> None:
    """Whoever has the database and not the key cannot chain it anew."""
    forger = Registry.open(url, key=bytes(32))
    note(forger, alpha, "push")
    forger.close()
    assert chain(registry, alpha).fault == "event 1 was changed"


def _note(job: tuple[str, str]) -> None:
    registry = Registry.open(job[0], key=_KEY)
    note(registry, job[1], "push", "push")
    registry.close()


def test_p7_processes_that_write_at_once_make_one_chain(
    registry: Registry, alpha: str, url: str
) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(_note, [(url, alpha)] * 16, chunksize=1)
    found = chain(registry, alpha)
    assert (found.length, found.fault) == (32, "")


def test_the_trail_costs_three_statements_a_commit(registry: Registry, alpha: str) -> None:
    asked: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(registry.engine, "before_cursor_execute", listen)
    note(registry, alpha, "push", "push", "push")
    assert len([one for one in asked if "audit" in one]) == 3
