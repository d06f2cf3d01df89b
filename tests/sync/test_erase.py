"""Erasure: canaries are planted wherever a person can come to rest, and none is found afterwards.

Persons and values are made up.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError
from fhirbridge.registry import tables
from fhirbridge.registry.erasures import _OF_ORIGINS, _OF_RECORDS, _OF_RESOURCES, _OF_SUBJECT
from fhirbridge.registry.receipts import Receipt
from fhirbridge.sync import verify
from fhirbridge.sync.accept import Context
from fhirbridge.sync.enrol import enrol
from fhirbridge.sync.erase import Erased, erase
from fhirbridge.sync.ingest import Incoming, ingest, work_off
from tests.sync.test_consent import consent, everything, fates, message
from tests.sync.ward import Ward, chart, patient
from tests.web.sender import concept, lesion, person, score, whose

STUDY_ID, NUMBER, ID = "ZEISIG-STUDY", "ZEISIG-NUMBER", "ZEISIG-ID"
TEXT = "Zeisig Canary"
SIGNS = ("zeisig", TEXT.lower())


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    people = (patient(NUMBER, f"{ID}-p"), patient("4712", "p2"))
    named = {**people[0], "name": [{"family": TEXT}], "address": [{"city": TEXT}]}
    theirs = chart(f"{ID}-c1", 2, patient=f"{ID}-p", note=[{"text": TEXT}])
    with Ward.open(tmp_path, named, people[1], theirs, chart("c2", patient="p2")) as made:
        made.enrol(STUDY_ID, NUMBER)
        made.enrol("S-2", "4712")
        yield made


def mine(**more: Any) -> dict[str, Any]:
    return {"subject": whose(NUMBER), "note": [{"text": TEXT}], "id": f"{ID}-o", **more}


def push_raw(ward: Ward, kind: str, key: str, body: bytes) -> Receipt:
    with ward.registry.unit(ward.site_id) as unit:
        receipt = ingest(unit, ward.hospital.mappings, Incoming("client:engine", kind, key, body))
        unit.commit()
    return receipt.receipt


def plant(ward: Ward) -> dict[str, Receipt]:
    """In messages, records, revisions, proposals, quarantine, receipts, origins, resources, pulls
    and deliveries; and beside them another person's."""
    told = {
        "alone": ward.push(score(5, **mine())),
        "corrected": ward.push(score(6, **mine())),
        "lesion": ward.push(lesion(**mine(identifier=[{"system": "urn:x", "value": ID}]))),
        "mixed": ward.push(
            score(4, **mine(id=f"{ID}-2")), score(3, id="o2", subject=whose("4712"))
        ),
        "disputed": ward.push(score(9, **mine(id=f"{ID}-3")), source="client:other"),
        "held": ward.push(score(1, **mine(id=f"{ID}-4", code=concept("urn:oid:2.999.9", TEXT)))),
        "person": ward.push(
            {**person(NUMBER, id=f"{ID}-q"), "name": [{"family": TEXT}], "birthDate": "1950-02-03"}
        ),
        "consent": ward.push(consent("active", NUMBER)),
    }
    key = fhir_json.dump(score(7, **mine(id=f"{ID}-5")))
    told["key"] = push_raw(ward, "push/Observation", f"key-{ID}", key)
    broken = f'{{"resourceType": "Patient", "identifier": [{{"value": "{NUMBER}"}}, {TEXT}'
    told["broken"] = push_raw(ward, "push/Patient", "b", broken.encode())
    wrong = fhir_json.dump(score(7, **mine(status=TEXT)))
    told["wrong"] = push_raw(ward, "push/Observation", "w", wrong)
    ward.pull()
    ward.deliver()
    return told


def erased(ward: Ward) -> Erased:
    with ward.registry.unit(ward.site_id) as unit:
        subject = unit.subjects.by_study_id(STUDY_ID)
        assert subject is not None
        made = erase(unit, ward.hospital.mappings, subject, actor="person:it")
        unit.commit()
    ward.registry.compact()
    return made


def others(ward: Ward) -> list[Any]:
    with ward.registry.read(ward.site_id) as unit:
        subject = unit.subjects.by_study_id("S-2")
        assert subject is not None
        found = unit.records.all(subject_id=subject.id)
        return [
            (one, unit.records.revisions(one.id), unit.resources.of_record(one.id)) for one in found
        ]


