"""Transactions: all or nothing, durable, and refused as 'later' where the database cannot."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fhirbridge.outcome import BridgeError
from fhirbridge.registry import Registry
from tests import databases


def _category(error: pytest.ExceptionInfo[BridgeError]) -> str:
    return error.value.issues[0].category


def test_leaving_without_commit_writes_nothing(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        unit.messages.keep("client:a", "bundle", "k", b"{}")
    with registry.unit(alpha) as unit:
        assert unit.messages.keep("client:a", "bundle", "k", b"{}")[1]


def test_an_exception_writes_nothing(registry: Registry, alpha: str) -> None:
    def fail() -> None:
        with registry.unit(alpha) as unit:
            unit.subjects.enrol("S-1", [])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with registry.read(alpha) as unit:
        assert unit.subjects.all() == []


def test_what_follows_a_commit_needs_its_own(registry: Registry, alpha: str) -> None:
    with registry.unit(alpha) as unit:
        unit.subjects.enrol("S-1", [])
        unit.commit()
        unit.subjects.enrol("S-2", [])
    with registry.read(alpha) as unit:
        assert [subject.study_id for subject in unit.subjects.all()] == ["S-1"]


def test_a_reading_unit_cannot_write(registry: Registry, alpha: str) -> None:
    with registry.read(alpha) as unit:
        with pytest.raises(DBAPIError, match=r"read-?only"):
            unit.subjects.enrol("S-1", [])
        with pytest.raises(ValueError, match="only reads"):
            unit.commit()
    with registry.unit(alpha) as unit:  # the same pooled connection writes again
        unit.subjects.enrol("S-1", [])
        unit.commit()


def test_a_reader_sees_one_view_while_a_writer_commits(registry: Registry, alpha: str) -> None:
    with registry.read(alpha) as reader:
        assert reader.subjects.all() == []
        with registry.unit(alpha) as writer:
            writer.subjects.enrol("S-1", [])
            writer.commit()
        assert reader.subjects.all() == []


def test_reopening_finds_what_was_kept(registry: Registry, url: str, key: bytes) -> None:
    with registry.unit() as unit:
        site = unit.sites.add("Alpha", unmatched="enrol")
        unit.commit()
    registry.close()
    again = Registry.open(url, key=key)
    with again.read() as unit:
        assert unit.sites.by_name("Alpha") == site
    again.close()


@pytest.mark.sqlite_only(reason="its pragmas")
@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 30_000)],
)
def test_sqlite_is_set_to_be_durable(registry: Registry, pragma: str, value: object) -> None:
    with registry.engine.connect() as connection:
        assert connection.execute(text(f"PRAGMA {pragma}")).scalar_one() == value


@pytest.mark.sqlite_only(reason="the file's mode")
def test_the_database_file_is_its_owners_alone(registry: Registry, tmp_path: Path) -> None:
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "store").iterdir()}
    assert modes == {0o600}


@pytest.mark.sqlite_only(reason="one writer at a time; rows are locked in test_postgresql.py")
def test_a_locked_database_is_transient(
    registry: Registry, alpha: str, url: str, key: bytes
) -> None:
    impatient = Registry.open(f"{url}?timeout=0.05", key=key)
    with registry.unit(alpha) as holder:
        with pytest.raises(BridgeError) as error, impatient.unit(alpha):
            pytest.fail("two writers at once")
        assert _category(error) == "transient"
        assert "nothing was stored" in error.value.issues[0].remedy
        with impatient.read(alpha) as reader:  # readers do not wait
            assert reader.subjects.all() == []
        holder.commit()
    with impatient.unit(alpha) as unit:
        unit.subjects.enrol("S-1", [])
        unit.commit()
    impatient.close()


@pytest.mark.sqlite_only(reason="only here a database can be told how large it may grow")
def test_a_full_database_is_transient_and_stores_nothing(registry: Registry, alpha: str) -> None:
    with registry.engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count={pages + 2}"))
    with registry.unit(alpha) as unit, pytest.raises(BridgeError) as error:
        unit.messages.keep("client:a", "bundle", "k", bytes(100_000))
    assert _category(error) == "transient"
    registry.close()
    with registry.unit(alpha) as unit:
        assert unit.messages.keep("client:a", "bundle", "k", bytes(100_000))[1]


@pytest.mark.sqlite_only(reason="the file is a folder")
def test_a_database_file_that_cannot_be_opened_is_told(
    registry: Registry, alpha: str, tmp_path: Path
) -> None:
    registry.close()
    (tmp_path / "store" / "registry.db").unlink()
    (tmp_path / "store" / "registry.db").mkdir()
    with pytest.raises(BridgeError) as error, registry.unit(alpha):
        pytest.fail("opened a folder")
    assert _category(error) == "transient"


@pytest.mark.parametrize("wrong", ["sqlite://", "sqlite:///:memory:", "mysql://host/x", "no url"])
def test_a_database_that_cannot_serve_is_refused(wrong: str, key: bytes) -> None:
    with pytest.raises(BridgeError) as error:
        Registry.open(wrong, key=key)
    assert _category(error) == "configuration"


def test_errors_do_not_show_values(registry: Registry, alpha: str) -> None:
    with registry.read(alpha) as unit, pytest.raises(DBAPIError) as error:
        unit.subjects.enrol("S-canary", [])
    assert "S-canary" not in str(error.value)


_HALF_DONE = """
import os, signal, sys
from fhirbridge.registry import Registry
registry = Registry.open(sys.argv[1], key=bytes(range(32)))
with registry.unit(sys.argv[2]) as unit:
    subject = unit.subjects.enrol("S-1", [("urn:mrn", "1")])
    message, fresh = unit.messages.keep("client:a", "bundle", "k", b"x" * 5_000_000)
    if sys.argv[3] == "after":
        unit.commit()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("when", "subjects"), [("before", 0), ("after", 1)])
def test_a_killed_process_leaves_all_or_nothing(
    registry: Registry, alpha: str, url: str, when: str, subjects: int
) -> None:
    command = [sys.executable, "-c", _HALF_DONE, url, alpha, when]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.getcwd()}, check=False)
    assert ended.returncode == -signal.SIGKILL
    with registry.unit(alpha) as unit:
        assert len(unit.subjects.all()) == subjects
        assert unit.messages.keep("client:a", "bundle", "k", b"")[1] is (subjects == 0)
    if not databases.on_postgresql():
        with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        raw.close()


def test_a_forked_child_makes_its_own_engine(registry: Registry, alpha: str) -> None:
    with registry.read(alpha) as unit:
        assert unit.subjects.all() == []
    parents = registry.engine
    child = os.fork()
    if child == 0:
        fresh = registry.engine is not parents
        with registry.unit(alpha) as unit:
            unit.subjects.enrol("S-child", [])
            unit.commit()
        os._exit(0 if fresh else 1)
    assert os.waitpid(child, 0)[1] == 0
    with registry.read(alpha) as unit:
        assert [subject.study_id for subject in unit.subjects.all()] == ["S-child"]
    assert registry.engine is parents
