"""Pushing: what becomes of a Bundle, and that doing it again changes nothing."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

from tests.web.sender import (
    LOINC,
    SCT,
    Sender,
    bundle,
    concept,
    lesion,
    person,
    score,
    whose,
)

VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def test_a_bundle_becomes_records_and_is_served_as_resources(door: Sender) -> None:
    answer = door.push(person(gender="female"), lesion(), score())
    assert answer.status_code == 200
    made = answer.get_json()
    assert made["type"] == "transaction-response"
    assert [e["response"]["status"] for e in made["entry"]] == [
        "200 OK",
        "201 Created",
        "201 Created",
    ]
    assert door.fates(answer) == ["applied"] * 3
    condition = door("GET", f"/fhir/{made['entry'][1]['response']['location'].split('/_h')[0]}")
    assert condition.status_code == 200
    assert condition.headers["ETag"] == 'W/"1"'
    assert condition.get_json()["bodySite"][0]["coding"][0]["code"] == "71341001"
    assert door.records("lesion") == [{"lesion_id": "L-1", "bone": "femur"}]


def test_the_same_bundle_again_gets_the_same_receipt_and_changes_nothing(door: Sender) -> None:
    first = door.push(lesion(), score())
    before = door("GET", "/fhir/Observation").data, door("GET", "/fhir/Condition").data
    again = door.push(lesion(), score())
    assert again.headers["X-Receipt"] == first.headers["X-Receipt"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (door("GET", "/fhir/Observation").data, door("GET", "/fhir/Condition").data) == before


def test_equal_content_in_another_bundle_is_unchanged_and_makes_no_version(door: Sender) -> None:
    door.push(lesion())
    answer = door.push(lesion(), score())
    assert door.fates(answer) == ["unchanged", "applied"]
    assert answer.get_json()["entry"][0]["response"]["etag"] == 'W/"1"'


def test_x11_a_key_that_came_with_another_body_is_refused(door: Sender) -> None:
    door.push(score(3), Idempotency_Key="k1")
    answer = door.push(score(4), Idempotency_Key="k1")
    assert answer.status_code == 422
    assert "another body" in answer.get_json()["issue"][0]["details"]["text"]
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_rest": 3}]


def test_sixteen_at_once_make_one_record(door: Sender) -> None:
    answers: list[Any] = []

    def send() -> None:
        answers.append(door.push(lesion(), score()))

    threads = [threading.Thread(target=send) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {a.status_code for a in answers} == {200}
    assert len({a.headers["X-Receipt"] for a in answers}) == 1
    assert len(door.records()) == 2


def test_r18_decimals_partial_dates_and_zero_survive(door: Sender) -> None:
    quantity = {"value": Decimal("38.10"), "unit": "{score}"}
    promis = score(code=concept(LOINC, "91721-1"), valueQuantity=quantity)
    promis.pop("valueInteger")
    door.push(promis, score(0), lesion(onsetDateTime="2025-11"))
    assert b'"value":38.10' in door("GET", "/fhir/Observation").data
    fields = {k: str(v) for one in door.records() for k, v in one.items()}
    assert (fields["promis_pf_t"], fields["pain_rest"]) == ("38.10", "0")
    assert fields["diagnosed_on"] == "2025-11"


def test_a_correction_replaces_and_makes_a_version(door: Sender) -> None:
    door.push(score(3, id="o1"))
    answer = door.push(score(5, id="o1", status="corrected"))
    assert door.fates(answer) == ["applied"]
    assert answer.get_json()["entry"][0]["response"]["etag"] == 'W/"2"'
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_rest": 5}]


def test_a_corrected_date_moves_the_score(door: Sender) -> None:
    """The key of its record was wrong: the old record does not keep a copy."""
    door.push(score(3, id="o1"))
    door.push(score(3, id="o1", effectiveDateTime="2026-03-02"))
    assert door.records() == [{"assessed_on": "2026-03-02", "pain_rest": 3}]
    assert len(door("GET", "/fhir/Observation").get_json()["entry"]) == 1


def test_entered_in_error_withdraws_and_reads_as_gone(door: Sender) -> None:
    made = door.push(score(3, id="o1")).get_json()["entry"][0]["response"]["location"]
    answer = door.push(score(3, id="o1", status="entered-in-error"))
    assert door.fates(answer) == ["applied"]
    assert door.records() == []
    assert door("GET", f"/fhir/{made.split('/_history')[0]}").status_code == 410
    assert door("GET", "/fhir/Observation").get_json().get("entry", []) == []


def test_a_withdrawn_score_leaves_the_other_scores_of_the_day(door: Sender) -> None:
    door.push(score(3, id="o1"), score(6, "pain-nrs-activity", id="o2"))
    door.push(score(3, id="o1", status="entered-in-error"))
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_activity": 6}]


def test_an_older_version_is_superseded(door: Sender) -> None:
    newer = {"versionId": "2", "lastUpdated": "2026-03-02T10:00:00Z"}
    older = {"versionId": "1", "lastUpdated": "2026-03-02T11:00:00+02:00"}
    door.push(score(5, id="o1", meta=newer))
    answer = door.push(score(3, id="o1", meta=older))
    assert door.fates(answer) == ["superseded"]
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_rest": 5}]


def test_a_second_source_that_disagrees_waits_for_a_person(door: Sender) -> None:
    door.push(score(3, id="o1"))
    other = Sender.at(door.app, "alpha", client="second")
    answer = other.push(score(8, id="x9"))
    issue = other.receipt(answer)["entries"][0]["issues"][0]
    assert "another source says otherwise" in issue["cause"]
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_rest": 3}]
    assert door.waiting() == 1


def test_a_field_that_the_source_gives_no_more_is_taken_back(door: Sender) -> None:
    door.push(lesion(id="c1"))
    bare = lesion(id="c1")
    bare.pop("bodySite")
    door.push(bare)
    assert door.records() == [{"lesion_id": "L-1"}]


def test_if_none_exist_changes_nothing_that_is_there(door: Sender) -> None:
    first = door.push(score(3)).get_json()["entry"][0]["response"]["location"]
    stored = door("GET", f"/fhir/{first.split('/_history')[0]}").get_json()
    one = stored["identifier"][0]
    made = bundle(score(9))
    made["entry"][0]["request"]["ifNoneExist"] = f"identifier={one['system']}|{one['value']}"
    answer = door("POST", "/fhir", made)
    assert door.fates(answer) == ["unchanged"]
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_rest": 3}]


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
        {"reference": "Patient?identifier=urn:oid:2.999.4|4711"},
        {"identifier": {"system": "urn:oid:2.999.4", "value": "4711"}},
    ],
    ids=["within the Bundle", "by search", "by identifier"],
)
def test_whose_it_is_can_be_said_in_three_ways(door: Sender, reference: dict[str, Any]) -> None:
    made = bundle(score(3, subject=reference), person())
    made["entry"][1]["fullUrl"] = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    answer = door("POST", "/fhir", made)
    assert door.fates(answer) == ["applied", "unchanged"]


def test_a_patient_seen_once_is_known_by_its_id_afterwards(door: Sender) -> None:
    door.push(person(id="p7"))
    assert door.fates(door.push(score(3, subject={"reference": "Patient/p7"}))) == ["applied"]


def test_our_own_patient_id_is_a_reference_too(door: Sender) -> None:
    own = door("GET", "/fhir/Patient").get_json()["entry"][0]["resource"]["id"]
    answer = door("POST", "/fhir/Observation", score(3, subject={"reference": f"Patient/{own}"}))
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith("/_history/1")


def test_two_patients_with_one_identifier_are_nobody(door: Sender) -> None:
    """HL7's mCODE examples hold two such pairs."""
    answer = door.push(person(id="p1"), person(id="p2"), score(subject={"reference": "Patient/p1"}))
    assert door.fates(answer) == ["quarantined"] * 3
    assert "2 Patients carry" in door.receipt(answer)["entries"][0]["issues"][0]["cause"]


