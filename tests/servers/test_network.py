"""Where requests may go: no spelling of an inner address gets by, and no name that moves."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from fhirbridge.outcome import BridgeError
from fhirbridge.servers.auth import Bearer
from fhirbridge.servers.client import Server
from fhirbridge.servers.discovery import discover
from fhirbridge.servers.network import EVERYWHERE, Network
from tests.servers.conftest import Bounds, Scripted

PATIENT = b'{"resourceType":"Patient","id":"p1"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nConnection: close\r\n"
WELL = HEAD + b"Content-Length: %d\r\n\r\n" % len(PATIENT) + PATIENT

INSIDE = {
    "127.0.0.1": "this machine",
    "127.8.8.8": "this machine",
    "::1": "this machine",
    "10.20.0.5": "private",
    "172.16.0.1": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "private",
    "fd12:3456::1": "private",
    "0.0.0.0": "single host",
    "224.0.0.1": "single host",
    "::ffff:127.0.0.1": "this machine",
    "::ffff:10.0.0.1": "private",
    "::127.0.0.1": "this machine",
    "64:ff9b::7f00:1": "this machine",
    "64:ff9b:1::a00:1": "private",
    "2002:7f00:1::": "this machine",
    "2002:a00:1::": "private",
    "2001:0:4136:e378:8000:63bf:80ff:fffe": "this machine",  # Teredo, of 127.0.0.1
}
METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "fe80::1",
]
PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"]


@pytest.mark.parametrize("text", INSIDE)
def test_x01_x02_an_address_inside_is_allowed_only_by_name(text: str) -> None:
    address = ip_address(text)
    assert INSIDE[text] in Network().refused(address)
    if INSIDE[text] != "single host":
        assert EVERYWHERE.refused(address) == ""


@pytest.mark.parametrize("text", METADATA)
def test_x01_x02_a_metadata_address_is_never_allowed(text: str) -> None:
    for network in (Network(), EVERYWHERE, Network.of("169.254.169.254/32,fd00::/8,168.0.0.0/8")):
        assert "metadata" in network.refused(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_allowed(text: str) -> None:
    assert Network().refused(ip_address(text)) == ""


def test_x02_another_private_network_stays_refused() -> None:
    network = Network.of("10.20.0.0/16", "192.168.7.0/24")
    assert network.refused(ip_address("10.20.0.5")) == ""
    assert network.refused(ip_address("::ffff:192.168.7.9")) == ""
    assert network.refused(ip_address("10.21.0.5")) == "a private address"
    assert network.refused(ip_address("127.0.0.1")) == "an address of this machine"


@pytest.mark.parametrize("text", ["10.20.0.5/16", "hospital", "10.0.0.0/40", "10.0.0.0/8;::/0"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(BridgeError, match="holds no network"):
        Network.of(text)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1/fhir",
        "http://0177.0.0.1/fhir",
        "http://2130706433/fhir",
        "http://0x7f.1/fhir",
        "http://0x7f000001/fhir",
        "http://127.0.0.1/fhir",
        "http://127.0.0.01/fhir",
        "http://[::ffff:127.0.0.1]/fhir",
        "http://[64:ff9b::a9fe:a9fe]/fhir",
        "http://[2002:a9fe:a9fe::]/fhir",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "gopher://hospital.example/",
        "https://good@evil/",
        "https://good\\@evil/",
        "https://good。evil/",
        "https://good．evil/",
    ],
)
def test_x01_no_spelling_of_an_inner_address_makes_a_server(url: str) -> None:
    with pytest.raises(BridgeError) as caught:
        Server(url, auth=Bearer("t"), limits=Bounds())
    assert caught.value.issues[0].category == "configuration"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A resolver whose answers change from one question to the next; the last stays."""
    real = socket.getaddrinfo

    def answering(*answers: str) -> list[str]:
        questions: list[str] = []

        def told(host: Any, port: Any, *args: Any, **more: Any) -> Any:
            if host != "hospital.example":
                return real(host, port, *args, **more)
            answer = answers[min(len(questions), len(answers) - 1)]
            questions.append(host)
            return real(answer, port, *args, **more)

        monkeypatch.setattr(socket, "getaddrinfo", told)
        return questions

    return answering


def named(there: Scripted) -> tuple[str, int]:
    """The hospital's URL by its name, and its port."""
    port = int(there.url.rpartition(":")[2].partition("/")[0])
    return f"http://hospital.example:{port}/fhir", port


def test_x03_a_name_that_moves_leads_nowhere_else(
    hospital: Any, asked: Callable[..., list[str]]
) -> None:
    """The first answer is the hospital at 127.0.0.1, later ones lead to 127.0.0.9. Each request is
    a connection of its own, and the name is asked for once."""
    there = hospital(lambda connection: connection.sendall(WELL))
    url, port = named(there)
    questions = asked("127.0.0.1", "127.0.0.9")
    with socket.create_server(("127.0.0.9", port)) as inner:
        inner.settimeout(0.2)
        here = Network.of("127.0.0.0/8")
        with Server(url, auth=Bearer("t"), limits=Bounds(), network=here) as server:
            for _ in range(3):
                assert server.get("Patient/p1").raw == PATIENT
        with pytest.raises(TimeoutError):
            inner.accept()
    assert questions == ["hospital.example"]
    assert all(b"Host: hospital.example:%d" % port in heard for heard in there.heard)


def test_x03_a_name_that_leads_inside_is_refused_unsent(
    hospital: Any, asked: Callable[..., list[str]]
) -> None:
    there = hospital(lambda connection: connection.sendall(WELL))
    url, port = named(there)
    asked("127.0.0.1")
    server = Server(url, auth=Bearer("t"), limits=Bounds(retries=1))
    with server, pytest.raises(BridgeError, match="an address of this machine") as caught:
        server.get("Patient/p1")
    assert caught.value.issues[0].category == "configuration"
    assert caught.value.issues[0].place == f"hospital.example:{port}"
    assert there.heard == []


def test_x08_a_discovery_page_is_bounded_and_goes_nowhere_else(hospital: Any) -> None:
    here, large = Network.of("127.0.0.0/8"), b"{" + b" " * 300_000 + b"}"
    json = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    there = hospital(
        lambda c: c.sendall(json + b"Content-Length: %d\r\n\r\n" % len(large) + large),
        lambda c: c.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
        ),
        lambda c: c.sendall(json + b"\r\n[1]"),
    )
    for told in ("exceeds 256000 bytes", "answered with 302", "no JSON object"):
        with pytest.raises(BridgeError, match=told):
            discover(there.url, network=here, limits=Bounds())
    with pytest.raises(BridgeError, match="an address of this machine"):
        discover(there.url, network=Network(), limits=Bounds())
    assert len(there.heard) == 3
    assert not any(b"Authorization" in heard for heard in there.heard)


@pytest.fixture
def over() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def test_x21_a_head_that_drips_meets_the_deadline(
    connect: Any, hospital: Any, over: threading.Event
) -> None:
    """Each byte of the headers comes within the read timeout; they would never end."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"X-Slow: ")
        while not over.wait(0.05):
            connection.sendall(b"x")

    there = hospital(drip)
    begun = time.monotonic()
    with pytest.raises(BridgeError, match="did not end in time"):
        connect(there.url, read_timeout=0.2, retries=1).get("Patient/p1")
    over.set()
    assert time.monotonic() - begun < 20  # without the deadline it would not come back at all
