"""Create and update by R4's http.html: conditions, versions, ids and preferences (rows R3 to R16)."""

from __future__ import annotations

import itertools
import threading
from copy import deepcopy
from typing import Any

import pytest

from tests.web.sender import MRN, Resource, Sender, bundle, lesion, person, score, whose

ACCESSION = "urn:oid:2.999.8"


def named(value: str, **more: Any) -> Resource:
    return score(identifier=[{"system": ACCESSION, "value": value}], **more)


def asked(resource: Resource, method: str, url: str, **more: str) -> Resource:
    return {"resource": resource, "request": {"method": method, "url": url, **more}}


def transaction(*entries: Resource, type: str = "transaction") -> Resource:
    return {"resourceType": "Bundle", "type": type, "entry": list(entries)}


def statuses(answer: Any) -> list[str]:
    return [entry["response"]["status"][:3] for entry in answer.get_json()["entry"]]


def only(door: Sender, kind: str = "Observation") -> Resource:
    (entry,) = door("GET", f"/fhir/{kind}").get_json()["entry"]
    return dict(entry["resource"])


def place(answer: Any) -> str:
    return str(answer.headers["Location"].split("/fhir/")[1].split("/_history")[0])


def test_r2_a_response_has_an_entry_for_each_in_their_order(door: Sender) -> None:
    answer = door.push(score(), lesion(), person())
    made = answer.get_json()
    assert (answer.status_code, made["type"]) == (200, "transaction-response")
    assert [e["response"]["location"].split("/")[0] for e in made["entry"]] == [
        "Observation", "Condition", "Patient",
    ]  # fmt: skip
    for entry in made["entry"]:
        told = entry["response"]
        assert told["etag"] == f'W/"{told["location"].rpartition("/")[2]}"'
        assert told["lastModified"].endswith("Z")