def test_an_unknown_patient_waits_and_is_read_after_enrolment(door: Sender) -> None:
    answer = door.push(score(3, subject=whose("9999")))
    entry = door.receipt(answer)["entries"][0]
    assert (entry["fate"], entry["issues"][0]["code"]) == ("quarantined", "not-found")
    assert "enrol" in entry["issues"][0]["remedy"]
    assert "9999" not in str(entry)


def test_a_site_may_enrol_who_brings_a_study_id(door: Sender) -> None:
    other = Sender.at(door.app, "gamma", unmatched="enrol")
    someone = person("77", gender="male")
    someone["identifier"].append(
        {"system": "https://fhirbridge.example.org/fhir/sid/study-id", "value": "S-77"}
    )
    assert other.fates(other.push(someone, score(2, subject=whose("77")))) == ["applied"] * 2
    assert len(other("GET", "/fhir/Patient").get_json()["entry"]) == 1


def test_a_site_may_refuse_whom_nobody_enrolled(door: Sender) -> None:
    other = Sender.at(door.app, "delta", unmatched="refuse")
    answer = other.push(score(2, subject=whose("78")))
    assert other.fates(answer) == ["refused"]
    assert other.waiting() == 0


def test_what_was_pushed_is_kept_as_it_came(door: Sender) -> None:
    raw = b'  {"resourceType":"Bundle","type":"transaction","entry":[]}\n'
    answer = door("POST", "/fhir", raw)
    with door.service.registry.read(door.site_id) as unit:
        message = unit.messages.get(door.receipt(answer)["message_id"])
    assert message is not None
    assert message.body == raw