def counts(ward: Ward) -> list[Any]:
    with ward.registry.engine.connect() as connection:
        rows = "SELECT counts FROM receipt ORDER BY id"
        fates_ = "SELECT receipt_id, position, part, fate FROM receipt_entry ORDER BY 1, 2, 3"
        return [connection.exec_driver_sql(sql).fetchall() for sql in (rows, fates_)]


def test_nothing_of_an_erased_person_is_found_in_the_store(ward: Ward, tmp_path: Path) -> None:
    told = plant(ward)
    before = everything(ward).lower()
    assert all(sign in before for sign in SIGNS), "the canaries were planted"
    kept, tied = others(ward), counts(ward)
    made = erased(ward)
    after = everything(ward).lower()
    assert [line for line in after.splitlines() if any(sign in line for sign in SIGNS)] == []
    files = b"".join(file.read_bytes() for file in tmp_path.glob("registry.db*")).lower()
    assert [sign for sign in SIGNS if sign.encode() in files] == []
    assert others(ward) == kept, "what is of others stays as it was"
    assert counts(ward) == tied, "the ledgers still tie"
    assert made.rows["record"] >= 3
    assert made.rows["subject"] == 1
    assert message(ward, told["broken"]).state == "erased"
    assert message(ward, told["mixed"]).state == "redacted"


def test_what_was_delivered_is_listed(ward: Ward) -> None:
    plant(ward)
    there = {f"{one['resourceType']}/{one['id']}" for one in ward.there() if "meta" in one}
    made = erased(ward)
    assert made.delivered
    assert {one.connection for one in made.delivered} == {"ward"}
    assert {f"{one.type}/{one.remote_id}" for one in made.delivered} <= there


def test_a_push_again_stays_refused_and_nothing_of_it_is_kept(ward: Ward) -> None:
    plant(ward)
    erased(ward)
    url = {"reference": f"Patient/{ID}-q"}
    other = {"identifier": {"system": "urn:oid:2.999.4", "value": "nobody"}}
    number = {"system": "urn:oid:2.999.4", "value": NUMBER}
    beside = {"url": "http://hospital.example.org/fhir/also-of", "valueIdentifier": number}
    again = [
        ward.push(score(5, **mine())),
        ward.push(score(5, **mine(subject=url))),
        ward.push(score(5, **mine(subject={"identifier": {"value": NUMBER}}))),
        ward.push(score(5, **mine(subject=other, extension=[beside]))),
        ward.push(score(5, **mine(subject={"reference": f"Patient?identifier=urn:oid:2.999.4|{NUMBER}"}))),
        ward.push(person(NUMBER, id=f"{ID}-q"), score(5, **mine(subject=url))),
        push_raw(ward, "push/Observation", f"key-{ID}", fhir_json.dump(score(7, **mine(id=f"{ID}-5")))),
    ]  # fmt: skip
    assert {fate for receipt in again for fate in fates(receipt)} == {"refused"}
    assert {i.category for r in again for e in r.entries for i in e.issues} == {"consent"}
    dump = everything(ward).lower().replace(f"key-{ID}".lower(), "")
    assert "zeisig" not in dump, "but the key, which is the sender's own"


def test_bytes_that_nobody_can_read_are_not_kept_where_the_person_is_in_them(ward: Ward) -> None:
    raw = f'{{"resourceType": "Patient", "identifier": [{{"value": "{NUMBER}"}}, {TEXT}'.encode()
    other = raw.replace(b"ZEISIG", b"OTHER")
    kept = push_raw(ward, "push/Patient", "k0", raw)
    assert message(ward, kept).body == raw, "as long as consent allows it"
    ward.push(consent("inactive", NUMBER))
    stopped = push_raw(ward, "push/Patient", "k1", raw)
    erased(ward)
    again = push_raw(ward, "push/Patient", "k2", raw)
    for receipt in (kept, stopped, again):
        assert (receipt.state, message(ward, receipt).body) == ("refused", b"")
    theirs = push_raw(ward, "push/Patient", "k3", other)
    assert message(ward, theirs).body == other


# Tables that hold nothing of a person: of sites, senders and runs; and what stays on purpose.
_OF_NOBODY = {
    "site",
    "client",
    "client_key",
    "assertion_seen",
    "access_token",
    "connection",
    "writability",
}
_OF_NOBODY |= {"client_jwks", "feed", "job", "lease", "schedule"}
_KEPT = {"tombstone", "crosswalk_line", "audit", "audit_head"}
_CHANGED = {
    "message",
    "receipt",
    "receipt_entry",
    "quarantine",
    "sync_run",
    "cursor",
    "reading",
    "upload",
}


