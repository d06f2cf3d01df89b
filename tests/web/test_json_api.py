"""The JSON API: what the registry holds, found again by what the sender calls it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

import fhirbridge
from fhirbridge.fhir.definitions import resource_types
from fhirbridge.formats import fhir_json
from fhirbridge.settings import Settings
from tests import databases
from tests.web.sender import LESION, Sender, bundle, concept, lesion, score
from tests.web.signing import BASE, Signing


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return databases.settings(tmp_path / "data", max_body=200_000, base_url=BASE)


def got(answer: TestResponse, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/json"
    return fhir_json.parse(answer.data)


def all_of(sender: Sender, path: str, **query: Any) -> list[Any]:
    """Every item, page by page."""
    items: list[Any] = []
    after: dict[str, str] = {}
    while True:
        given = "&".join(f"{k}={v}" for k, v in {**query, **after}.items())
        page = got(sender("GET", f"/api/v1/{path}?{given}"))
        items += page["items"]
        if page["next"] is None:
            return items
        after = {"after": page["next"]}


LOCAL = score(id="o-9", code=concept("urn:local", "NRS-1"))


def test_a_sender_finds_its_receipts_by_its_own_identifiers(door: Sender) -> None:
    first = door.push(lesion(), Idempotency_Key="run-1/4").headers["X-Receipt"]
    second = door.push(score(id="o-1")).headers["X-Receipt"]
    for query, wanted in (
        ("key=run-1/4", [first]),
        (f"identifier={LESION}|L-1", [first]),
        ("source_id=Observation/o-1", [second]),
        ("source_id=Condition/o-1", []),
        ("identifier=urn:x|L-1", []),
        ("source=client:engine", [second, first]),
        ("", [second, first]),
    ):
        assert [r["id"] for r in got(door("GET", f"/api/v1/receipts?{query}"))["items"]] == wanted
    told = got(door("GET", "/api/v1/receipts"))["items"][1]
    assert (told["key"], told["source"], told["state"]) == ("run-1/4", "client:engine", "done")


def test_a_receipt_tells_of_each_entry_where_it_stood_and_whether_to_send_it_again(
    door: Sender,
) -> None:
    answer = door.push(lesion(), LOCAL, score(11))
    told = got(door("GET", f"/api/v1/receipts/{answer.headers['X-Receipt']}"))
    assert told == got(door("GET", f"/receipts/{answer.headers['X-Receipt']}"))
    taken, unknown, wrong = told["entries"]
    assert [e["expression"] for e in told["entries"]] == [
        f"Bundle.entry[{n}].resource" for n in range(3)
    ]
    assert (taken["identifier"], taken["retryable"]) == (f"{LESION}|L-1", False)
    assert (unknown["fate"], unknown["retryable"]) == ("quarantined", True)
    assert (wrong["fate"], wrong["retryable"]) == ("quarantined", False)
    issue = unknown["issues"][0]
    assert (issue["category"], issue["retryable"]) == ("unknown-code", True)
    assert issue["expression"].startswith("Bundle.entry[1].resource")
    alone = door("POST", "/fhir/Observation", score(4))
    told = got(door("GET", f"/api/v1/receipts/{alone.headers['X-Receipt']}"))
    assert told["entries"][0]["expression"] == "Observation"


def test_p9_a_client_with_few_scopes_sees_its_own_receipts_alone(door: Sender) -> None:
    door.push(score())
    narrow = Signing.at(door).bearing("system/Observation.cu")
    own = narrow("POST", "/fhir/Observation", score(5), Idempotency_Key="mine").headers["X-Receipt"]
    for query in ("", "?source=client:engine", "?key=mine"):
        found = got(narrow("GET", f"/api/v1/receipts{query}"))["items"]
        assert [receipt["id"] for receipt in found] == [own]
    assert got(narrow("GET", f"/api/v1/receipts/{own}"))["id"] == own
    others = got(door("GET", "/api/v1/receipts"))["items"][1]["id"]
    foreign = narrow("GET", f"/api/v1/receipts/{others}")
    assert (foreign.status_code, foreign.data) == (404, narrow("GET", "/api/v1/receipts/0").data)


@pytest.mark.parametrize(
    "path",
    ["messages", "messages/1", "messages/1/body", "quarantine", "quarantine/1", "subjects",
     "subjects/S-1", "records", "records/1", "records/1/history", "proposals", "proposals/1"],
)  # fmt: skip
def test_reading_needs_the_scope_of_everything(door: Sender, path: str) -> None:
    narrow = Signing.at(door).bearing("system/Observation.cruds")
    issue = got(narrow("GET", f"/api/v1/{path}"), 403)["issues"][0]
    assert (issue["code"], "system/*.r" in issue["cause"]) == ("forbidden", True)


def test_a_message_comes_back_byte_for_byte_and_is_no_page(door: Sender) -> None:
    raw = b'{"resourceType": "Bundle",  "type": "transaction", "entry": []} '
    broken = b'{"resourceType":<script>'
    for body in (raw, broken):
        door("POST", "/fhir", body)
    newest, oldest = all_of(door, "messages", limit=1)
    assert got(door("GET", f"/api/v1/messages/{oldest['id']}")) == oldest
    assert (oldest["kind"], oldest["source"]) == ("push/Bundle", "client:engine")
    for message, body in ((oldest, raw), (newest, broken)):
        answer = door("GET", f"/api/v1/messages/{message['id']}/body")
        assert answer.data == body
        assert answer.content_type == "application/fhir+json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"].startswith("attachment;")


def test_quarantine_is_filtered_by_category_type_and_message(door: Sender) -> None:
    first = door.receipt(door.push(LOCAL))["message_id"]
    door.push(score(11), lesion(bodySite=[concept("urn:local", "OBERARM")]))
    everything = all_of(door, "quarantine", limit=1)
    assert len(everything) == 3
    for query, number in (
        ({"category": "unknown-code"}, 2),
        ({"category": "value"}, 0),
        ({"resource_type": "Condition"}, 1),
        ({"message": first}, 1),
        ({"message": first, "resource_type": "Condition"}, 0),
        ({"state": "released"}, 0),
    ):
        assert len(all_of(door, "quarantine", limit=2, **query)) == number
    one = everything[0]
    assert got(door("GET", f"/api/v1/quarantine/{one['id']}")) == one
    assert one["issues"][0]["remedy"]
    door.push({**LOCAL, **score(3, id="o-9")})
    assert len(all_of(door, "quarantine", state="released")) == 1


def test_a_cause_that_quotes_a_category_is_not_of_it(door: Sender) -> None:
    door.push(score(code=concept("urn:local", '","category":"value')))
    assert len(all_of(door, "quarantine", category="unknown-code")) == 1
    assert all_of(door, "quarantine", category="value") == []


def test_subjects_are_told_without_what_hospitals_call_them(door: Sender) -> None:
    door.enrol("S-2", "4712")
    door.push(score())
    assert [s["study_id"] for s in all_of(door, "subjects", limit=1)] == ["S-1", "S-2"]
    answer = door("GET", "/api/v1/subjects/S-1")
    told = got(answer)
    assert {r["form"] for r in told["records"]} == {"subject", "assessment"}
    assert b"4711" not in answer.data + door("GET", "/api/v1/subjects").data


def test_records_with_their_history_and_origin(door: Sender) -> None:
    door.push(score(3, id="o1"))
    door.push(score(5, id="o1"))
    door.push(score(6, id="o2", effectiveDateTime="2026-03-01"))
    (record,) = all_of(door, "records", form="assessment", subject="S-1", limit=1)
    assert record["fields"] == {"assessed_on": "2026-03-01", "pain_rest": 5}
    assert got(door("GET", f"/api/v1/records/{record['id']}")) == record
    assert all_of(door, "records", subject="S-9") == []
    assert all_of(door, "records", status="withdrawn") == []
    told = got(door("GET", f"/api/v1/records/{record['id']}/history"))
    assert [r["changes"].get("pain_rest") for r in told["revisions"]] == [[None, 3], [3, 5]]
    assert {r["actor"] for r in told["revisions"]} == {"client:engine"}
    assert all(r["message_id"] and r["mapping_version"] and r["at"] for r in told["revisions"])
    proposed = [p for p in told["proposals"] if p["field"] == "pain_rest"]
    assert [(p["value"], p["status"]) for p in proposed] == [
        (3, "accepted"),
        (5, "accepted"),
        (6, "waiting"),
    ]
    origins = [told["origins"][p["origin_id"]]["source_id"] for p in proposed]
    assert origins == ["o1", "o1", "o2"]
    assert proposed[0]["path"].startswith("Bundle.entry[0].resource")


def conflict(door: Sender) -> str:
    door.push(score(3, id="o1"))
    door.push(score(6, id="o2"))
    (waits,) = all_of(door, "proposals")
    assert got(door("GET", f"/api/v1/proposals/{waits['id']}")) == waits
    return str(waits["id"])


WHO = {"by": "Dr. Example", "reason": "read the chart"}


def decide(sender: Sender, id: str, what: str, body: Any = WHO, **headers: str) -> TestResponse:
    given = {"Content_Type": "application/json", **headers}
    return sender("POST", f"/api/v1/proposals/{id}/{what}", body, **given)


def test_a_proposal_is_accepted_by_a_person_with_a_reason(door: Sender) -> None:
    id = conflict(door)
    told = got(decide(door, id, "accept"))
    assert (told["status"], told["decided_because"]) == ("accepted", "read the chart")
    assert told["decided_by"] == "Dr. Example by client:engine"
    assert door.records()[0]["pain_rest"] == 6
    history = got(door("GET", f"/api/v1/records/{told['record_id']}/history"))
    last = history["revisions"][-1]
    assert (last["actor"], last["reason"]) == (
        "person:Dr. Example by client:engine",
        "read the chart",
    )
    assert all_of(door, "proposals") == []
    assert decide(door, id, "accept").status_code == 404


def test_a_proposal_is_refused_and_keeps_who_and_why(door: Sender) -> None:
    id = conflict(door)
    told = got(decide(door, id, "refuse"))
    assert (told["status"], told["decided_because"]) == ("refused", "read the chart")
    assert door.records()[0]["pain_rest"] == 3
    assert [p["id"] for p in all_of(door, "proposals", status="refused")] == [id]


def test_deciding_needs_the_right_to_change_everything(door: Sender) -> None:
    id = conflict(door)
    for what in ("accept", "refuse"):
        reader = Signing.at(door, name=what).bearing("system/*.rs")
        assert got(decide(reader, id, what), 403)["issues"][0]["category"] == "forbidden"
    assert len(all_of(door, "proposals")) == 1


# What is wrong with a decision, its body, its headers, status, place, a word of the cause.
DECISIONS: list[tuple[str, Any, dict[str, str], int, str, str]] = [
    ("no reason", {"by": "x"}, {}, 400, "reason", "required"),
    ("an empty reason", {"by": "x", "reason": ""}, {}, 400, "reason", "Length"),
    ("x35 a site", {**WHO, "site_id": "other"}, {}, 400, "site_id", "Unknown field"),
    ("x35 a status", {**WHO, "status": "accepted"}, {}, 400, "status", "Unknown field"),
    ("x35 a right", {**WHO, "is_admin": True}, {}, 400, "is_admin", "Unknown field"),
    ("NUL", {**WHO, "by": "a\0b"}, {}, 400, "by", "printed"),
    ("a line end", {**WHO, "by": "a\nb"}, {}, 400, "by", "printed"),
    ("a list", b"[]", {}, 400, "", "no JSON object"),
    ("a name twice", b'{"by":"a","by":"b","reason":"c"}', {}, 400, "", "twice"),
    ("no JSON", b"{", {}, 400, "line 1", "broken JSON"),
    ("too deep", b'{"by":' + b"[" * 90_000 + b"]" * 90_000 + b"}", {}, 400, "", "nested too deep"),
    ("a form", b"by=x&reason=y", {"Content_Type": "application/x-www-form-urlencoded"}, 415, "", "no JSON"),
    ("too long", b" " * 200_001, {}, 413, "", "longer than"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "headers", "status", "place", "cause"),
    [d[1:] for d in DECISIONS],
    ids=[d[0] for d in DECISIONS],
)
def test_x35_what_is_no_decision_decides_nothing(
    door: Sender, body: Any, headers: dict[str, str], status: int, place: str, cause: str
) -> None:
    id = conflict(door)
    issue = got(decide(door, id, "accept", body, **headers), status)["issues"][0]
    assert issue.get("place", "").startswith(place)
    assert cause in issue["cause"]
    assert len(all_of(door, "proposals")) == 1


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("records?limit=0", "limit"),
        ("records?limit=501", "limit"),
        ("records?limit=many", "limit"),
        ("records?after=unknown", "after"),
        ("records?status=gone", "status"),
        ("records?site_id=x", "site_id"),
        ("receipts?identifier=L-1", "identifier"),
        ("receipts?source_id=o-1", "source_id"),
        ("receipts?after=unknown", "after"),
        ("messages?after=unknown", "after"),
        ("messages?source=%00", "source"),
        ("quarantine?category=none", "category"),
        ("quarantine?after=unknown", "after"),
        ("proposals?status=none", "status"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(door: Sender, path: str, place: str) -> None:
    issue = got(door("GET", f"/api/v1/{path}"), 400)["issues"][0]
    assert (issue["place"], issue["category"], bool(issue["remedy"])) == (place, "value", True)


def test_errors_of_the_api_are_issues_and_elsewhere_operation_outcomes(door: Sender) -> None:
    for path, headers, status in (
        ("/api/v1/nothing", {}, 404),
        ("/api/v1/receipts", {"Authorization": ""}, 401),
        ("/api/v1/records/%00", {}, 400),
    ):
        answer = door("GET", path, **headers)
        assert {*got(answer, status)} == {"issues"}
    assert got(door("POST", "/api/v1/receipts", {}), 405)["issues"][0]["code"] == "not-supported"
    assert door("GET", "/nothing").get_json()["resourceType"] == "OperationOutcome"


def test_a_page_mark_of_another_site_is_an_unknown_one(door: Sender) -> None:
    door.push(score())
    other = Sender.at(door.app, "beta")
    for noun in ("messages", "receipts", "records"):
        known = all_of(door, noun)[0]["id"]
        foreign = other("GET", f"/api/v1/{noun}?after={known}")
        assert (foreign.status_code, foreign.data) == (400, other("GET", f"/api/v1/{noun}?after=0").data)  # fmt: skip


def test_pages_are_whole_and_in_order_while_rows_arrive(door: Sender) -> None:
    for number in range(5):
        door.push(score(number, id=f"o{number}", effectiveDateTime=f"2026-03-0{number + 1}"))
    first = got(door("GET", "/api/v1/messages?limit=2"))
    door.push(score(9, id="later", effectiveDateTime="2026-04-01"))
    rest = got(door("GET", f"/api/v1/messages?limit=500&after={first['next']}"))
    times = [m["received_at"] for m in first["items"] + rest["items"]]
    assert times == sorted(times, reverse=True)
    assert (len(times), rest["next"]) == (5, None)
    assert len(all_of(door, "records", limit=4, form="assessment")) == 6


def test_the_document_names_every_route_of_the_api(door: Sender) -> None:
    told = got(door("GET", "/api/v1/openapi.json"))
    assert told["openapi"] == "3.1.0"
    wired = {
        rule.rule.replace("<", "{").replace(">", "}")
        for rule in door.app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and not rule.rule.endswith("openapi.json")
    }
    assert {*told["paths"]} == wired
    assert len(wired) > 14
    assert door("GET", "/api/v1/openapi.json", Authorization="").status_code == 401


def test_x35_no_schema_takes_what_it_does_not_know() -> None:
    """marshmallow's INCLUDE would let a `site_id` through, EXCLUDE would hide that it was sent."""
    package = Path(fhirbridge.__file__).parent
    for path in package.rglob("*.py"):
        names = {
            getattr(node, "id", getattr(node, "attr", ""))
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        }
        assert not names & {"INCLUDE", "EXCLUDE"}, path


def test_a_push_of_any_type_can_be_found_again(door: Sender) -> None:
    """The path in a receipt is FHIRPath in what was sent, whatever its kind."""
    assert "Observation" in resource_types()
    refused = door("POST", "/fhir", bundle(score(status="finished")))
    told = got(door("GET", f"/api/v1/receipts/{refused.headers['X-Receipt']}"))
    assert (told["state"], told["issues"][0]["retryable"]) == ("refused", False)
