"""Feeds, files and the listener as an operator meets them: commands, and the process that is
killed while engines send.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fhirbridge.formats import hl7v2, mllp
from fhirbridge.registry.opening import open_registry
from tests import databases
from tests.hl7v2.test_listener import ids, message
from tests.hl7v2.world import HERE, WORLD, library, read
from tests.journeys.bridge import Bridge, end

NUMBER = "urn:oid:2.999.1.1|"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


@pytest.fixture(scope="module")
def mappings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    library(folder, read(WORLD))
    return folder / "mappings"


@pytest.fixture
def bridge(tmp_path: Path, mappings: Path) -> Bridge:
    """A site with its files, two subjects and a feed."""
    made = Bridge(tmp_path / "data", {"MAPPINGS": str(mappings)}).found()
    for name, number in (("MBD-A-001", "0004711"), ("MBD-A-002", "0008150")):
        made.say("subject", "enrol", name, "--site", "A", "--identifier", f"{NUMBER}{number}")
    return made


@contextmanager
def listening(bridge: Bridge, **settings: str) -> Iterator[subprocess.Popen[str]]:
    process = start(bridge, **settings)
    try:
        yield process
    finally:
        end(process, signal.SIGTERM)
        gone(process)


def gone(process: subprocess.Popen[str]) -> None:
    process.wait(timeout=60)
    assert process.stdout is not None
    process.stdout.close()


def start(bridge: Bridge, **settings: str) -> subprocess.Popen[str]:
    with bridge.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fhirbridge", "listen"],
            env=bridge.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    told = [*iter(process.stdout.readline, "ready\n")] if process.poll() is None else []
    assert process.poll() is None, (told, bridge.log.read_text(encoding="utf-8"))
    return process


def test_a_feed_is_added_listened_to_and_ended(bridge: Bridge) -> None:
    port = free_port()
    assert bridge.run("listen").returncode == 1  # nothing to listen on, and the remedy is told
    told = bridge.say("feed", "add", "ward", "--site", "A", "--port", str(port))
    assert told == f"ward: port {port}\n"
    assert bridge.run("feed", "add", "other", "--site", "A", "--port", str(port)).returncode == 1
    assert bridge.run("feed", "add", "both", "--site", "A").returncode == 1
    with listening(bridge) as process:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
            wire.sendall(mllp.frame(message("O1", 3)))
            assert b"MSA|AA|O1" in wire.recv(4096)
            bridge.say("feed", "end", "ward", "--site", "A")
            wire.sendall(mllp.frame(message("O2", 3)))
            assert wire.recv(4096) == b""
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert bridge.say("feed", "list", "--site", "A") == ""
    log = bridge.log.read_text(encoding="utf-8")
    assert '"client": "ward"' in log
    assert "4711" not in log
    assert "O1" not in log


def test_a_file_is_taken_message_by_message_and_its_trailer_must_tie(
    bridge: Bridge, tmp_path: Path
) -> None:
    (case,) = (one for one in read(HERE / "cases.json") if one["id"] == "H38")
    file = tmp_path / "week09.hl7"
    file.write_bytes(case["message"].encode())
    rehearsed = bridge.say("hl7", str(file), "--site", "A", "--rehearse", expect=1)
    told = bridge.say("hl7", str(file), "--site", "A", expect=1)
    assert rehearsed == told
    assert told.splitlines() == [
        "week09.hl7 1 A0038a: applied",
        "week09.hl7 2 A0038b: applied",
        "2 messages: 2 applied",
        "incomplete: week09.hl7: BTS-1 says 3, found 2",
    ]
    file.write_bytes(case["message"].replace("BTS|3", "BTS|2").encode())
    again = bridge.say("hl7", str(file), "--site", "A")
    assert again.splitlines()[-2:] == ["2 messages: 2 unchanged", "complete"]
    bridge.say("verify")


@dataclass
class Engine(threading.Thread):
    """Sends each message again until its answer comes, one in flight, as engines do."""

    port: int
    name_: str
    until: Callable[[], bool]
    acknowledged: list[str] = field(default_factory=list)
    resent: int = 0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        number = 0
        while not self.until():
            id = f"{self.name_}{number}"
            body = message(id, number % 10)
            body = body.replace(b"|20260301093000|", f"|{_day(number)}|".encode())
            if self._sent(id, body):
                self.acknowledged.append(id)
                number += 1

    def _sent(self, id: str, body: bytes) -> bool:
        for _ in range(600):
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as wire:
                    wire.sendall(mllp.frame(body))
                    if ids([*mllp.Frames().feed(wire.recv(65536))]) == [id]:
                        return True
            except OSError:
                pass
            self.resent += 1
            time.sleep(0.1)
        return False


def _day(number: int) -> str:
    return f"2026{1 + number // 28 % 12:02}{1 + number % 28:02}093000"


def test_e16_a_listener_that_is_killed_loses_nothing_and_doubles_nothing(bridge: Bridge) -> None:
    port, over = free_port(), threading.Event()
    bridge.say("feed", "add", "ward", "--site", "A", "--port", str(port))
    engines = [Engine(port, name, over.is_set) for name in ("X", "Y")]
    process = start(bridge, CRASH="ingest.before-commit:3")
    for engine in engines:
        engine.start()
    try:
        gone(process)  # it ends itself at the point
        process = start(bridge, CRASH="ingest.after-commit:3")
        gone(process)
        process = start(bridge)
        time.sleep(1.0)
        end(process, signal.SIGKILL)
        gone(process)
        process = start(bridge)
        time.sleep(1.0)
        over.set()
        for engine in engines:
            engine.join(timeout=60)
    finally:
        over.set()
        end(process, signal.SIGTERM)
        gone(process)
    sent = [id for engine in engines for id in engine.acknowledged]
    kept = _control_ids(bridge)
    assert len(sent) > 10
    assert sum(engine.resent for engine in engines) > 0
    assert sorted({*sent} - {*kept}) == [], "lost"
    assert len(kept) == len({*kept}), "doubled"
    bridge.say("verify")


def _control_ids(bridge: Bridge) -> list[str]:
    """Of every message that is kept."""
    registry = open_registry(databases.settings(bridge.folder))
    try:
        with registry.read() as unit:
            site = unit.sites.by_name("A")
        with registry.read(site.id) as unit:
            listed = [unit.messages.get(one.message_id) for one in unit.ledger.messages(limit=5000)]
    finally:
        registry.close()
    return [hl7v2.header(one.body).text(10) for one in listed if one is not None]
