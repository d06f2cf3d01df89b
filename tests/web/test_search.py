"""Read, search and metadata: what is claimed is what is wired."""

from __future__ import annotations

import pytest

from fhirbridge.fhir.search_parameters import PARAMETERS
from fhirbridge.fhir.validate import validate
from tests.web.sender import LESION, STUDY, Sender, concept, found, lesion, whose

VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("Observation", 5),
        ("Observation?code=pain-nrs-rest", 5),
        (f"Observation?code={STUDY}|pain-nrs-rest", 5),
        ("Observation?code=http://loinc.org|pain-nrs-rest", 0),
        ("Observation?code=pain-nrs-rest,other", 5),
        ("Observation?status=final&category=survey", 5),
        ("Observation?date=2026-03-03", 1),
        ("Observation?date=ge2026-03-03", 3),
        ("Observation?date=gt2026-03-03", 2),
        ("Observation?date=le2026-03-02", 2),
        ("Observation?date=lt2026-03-02", 1),
        ("Observation?date=ge2026-03-02&date=le2026-03-04", 3),
        ("Observation?date=2026-03", 5),
        ("Observation?date=2025", 0),
        ("Observation?date=ne2026-03-03", 4),
        ("Observation?date=sa2026-03-03", 2),
        ("Observation?date=sa2026-03-03T12:00Z", 2),
        ("Observation?date=eb2026-03-02", 1),
        ("Observation?date=eb2026-03-02T12:00:00", 1),
        ("Observation?date=ap2026-03-03T12:00", 1),
        ("Observation?date=gt2026-03-03T12:00", 3),
        ("Observation?_lastUpdated=ne2020", 5),
        ("Observation?_lastUpdated=eb2020", 0),
        ("Observation?_lastUpdated=sa2020-01-01T00:00", 5),
        ("Observation?_lastUpdated=ap2020", 0),
        ("Observation?status=http://hl7.org/fhir/observation-status|final", 5),
        ("Observation?status=http://hl7.org/fhir/observation-status|", 5),
        ("Observation?status=http://loinc.org|final", 0),
        ("Condition", 2),
        ("Condition?clinical-status=active", 0),
        ("Procedure?date=2026-02", 1),
        ("Patient", 2),
        ("Patient?gender=female", 1),
        ("Patient?gender=http://hl7.org/fhir/administrative-gender|female", 1),
        ("Patient?birthdate=1950", 1),
    ],
)
def test_search(still: Sender, query: str, number: int) -> None:
    assert len(found(still, query)) == number


def test_search_by_patient_identifier_and_id(still: Sender) -> None:
    female = found(still, "Patient?gender=female")[0]
    for way in (
        f"patient={female['id']}",
        f"patient=Patient/{female['id']}",
        f"subject=Patient/{female['id']}",
    ):
        assert len(found(still, f"Condition?{way}")) == 1
    own = found(still, f"Condition?patient={female['id']}")[0]
    for one in own["identifier"]:
        assert len(found(still, f"Condition?identifier={one['system']}|{one['value']}")) == 1
    assert found(still, f"Condition?_id={own['id']},none") == [own]
    assert found(still, f"Condition?_id={own['id']}&code=none") == []


def test_pages_are_stable_and_nothing_is_lost_or_doubled(still: Sender) -> None:
    url, ids = "/fhir/Observation?_count=2", []
    for _ in range(3):
        page = still("GET", url).get_json()
        ids += [entry["resource"]["id"] for entry in page["entry"]]
        links = {link["relation"]: link["url"] for link in page["link"]}
        url = links.get("next", "").removeprefix("http://localhost")
    assert url == ""
    assert len(ids) == len(set(ids)) == 5


def test_total_is_given_where_it_is_asked_for(still: Sender) -> None:
    assert "total" not in still("GET", "/fhir/Observation").get_json()
    answer = still("GET", "/fhir/Observation?_count=1&_total=accurate").get_json()
    assert (answer["total"], len(answer["entry"])) == (5, 1)


def test_search_by_post_keeps_identifiers_out_of_urls(still: Sender) -> None:
    answer = still(
        "POST",
        "/fhir/Observation/_search",
        b"date=2026-03-03",
        Content_Type="application/x-www-form-urlencoded",
    )
    assert len(answer.get_json()["entry"]) == 1


def test_every_type_that_is_written_of_a_subject_is_served(whole: Sender) -> None:
    with whole.service.registry.read(whole.site_id) as unit:
        held = {
            row.type
            for record in unit.records.all(None)
            for row in unit.resources.of_record(record.id)
        }
    assert held == PARAMETERS.keys()


def test_a_type_that_is_only_read_may_be_pushed_alone(full: Sender) -> None:
    given = {
        "resourceType": "MedicationAdministration",
        "identifier": [{"system": "urn:oid:2.999.8", "value": "A-1"}],
        "status": "completed",
        "medicationCodeableConcept": {"text": "unknown"},
        "subject": whose(),
        "effectiveDateTime": "2026-03-01",
    }
    answer = full("POST", "/fhir/MedicationAdministration", given)
    assert answer.status_code == 202
    assert full.fates(answer) == ["quarantined"]
    assert full("GET", "/fhir/MedicationAdministration").status_code == 404


def test_what_is_served_refers_to_what_is_served(full: Sender) -> None:
    """What is stored, and may be sent, keeps the logical reference alone."""
    operation = found(full, "Procedure")[0]
    reason = operation["reasonReference"][0]
    assert reason["identifier"] == {"system": LESION, "value": "L-1"}
    there = full("GET", f"/fhir/{reason['reference']}").get_json()
    assert there["bodySite"][0]["coding"][0]["code"] == "71341001"
    full.push(lesion(verificationStatus=concept(VERIFIED, "entered-in-error")))
    assert "reference" not in found(full, "Procedure")[0]["reasonReference"][0]
    with full.service.registry.read(full.site_id) as unit:
        row = unit.resources.get("Procedure", operation["id"])
    assert row is not None
    assert "reference" not in row.body["reasonReference"][0]


def test_a_resource_served_is_valid_r4(still: Sender) -> None:
    from_door = [
        r for t in ("Patient", "Condition", "Procedure", "Observation") for r in found(still, t)
    ]
    assert from_door
    for resource in from_door:
        assert validate(resource) == [], resource
