"""Processes that write the same thing at once: the constraint decides, and one row is left."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from sqlalchemy import text

from fhirbridge.registry import Registry
from tests import databases

_PROCESSES = 4
_KEY = bytes(range(32))


def _keep(job: tuple[str, str]) -> tuple[str, bool]:
    url, site = job
    registry = Registry.open(url, key=_KEY)
    with registry.unit(site) as unit:
        message, fresh = unit.messages.keep("client:a", "bundle", "same", b"{}")
        unit.commit()
    registry.close()
    return message.id, fresh


def _save(job: tuple[str, str, str, int]) -> int:
    url, site, subject, number = job
    registry = Registry.open(url, key=_KEY)
    with registry.unit(site) as unit:
        record = unit.records.save(
            "record-1",
            subject_id=subject,
            form="lesion",
            key="1",
            fields={"size": number},
            mapping_version="1",
            actor="client:a",
            reason="race",
        )
        unit.commit()
    registry.close()
    return record.number


def _open(url: str) -> int:
    registry = Registry.open(url, key=_KEY)
    with registry.read() as unit:
        found = len(unit.sites.all())
    registry.close()
    return found


def test_a_message_sent_twice_at_once_is_kept_once(
    registry: Registry, alpha: str, url: str
) -> None:
    with multiprocessing.get_context("spawn").Pool(_PROCESSES) as pool:
        kept = pool.map(_keep, [(url, alpha)] * 16, chunksize=1)
    assert sum(fresh for _, fresh in kept) == 1
    assert len({id for id, _ in kept}) == 1


def test_revisions_of_one_record_are_numbered_without_gap(
    registry: Registry, alpha: str, url: str
) -> None:
    with registry.unit(alpha) as unit:
        subject = unit.subjects.enrol("S-1", [])
        unit.commit()
    jobs = [(url, alpha, subject.id, number) for number in range(16)]
    with multiprocessing.get_context("spawn").Pool(_PROCESSES) as pool:
        numbers = pool.map(_save, jobs, chunksize=1)
    assert sorted(numbers) == list(range(1, 17))
    with registry.read(alpha) as unit:
        revisions = unit.records.revisions("record-1")
        assert [revision.number for revision in revisions] == list(range(1, 17))
        olds = [revision.changes["size"][0] for revision in revisions]
        assert olds == [None, *(revision.changes["size"][1] for revision in revisions[:-1])]


def test_processes_that_make_the_database_together_agree(tmp_path: Path) -> None:
    url = databases.empty(tmp_path)
    with multiprocessing.get_context("spawn").Pool(_PROCESSES) as pool:
        assert pool.map(_open, [url] * 8, chunksize=1) == [0] * 8
    registry = Registry.open(url, key=_KEY)
    with registry.engine.connect() as connection:
        versions = connection.execute(text("SELECT version_num FROM alembic_version"))
        assert len(versions.all()) == 1
    registry.close()