def test_several_codings_are_read_by_the_one_that_is_known(door: Sender) -> None:
    code = {"coding": [{"system": "urn:local", "code": "77"}, {"system": SCT, "code": "94300004"}]}
    door.push(lesion(code=code, bodySite=[]) | {"bodySite": [concept(SCT, "71341001")]})
    assert door.records() == [{"lesion_id": "L-1", "bone": "femur"}]


def test_a_single_resource_that_conflicts_is_told_and_not_answered_with_the_others_value(
    door: Sender,
) -> None:
    door("POST", "/fhir/Observation", score(3, id="o1"))
    other = Sender.at(door.app, "alpha", client="second")
    answer = other("POST", "/fhir/Observation", score(8, id="x9"))
    assert answer.status_code == 202
    assert "another source says otherwise" in answer.get_json()["issue"][0]["details"]["text"]


def test_a_single_resource_entered_in_error_is_answered_with_an_outcome(door: Sender) -> None:
    door("POST", "/fhir/Observation", score(3, id="o1"))
    answer = door("POST", "/fhir/Observation", score(3, id="o1", status="entered-in-error"))
    assert (answer.status_code, answer.get_json()["resourceType"]) == (200, "OperationOutcome")


def test_a_superseded_resource_is_no_error(door: Sender) -> None:
    newer, older = ({"lastUpdated": f"2026-03-02T{hour}:00:00Z"} for hour in ("10", "09"))
    door("POST", "/fhir/Observation", score(5, id="o1", meta=newer))
    answer = door("POST", "/fhir/Observation", score(3, id="o1", meta=older))
    assert (answer.status_code, answer.get_json()["resourceType"]) == (200, "OperationOutcome")


def test_a_persons_number_stands_in_the_vault_and_in_the_message_alone(door: Sender) -> None:
    """A Patient without an id: what names it in receipts and origins is a pseudonym."""
    door.enrol("S-2", "CANARY-78")
    door.push(person("CANARY-77"), score(subject=whose("CANARY-77")))
    door.push(person("CANARY-78"), score(subject=whose("CANARY-78")))
    with door.service.registry.engine.connect() as connection:
        for table in ("receipt_entry", "origin", "quarantine", "record", "resource", "proposal"):
            rows = connection.exec_driver_sql(f"select * from {table}").all()
            assert "CANARY" not in str(rows), table


def test_entered_in_error_without_date_and_code_still_withdraws(door: Sender) -> None:
    door.push(score(3, id="o1"))
    bare = {"resourceType": "Observation", "id": "o1", "status": "entered-in-error"}
    assert door.fates(door.push({**bare, "code": {"text": "x"}})) == ["applied"]
    assert door.records() == []


def test_of_an_entry_with_several_facts_the_answer_tells_them_all(door: Sender) -> None:
    """One diagnosis names the tumour and its metastasis; of the second nobody knows the vertebra."""
    codes = {"coding": [{"system": SCT, "code": c} for c in ("254837009", "94222008")]}
    made = lesion(code=codes, id="c1", bodySite=[concept("urn:local", "BWK 7")])
    answer = door.push(made, score())
    first, second = answer.get_json()["entry"]
    assert first["response"]["status"] == "202 Accepted"
    assert "BWK 7" in str(first["response"]["outcome"])
    assert second["response"]["status"] == "201 Created"
    lines = door.receipt(answer)["entries"]
    assert [(line["position"], line["part"], line["fate"]) for line in lines] == [
        (0, 0, "applied"),
        (0, 2, "applied"),
        (1, 0, "applied"),
    ]
    assert door.receipt(answer)["counts"]["received"] == 2
    assert sorted({*door.records("lesion")[0], *door.records("primary_cancer")[0]} & {"site"})


def test_one_resource_with_several_facts_is_answered_by_the_first(door: Sender) -> None:
    codes = {"coding": [{"system": SCT, "code": c} for c in ("254837009", "94222008")]}
    answer = door("POST", "/fhir/Condition", lesion(code=codes))
    assert answer.status_code == 201
    assert answer.get_json()["bodySite"][0]["coding"][0]["code"] == "71341001"
    assert len(door("GET", "/fhir/Condition").get_json()["entry"]) == 2
    other = lesion(code=codes, verificationStatus=concept(VERIFIED, "entered-in-error"))
    gone = door("POST", "/fhir/Condition", other)
    assert (gone.status_code, gone.get_json()["resourceType"]) == (200, "OperationOutcome")
    assert "entry" not in door("GET", "/fhir/Condition").get_json()
