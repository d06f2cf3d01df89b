"""Rehearsals that nobody applies: their files are let go of. All data is synthetic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.sync import overdue
from fhirbridge.sync.sent_tables import Sent
from tests.sync import door
from tests.sync.door import Door

FILE = Sent("a.csv", b"study_id,assessed_on,pain_rest\nMBD-A-001,2026-03-01,3\n", "assessment")
OTHER = Sent("b.csv", b"study_id,assessed_on,pain_rest\nMBD-A-002,2026-03-01,3\n", "assessment")


class Clock:
    now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def here(tmp_path: Path, clock: Clock) -> Iterator[Door]:
    with door.opened(tmp_path, clock=clock) as made:
        yield made


def is_kept(here: Door, upload_id: str) -> bool:
    with here.registry.read(here.site_id) as unit:
        upload = unit.uploads.get(upload_id)
        assert upload is not None
        return bool(upload.body)


def refused(here: Door, upload_id: str) -> tuple[str, int]:
    with pytest.raises(BridgeError) as told:
        here.desk.apply(upload_id)
    issue = told.value.issues[0]
    return issue.category, issue.policy.status


def test_a_rehearsal_that_nobody_applies_is_let_go_of(here: Door, clock: Clock) -> None:
    upload = here.desk.rehearse(FILE).upload.id
    clock.now += timedelta(days=7, minutes=1)
    assert refused(here, upload) == ("gone", 410)  # also before anybody swept
    assert is_kept(here, upload)
    overdue.sweep_all(here.registry, 7)
    assert not is_kept(here, upload)
    assert refused(here, upload) == ("gone", 410)
    with here.registry.read(here.site_id) as unit:
        (event,) = [one for one in unit.trail.events() if one.event == "import.expire"]
    assert event.entities == {"uploads": [upload]}
    assert event.actor == "worker"


def test_the_next_rehearsal_of_the_site_sweeps(here: Door, clock: Clock) -> None:
    upload = here.desk.rehearse(FILE).upload.id
    clock.now += timedelta(days=8)
    here.desk.rehearse(OTHER)
    assert not is_kept(here, upload)


def test_rehearsed_anew_it_has_its_days_again(here: Door, clock: Clock) -> None:
    upload = here.desk.rehearse(FILE).upload.id
    clock.now += timedelta(days=8)
    assert here.desk.rehearse(FILE).upload.id == upload
    clock.now += timedelta(days=6)
    assert here.desk.apply(upload).counts["create"] == 1


def test_what_was_begun_is_kept_until_its_end(here: Door, clock: Clock) -> None:
    upload = here.desk.rehearse(FILE).upload.id
    with here.registry.unit(here.site_id) as unit:
        unit.uploads.begin(upload, by="somebody", reason="")
        unit.commit()
    clock.now += timedelta(days=30)
    overdue.sweep_all(here.registry, 7)
    assert here.desk.apply(upload).counts["create"] == 1
