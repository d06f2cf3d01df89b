"""Paging: every page once, only on the connection's own origin. All data are synthetic."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from fhirbridge.outcome import BridgeError
from fhirbridge.servers.client import PageExpired, Server

BASE = "https://hospital.example/fhir"


def bundle(next_url: object = None, **more: Any) -> dict[str, Any]:
    links = [{"relation": "self", "url": f"{BASE}/Patient"}]
    if next_url is not None:
        links.append({"relation": "next", "url": next_url})  # type: ignore[dict-item]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, **more}


@pytest.mark.parametrize(
    "link",
    [
        f"{BASE}?_getpages=7&_getpagesoffset=2",
        "https://HOSPITAL.example:443/fhir?_getpages=7&_getpagesoffset=2",
        "/fhir?_getpages=7&_getpagesoffset=2",
        "//hospital.example/fhir?_getpages=7&_getpagesoffset=2",
    ],
)
def test_x04_next_links_of_the_own_origin_are_followed(
    server: Server, wire: responses.RequestsMock, link: str
) -> None:
    wire.get(f"{BASE}/Patient", json=bundle(link))
    wire.get(f"{BASE}?_getpages=7&_getpagesoffset=2", json=bundle())
    first, second = server.pages("Patient", {"_count": "2"})
    assert (first.number, second.number) == (1, 2)
    assert first.url == f"{BASE}/Patient?_count=2"
    assert first.next_url is not None
    assert first.next_url.endswith("/fhir?_getpages=7&_getpagesoffset=2")
    assert second.next_url is None
    assert [c.request.headers["Authorization"] for c in wire.calls] == [
        "Bearer synthetic-token"
    ] * 2


def test_walk_starts_at_a_stored_link(server: Server, wire: responses.RequestsMock) -> None:
    wire.get(f"{BASE}?_getpages=7", json=bundle())
    (page,) = server.pages("Patient", {"_count": "2"}, start=f"{BASE}?_getpages=7")
    assert page.url == f"{BASE}?_getpages=7"


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/fhir?page=2",
        "https://hospital.example:8443/fhir?page=2",
        "http://hospital.example/fhir?page=2",
        "//evil.example/fhir?page=2",
        "https://hospital.example.evil.example/fhir?page=2",
        "https://hospital.example@evil.example/fhir?page=2",
        "https://user:word@hospital.example/fhir?page=2",
        "https://hospital.example./fhir?page=2",
        "https://hospital.example:443:443/fhir?page=2",
        "https://evil.example\\@hospital.example/fhir",
        "https://hospital.example/fhir\t?page=2",
        "ftp://hospital.example/fhir",
    ],
)
def test_x04_next_link_to_another_origin(
    server: Server, wire: responses.RequestsMock, link: str
) -> None:
    wire.get(f"{BASE}/Patient", json=bundle(link), headers={"Set-Cookie": "session=1"})
    with pytest.raises(BridgeError) as caught:
        list(server.pages("Patient"))
    assert caught.value.issues[0].category == "remote"
    assert "page=2" not in str(caught.value)
    assert len(wire.calls) == 1


def test_x04_the_cause_is_told(server: Server, wire: responses.RequestsMock) -> None:
    wire.get(f"{BASE}/Patient", json=bundle("https://evil.example/fhir"))
    with pytest.raises(BridgeError, match="the server's next link leads to another origin"):
        list(server.pages("Patient"))


def test_x04_stored_link_of_another_origin(server: Server, wire: responses.RequestsMock) -> None:
    with pytest.raises(BridgeError, match="another origin"):
        list(server.pages("Patient", start="https://evil.example/fhir?page=2"))
    assert len(wire.calls) == 0


@pytest.mark.parametrize("back_to", [f"{BASE}/Patient", f"{BASE}?page=2"])
def test_e07_loop_of_next_links_ends(
    server: Server, wire: responses.RequestsMock, back_to: str
) -> None:
    wire.get(f"{BASE}/Patient", json=bundle(f"{BASE}?page=2"))
    wire.get(f"{BASE}?page=2", json=bundle(back_to))
    with pytest.raises(BridgeError, match="already read"):
        list(server.pages("Patient"))
    assert len(wire.calls) == 2


def test_e07_endless_new_links_end(server: Server, wire: responses.RequestsMock) -> None:
    for number in range(1, 4):
        wire.get(f"{BASE}?page={number}", json=bundle(f"{BASE}?page={number + 1}"))
    with pytest.raises(BridgeError, match="more than 2 pages"):
        list(server.pages("", start=f"{BASE}?page=1", max_pages=2))


def test_expired_page_link_is_told_apart(server: Server, wire: responses.RequestsMock) -> None:
    wire.get(f"{BASE}/Patient", json=bundle(f"{BASE}?page=2"))
    wire.get(f"{BASE}?page=2", status=410)
    walk = server.pages("Patient")
    assert next(walk).number == 1
    with pytest.raises(PageExpired, match="page link has expired") as caught:
        next(walk)
    assert caught.value.issues[0].category == "remote"
    with pytest.raises(PageExpired):
        next(server.pages("Patient", start=f"{BASE}?page=2"))


def test_gone_resource_type_is_no_expired_page(
    server: Server, wire: responses.RequestsMock
) -> None:
    wire.get(f"{BASE}/Patient", status=410)
    with pytest.raises(BridgeError, match="410 to a search") as caught:
        list(server.pages("Patient"))
    assert not isinstance(caught.value, PageExpired)


def test_error_on_a_page_tells_codes_and_no_text(
    server: Server, wire: responses.RequestsMock
) -> None:
    issue = {"severity": "error", "code": "processing", "diagnostics": "no patient MRN-0042"}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    wire.get(f"{BASE}/Patient", status=400, json=outcome)
    with pytest.raises(BridgeError, match=r"400 to a search \(processing\)") as caught:
        list(server.pages("Patient"))
    assert "MRN-0042" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "OperationOutcome", "issue": []},
        bundle(link={"relation": "next"}),
        bundle(link=[{"relation": "next"}]),
        bundle(link=[{"relation": "next", "url": ""}]),
        bundle(7),
    ],
)
def test_page_of_wrong_shape_is_refused(
    server: Server, wire: responses.RequestsMock, body: dict[str, Any]
) -> None:
    wire.get(f"{BASE}/Patient", json=body)
    with pytest.raises(BridgeError) as caught:
        list(server.pages("Patient"))
    assert caught.value.issues[0].category == "remote"


def test_e02_refused_credentials_on_a_later_page(
    server: Server, wire: responses.RequestsMock
) -> None:
    wire.get(f"{BASE}/Patient", json=bundle(f"{BASE}?page=2"))
    wire.get(f"{BASE}?page=2", status=401, json={"resourceType": "OperationOutcome"})
    walk = server.pages("Patient")
    next(walk)
    with pytest.raises(BridgeError, match="credentials"):
        next(walk)
