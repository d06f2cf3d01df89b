"""What only PostgreSQL does: locks of rows, deadlocks, snapshots, and texts that it cannot hold."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import make_url, text

from fhirbridge.outcome import BridgeError
from fhirbridge.registry import Registry, Unit
from tests.registry.filled import save

pytestmark = pytest.mark.postgresql_only


def _subject(registry: Registry, site: str, *records: str) -> str:
    with registry.unit(site) as unit:
        subject = unit.subjects.enrol("S-1", []).id
        for name in records:
            save(unit, name, subject, {"size": 0}, key=name)
        unit.commit()
    return subject


def _impatient(url: str, key: bytes) -> Registry:
    """It waits a twentieth of a second for a lock."""
    told = make_url(url).update_query_dict({"options": "-c lock_timeout=50"})
    return Registry.open(told.render_as_string(), key=key)


def test_a_lock_is_waited_for_as_long_as_on_sqlite(registry: Registry) -> None:
    with registry.engine.connect() as connection:
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "30s"


def test_a_locked_row_is_transient_and_another_row_is_free(
    registry: Registry, alpha: str, url: str, key: bytes
) -> None:
    subject = _subject(registry, alpha, "r-1", "r-2")
    impatient = _impatient(url, key)
    with registry.unit(alpha) as holder:
        save(holder, "r-1", subject, {"size": 1}, key="r-1")
        with impatient.unit(alpha) as unit:
            save(unit, "r-2", subject, {"size": 2}, key="r-2")
            with pytest.raises(BridgeError) as error:
                save(unit, "r-1", subject, {"size": 2}, key="r-1")
        assert error.value.issues[0].category == "transient"
    impatient.close()


def test_a_row_that_points_at_a_locked_record_does_not_wait(
    registry: Registry, alpha: str, url: str, key: bytes
) -> None:
    """A foreign key is looked up under FOR KEY SHARE, which FOR UPDATE would hold up."""
    subject = _subject(registry, alpha, "r-1")
    impatient = _impatient(url, key)
    with registry.unit(alpha) as holder:
        save(holder, "r-1", subject, {"size": 1}, key="r-1")
        with impatient.unit(alpha) as unit:
            waits = {"value": 1, "status": "waiting", "mapping_version": "m"}
            unit.proposals.add("r-1", "size", **waits)  # type: ignore[arg-type]
            unit.commit()
    impatient.close()


def _together(*jobs: Callable[[], None]) -> list[BridgeError]:
    faults: list[BridgeError] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BridgeError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def test_of_two_that_block_each_other_one_is_told_to_come_again(
    registry: Registry, alpha: str
) -> None:
    subject = _subject(registry, alpha, "r-1", "r-2")
    meeting = threading.Barrier(2)

    def writing(first: str, second: str, size: int) -> Callable[[], None]:
        def job() -> None:
            with registry.unit(alpha) as unit:
                save(unit, first, subject, {"size": size}, key=first)
                meeting.wait(timeout=10)
                save(unit, second, subject, {"size": size}, key=second)
                unit.commit()

        return job

    faults = _together(writing("r-1", "r-2", 1), writing("r-2", "r-1", 2))
    assert [fault.issues[0].category for fault in faults] == ["transient"]
    with registry.read(alpha) as unit:
        sizes = {name: unit.records.get(name) for name in ("r-1", "r-2")}
        assert len({record.fields["size"] for record in sizes.values() if record}) == 1


def test_p7_a_commit_waits_for_the_end_of_the_trail(registry: Registry, alpha: str) -> None:
    def second() -> None:
        with registry.unit(alpha) as unit:
            unit.audit.note("U", "push", actor="client:b")
            unit.commit()

    with registry.unit(alpha) as unit:
        unit.audit.note("U", "push", actor="client:a")
        unit.audit.flush()  # as its commit does; from here the end of the trail is locked
        other = threading.Thread(target=second)
        other.start()
        other.join(timeout=0.3)
        assert other.is_alive()
        unit.commit()
    other.join(timeout=10)
    with registry.read(alpha) as reader:
        assert [one.actor for one in reader.trail.events()] == ["client:a", "client:b"]
        assert reader.trail.chain().fault == ""


def test_a_text_with_nul_is_refused_and_not_a_defect(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit, pytest.raises(BridgeError) as error:
        unit.subjects.enrol("S-\0canary", [])
    assert error.value.issues[0].category == "value"
    assert "canary" not in str(error.value)


def test_a_server_that_is_gone_is_transient(registry: Registry, alpha: str, url: str) -> None:
    """Sessions that an operator ends, as a restart does."""
    with registry.unit(alpha) as unit:
        with psycopg.connect(make_url(url).render_as_string().replace("+psycopg", "")) as operator:
            operator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with pytest.raises(BridgeError) as error:
            unit.subjects.enrol("S-1", [])
    assert error.value.issues[0].category == "transient"
    with registry.read(alpha) as unit:  # the pool finds out and connects anew
        assert unit.subjects.all() == []


def _names(unit: Unit) -> list[str]:
    return [subject.study_id for subject in unit.subjects.all()]


def test_a_reader_that_begins_with_nothing_still_has_one_view(
    registry: Registry, alpha: str
) -> None:
    """The snapshot is taken at the first statement, not at BEGIN."""
    with registry.read(alpha) as reader:
        with registry.unit(alpha) as writer:
            writer.subjects.enrol("S-1", [])
            writer.commit()
        assert _names(reader) == ["S-1"]
        with registry.unit(alpha) as writer:
            writer.subjects.enrol("S-2", [])
            writer.commit()
        assert _names(reader) == ["S-1"]


def test_every_text_is_compared_by_its_bytes(registry: Registry) -> None:
    told = text(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = "
        "'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
    )
    with registry.engine.connect() as connection:
        assert connection.execute(told).all() == []