def _linked() -> list[Resource]:
    urls = [f"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e{n}" for n in range(3)]
    about = {"subject": {"reference": urls[0]}}
    resources = [
        person(),
        lesion(**about, evidence=[{"detail": [{"reference": urls[2]}]}]),
        score(4, **about, focus=[{"reference": urls[1]}]),
    ]
    return [
        {"fullUrl": url, **asked(one, "POST", one["resourceType"])}
        for url, one in zip(urls, resources, strict=True)
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_r3_the_order_of_entries_and_circles_of_references_make_no_difference(
    door: Sender, order: tuple[int, ...]
) -> None:
    entries = _linked()
    answer = door("POST", "/fhir", transaction(*(entries[n] for n in order)))
    assert answer.status_code == 200, answer.data
    assert door.records("assessment") == [{"assessed_on": "2026-03-01", "pain_rest": 4}]
    assert door.records("lesion")[0]["bone"] == "femur"


@pytest.mark.parametrize(
    "entries",
    [
        [asked(score(3, id="o1"), "PUT", "Observation/o1")] * 2,
        [asked(score(3, id="o1"), "POST", "Observation"), asked(score(4, id="o1"), "POST", "Observation")],
        [
            asked(named("A"), "PUT", f"Observation?identifier={ACCESSION}|A"),
            asked(named("A", valueInteger=5), "PUT", f"Observation?identifier={ACCESSION}|A"),
        ],
        [
            asked(person(), "PUT", f"Patient?identifier={MRN}|4711"),
            asked(person("4712"), "PUT", f"Patient?identifier={MRN}|4712"),
        ],
    ],
    ids=["one id by PUT", "one id by POST", "one condition", "two conditions of one person"],
)  # fmt: skip
def test_r4_one_resource_twice_fails_the_whole_transaction(
    door: Sender, entries: list[Resource]
) -> None:
    door.enrol("S-1", "4712")
    answer = door("POST", "/fhir", transaction(*deepcopy(entries)))
    assert answer.status_code == 400, answer.data
    issue = answer.get_json()["issue"][0]
    assert (issue["code"], issue["expression"]) == ("duplicate", ["Bundle.entry[1].resource"])
    assert door.records() == []


def by_number(number: str) -> Resource:
    return {"reference": f"Patient?identifier={MRN}|{number}"}


def test_r5_a_conditional_reference_must_lead_to_one_patient_of_the_site(door: Sender) -> None:
    other = Sender.at(door.app, "beta")
    other.enrol("S-9", "9999")
    for number in ("9999", "nobody"):
        answer = door.push(score(subject=by_number(number)), lesion())
        assert answer.status_code == 422, number
        issue = answer.get_json()["issue"][0]
        assert issue["expression"] == ["Bundle.entry[0].resource"]
        assert "matches no Patient" in issue["details"]["text"]
        assert number not in str(issue)
    assert door.records() == []
    assert door.push(score(subject=by_number("4711"))).status_code == 200


def test_r5_after_enrolment_the_same_bytes_are_taken(door: Sender) -> None:
    assert door.push(score(subject=by_number("77"))).status_code == 422
    door.enrol("S-77", "77")
    again = door.push(score(subject=by_number("77")))
    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (200, None)
    assert len(door.records()) == 1


def test_r5_a_conditional_reference_to_what_the_study_does_not_hold_is_not_followed(
    door: Sender,
) -> None:
    made = score(performer=[{"reference": "Practitioner?identifier=urn:oid:2.999.5|77"}])
    assert door.push(made).status_code == 200


def test_r5_several_matches_fail_the_transaction(door: Sender) -> None:
    door.push(score(1), score(2, "pain-nrs-activity"))
    made = lesion(evidence=[{"detail": [{"reference": "Observation?status=final"}]}])
    answer = door.push(made)
    assert answer.status_code == 412
    assert "several" in answer.get_json()["issue"][0]["details"]["text"]


@pytest.mark.parametrize("kind", ["header", "entry"])
def test_r7_if_none_exist(door: Sender, kind: str) -> None:
    def send(resource: Resource, condition: str) -> tuple[int, Any]:
        if kind == "header":
            answer = door("POST", "/fhir/Observation", resource, If_None_Exist=condition)
            return answer.status_code, answer
        entry = asked(resource, "POST", "Observation", ifNoneExist=condition)
        answer = door("POST", "/fhir", transaction(entry))
        return int(statuses(answer)[0]) if answer.status_code == 200 else answer.status_code, answer

    own = f"identifier={ACCESSION}|A-1"
    assert send(named("A-1"), own)[0] == 201
    assert send(named("A-1", valueInteger=9), own)[0] == 200  # there already: nothing is changed
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_rest": 3}]
    ours = only(door)["identifier"][0]
    assert send(score(9), f"identifier={ours['system']}|{ours['value']}")[0] == 200
    door.push(score(4, "pain-nrs-activity"))
    assert send(score(9), "status=final")[0] == 412
    for unread in ("performer=x", "_has:x=y", "identifer=a|b", "", "identifier="):
        made = send(score(9, effectiveDateTime="2026-04-01"), unread or "?")
        assert made[0] == 400, unread
    assert len(door.records()) == 1


def test_r7_x15_another_sites_resource_is_no_match(door: Sender) -> None:
    other = Sender.at(door.app, "beta")
    other.enrol("S-1", "4711")
    condition = f"identifier={ACCESSION}|A-1"
    assert (
        door("POST", "/fhir/Observation", named("A-1"), If_None_Exist=condition).status_code == 201
    )
    assert (
        other("POST", "/fhir/Observation", named("A-1"), If_None_Exist=condition).status_code == 201
    )


def test_r7_sixteen_at_once_make_one(door: Sender) -> None:
    answers: list[int] = []

    def send() -> None:
        condition = f"identifier={ACCESSION}|A-1"
        told = door("POST", "/fhir/Observation", named("A-1"), If_None_Exist=condition)
        answers.append(told.status_code)

    threads = [threading.Thread(target=send) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 15 + [201]
    assert len(door.records()) == 1


def test_r8_conditional_update(door: Sender) -> None:
    path = f"/fhir/Observation?identifier={ACCESSION}|A-1"
    made = door("PUT", path, named("A-1"))
    assert (made.status_code, made.headers["ETag"]) == (201, 'W/"1"')
    changed = door("PUT", path, named("A-1", valueInteger=5))
    assert (changed.status_code, changed.headers["ETag"]) == (200, 'W/"2"')
    assert place(changed) == place(made)
    other = door("PUT", path, named("A-1", valueInteger=6, id="another"))
    assert other.status_code == 400
    assert "another id" in other.get_json()["issue"][0]["details"]["text"]
    same = door("PUT", path, named("A-1", valueInteger=6, id=place(made).split("/")[1]))
    assert same.status_code == 200
    door.push(score(4, "pain-nrs-activity"))
    assert door("PUT", "/fhir/Observation?status=final", score(9)).status_code == 412
    assert door("PUT", "/fhir/Observation?performer=x", score(9)).status_code == 400
    assert door("PUT", "/fhir/Observation", score(9)).status_code == 400
    assert {r["pain_rest"] for r in door.records()} == {6}


def test_r8_r9_update_of_what_was_read(door: Sender) -> None:
    door.push(score(3, id="o1"))
    read = only(door)
    path, etag = f"/fhir/Observation/{read['id']}", f'W/"{read["meta"]["versionId"]}"'
    read["valueInteger"] = 5
    stale = door("PUT", path, read, If_Match='W/"7"')
    assert (stale.status_code, stale.get_json()["issue"][0]["code"]) == (412, "conflict")
    for wrong in ("1", "garbage", 'W/"1'):
        assert door("PUT", path, read, If_Match=wrong).status_code == 400, wrong
    assert door.records()[0]["pain_rest"] == 3
    right = door("PUT", path, read, If_Match=etag)
    assert (right.status_code, right.headers["ETag"]) == (200, 'W/"2"')
    assert door.records()[0]["pain_rest"] == 5
    assert door.waiting() == 0
    assert door("PUT", path, read, If_Match=etag).status_code == 412


def test_r9_if_match_in_an_entry_fails_the_transaction(door: Sender) -> None:
    door.push(score(3, id="o1"))
    stale = asked(score(5, id="o1"), "PUT", "Observation/o1", ifMatch='W/"9"')
    answer = door("POST", "/fhir", transaction(asked(lesion(), "POST", "Condition"), stale))
    assert answer.status_code == 412
    assert answer.get_json()["issue"][0]["expression"] == ["Bundle.entry[1].request.ifMatch"]
    assert door.records("lesion") == []
    right = asked(score(5, id="o1"), "PUT", "Observation/o1", ifMatch='W/"1"')
    assert statuses(door("POST", "/fhir", transaction(right))) == ["200"]


def test_r8_an_update_by_the_senders_own_id_creates(door: Sender) -> None:
    made = door("PUT", "/fhir/Observation/o1", score(3, id="o1"))
    assert made.status_code == 201
    assert door(("GET"), f"/fhir/{place(made)}").status_code == 200
    again = door("PUT", "/fhir/Observation/o1", score(4, id="o1"))
    assert (again.status_code, place(again)) == (200, place(made))


def test_an_update_may_go_back_to_what_it_was(door: Sender) -> None:
    """The same bytes as before, and not a repetition."""
    for value in (3, 5, 3):
        assert door("PUT", "/fhir/Observation/o1", score(value, id="o1")).status_code < 202
        assert door.records()[0]["pain_rest"] == value


def test_an_update_of_a_patient_needs_no_hospital_number(door: Sender) -> None:
    read = only(door, "Patient")
    read["gender"] = "female"
    answer = door("PUT", f"/fhir/Patient/{read['id']}", read)
    assert answer.status_code == 200, answer.data
    assert only(door, "Patient")["gender"] == "female"


def test_an_update_of_what_another_client_sent_waits(door: Sender) -> None:
    door.push(score(3, id="o1"))
    read = only(door)
    other = Sender.at(door.app, "alpha", client="second")
    answer = other("PUT", f"/fhir/Observation/{read['id']}", {**read, "valueInteger": 9})
    assert answer.status_code == 202
    assert door.records()[0]["pain_rest"] == 3


@pytest.mark.parametrize("id", [None, "o2"])
def test_r10_the_id_in_the_body_is_the_one_in_the_url(door: Sender, id: str | None) -> None:
    resource = score(3, id=id) if id else score(3)
    answer = door("PUT", "/fhir/Observation/o1", resource)
    assert answer.status_code == 400
    assert "the id in the URL" in answer.get_json()["issue"][0]["details"]["text"]


def test_r10_of_a_create_the_servers_id_and_stamps_count(door: Sender) -> None:
    meta = {"versionId": "41", "lastUpdated": "2020-01-01T00:00:00Z"}
    answer = door("POST", "/fhir/Observation", score(3, id="mine", meta=meta))
    assert answer.status_code == 201
    made = answer.get_json()
    assert made["id"] != "mine"
    assert made["meta"]["versionId"] == "1"
    assert not made["meta"]["lastUpdated"].startswith("2020")


def test_a_url_that_names_another_type_is_refused(door: Sender) -> None:
    answer = door("POST", "/fhir", transaction(asked(score(), "POST", "Condition")))
    assert answer.status_code == 400
    assert answer.get_json()["issue"][0]["expression"] == ["Bundle.entry[0].request.url"]


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "GET"])
def test_what_is_not_done_by_request_fails_a_transaction_and_says_what_to_do(
    door: Sender, method: str
) -> None:
    entry = asked(score(3, id="o1"), method, "Observation/o1")
    if method != "PATCH":
        del entry["resource"]
    answer = door("POST", "/fhir", transaction(asked(lesion(), "POST", "Condition"), entry))
    assert answer.status_code == 400, answer.data
    issue = answer.get_json()["issue"][0]
    assert issue["expression"] == ["Bundle.entry[1].request.method"]
    remedy = "a request of its own" if method == "GET" else "entered-in-error"
    assert remedy in issue["details"]["text"]
    assert door.records() == []


