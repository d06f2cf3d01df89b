"""Two messages about one person at the same time: the second waits, and nothing of either is lost.

SQLite lets one transaction write at a time; PostgreSQL takes a lock for each subject.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirbridge.formats import fhir_json
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.ingest import Incoming, ingest
from tests.sync.ward import Ward, patient
from tests.web.sender import Resource, bundle, score

pytestmark = pytest.mark.postgresql_only


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Ward.open(tmp_path, patient()) as made:
        made.enrol()
        yield made


def take(ward: Ward, unit: Unit, name: str, *resources: Resource) -> list[str]:
    body = fhir_json.dump(bundle(*resources))
    done = ingest(unit, ward.hospital.mappings, Incoming("client:a", "push/Bundle", name, body))
    return [entry.fate for entry in done.receipt.entries]


def beside(ward: Ward, name: str, *resources: Resource) -> tuple[threading.Thread, list[str]]:
    """A second message, taken while the first is not committed yet."""
    fates: list[str] = []

    def run() -> None:
        with ward.registry.unit(ward.site_id) as unit:
            fates.extend(take(ward, unit, name, *resources))
            unit.commit()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(0.5)
    return thread, fates


@pytest.mark.parametrize("there_before", [False, True])
def test_two_messages_about_one_record_lose_no_field(ward: Ward, there_before: bool) -> None:
    if there_before:
        with ward.registry.unit(ward.site_id) as unit:
            take(ward, unit, "zero", score(2, word="pain-nrs-rest", id="o2"))
            unit.commit()
    with ward.registry.unit(ward.site_id) as unit:
        assert take(ward, unit, "one", score(4, word="pain-nrs-activity", id="o1")) == ["applied"]
        thread, fates = beside(ward, "two", score(3, word="pain-nrs-rest", id="o2"))
        assert thread.is_alive()
        unit.commit()
    thread.join()
    assert fates == ["applied"]
    with ward.registry.read(ward.site_id) as unit:
        (record,) = unit.records.all("assessment")
        numbers = [one.number for one in unit.records.revisions(record.id)]
    assert (record.fields["pain_activity"], record.fields["pain_rest"]) == (4, 3)
    assert numbers == list(range(1, record.number + 1))


def test_a_message_about_somebody_else_does_not_wait(ward: Ward) -> None:
    ward.enrol("S-2", "4712")
    other = {"subject": {"identifier": {"system": "urn:oid:2.999.4", "value": "4712"}}}
    with ward.registry.unit(ward.site_id) as unit:
        take(ward, unit, "one", score(4, id="o1"))
        thread, fates = beside(ward, "two", score(3, id="o2", **other))
        thread.join(10)
        assert fates == ["applied"]
        unit.commit()
