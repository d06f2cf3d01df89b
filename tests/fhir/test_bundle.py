"""Bundles: what is made is valid R4, what came in is found with its place."""

from __future__ import annotations

from copy import deepcopy

from fhirbridge.fhir import bundle
from tests.fhir.synthetic import BUNDLE, CONDITION, PATIENT, TRANSACTION, faults

UUID = "urn:uuid:0b5f4ba1-6d37-4c2b-9f5a-0d7a3a1c2e4f"


def test_a_resource_alone_is_one_entry() -> None:
    (entry,) = bundle.entries(PATIENT)
    assert (entry.position, entry.root, entry.method) == (0, "Patient", "")
    assert entry.resource is PATIENT


def test_entries_keep_their_place_in_the_message() -> None:
    made = bundle.entries(BUNDLE)
    assert [entry.root for entry in made] == [
        "Bundle.entry[0].resource",
        "Bundle.entry[1].resource",
    ]
    assert [entry.full_url for entry in made] == [e["fullUrl"] for e in BUNDLE["entry"]]
    assert [entry.resource for entry in made] == [e["resource"] for e in BUNDLE["entry"]]


def test_an_entry_tells_what_was_asked() -> None:
    request = {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=1"}
    entry = {"request": request, "search": {"mode": "include"}}
    (made,) = bundle.entries({"resourceType": "Bundle", "entry": [entry]})
    assert (made.method, made.url, made.if_none_exist) == ("POST", "Patient", "identifier=1")
    assert (made.search_mode, made.resource) == ("include", None)


def test_a_bundle_without_entries_has_none() -> None:
    assert bundle.entries({"resourceType": "Bundle", "type": "searchset"}) == []


def test_an_upsert_asks_for_the_one_with_this_identifier() -> None:
    given = deepcopy(CONDITION)
    made = bundle.upsert(CONDITION, full_url=UUID, system="http://a.example/x?y&z", value="1|2 3")
    url = "Condition?identifier=http%3A%2F%2Fa.example%2Fx%3Fy%26z|1%7C2%203"
    assert made["request"] == {"method": "PUT", "url": url}
    made["resource"]["code"] = None
    assert given == CONDITION


def test_a_transaction_of_upserts_is_valid() -> None:
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]}
    entry = bundle.upsert(patient, full_url=UUID, system="urn:x", value="1")
    made = bundle.transaction([entry])
    assert faults(made) == []
    assert bundle.entries(made)[0].full_url == UUID
    assert made["type"] == TRANSACTION["type"]


def test_a_searchset_is_valid_with_and_without_entries() -> None:
    url = "http://example.org/fhir/Patient/p1"
    links = {"self": "http://example.org/fhir/Patient", "next": "http://example.org/fhir?page=2"}
    made = bundle.searchset([(url, {"resourceType": "Patient", "id": "p1"})], links=links, total=7)
    assert faults(made) == []
    assert made["total"] == 7
    assert made["entry"][0]["search"] == {"mode": "match"}
    empty = bundle.searchset([], links=links, total=None)
    assert faults(empty) == []
    assert empty.keys() == {"resourceType", "type", "link"}