@pytest.mark.parametrize(
    ("prefer", "kind"),
    [("", "Observation"), ("return=representation", "Observation"), ("return=minimal", None),
     ("return=OperationOutcome", "OperationOutcome"), ("handling=lenient, return=minimal", None)],
)  # fmt: skip
def test_r12_prefer_on_one_resource(door: Sender, prefer: str, kind: str | None) -> None:
    answer = door("POST", "/fhir/Observation", score(), Prefer=prefer)
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith("/_history/1")
    assert (answer.get_json()["resourceType"] if answer.data else None) == kind


def test_r12_prefer_on_a_bundle(door: Sender) -> None:
    (entry,) = door.push(score(1), Prefer="return=representation").get_json()["entry"]
    assert entry["resource"]["valueInteger"] == 1
    (entry,) = door.push(
        score(2, "pain-nrs-activity"), Prefer="return=OperationOutcome"
    ).get_json()["entry"]
    assert entry["response"]["outcome"]["issue"][0]["severity"] == "information"
    assert "resource" not in entry
    wrong = door.push(score("x"), Prefer="return=minimal")
    assert wrong.get_json()["resourceType"] == "OperationOutcome"


def test_r16_an_identical_update_makes_no_version(door: Sender) -> None:
    first = door("PUT", "/fhir/Observation/o1", score(3, id="o1"))
    again = door("PUT", "/fhir/Observation/o1", score(3, id="o1"))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["ETag"] == first.headers["ETag"]


