"""After every scenario: the ledger ties, and the registry is what the hospital holds.

Counted in three ways: the receipts of all messages, the sandbox's own ledger of writes, and a
second registry that pulls the same hospital once, in full and without a fault.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from fhirbridge.registry.store import Registry
from fhirbridge.sync.accept import Context
from fhirbridge.sync.enrol import enrol
from fhirbridge.sync.ingest import FATES
from fhirbridge.sync.offered import wanted
from fhirbridge.sync.pull import Pull
from tests import databases
from tests.sync.ward import Ward, joined


def ledger_ties(ward: Ward) -> None:
    """Every message has a receipt, and each of its entries one fate."""
    with ward.registry.read(ward.site_id) as unit:
        for one in unit.ledger.messages(limit=10_000):
            assert one.receipt_id is not None
            counts = {fate: one.counts.get(fate, 0) for fate in FATES}
            assert one.counts["received"] == sum(counts.values())
            assert Counter(one.entries) == +Counter(counts)


def nothing_of_others(ward: Ward, *others: str) -> None:
    with ward.registry.read(ward.site_id) as unit:
        for message in unit.traces.messages():
            for id in others:
                assert f"Patient/{id}".encode() not in message.body
                assert f'"{id}"'.encode() not in message.body


def is_what_the_hospital_holds(ward: Ward, *patients: str) -> None:
    """By the sandbox's ledger: each resource of these Patients was read in its last version, or
    waits; nothing of what was deleted is still in a record."""
    truth, deleted = ward.sandbox.ledger.truth(), ward.sandbox.ledger.deleted
    types = wanted(ward.hospital.mappings)
    source = ward.hospital.source
    with ward.registry.read(ward.site_id) as unit:
        waits = {(h.resource_type, h.source_id) for h in unit.quarantine.waiting(limit=10_000)}
        for resource in ward.sandbox.resources():
            kind, id = resource["resourceType"], resource["id"]
            of = resource.get("subject", {}).get("reference", "").partition("/")[2]
            if kind not in types or of not in patients or (kind, id) in waits:
                continue
            origin = unit.origins.find(source, kind, id)
            assert origin is not None, f"{kind}/{id} was missed"
            assert origin.sha256 == truth[f"{kind}/{id}"], f"{kind}/{id} is not the last version"
        for path in deleted:
            kind, _, id = path.partition("/")
            gone = unit.origins.find(source, kind, id)
            if gone is not None and kind != "Patient":
                assert unit.origins.records(gone.id) == [], f"{path} was deleted and counts still"
                assert (kind, id) not in waits, f"{path} was deleted and waits still"


def told(ward: Ward) -> dict[tuple[str, str, str], Any]:
    with ward.registry.read(ward.site_id) as unit:
        return _told(unit)


def _told(unit: Any) -> dict[tuple[str, str, str], Any]:
    names = {subject.id: subject.study_id for subject in unit.subjects.all()}
    return {
        (names[one.subject_id], one.form, one.key): dict(one.fields)
        for one in unit.records.all()
        if one.status == "active"
    }


def is_what_a_first_pull_finds(ward: Ward, folder: Path) -> None:
    """A second registry with the same enrolments pulls in full; the faults are over."""
    ward.sandbox.recover()
    folder.mkdir()
    registry = Registry.open(databases.url(folder), key=b"k" * 32)
    try:
        other = joined(registry, "alpha", ward.hospital.base)
        with ward.registry.read(ward.site_id) as unit:
            people = [(s.study_id, unit.subjects.identities(s.id)) for s in unit.subjects.all()]
        with registry.unit(other.site.id) as unit:
            for study_id, identities in people:
                enrol(Context(unit, other.mappings, "", "test"), study_id, identities)
            unit.commit()
        Pull(other, 100).run()
        with registry.read(other.site.id) as unit:
            expected = _told(unit)
        other.server.close()
    finally:
        registry.close()
    ours = {key: fields for key, fields in told(ward).items() if key[1] != "subject"}
    theirs = {key: fields for key, fields in expected.items() if key[1] != "subject"}
    assert ours == theirs, f"{ours} is not {theirs}"


def holds(ward: Ward, folder: Path, *patients: str) -> None:
    ledger_ties(ward)
    is_what_the_hospital_holds(ward, *patients)
    is_what_a_first_pull_finds(ward, folder / "second")
