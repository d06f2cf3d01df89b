"""Faults over real sockets: a hospital that stalls, drips, cuts or is not there. Synthetic data."""

from __future__ import annotations

import gzip
import logging
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.servers.client import OutcomeUnknown

PATIENT = b'{"resourceType":"Patient","id":"p1"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nConnection: close\r\n"

Script = Callable[[socket.socket], None]


def say(*pieces: bytes) -> Script:
    return lambda connection: connection.sendall(b"".join(pieces))


def well() -> Script:
    return say(HEAD, b"Content-Length: %d\r\n\r\n" % len(PATIENT), PATIENT)


def stall(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
    connection.recv(1)  # until the client hangs up


def silent(connection: socket.socket) -> None:
    connection.recv(1)


def reset(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


CUTS = {
    "short of its length": say(HEAD, b"Content-Length: 100\r\n\r\n", PATIENT),
    "chunked without end": say(HEAD, b"Transfer-Encoding: chunked\r\n\r\n24\r\n", PATIENT, b"\r\n"),
    "within a chunk": say(HEAD, b"Transfer-Encoding: chunked\r\n\r\nff\r\n", PATIENT),
    "without length": say(HEAD, b"\r\n", PATIENT[:-3]),
    "within gzip": say(HEAD, b"Content-Encoding: gzip\r\n\r\n", gzip.compress(PATIENT)[:-12]),
}


@pytest.mark.parametrize("cut", CUTS)
def test_e04_truncated_body_is_refused_and_asked_for_again(
    connect: Any, hospital: Any, cut: str
) -> None:
    mended = hospital(CUTS[cut], well())
    assert connect(mended.url).get("Patient/p1").raw == PATIENT
    broken = hospital(CUTS[cut])
    with pytest.raises(BridgeError, match="truncated") as caught:
        connect(broken.url).get("Patient/p1")
    assert caught.value.issues[0].category == "remote"
    assert len(broken.heard) == 4


@pytest.mark.parametrize("fault", [stall, silent, reset])
def test_e05_stall_or_reset_is_asked_for_again(connect: Any, hospital: Any, fault: Script) -> None:
    mended = hospital(fault, well())
    assert connect(mended.url, read_timeout=0.2).get("Patient/p1").raw == PATIENT
    assert len(mended.heard) == 2


@pytest.mark.parametrize("fault", [stall, silent, reset, CUTS["short of its length"]])
def test_e05_update_whose_answer_is_lost_is_sent_once(
    connect: Any, hospital: Any, fault: Script
) -> None:
    there = hospital(fault)
    with pytest.raises(OutcomeUnknown):
        connect(there.url, read_timeout=0.2).update(
            {"resourceType": "Patient", "id": "p1"}, version="1"
        )
    assert len(there.heard) == 1
    assert there.heard[0].startswith(b"PUT /fhir/Patient/p1 ")


def test_e05_dripping_body_meets_the_deadline(connect: Any, hospital: Any) -> None:
    """Each byte comes within the read timeout; the whole would take 20 seconds."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Content-Length: 400\r\n\r\n{")
        for _ in range(400):
            connection.sendall(b" ")
            if over.wait(0.05):
                return

    there = hospital(drip)
    begun = time.monotonic()
    with pytest.raises(BridgeError, match="did not end in time"):
        connect(there.url, read_timeout=0.1, retries=1).get("Patient/p1")
    over.set()
    assert time.monotonic() - begun < 5


def test_x20_gzip_bomb_is_stopped_at_the_cap(connect: Any, hospital: Any) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    there = hospital(
        say(HEAD, b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb), bomb)
    )
    with pytest.raises(BridgeError) as caught:
        connect(there.url, max_answer=1_000_000).get("Patient/p1")
    assert caught.value.issues[0].category == "too-long"
    assert len(there.heard) == 1


def test_e05_refused_connection_names_the_server_and_no_identifier(connect: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = connect(f"http://127.0.0.1:{port}/fhir")
    identifier = "-".join(("MRN", "0042"))  # a traceback quotes this line, too
    with pytest.raises(BridgeError, match="refused the connection") as caught:
        server.search("Patient", {"identifier": identifier})
    issue = caught.value.issues[0]
    assert (issue.category, issue.place) == ("transient", f"127.0.0.1:{port}")
    assert issue.remedy
    assert identifier not in "".join(traceback.format_exception(caught.value))
    assert len(connect.pauses) == 3


def test_e05_refused_update_is_repeated_as_nothing_was_sent(connect: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(BridgeError, match="refused the connection") as caught:
        connect(f"http://127.0.0.1:{port}").update(
            {"resourceType": "Patient", "id": "1"}, version="1"
        )
    assert not isinstance(caught.value, OutcomeUnknown)
    assert len(connect.pauses) == 3


def test_e05_unknown_host_is_told(connect: Any) -> None:
    with pytest.raises(BridgeError, match="cannot be resolved") as caught:
        connect("http://no-such-host.invalid/fhir").get("metadata")
    assert caught.value.issues[0].place == "no-such-host.invalid:80"


def test_e05_plain_http_behind_an_https_url_is_told(connect: Any, hospital: Any) -> None:
    there = hospital(say(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with pytest.raises(BridgeError, match="TLS") as caught:
        connect(there.url.replace("http:", "https:"), retries=1).get("metadata")
    assert caught.value.issues[0].category == "transient"


def test_log_holds_no_identifier_even_of_malformed_headers(
    connect: Any, hospital: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3 logs a request's URL at DEBUG, and at WARNING where a header cannot be parsed."""
    caplog.set_level(logging.DEBUG)
    there = hospital(say(HEAD, b"no header line\r\n\r\n", PATIENT))
    connect(there.url).search("Patient", {"identifier": "MRN-0042"})
    assert b"MRN-0042" in there.heard[0]
    assert "MRN-0042" not in caplog.text
