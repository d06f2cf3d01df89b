"""Requests as the wire sees them, and answers as callers get them. All data are synthetic."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
import responses

from fhirbridge.outcome import BridgeError
from fhirbridge.servers.client import Server, outcome_text

BASE = "https://hospital.example/fhir"
PATIENT = {"resourceType": "Patient", "id": "p1", "meta": {"versionId": "3"}}
TOKEN = "Bearer synthetic-token"


def sent(wire: responses.RequestsMock) -> list[requests.PreparedRequest]:
    return [call.request for call in wire.calls]


def test_get_sends_credentials_and_accept_and_reads_the_answer(
    server: Server, wire: responses.RequestsMock
) -> None:
    wire.get(f"{BASE}/Patient/p1", json=PATIENT, headers={"ETag": 'W/"3"'})
    answer = server.get("Patient/p1")
    assert (answer.status, answer.body, answer.etag, answer.version) == (200, PATIENT, 'W/"3"', "3")
    assert json.loads(answer.raw) == PATIENT
    headers = sent(wire)[0].headers
    assert headers["Accept"] == "application/fhir+json"
    assert headers["Authorization"] == TOKEN


@pytest.mark.parametrize(
    ("place", "url"),
    [
        ("Patient/p1", f"{BASE}/Patient/p1"),
        ("/Patient/p1", f"{BASE}/Patient/p1"),
        (f"{BASE}/Patient/p1", f"{BASE}/Patient/p1"),
        ("https://HOSPITAL.example:443/fhir/Patient/p1", f"{BASE}/Patient/p1"),
        ("?_getpages=7", f"{BASE}?_getpages=7"),
        ("Patient?date=ge2026-01-01T00:00:00Z", f"{BASE}/Patient?date=ge2026-01-01T00:00:00Z"),
    ],
)
def test_places_below_the_base_url(
    server: Server, wire: responses.RequestsMock, place: str, url: str
) -> None:
    wire.get(url, json=PATIENT)
    assert server.get(place).body == PATIENT


@pytest.mark.parametrize(
    "place",
    [
        "http://evil.example/Patient/1",
        "//evil.example/Patient/1",
        "http://hospital.example/fhir/Patient/1",
        "https://hospital.example:8443/fhir/Patient/1",
        "https://user@hospital.example/fhir/Patient/1",
        "https://hospital.example./fhir/Patient/1",
        "urn:uuid:0f3f0f0e-0000-4000-8000-000000000001",
        "Patient/../../admin",
    ],
)
def test_x07_reference_to_another_place_is_refused_unsent(
    server: Server, wire: responses.RequestsMock, place: str
) -> None:
    with pytest.raises(BridgeError):
        server.get(place)
    assert sent(wire) == []


@pytest.mark.parametrize(
    "base", ["https://u:p@hospital.example/fhir", "hospital.example", f"{BASE}?x=1", f"{BASE}#x"]
)
def test_unusable_base_url_is_a_configuration_error(connect: Any, base: str) -> None:
    with pytest.raises(BridgeError) as caught:
        connect(base)
    assert caught.value.issues[0].category == "configuration"


def test_search_by_get_and_by_post(server: Server, wire: responses.RequestsMock) -> None:
    bundle = {"resourceType": "Bundle", "type": "searchset"}
    wire.get(f"{BASE}/Patient", json=bundle)
    wire.post(f"{BASE}/Patient/_search", json=bundle)
    server.search("Patient", {"identifier": "urn:x|1"})
    server.search("Patient", {"identifier": "urn:x|1"}, post=True)
    got, posted = sent(wire)
    assert got.url == f"{BASE}/Patient?identifier=urn%3Ax%7C1"
    assert posted.url == f"{BASE}/Patient/_search"
    assert posted.body == "identifier=urn%3Ax%7C1"
    assert posted.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_conditional_create_names_its_condition(
    server: Server, wire: responses.RequestsMock
) -> None:
    wire.post(f"{BASE}/Patient", status=201, headers={"Location": f"{BASE}/Patient/9/_history/1"})
    answer = server.create(PATIENT, if_none_exist="identifier=urn:x%7C1")
    assert (answer.status, answer.body) == (201, None)
    assert answer.location == f"{BASE}/Patient/9/_history/1"
    headers = sent(wire)[0].headers
    assert headers["If-None-Exist"] == "identifier=urn:x%7C1"
    assert headers["Content-Type"] == "application/fhir+json"


def test_plain_create_has_no_condition(server: Server, wire: responses.RequestsMock) -> None:
    wire.post(f"{BASE}/Patient", status=201, json=PATIENT)
    assert server.create(PATIENT, if_none_exist=None).body == PATIENT
    assert "If-None-Exist" not in sent(wire)[0].headers


def test_update_names_the_version(server: Server, wire: responses.RequestsMock) -> None:
    wire.put(f"{BASE}/Patient/p1", json=PATIENT, headers={"ETag": 'W/"4"'})
    assert server.update(PATIENT, version="3").version == "4"
    assert sent(wire)[0].headers["If-Match"] == 'W/"3"'
    assert json.loads(sent(wire)[0].body or "") == PATIENT


@pytest.mark.parametrize("status", [409, 412])  # 409: HAPI 8.4; 412: R4
def test_r09_overtaken_update_comes_back_unrepeated(
    server: Server, wire: responses.RequestsMock, status: int
) -> None:
    wire.put(f"{BASE}/Patient/p1", status=status)
    assert server.update(PATIENT, version="3").status == status
    assert len(sent(wire)) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda s: s.update(PATIENT, version=""),
        lambda s: s.update(PATIENT, version='W/"3"'),
        lambda s: s.update({"resourceType": "Patient"}, version="3"),
        lambda s: s.update({**PATIENT, "id": "../x"}, version="3"),
        lambda s: s.create({"id": "1"}, if_none_exist=None),
        lambda s: s.create(PATIENT, if_none_exist=""),
        lambda s: s.create(PATIENT, if_none_exist="a=b\r\nX: y"),
        lambda s: s.search("Patient?x", {}),
    ],
)
def test_malformed_input_is_refused_unsent(
    server: Server, wire: responses.RequestsMock, ask: Callable[[Server], object]
) -> None:
    with pytest.raises(BridgeError) as caught:
        ask(server)
    assert caught.value.issues[0].category == "value"
    assert sent(wire) == []


def test_bundle_goes_to_the_base_url_as_dict_or_as_bytes(
    server: Server, wire: responses.RequestsMock
) -> None:
    wire.post(BASE, json={"resourceType": "Bundle", "type": "transaction-response"})
    server.post_bundle({"resourceType": "Bundle"})
    server.post_bundle(b'{"resourceType":"Bundle"}')
    assert [request.body for request in sent(wire)] == [b'{"resourceType":"Bundle"}'] * 2


def test_capability_is_a_capability_statement(server: Server, wire: responses.RequestsMock) -> None:
    wire.get(f"{BASE}/metadata", json={"resourceType": "CapabilityStatement"})
    assert server.capability().status == 200
    wire.replace("GET", f"{BASE}/metadata", json=PATIENT)
    with pytest.raises(BridgeError, match="no CapabilityStatement"):
        server.capability()


@pytest.mark.parametrize("status", [400, 404, 410, 422, 500])
def test_errors_come_back_as_answers(
    server: Server, wire: responses.RequestsMock, status: int
) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"code": "invalid"}]}
    wire.get(f"{BASE}/Patient/p1", status=status, json=outcome)
    answer = server.get("Patient/p1")
    assert (answer.status, answer.body) == (status, outcome)
    assert len(sent(wire)) == 1


def test_error_as_html_has_no_body(server: Server, wire: responses.RequestsMock) -> None:
    wire.get(f"{BASE}/Patient/p1", status=404, body="<html>", content_type="text/html")
    answer = server.get("Patient/p1")
    assert (answer.status, answer.body, answer.raw) == (404, None, b"<html>")
    assert outcome_text(answer) == ""


@pytest.mark.parametrize("status", [401, 403])
def test_e02_refused_credentials_stop_at_once(
    server: Server, wire: responses.RequestsMock, status: int
) -> None:
    wire.get(f"{BASE}/Patient", status=status)
    with pytest.raises(BridgeError) as caught:
        server.search("Patient", {})
    issue = caught.value.issues[0]
    assert issue.category == "remote"
    assert "credentials and scopes" in issue.remedy
    assert "synthetic-token" not in str(caught.value)
    assert len(sent(wire)) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://evil.example/fhir?token=x", "to https://evil.example:443"),
        ("http://hospital.example/fhir/Patient/p1", "to http://hospital.example:80"),
        ("http://[broken", "a redirect at"),
    ],
)
def test_x05_redirect_to_another_origin_is_named_and_not_followed(
    server: Server, wire: responses.RequestsMock, status: int, location: str, told: str
) -> None:
    wire.get(f"{BASE}/Patient/p1", status=status, headers={"Location": location})
    with pytest.raises(BridgeError) as caught:
        server.get("Patient/p1")
    issue = caught.value.issues[0]
    assert f"{status}, a redirect" in issue.cause
    assert told in f"{issue.cause} at"
    assert "?" not in issue.cause
    assert len(sent(wire)) == 1


def test_x05_one_redirect_of_a_get_is_followed_within_the_origin(
    server: Server, wire: responses.RequestsMock
) -> None:
    """A merged Patient; the credentials go along, as it is our own hospital still."""
    wire.get(f"{BASE}/Patient/old", status=301, headers={"Location": "/fhir/Patient/new"})
    wire.get(f"{BASE}/Patient/new", json={"resourceType": "Patient", "id": "new"})
    answer = server.get("Patient/old")
    assert (answer.body or {})["id"] == "new"
    assert answer.url == f"{BASE}/Patient/new"
    assert [r.headers["Authorization"] for r in sent(wire)] == ["Bearer synthetic-token"] * 2


@pytest.mark.parametrize("second", [{"status": 302, "headers": {"Location": "/else"}}, {}])
def test_x05_a_login_page_and_a_second_redirect_are_refused(
    server: Server, wire: responses.RequestsMock, second: dict[str, Any]
) -> None:
    wire.get(f"{BASE}/Patient/p1", status=302, headers={"Location": "/login"})
    page = {"status": 200, "body": "<html>", "content_type": "text/html", **second}
    wire.get("https://hospital.example/login", **page)
    with pytest.raises(BridgeError, match=r"redirect|no FHIR JSON"):
        server.get("Patient/p1")
    assert len(sent(wire)) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_x05_a_redirected_change_is_not_followed(
    server: Server, wire: responses.RequestsMock, status: int
) -> None:
    wire.post(f"{BASE}/Patient", status=status, headers={"Location": "/fhir/Person"})
    with pytest.raises(BridgeError, match="redirect"):
        server.create({"resourceType": "Patient"}, if_none_exist=None)
    assert len(sent(wire)) == 1


def test_x20_body_of_a_redirect_is_not_read(connect: Any, wire: responses.RequestsMock) -> None:
    server = connect(BASE, max_answer=1000)
    bomb = gzip.compress(bytes(1_000_000))
    headers = {"Location": "https://evil.example/login", "Content-Encoding": "gzip"}
    wire.get(f"{BASE}/Patient/p1", status=302, body=bomb, headers=headers)
    with pytest.raises(BridgeError, match="redirect"):
        server.get("Patient/p1")


@pytest.mark.parametrize("layers", [1, 2])
def test_x20_decompressed_size_is_capped(
    connect: Any, wire: responses.RequestsMock, layers: int
) -> None:
    bomb = b'{"resourceType":"' + b"A" * 2_000_000
    for _ in range(layers):
        bomb = gzip.compress(bomb)
    assert len(bomb) < 10_000
    encoding = ", ".join(["gzip"] * layers)
    wire.get(f"{BASE}/Patient/p1", body=bomb, headers={"Content-Encoding": encoding})
    with pytest.raises(BridgeError) as caught:
        connect(BASE, max_answer=100_000).get("Patient/p1")
    assert caught.value.issues[0].category == "too-long"
    assert len(sent(wire)) == 1


def test_answer_of_exactly_the_cap_passes(connect: Any, wire: responses.RequestsMock) -> None:
    raw = b'{"resourceType":"Patient"}'
    body = gzip.compress(raw)
    wire.get(f"{BASE}/Patient/p1", body=body, headers={"Content-Encoding": "gzip"})
    assert connect(BASE, max_answer=len(raw)).get("Patient/p1").raw == raw
    with pytest.raises(BridgeError, match="exceeds"):
        connect(BASE, max_answer=len(raw) - 1).get("Patient/p1")


@pytest.mark.parametrize(
    ("body", "kind", "cause", "attempts"),
    [
        ("<html>login</html>", "text/html", "text/html", 1),
        ('{"resourceType":"Patient"}', "text/html", "text/html", 1),
        ("<Patient/>", "application/fhir+xml", "application/fhir+xml", 1),
        ('{"error":"none"}', "application/json", "no FHIR resource", 1),
        ('{"resourceType":7}', "application/json", "no FHIR resource", 1),
        ("", "application/fhir+json", "without a body", 1),
        ('{"resourceType":"Pat', "application/fhir+json", "truncated", 4),
        ("[]", "application/fhir+json", "truncated or no JSON", 4),
    ],
)
def test_e04_success_without_fhir_is_refused(
    server: Server,
    wire: responses.RequestsMock,
    body: str,
    kind: str,
    cause: str,
    attempts: int,
) -> None:
    wire.get(f"{BASE}/Patient/p1", body=body, content_type=kind)
    with pytest.raises(BridgeError) as caught:
        server.get("Patient/p1")
    assert caught.value.issues[0].category == "remote"
    assert cause in caught.value.issues[0].cause
    assert len(sent(wire)) == attempts


def test_decimals_keep_their_digits(server: Server, wire: responses.RequestsMock) -> None:
    body = '{"resourceType":"Observation","valueQuantity":{"value":6.30}}'
    wire.get(f"{BASE}/Observation/1", body=body, content_type="application/fhir+json")
    found = server.get("Observation/1").body
    assert found is not None
    assert str(found["valueQuantity"]["value"]) == "6.30"


@pytest.mark.parametrize(
    ("etag", "version"), [('W/"3"', "3"), ("3", "3"), ('"3"', "3"), ("", "3"), ("?!", "3")]
)
def test_version_from_etag_or_meta(
    server: Server, wire: responses.RequestsMock, etag: str, version: str
) -> None:
    wire.get(f"{BASE}/Patient/p1", json=PATIENT, headers={"ETag": etag})
    assert server.get("Patient/p1").version == version


def test_outcome_text_collects_words_up_to_500_characters(
    server: Server, wire: responses.RequestsMock
) -> None:
    issues: list[Any] = [
        {"code": "invalid", "details": {"text": "bad\n date"}, "diagnostics": "bad\n date"},
        {"code": "required"},
        "nonsense",
        {"details": "nonsense", "diagnostics": 3},
    ]
    outcome = {"resourceType": "OperationOutcome", "issue": issues}
    wire.get(f"{BASE}/Patient/p1", status=400, json=outcome)
    assert outcome_text(server.get("Patient/p1")) == "bad date; required"
    long = {"resourceType": "OperationOutcome", "issue": [{"diagnostics": "x" * 900}]}
    wire.replace("GET", f"{BASE}/Patient/p1", status=400, json=long)
    assert len(outcome_text(server.get("Patient/p1"))) == 500


def test_environment_proxies_and_netrc_are_ignored(
    server: Server,
    wire: responses.RequestsMock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine hospital.example login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    wire.get(f"{BASE}/Patient/p1", json=PATIENT)
    server.get("Patient/p1")
    assert sent(wire)[0].headers["Authorization"] == TOKEN
    assert not wire.calls[0].request.req_kwargs["proxies"]  # type: ignore[attr-defined]


def test_repr_shows_no_secret_and_no_identifier(
    server: Server, wire: responses.RequestsMock
) -> None:
    wire.get(f"{BASE}/Patient", json={"resourceType": "Bundle"})
    answer = server.search("Patient", {"identifier": "MRN-0042"})
    for text in (repr(server), repr(answer)):
        assert "MRN-0042" not in text
        assert "synthetic-token" not in text