def test_x11_a_repeated_create_with_its_key_gets_the_stored_answer(door: Sender) -> None:
    first = door("POST", "/fhir/Observation", score(3), Idempotency_Key="k1")
    again = door("POST", "/fhir/Observation", score(3), Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.data == first.data


def test_the_stored_answer_stays_when_the_record_goes_on(door: Sender) -> None:
    first = door.push(score(3, id="o1"))
    door.push(score(5, id="o1", status="corrected"))
    assert door.push(score(3, id="o1")).get_json() == first.get_json()
    assert door.records()[0]["pain_rest"] == 5


def test_validate_tells_what_a_push_would_do_and_keeps_nothing(door: Sender) -> None:
    def would(body: Resource, path: str = "/fhir/Bundle/$validate") -> str:
        answer = door("POST", path, body)
        assert answer.status_code == 200
        told = answer.get_json()
        assert told["resourceType"] == "OperationOutcome"
        return " ".join(issue["details"]["text"] for issue in told["issue"])

    made = bundle(score(3, id="o1"))
    assert "would be created" in would(made)
    assert door.records() == []
    door("POST", "/fhir", made)
    assert "stay as it is" in would(made)
    one = "/fhir/Observation/$validate"
    assert "would change" in would(score(4, id="o1"), one)
    assert "would stay as it is" in would(score(3, id="o1"), one)
    assert "would wait" in would(score(3, subject=whose("9999")), one)
    assert "integer" in would(score("x"), one)
    other = Sender.at(door.app, "alpha", client="second")
    answer = other("POST", one, score(8, id="x"))
    assert "another source says otherwise" in str(answer.get_json())
    assert door.records() == [{"assessed_on": "2026-03-01", "pain_rest": 3}]
    assert door.waiting() == 0
    with door.service.registry.engine.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from message").scalar_one() == 1
