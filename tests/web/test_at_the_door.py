"""What a reviewer tries by hand at the FHIR door: rows R7, R11, R12, X19 and X42."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from fhirbridge.app import create_app
from tests import databases
from tests.web.sender import MRN, Sender, bundle, person, score

MAX = 20_000


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Sender]:
    made = Sender.at(create_app(databases.settings(tmp_path, max_body=MAX)), "alpha")
    made.enrol("S-1", "4711")
    yield made
    made.service.registry.close()


def told(answer: TestResponse) -> str:
    assert answer.content_type == "application/fhir+json; charset=utf-8"
    body = answer.get_json()
    assert body["resourceType"] == "OperationOutcome"
    return str(body["issue"][0]["details"]["text"])


PUSHES = [
    ("POST", "/fhir", bundle(score())),
    ("POST", "/fhir/Bundle", bundle(score())),
    ("POST", "/fhir/Observation", score()),
    ("PUT", "/fhir/Observation/o1", score(id="o1")),
    ("PUT", "/fhir/Observation?identifier=urn:x|1", score()),
    ("POST", "/fhir/$process-message", bundle(score())),
    ("POST", "/fhir/$validate", bundle(score())),
]


@pytest.mark.parametrize(("method", "path", "body"), PUSHES, ids=[f"{m} {p}" for m, p, _ in PUSHES])
def test_r11_who_cannot_read_the_answer_stores_nothing(
    door: Sender, method: str, path: str, body: object
) -> None:
    refused = door(method, path, body, Accept="application/fhir+xml")
    by_url = door(method, f"{path}{'&' if '?' in path else '?'}_format=xml", body)
    assert [refused.status_code, by_url.status_code] == [406, 406]
    assert "application/fhir+json" in told(refused)
    assert told(by_url)
    with door.service.registry.read(door.site_id) as unit:
        assert unit.ledger.messages() == []


def test_r11_a_format_is_no_part_of_a_condition(door: Sender) -> None:
    known = f"identifier={MRN}%7C4711"
    for query in (f"{known}&_format=json", f"_format=application/fhir%2Bjson&{known}"):
        assert door("PUT", f"/fhir/Patient?{query}", person("4711")).status_code in (200, 201)
    assert door("PUT", "/fhir/Patient?_format=json", person("4711")).status_code == 400


def test_r07_a_condition_in_the_url_of_a_create_is_one(door: Sender) -> None:
    """As fhirpy's get_or_create sends it: ignored, it would create or change."""
    assert door("POST", "/fhir/Patient", person("4711")).status_code in (200, 201)
    other = {**person("4711"), "gender": "other"}
    answer = door("POST", f"/fhir/Patient?identifier={MRN}%7C4711", other)
    assert answer.status_code == 200
    assert answer.get_json()["gender"] == "unknown"  # the first one said nothing
    wrong = door("POST", "/fhir/Patient?nickname=x", other)
    assert wrong.status_code == 400
    assert "not searched by 'nickname'" in told(wrong)


@pytest.mark.parametrize(
    "prefer",
    [
        'return="minimal"',
        "Return=minimal",
        "return = minimal",
        "handling=strict, return=MINIMAL",
        "respond-async; return=minimal",
        "return=minimal, return=representation",
    ],
)
def test_r12_prefer_is_read_as_rfc_7240_writes_it(door: Sender, prefer: str) -> None:
    answer = door("POST", "/fhir/Observation", score(), Prefer=prefer)
    assert (answer.status_code, answer.data) == (201, b"")


def test_x19_a_body_that_is_too_long_is_told_the_limit(door: Sender) -> None:
    answer = door("POST", "/fhir", b"[" * (MAX + 1))
    assert answer.status_code == 413
    assert f"{MAX} bytes" in told(answer)


@pytest.mark.parametrize("path", ["/fhir//Patient", "/fhir/Patient//x"])
def test_x42_nobody_is_redirected(door: Sender, path: str) -> None:
    answer = door("GET", path, Host="evil.example.org")
    assert answer.status_code in (400, 404)
    assert "Location" not in answer.headers
    assert told(answer)


def test_what_is_read_is_told_by_the_entry_in_the_same_words(door: Sender) -> None:
    (entry,) = door.push(score()).get_json()["entry"]
    there, _, _ = entry["response"]["location"].partition("/_history")
    served = door("GET", f"/fhir/{there}").get_json()
    assert served["meta"]["lastUpdated"] == entry["response"]["lastModified"]


def test_r06_who_reads_in_a_batch_is_told_how(door: Sender) -> None:
    body = {
        **bundle(),
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": "Patient"}}],
    }
    (entry,) = door("POST", "/fhir", body).get_json()["entry"]
    assert entry["response"]["status"] == "400 Bad Request"
    assert "a request of its own" in str(entry["response"]["outcome"])


def test_an_empty_transaction_has_an_answer_without_an_empty_list(door: Sender) -> None:
    """https://hl7.org/fhir/R4/json.html: an array is never empty."""
    told = door("POST", "/fhir", {"resourceType": "Bundle", "type": "transaction"}).get_json()
    assert told == {"resourceType": "Bundle", "type": "transaction-response"}


def test_a_body_without_a_type_is_told_so(door: Sender) -> None:
    answer = door("POST", "/fhir/Observation", {})
    assert answer.status_code == 400
    assert told(answer).startswith(
        "the body names no resourceType, and an Observation was expected"
    )
