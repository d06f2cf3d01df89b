"""May we: who withdrew is read no more, and nothing of them is kept; all persons are made up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.formats import fhir_json
from fhirbridge.registry.messages import Message
from fhirbridge.registry.receipts import Receipt
from fhirbridge.sync.consent import standing
from fhirbridge.sync.ingest import Incoming, ingest, work_off
from tests import databases
from tests.sync.ward import Ward, chart, match, patient
from tests.web.sender import STUDY, concept, person, score, whose

CONSENT_ID = f"{STUDY.rpartition('/CodeSystem')[0]}/sid/consent"
CANARY = "Kanarienvogel"


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Ward.open(tmp_path, patient(), patient("4712", "p2"), chart("c1")) as made:
        made.enrol()
        made.enrol("S-2", "4712")
        yield made


def consent(status: str = "active", number: str = "4711", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "identifier": [{"system": CONSENT_ID, "value": "C-1"}],
        "status": status,
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "research"),
        "category": [concept(STUDY, "consent-scope-study-data")],
        "patient": whose(number),
        "policyRule": {"text": "The consent form of the study"},
        "dateTime": "2026-01-01",
        **more,
    }


def needs_record(ward: Ward) -> None:
    with ward.registry.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE site SET consent = 'record'")
    ward.hospital = replace(ward.hospital, site=replace(ward.hospital.site, consent="record"))


def fates(receipt: Receipt) -> list[str]:
    counts = dict(receipt.counts)
    assert counts.pop("received") == sum(counts.values()), "the counts must tie"
    return [one.fate for one in receipt.entries]


def message(ward: Ward, receipt: Receipt) -> Message:
    with ward.registry.read(ward.site_id) as unit:
        found = unit.messages.get(receipt.message_id)
    assert found is not None
    return found


def everything(ward: Ward) -> str:
    """The whole database as text."""
    return databases.rows(ward.registry.engine).decode()


def secret(**more: Any) -> dict[str, Any]:
    return score(5, id=f"{CANARY}-1", note=[{"text": CANARY}], **more)


def test_who_is_enrolled_is_read_until_consent_is_withdrawn(ward: Ward) -> None:
    assert fates(ward.push(score(3, id="o1"))) == ["applied"]
    assert fates(ward.push(consent("inactive"), secret())) == ["applied", "refused"]
    assert fates(ward.push(secret())) == ["refused"]
    assert fates(ward.push(consent("active"))) == ["refused"], "only a person gives it again"
    assert ward.records() == [{"assessed_on": "2026-03-01", "pain_rest": 3}]


@pytest.mark.parametrize("status", ["inactive", "rejected"])
def test_nothing_is_kept_of_what_is_withheld_but_the_reason(ward: Ward, status: str) -> None:
    ward.push(consent(status))
    before = ward.state()
    receipt = ward.push(secret(), score(4, id="o2", subject=whose("4712")))
    assert fates(receipt) == ["refused", "applied"]
    entry = receipt.entries[0]
    assert [issue.category for issue in entry.issues] == ["consent"]
    assert (entry.source_id, entry.identifier, entry.record_id) == (None, None, None)
    assert CANARY not in everything(ward)
    assert ward.state()["waiting"] == before["waiting"]
    kept = message(ward, receipt)
    assert kept.state == "redacted"
    first, second = fhir_json.parse(kept.body)["entry"]
    assert first == {
        "resource": {"resourceType": "Parameters"},
        "request": {"method": "POST", "url": "Parameters"},
    }
    assert second["resource"]["id"] == "o2"


def test_the_same_message_again_is_known_by_its_hash(ward: Ward) -> None:
    ward.push(consent("inactive"))
    body = fhir_json.dump(secret())
    incoming = Incoming("client:engine", "push/Observation", "k", body)
    ids = set()
    for _ in range(2):
        with ward.registry.unit(ward.site_id) as unit:
            done = ingest(unit, ward.hospital.mappings, incoming)
            unit.commit()
        ids.add((done.receipt.id, done.receipt.message_id))
        assert fates(done.receipt) == ["refused"]
    assert len(ids) == 1
    kept = message(ward, done.receipt)
    assert (kept.body, kept.state) == (b'{"resourceType":"Parameters"}', "redacted")
    with ward.registry.unit(ward.site_id) as unit:  # and it can be read again
        again = work_off(unit, ward.hospital.mappings, kept)
    assert again.state == "done"
    assert [one.category for one in again.entries[0].issues] == ["consent"]


def test_a_message_of_which_nothing_is_withheld_stays_byte_for_byte(ward: Ward) -> None:
    ward.push(consent("inactive"))
    body = b'{ "resourceType" : "Observation" }'
    body = body[:-2] + fhir_json.dump(score(4, subject=whose("4712")))[1:].replace(
        b'"resourceType":"Observation"', b' ,"id" : "x"', 1
    )
    with ward.registry.unit(ward.site_id) as unit:
        incoming = Incoming("client:engine", "push/Observation", "k", body)
        receipt = ingest(unit, ward.hospital.mappings, incoming).receipt
        unit.commit()
    assert fates(receipt) == ["applied"]
    assert message(ward, receipt).body == body


WAYS = {
    "identifier": secret(),
    "pulled id": secret(subject={"reference": "Patient/p1"}),
    "conditional reference": secret(subject={"reference": "Patient?identifier=urn:oid:2.999.4|4711"}),
    "contained Patient": secret(
        subject={"reference": "#p"}, contained=[{"resourceType": "Patient", "id": "p", **{
            "identifier": [{"system": "urn:oid:2.999.4", "value": "4711"}]}}]
    ),
    "the Patient": person(name=[{"family": CANARY}]),
    "an unknown code": secret(code=concept("urn:oid:2.999.9", "x")),
    "a type that the study does not read": {
        "resourceType": "Appointment",
        "status": "booked",
        "comment": CANARY,
        "participant": [{"actor": whose(), "status": "accepted"}],
    },
    "a person beside another": secret(subject=whose("4712"), performer=[{**whose(), "type": "Patient"}]),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_whoever_withdrew_is_known_by_every_sign(ward: Ward, way: str) -> None:
    ward.push(patient(), source="client:engine")
    ward.push(consent("inactive"))
    assert fates(ward.push(WAYS[way])) == ["refused"]
    assert CANARY not in everything(ward)


def test_an_entry_that_refers_to_a_withheld_patient_of_the_message_is_withheld(ward: Ward) -> None:
    ward.push(consent("inactive"))
    url = "urn:uuid:6f1c4a6e-5c5e-4d2e-9a51-3c8f0a7c9b11"
    about = secret(subject={"reference": url})
    entries = [
        {"fullUrl": url, "resource": person(), "request": {"method": "POST", "url": "Patient"}},
        {"resource": about, "request": {"method": "POST", "url": "Observation"}},
    ]
    body = {"resourceType": "Bundle", "type": "transaction", "entry": entries, "id": CANARY}
    with ward.registry.unit(ward.site_id) as unit:
        incoming = Incoming("client:engine", "push/Bundle", "k", fhir_json.dump(body))
        receipt = ingest(unit, ward.hospital.mappings, incoming).receipt
        unit.commit()
    assert fates(receipt) == ["refused", "refused"]
    assert CANARY not in everything(ward)
    assert url not in message(ward, receipt).body.decode()


def test_a_page_of_a_pull_is_redacted_too(ward: Ward) -> None:
    ward.pull()
    ward.push(consent("inactive"), source="client:engine")
    body = fhir_json.dump(
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "link": [{"relation": "self", "url": f"{ward.hospital.base}/x?patient={CANARY}"}],
            "entry": [match(chart("c2", note=[{"text": CANARY}])), match(patient("9999", "p9"))],
        }
    )
    with ward.registry.unit(ward.site_id) as unit:
        incoming = Incoming(ward.hospital.source, "page", "k", body, ward.hospital.base)
        receipt = ingest(unit, ward.hospital.mappings, incoming).receipt
        unit.commit()
    assert fates(receipt) == ["refused", "quarantined"]
    assert CANARY not in everything(ward)
    kept = message(ward, receipt)
    with ward.registry.unit(ward.site_id) as unit:
        again = work_off(unit, ward.hospital.mappings, kept, base=ward.hospital.base)
    assert (again.state, fates(again)) == ("done", ["refused", "quarantined"])


def test_what_waited_before_the_withdrawal_is_gone_after_a_replay(ward: Ward) -> None:
    unknown = secret(code=concept("urn:oid:2.999.9", "x"))
    receipt = ward.push(unknown, score(4, id="o2", subject=whose("4712")))
    assert fates(receipt) == ["quarantined", "applied"]
    ward.push(consent("inactive"))
    with ward.registry.unit(ward.site_id) as unit:
        again = work_off(unit, ward.hospital.mappings, message(ward, receipt))
        unit.commit()
    assert fates(again) == ["refused", "applied"]
    assert CANARY not in everything(ward)


def test_a_message_refused_as_a_whole_is_not_kept_where_a_withdrawn_person_is_in_it(
    ward: Ward,
) -> None:
    ward.push(consent("inactive"))
    receipt = ward.push(secret(status=CANARY), score(4, subject=whose("4712")))
    assert (receipt.state, message(ward, receipt).body) == ("refused", b"")
    other = ward.push(score(4, subject=whose("4712"), status="odd"))
    assert b"odd" in message(ward, other).body


def test_a_pull_asks_no_more_for_who_withdrew(ward: Ward) -> None:
    ward.push(consent("inactive"))
    ward.sandbox.requests.clear()
    run, fates_ = ward.pulled()
    assert (run.state, set(fates_)) == ("complete", {"Patient/p2"})
    asked = [str(one) for one in ward.sandbox.requests if "metadata" not in str(one)]
    assert asked
    assert [url for url in asked if "4712" not in url and "p2" not in url] == []


def test_where_consent_must_be_on_record_it_may_come_with_the_data(ward: Ward) -> None:
    needs_record(ward)
    receipt = ward.push(secret(), person())
    assert fates(receipt) == ["refused", "unchanged"]
    assert receipt.entries[0].issues[0].cause.startswith("withheld: consent")
    assert CANARY not in everything(ward)
    assert fates(ward.push(score(3, id="o1"), consent("active"))) == ["applied", "applied"]
    assert fates(ward.push(score(4, id="o2", effectiveDateTime="2026-03-02"))) == ["applied"]
    other = ward.push(score(3, id="o3", subject=whose("4712")))
    assert fates(other) == ["refused"], "the consent of one is not that of another"


def test_where_consent_must_be_on_record_a_pull_asks_for_consent_first(ward: Ward) -> None:
    needs_record(ward)
    ward.sandbox.requests.clear()
    run, became = ward.pulled()
    assert run.state == "complete"
    assert set(became) == {"Patient/p1", "Patient/p2"}
    ward.push(consent("active"))
    assert ward.pulled()[1]["Observation/c1"] == "applied"


DAYS = "today is 2026-06-01"
# reason, consents as (status, signed, withdrawn, from, to), standing
STANDINGS: list[tuple[str, list[dict[str, str]], str]] = [
    ("nothing told", [], "untold"),
    ("active", [{"status": "active"}], "given"),
    ("rejected", [{"status": "rejected"}], "withdrawn"),
    ("of another scope", [{"status": "withdrawn", "scope": "contact"}], "untold"),
    ("not yet", [{"status": "active", "valid_from": "2026-06-02"}], "untold"),
    ("no more", [{"status": "active", "valid_to": "2026-05-31"}], "untold"),
    ("on its last day", [{"status": "active", "valid_to": "2026-06-01"}], "given"),
    ("given again later", [{"status": "withdrawn", "withdrawn_on": "2026-03-01"}, {"status": "active", "signed_on": "2026-03-02"}], "given"),
    ("signed on the day of the withdrawal", [{"status": "withdrawn", "withdrawn_on": "2026-03-01"}, {"status": "active", "signed_on": "2026-03-01"}], "withdrawn"),
    ("an old consent beside a withdrawal", [{"status": "active", "signed_on": "2026-01-01"}, {"status": "withdrawn", "withdrawn_on": "2026-03"}], "withdrawn"),
    ("nobody knows when", [{"status": "active"}, {"status": "withdrawn"}], "withdrawn"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "expected"), [s[1:] for s in STANDINGS], ids=[s[0] for s in STANDINGS]
)
def test_what_the_records_of_consent_come_to(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, told: list[dict[str, str]], expected: str
) -> None:
    with ward.registry.unit(ward.site_id) as unit:
        monkeypatch.setattr(type(unit), "now", lambda _: datetime(2026, 6, 1, 12, tzinfo=UTC))
        subject = unit.subjects.by_study_id("S-1")
        assert subject is not None
        for number, fields in enumerate(told):
            unit.records.save(
                f"r{number}", subject_id=subject.id, form="consent", key=str(number),
                fields={"scope": "study_data", **fields}, mapping_version="", actor="", reason="",
            )  # fmt: skip
        assert standing(unit, subject.id) == expected
