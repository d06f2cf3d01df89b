"""Wrong input gets place, cause and remedy, and nothing of it is lost or half done."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.web.sender import LOINC, SCT, Sender, bundle, concept, lesion, score, whose


def test_broken_json_names_line_and_column_and_has_a_receipt(door: Sender) -> None:
    answer = door("POST", "/fhir", b'{"resourceType":"Bundle",\n "type": }')
    assert answer.status_code == 400
    assert answer.content_type == "application/fhir+json; charset=utf-8"
    issue = answer.get_json()["issue"][0]
    assert (issue["code"], issue["diagnostics"]) == ("structure", "line 2, column 10")
    assert "broken JSON" in issue["details"]["text"]
    receipt = door.receipt(answer)
    assert receipt["state"] == "refused"
    assert receipt["counts"]["refused"] == 1


def test_r1_one_invalid_entry_refuses_the_whole_transaction(door: Sender) -> None:
    wrong = score(3, effectiveDateTime="2026-02-30")
    answer = door("POST", "/fhir", bundle(lesion(), wrong, score(4, "pain-nrs-activity")))
    assert answer.status_code == 400
    expressions = [e for i in answer.get_json()["issue"] for e in i["expression"]]
    assert expressions == ["Bundle.entry[1].resource.effective"]
    assert door.records() == []


INVALID: list[tuple[str, Any, int, str]] = [
    ("no object", b"[]", 400, "no JSON object"),
    ("a key twice", b'{"a":1,"a":2}', 400, "twice"),
    ("five thousand digits", b'{"a":' + b"9" * 5_000 + b"}", 400, "too many digits"),
    ("half a surrogate pair", b'{"a":"\\ud800"}', 400, "surrogate"),
    ("NaN", b'{"a":NaN}', 400, "NaN"),
    ("too deep", b'{"a":' + b"[" * 90_000 + b"]" * 90_000 + b"}", 400, "nested too deep"),
    ("no UTF-8", b'{"resourceType":"\xff"}', 400, "not UTF-8"),
    ("no resource", {"hello": 1}, 400, "a Bundle was expected"),
    ("another resource", score(), 400, "a Bundle was expected"),
    ("a document", {"resourceType": "Bundle", "type": "document"}, 400, "is not taken here"),
    ("unknown element", bundle(score(valueIntegr=3)), 400, "did you mean valueInteger?"),
    ("a number as text", bundle(score("3")), 400, "integer"),
    ("two values", bundle(score(3, valueString="3")), 400, "value"),
    ("status unknown to R4", bundle(score(status="finished")), 400, "status"),
    ("subject of a wrong type", bundle(score(subject={"reference": "Medication/1"})), 400, "Medication"),
    ("too long", b" " * 200_001, 413, "longer than 200000 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "told"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID]
)
def test_r11_r18_what_is_no_valid_message(door: Sender, body: Any, status: int, told: str) -> None:
    answer = door("POST", "/fhir", body)
    assert answer.status_code == status
    outcome = answer.get_json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert told in " ".join(i["details"]["text"] for i in outcome["issue"])
    assert door.records() == []


QUARANTINED: list[tuple[str, dict[str, Any], str]] = [
    ("local code", score() | {"code": concept("urn:local", "NRS-1")}, "is in none of the crosswalks"),
    ("text alone", score() | {"code": {"text": "Schmerz in Ruhe"}}, "a text is never coded"),
    ("axis not stated", score() | {"code": concept(LOINC, "72514-3")}, "at rest or with activity"),
    ("out of range", score(11), "11 is outside 0 to 10"),
    ("no whole number", score(valueQuantity={"value": Decimal("0.42"), "unit": "{score}"}), "no whole number"),
    ("wrong unit", score(valueQuantity={"value": 30, "unit": "mm"}), "the unit 'mm'"),
    ("a range", score(valueString="6-7"), "no single number"),
    ("a bound", score(valueQuantity={"value": 5, "comparator": "<"}), "a bound is no value"),
    ("preliminary", score(3, status="preliminary"), "status is preliminary"),
    ("unknown person", score(3, subject=whose("0")), "nobody enrolled"),
    ("nobody's", {k: v for k, v in score().items() if k != "subject"}, "not whose it is"),
    ("no date", {k: v for k, v in score().items() if k != "effectiveDateTime"}, "assessed_on"),
    ("unknown modifier", score(modifierExtension=[{"url": "urn:not", "valueBoolean": True}]), "changes the meaning"),
    ("misspelt HL7 extension", score(extension=[{"url": "http://hl7.org/fhir/StructureDefinition/observation-bodyPositionn", "valueString": "x"}]), "no such extension"),
    ("no unit of UCUM", score(valueQuantity={"value": 3, "system": "http://unitsofmeasure.org", "code": "nrs"}), "no UCUM code"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "told"), [c[1:] for c in QUARANTINED], ids=[c[0] for c in QUARANTINED]
)
def test_what_cannot_be_read_waits_with_its_reason(
    door: Sender, resource: dict[str, Any], told: str
) -> None:
    if "valueQuantity" in resource or "valueString" in resource:
        resource = {k: v for k, v in resource.items() if k != "valueInteger"}
    answer = door.push(resource, lesion())
    assert answer.status_code == 200
    first, second = door.receipt(answer)["entries"]
    assert (first["fate"], second["fate"]) == ("quarantined", "applied")
    issue = first["issues"][0]
    assert told in issue["cause"]
    assert issue["remedy"]
    assert issue["expression"].startswith("Bundle.entry[0].resource")
    assert answer.get_json()["entry"][0]["response"]["status"] == "202 Accepted"
    assert door.waiting() == 1
    assert len(door.records()) == 1


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("blood group", score() | {"code": concept(LOINC, "883-9")}, "is in none of the crosswalks"),
    ("brain metastasis", lesion(code=concept(SCT, "94225005")), "brain"),
    ("metastasis from a bone tumour", lesion(code=concept(SCT, "314990009")), "not in bone"),
    ("cancelled", score(3, status="cancelled"), "status is cancelled"),
]


@pytest.mark.parametrize(
    ("resource", "told"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_what_is_not_for_this_study_is_refused(
    door: Sender, resource: dict[str, Any], told: str
) -> None:
    answer = door.push(resource)
    entry = door.receipt(answer)["entries"][0]
    assert entry["fate"] == "refused"
    assert told in entry["issues"][0]["cause"]
    assert (door.waiting(), door.records()) == (0, [])


def test_an_unknown_code_in_a_part_leaves_the_rest_and_waits(door: Sender) -> None:
    answer = door.push(lesion(bodySite=[concept("urn:local", "OBERARM")]))
    entry = door.receipt(answer)["entries"][0]
    assert entry["fate"] == "applied"
    assert "urn:local|OBERARM" in entry["issues"][0]["cause"]
    assert door.records() == [{"lesion_id": "L-1"}]
    assert door.waiting() == 1


def test_a_message_sent_again_mended_waits_no_more(door: Sender) -> None:
    door.push(score(11, id="o1"))
    assert door.waiting() == 1
    door.push(score(1, id="o1"))
    assert door.waiting() == 0
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_rest": 1}]


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        ("GET", "/fhir/Medication", 404, "holds no 'Medication'"),
        ("GET", "/fhir/Observation/none", 404, "no Observation with this id"),
        ("GET", "/receipts/none", 404, "no receipt"),
        ("DELETE", "/fhir/Observation/1", 405, ""),
        ("GET", "/fhir/Observation?paitent=1", 400, "'patient'"),
        ("GET", "/fhir/Observation?date=yesterday", 400, "no date"),
        ("GET", "/fhir/Observation?_count=many", 400, "no whole number"),
        ("GET", "/nothing", 404, ""),
    ],
)
def test_wrong_urls_are_answered_in_fhir(
    door: Sender, method: str, path: str, status: int, told: str
) -> None:
    answer = door(method, path)
    assert answer.status_code == status
    assert told in answer.get_json()["issue"][0]["details"]["text"]


def test_xml_is_refused_with_415(door: Sender) -> None:
    answer = door("POST", "/fhir", b"<Bundle/>", Content_Type="application/fhir+xml")
    assert answer.status_code == 415
    assert "application/fhir+json" in answer.get_json()["issue"][0]["details"]["text"]


def test_no_value_of_a_person_stands_in_an_error(door: Sender) -> None:
    """X31, as far as the door reaches: canary name and number come back in no answer."""
    canary = {"family": "Zaphod-Canary"}
    person = {"resourceType": "Patient", "name": [canary], "identifier": [{"value": "CANARY-1"}]}
    answers = [
        door.push(person, score(subject=whose("CANARY-2"))),
        door.push({**person, "birthDate": "CANARY-3"}),
        door("GET", "/fhir/Patient?name=Zaphod-Canary"),
    ]
    told = b" ".join(a.data for a in answers)
    told += str([door.receipt(a) for a in answers[:2]]).encode()
    assert b"canary" not in told.lower()
