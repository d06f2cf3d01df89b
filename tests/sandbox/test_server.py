"""The hospital as a server: who may ask, what it says of itself, faults, ledger, threads."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import flask
import pytest
import requests

from fhirbridge.sandbox.search import PARAMETERS
from fhirbridge.sandbox.server import Hospital
from tests.sandbox.speaker import Speaker, entry, patient

PROGRAM = """
from fhirbridge.sandbox.server import Hospital, run
run(Hospital([{"resourceType": "Patient", "id": "p1"}]))
"""


def test_the_capability_statement_says_what_is_wired(speak: Speaker) -> None:
    statement = speak("GET", "metadata").json()
    assert statement["fhirVersion"] == "4.0.1"
    told = statement["rest"][0]["resource"]
    assert {one["type"] for one in told} == set(PARAMETERS)
    words = {"date": "2024", "token": "x", "reference": "x"}
    for one in told:
        for parameter in one["searchParam"]:
            text = words[parameter["type"]]
            answer = speak("GET", f"{one['type']}?{parameter['name']}={text}")
            assert answer.status_code == 200, (one["type"], parameter)


@pytest.mark.parametrize(
    ("given", "challenge"),
    [({}, "Bearer"), ({"Authorization": "Bearer no"}, 'Bearer error="invalid_token"')],
)
def test_without_the_token_only_metadata_is_open(given: dict[str, str], challenge: str) -> None:
    with Hospital([], token="synthetic").running() as base:
        speak = Speaker(base)
        refused = speak("GET", "Patient", **given)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, challenge)
        assert refused.json()["issue"][0]["code"] == "login"
        assert speak("GET", "metadata", **given).status_code == 200
        assert speak("GET", "Patient", Authorization="Bearer synthetic").status_code == 200


def test_the_status_of_a_stale_write_can_be_chosen() -> None:
    with Hospital([patient("1", id="p1")], stale_status=412).running() as base:
        answer = Speaker(base)("PUT", "Patient/p1", patient("2", id="p1"), If_Match='W/"9"')
        assert answer.status_code == 412


def test_the_ledger_holds_every_request_as_it_came(speak: Speaker, hospital: Hospital) -> None:
    speak("GET", "Patient?identifier=urn:mrn%7C1001", X_Request_Id="r1")
    speak("GET", "Parrot")
    first, second = hospital.requests
    assert (first.method, first.status) == ("GET", 200)
    assert first.path == "/fhir/Patient?identifier=urn:mrn%7C1001"
    assert first.headers["X-Request-Id"] == "r1"
    assert second.status == 404


def test_resources_are_a_copy(hospital: Hospital) -> None:
    hospital.resources()[0]["identifier"].clear()
    assert hospital.resources()[0]["identifier"] == [{"system": "urn:mrn", "value": "1001"}]


def test_a_fault_is_answered_so_often_and_then_no_more(speak: Speaker, hospital: Hospital) -> None:
    hospital.fail("GET /fhir/Patient/p1", status=503, headers={"Retry-After": "1"}, times=2)
    assert speak("GET", "Observation").status_code == 200
    answers = [speak("GET", "Patient/p1") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "1"


def test_a_refused_request_does_nothing_and_a_lost_answer_does(
    speak: Speaker, hospital: Hospital
) -> None:
    hospital.fail("POST", status=500, body="<html>sorry</html>")
    hospital.fail("POST", served=True)
    assert speak("POST", "Patient", patient("5")).text == "<html>sorry</html>"
    assert speak.ids("Patient?identifier=5") == []
    with pytest.raises(requests.ConnectionError):
        speak("POST", "Patient", patient("5"))
    assert len(speak.ids("Patient?identifier=5")) == 1


def test_a_connection_can_be_cut_without_an_answer(speak: Speaker, hospital: Hospital) -> None:
    hospital.fail("GET")
    with pytest.raises(requests.ConnectionError):
        speak("GET", "Patient/p1")
    assert hospital.requests[-1].status == 0
    assert speak("GET", "Patient/p1").status_code == 200


def test_a_hook_answers_or_lets_pass(speak: Speaker, hospital: Hospital) -> None:
    def only_strangers(request: flask.Request) -> flask.Response | None:
        known = request.headers.get("X-Who") == "friend"
        return None if known else flask.Response("who?", 403)

    hospital.fail("GET", hook=only_strangers, times=2)
    assert speak("GET", "Patient/p1").text == "who?"
    assert speak("GET", "Patient/p1", X_Who="friend").status_code == 200


def test_parallel_conditional_creates_make_one_resource() -> None:
    def slow_clock() -> datetime:  # between looking and writing: without the lock, doubles
        time.sleep(0.005)
        return datetime(2026, 3, 1, tzinfo=UTC)

    def send(n: int) -> int:
        if n % 2:
            one = entry("POST", "Patient", patient("5"), ifNoneExist="identifier=urn:mrn|5")
            return int(speak.post(one).json()["entry"][0]["response"]["status"][:3])
        headers = {"If_None_Exist": "identifier=urn:mrn|5"}
        return speak("POST", "Patient", patient("5"), **headers).status_code

    with Hospital(clock=slow_clock).running() as base, ThreadPoolExecutor(8) as threads:
        speak = Speaker(base)
        answers = list(threads.map(send, range(32)))
        assert sorted(answers) == [200] * 31 + [201]
        assert len(speak.ids("Patient?identifier=5")) == 1


def test_a_stopped_hospital_is_not_reachable(hospital: Hospital) -> None:
    with hospital.running() as base:
        assert requests.get(f"{base}/metadata", timeout=5).status_code == 200
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{base}/metadata", timeout=5)


def test_a_fault_of_our_own_is_told_as_an_operation_outcome(
    speak: Speaker, hospital: Hospital
) -> None:
    def broken(request: flask.Request) -> flask.Response | None:
        raise ZeroDivisionError

    hospital.fail("GET", hook=broken)
    answer = speak("GET", "Patient/p1")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (500, "exception")


def test_run_says_where_and_ends_with_sigterm() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = re.fullmatch(
            r"ready (http://127\.0\.0\.1:\d+/fhir)\n", process.stdout.readline().decode()
        )
        try:
            assert ready
            assert requests.get(f"{ready[1]}/Patient/p1", timeout=5).status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
