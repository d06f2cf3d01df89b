"""What is sent again and what is not, after which pause. All data are synthetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import requests
import responses

from fhirbridge.outcome import BridgeError
from fhirbridge.servers.client import Answer, ComeBack, OutcomeUnknown, Server
from fhirbridge.servers.manners import Manners
from fhirbridge.servers.retry import retry_after

BASE = "https://hospital.example/fhir"
PATIENT = {"resourceType": "Patient", "id": "p1"}

Ask = Callable[[Server], Answer]


def read(server: Server) -> Answer:
    return server.get("Patient/p1")


def search(server: Server) -> Answer:
    return server.search("Patient", {"identifier": "x"}, post=True)


def create(server: Server) -> Answer:
    return server.create(PATIENT, if_none_exist="identifier=x")


def plain_create(server: Server) -> Answer:
    return server.create(PATIENT, if_none_exist=None)


def update(server: Server) -> Answer:
    return server.update(PATIENT, version="3")


def transact(server: Server) -> Answer:
    return server.post_bundle({"resourceType": "Bundle"})


@pytest.fixture
def play(wire: responses.RequestsMock) -> Callable[..., None]:
    """Answers, one after the other, at every place that these tests ask."""

    def script(*steps: int | Exception, **headers: str) -> None:
        waiting = list(steps)

        def step(_: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
            now = waiting.pop(0)
            if isinstance(now, Exception):
                raise now
            return now, headers, '{"resourceType":"Patient"}'

        wire.assert_all_requests_are_fired = False
        for method, place in [
            ("GET", "/Patient/p1"),
            ("PUT", "/Patient/p1"),
            ("POST", "/Patient"),
            ("POST", "/Patient/_search"),
            ("POST", ""),
        ]:
            wire.add_callback(method, BASE + place, step, content_type="application/fhir+json")

    return script


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("ask", [read, search, create])
def test_e01_unserved_request_is_repeated(
    server: Server, wire: responses.RequestsMock, play: Any, connect: Any, ask: Ask, status: int
) -> None:
    play(status, status, 200)
    assert ask(server).status == 200
    assert len(wire.calls) == 3
    assert 0.375 <= connect.pauses[0] <= 0.625
    assert 0.75 <= connect.pauses[1] <= 1.25


def test_pauses_grow_and_jitter(server: Server, play: Any, connect: Any) -> None:
    play(503, 503, 503, 503)
    with pytest.raises(ComeBack, match="answered 503") as caught:
        read(server)
    assert caught.value.issues[0].category == "transient"
    assert caught.value.not_before is None
    assert len(connect.pauses) == 3
    assert 1.5 <= connect.pauses[2] <= 2.5
    assert connect.pauses != [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        ("2", 2.0),
        ("30", 30.0),
        ("Mon, 02 Mar 2026 12:00:05 GMT", 5.0),
        ("Monday, 02-Mar-26 12:00:05 GMT", 5.0),
    ],
)
def test_e01_retry_after_is_honoured(
    server: Server, play: Any, connect: Any, asked: str, pause: float
) -> None:
    play(503, 200, **{"Retry-After": asked})
    assert read(server).status == 200
    assert connect.pauses == [pause]


@pytest.mark.parametrize("asked", ["", "soon", "-5", "1e9", "0", "Sun, 01 Mar 2026 12:00:00 GMT"])
def test_e01_useless_retry_after_falls_back_to_the_own_pause(
    server: Server, play: Any, connect: Any, asked: str
) -> None:
    play(429, 200, **{"Retry-After": asked})
    assert read(server).status == 200
    assert 0.375 <= connect.pauses[0] <= 0.625


@pytest.mark.parametrize("ask", [read, create, update, transact])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_e01_long_retry_after_is_told_and_not_slept(
    server: Server,
    wire: responses.RequestsMock,
    play: Any,
    connect: Any,
    ask: Ask,
    form: str,
) -> None:
    until = server.clock() + timedelta(minutes=50)
    asked = "3000" if form == "seconds" else format_datetime(until, usegmt=True)
    play(503, **{"Retry-After": asked})
    with pytest.raises(ComeBack, match="not before 2026-03-02T12:50:00Z") as caught:
        ask(server)
    assert caught.value.not_before == until
    assert caught.value.issues[0].category == "transient"
    assert (len(wire.calls), connect.pauses) == (1, [])


@pytest.mark.parametrize("asked", ["18000", "Mon, 02 Mar 2026 17:00:00 GMT"])
def test_e01_five_hours_are_cut_to_the_cap_of_the_connection(
    connect: Any, wire: responses.RequestsMock, asked: str
) -> None:
    """Cerner has asked for five hours (smart-on-fhir/smart-fetch, November 2025)."""
    server = replace(connect(BASE), manners=Manners(longest_wait=600))
    connect.opened.append(server)
    wire.get(f"{BASE}/Patient/p1", status=503, headers={"Retry-After": asked})
    with pytest.raises(ComeBack) as caught:
        read(server)
    assert caught.value.not_before == server.clock() + timedelta(minutes=10)
    assert (len(wire.calls), connect.pauses) == (1, [])


def test_a_connection_is_asked_no_faster_than_it_is_set(
    connect: Any, wire: responses.RequestsMock
) -> None:
    server = replace(
        connect(BASE),
        manners=Manners.of(requests_per_second=4, longest_wait=60),
        monotonic=lambda: 100.0,
    )
    connect.opened.append(server)
    wire.get(f"{BASE}/Patient/p1", json={"resourceType": "Patient", "id": "p1"})
    for _ in range(3):
        read(server)
    assert connect.pauses == [0.25, 0.25]


def test_absurd_retry_after_does_not_crash(server: Server, play: Any) -> None:
    assert retry_after("999999999", server.clock()) == 999_999_999.0
    assert retry_after("9" * 30, server.clock()) is None
    play(503, **{"Retry-After": "999999999"})
    with pytest.raises(ComeBack):
        read(server)


def test_losers_of_parallel_conditional_creates_ask_again(
    server: Server, wire: responses.RequestsMock, play: Any
) -> None:
    play(409, 409, 200)
    assert create(server).status == 200
    assert len(wire.calls) == 3


def test_lasting_409_of_a_conditional_create_comes_back(server: Server, play: Any) -> None:
    play(409, 409, 409, 409)
    assert create(server).status == 409


@pytest.mark.parametrize("ask", [plain_create, transact, update])
def test_409_of_anything_else_comes_back_at_once(
    server: Server, wire: responses.RequestsMock, play: Any, ask: Ask
) -> None:
    play(409)
    assert ask(server).status == 409
    assert len(wire.calls) == 1


LOST = [
    requests.ReadTimeout(),
    requests.ConnectionError(),
    requests.exceptions.ChunkedEncodingError(),
]


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("ask", [read, search, create])
def test_e05_lost_answer_of_a_repeatable_request_is_asked_for_again(
    server: Server, wire: responses.RequestsMock, play: Any, ask: Ask, fault: Exception
) -> None:
    play(fault, fault, 200)
    assert ask(server).status == 200
    assert len(wire.calls) == 3


@pytest.mark.parametrize("fault", [*LOST, 502, 504])
@pytest.mark.parametrize("ask", [update, plain_create, transact])
def test_e05_lost_answer_of_any_other_change_is_an_unknown_outcome(
    server: Server, wire: responses.RequestsMock, play: Any, ask: Ask, fault: Exception | int
) -> None:
    play(fault)
    with pytest.raises(OutcomeUnknown, match="outcome unknown") as caught:
        ask(server)
    assert caught.value.issues[0].category == "transient"
    assert len(wire.calls) == 1


def test_lost_update_stays_lost_while_the_caller_works_off_another_error(
    server: Server, wire: responses.RequestsMock, play: Any
) -> None:
    """The refused connection that is being handled is not the reason of this fault."""
    play(requests.ReadTimeout())
    try:
        raise ConnectionRefusedError
    except ConnectionRefusedError:
        with pytest.raises(OutcomeUnknown):
            update(server)
    assert len(wire.calls) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_versioned_update_is_repeated_where_the_server_did_nothing(
    server: Server, wire: responses.RequestsMock, play: Any, status: int
) -> None:
    play(status, 200)
    assert update(server).status == 200
    assert len(wire.calls) == 2


@pytest.mark.parametrize("ask", [plain_create, transact])
@pytest.mark.parametrize("fault", [429, 503, requests.ConnectTimeout()])
def test_unconditional_change_is_never_repeated(
    server: Server, wire: responses.RequestsMock, play: Any, ask: Ask, fault: int | Exception
) -> None:
    play(fault)
    with pytest.raises(BridgeError) as caught:
        ask(server)
    assert caught.value.issues[0].category == "transient"
    assert not isinstance(caught.value, OutcomeUnknown) or fault not in (429, 503)
    assert len(wire.calls) == 1


def test_attempts_are_those_of_the_settings(
    connect: Any, wire: responses.RequestsMock, play: Any
) -> None:
    play(503, 503)
    with pytest.raises(ComeBack):
        read(connect(BASE, retries=2))
    assert len(wire.calls) == 2