def test_every_table_is_erased_or_known_to_hold_nothing_of_a_person() -> None:
    lists = (_OF_RESOURCES, _OF_RECORDS, _OF_ORIGINS, _OF_SUBJECT)
    taken = {table.name for listed in lists for table, _ in listed}
    assert taken | _OF_NOBODY | _KEPT | _CHANGED == {*tables.site.metadata.tables}


def test_after_an_erasure_ledger_chain_and_projection_are_whole(ward: Ward) -> None:
    plant(ward)
    with ward.registry.read(ward.site_id) as unit:
        before = unit.trail.events(limit=1000)
        subject = unit.subjects.by_study_id(STUDY_ID)
    assert subject is not None
    erased(ward)
    with ward.registry.read(ward.site_id) as unit:
        findings = [
            verify.ledger(unit), verify.audit(unit), verify.projection(unit, ward.hospital.mappings)
        ]  # fmt: skip
        after = unit.trail.events(limit=1000)
    assert [fault for finding in findings for fault in finding.faults] == []
    assert after[:-1] == before, "the trail is never changed"
    last = after[-1]
    assert (last.action, last.event, last.actor) == ("D", "erase", "person:it")
    assert last.entities == {"subjects": [subject.id]}
    assert "zeisig" not in str(after).lower()


def test_a_pull_again_brings_nothing_back(ward: Ward) -> None:
    plant(ward)
    erased(ward)
    run = ward.pull()
    assert run.state == "complete"
    page = fhir_json.dump(
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": chart("c9", patient=f"{ID}-p"), "search": {"mode": "match"}}],
        }
    )
    with ward.registry.unit(ward.site_id) as unit:
        incoming = Incoming(ward.hospital.source, "page", "k", page, ward.hospital.base)
        receipt = ingest(unit, ward.hospital.mappings, incoming).receipt
        unit.commit()
    assert fates(receipt) == ["refused"]
    assert "zeisig" not in everything(ward).lower()


@pytest.mark.parametrize(("study_id", "number"), [(STUDY_ID, "1"), ("S-9", NUMBER)])
def test_who_was_erased_cannot_be_enrolled_again(ward: Ward, study_id: str, number: str) -> None:
    erased(ward)
    with ward.registry.unit(ward.site_id) as unit:
        context = Context(unit, ward.hospital.mappings, "", "test")
        with pytest.raises(BridgeError) as told:
            enrol(context, study_id, [("urn:oid:2.999.4", number)])
    assert told.value.issues[0].category == "conflict"
    assert "ZEISIG" not in str(told.value)


def test_a_site_that_enrols_whom_it_does_not_know_does_not_enrol_them(ward: Ward) -> None:
    erased(ward)
    with ward.registry.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE site SET unmatched = 'enrol'")
    names = ward.hospital.mappings.names
    both = person(NUMBER)
    both["identifier"].append({"system": names["study-id"], "value": "S-77"})
    own = {
        "resourceType": "Patient",
        "identifier": [{"system": names["study-id"], "value": STUDY_ID}],
    }
    assert fates(ward.push(both)) == ["refused"]
    assert fates(ward.push(own)) == ["refused"]
    with ward.registry.read(ward.site_id) as unit:
        assert [one.study_id for one in unit.subjects.all()] == ["S-2"]


def test_messages_that_were_redacted_can_be_replayed(ward: Ward) -> None:
    told = plant(ward)
    waits = ward.push(
        score(4, **mine(id=f"{ID}-6")),
        score(3, id="o7", subject=whose("4712"), code=concept("urn:oid:2.999.9", "x")),
    )
    erased(ward)
    for name in ("mixed", "alone", "lesion"):
        with ward.registry.unit(ward.site_id) as unit:
            again = work_off(unit, ward.hospital.mappings, message(ward, told[name]))
        assert (again.state, fates(again)) == ("done", fates(told[name])), name
    with ward.registry.unit(ward.site_id) as unit:
        again = work_off(unit, ward.hospital.mappings, message(ward, waits))
        unit.commit()
    assert (again.state, fates(again)[1]) == ("done", "quarantined")


def test_an_erasure_that_fails_leaves_everything(ward: Ward) -> None:
    plant(ward)
    before = everything(ward)
    with ward.registry.unit(ward.site_id) as unit:
        subject = unit.subjects.by_study_id(STUDY_ID)
        assert subject is not None
        erase(unit, ward.hospital.mappings, subject, actor="person:it")  # and no commit
    assert everything(ward) == before
