"""Transactions and batches, over a socket."""

from __future__ import annotations

import pytest

from fhirbridge.sandbox.server import Hospital
from tests.sandbox.speaker import Resource, Speaker, entry, observation, patient


def statuses(answer: Resource) -> list[str]:
    return [one["response"]["status"] for one in answer["entry"]]


def test_placeholders_become_the_ids_that_the_server_gives(speak: Speaker) -> None:
    answer = speak.post(
        entry("POST", "Observation", observation("urn:uuid:a")),  # before what it refers to
        entry("POST", "Patient", patient("9"), full_url="urn:uuid:a"),
        entry("PUT", "Observation/o2", observation("urn:uuid:a", id="o2")),
    ).json()
    assert answer["type"] == "transaction-response"
    assert statuses(answer) == ["201 Created"] * 3
    where = [one["response"]["location"].split("/_history")[0] for one in answer["entry"]]
    made = speak("GET", where[0]).json()
    assert made["subject"] == {"reference": where[1]}
    assert speak("GET", "Observation/o2").json()["subject"] == {"reference": where[1]}


def test_one_fault_undoes_the_whole_transaction(speak: Speaker, hospital: Hospital) -> None:
    before = hospital.resources()
    answer = speak.post(
        entry("DELETE", "Patient/p1"),
        entry("POST", "Patient", patient("9")),
        entry("PUT", "Observation/o1", observation("Patient/gone", id="o1")),
    )
    assert answer.status_code == 400
    assert "Patient/gone" in answer.text
    assert hospital.resources() == before
    assert speak("GET", "Patient/p1").headers["ETag"] == 'W/"1"'
    assert speak.ids("Patient?identifier=9") == []


@pytest.mark.parametrize(
    ("one", "status"),
    [
        (entry("PUT", "Patient/p1", patient("2", id="p1"), ifMatch='W/"7"'), 409),
        (entry("POST", "Observation", observation("urn:uuid:nobody")), 400),
        (entry("POST", "Observation", observation("Patient?identifier=none")), 404),
        (entry("POST", "Patient"), 400),
        (entry("PUT", "Patient", patient("2")), 400),
        (entry("POST", "Parrot", {"resourceType": "Parrot"}), 404),
        (entry("GET", "Patient/none"), 404),
        ({"resource": patient("2")}, 400),
    ],
)
def test_transaction_refuses(
    speak: Speaker, hospital: Hospital, one: Resource, status: int
) -> None:
    before = hospital.resources()
    assert speak.post(entry("POST", "Patient", patient("3")), one).status_code == status
    assert hospital.resources() == before


def test_the_same_resource_twice_is_refused(speak: Speaker) -> None:
    twice = [entry("PUT", "Patient/a", patient("2", id="a"))] * 2
    assert speak.post(*twice).status_code == 400


def test_if_none_exist_uses_what_is_there(speak: Speaker) -> None:
    conditions = {"ifNoneExist": "identifier=urn:mrn|1001"}
    answer = speak.post(
        entry("POST", "Patient", patient("1001"), full_url="urn:uuid:a", **conditions),
        entry("PUT", "Observation/o1", observation("urn:uuid:a", id="o1")),
    ).json()
    assert statuses(answer) == ["200 OK", "201 Created"]
    assert speak("GET", "Observation/o1").json()["subject"] == {"reference": "Patient/p1"}


def test_two_entries_of_one_condition_become_one_resource(speak: Speaker) -> None:
    conditions = {"ifNoneExist": "identifier=urn:mrn|5"}
    speak.post(
        entry("POST", "Patient", patient("5"), full_url="urn:uuid:a", **conditions),
        entry("POST", "Patient", patient("5"), full_url="urn:uuid:b", **conditions),
        entry("PUT", "Observation/o1", observation("urn:uuid:b", id="o1")),
    )
    (id_,) = speak.ids("Patient?identifier=5")
    assert speak("GET", "Observation/o1").json()["subject"] == {"reference": f"Patient/{id_}"}


def test_an_answer_tells_version_and_time_as_hapi_does(speak: Speaker) -> None:
    """A bare number as etag, and the time of what is new only."""
    told = [
        speak.post(one).json()["entry"][0]["response"]
        for one in (
            entry("PUT", "Patient/p1", patient("1001", id="p1")),
            entry("PUT", "Patient/p1", patient("1001", id="p1", active=True)),
            entry("PUT", "Patient/p2", patient("2", id="p2")),
            entry("DELETE", "Patient/p2"),
        )
    ]
    places = [one["location"].removeprefix("Patient/").split("/_history/") for one in told]
    assert places == [["p1", "1"], ["p1", "2"], ["p2", "1"], ["p2", "2"]]
    assert [one["etag"] for one in told] == ["1", "2", "1", "2"]
    assert [one.get("lastModified") for one in told] == [
        None,
        None,
        "2026-03-01T08:00:00.000+00:00",
        None,
    ]


def test_prefer_representation_brings_the_resources_back(speak: Speaker) -> None:
    one = entry("POST", "Patient", patient("5"))
    asked = speak.post(one, Prefer="return=representation").json()["entry"][0]
    assert asked["resource"]["meta"]["versionId"] == "1"
    assert "resource" not in speak.post(one).json()["entry"][0]


def test_a_batch_goes_on_after_a_fault(speak: Speaker) -> None:
    answer = speak.post(
        entry("POST", "Observation", observation("Patient/gone")),
        entry("GET", "Patient/p1"),
        entry("GET", "Patient?identifier=urn:mrn|1001"),
        entry("PUT", "Patient/p1", patient("1001", id="p1"), ifMatch='W/"4"'),
        entry("DELETE", "Patient/never"),
        {"resource": patient("5")},
        type_="batch",
    )
    assert answer.status_code == 200
    told = [status[:3] for status in statuses(answer.json())]
    assert told == ["400", "200", "200", "409", "204", "400"]
    assert answer.json()["entry"][1]["resource"]["id"] == "p1"
    assert answer.json()["entry"][2]["resource"]["type"] == "searchset"


def test_a_deletion_may_go_together_with_what_referred_to_it(speak: Speaker) -> None:
    speak("PUT", "Observation/o1", observation(id="o1"))
    both = [entry("DELETE", "Patient/p1"), entry("DELETE", "Observation/o1")]
    assert speak.post(both[0]).status_code == 409
    assert statuses(speak.post(*both).json()) == ["204 No Content"] * 2


def test_other_bundles_are_refused(speak: Speaker) -> None:
    assert speak.post(type_="collection").status_code == 400
    assert speak("POST", "", patient("5")).status_code == 400
