"""The listener's time to answer, and its numbers."""

from __future__ import annotations

import socket
import threading
import urllib.request

from fhirbridge.crash import Crash
from fhirbridge.formats import mllp
from fhirbridge.listener.server import Limits, Listener
from fhirbridge.listener.taking import Desk
from tests.hl7v2.test_listener import codes, ids, message
from tests.hl7v2.world import World


def test_who_waits_too_long_is_hung_up_and_gets_the_stored_answer_when_it_sends_again(
    here: World,
) -> None:
    desk = Desk(here.registry, here.library, Crash(), within=0.3)
    listener = Listener(desk, {here.site_id: "A"}, Limits(seconds=5))
    port = listener.listen("127.0.0.1", 0, lambda _: here.feed)
    busy, done = threading.Event(), threading.Event()

    def write() -> None:
        with here.registry.unit(here.site_id) as unit:
            unit.hold([unit.subjects.all()[0].id])
            unit.feeds.add("other", port=9, fingerprint=None)  # SQLite's only writer
            unit.flush()
            busy.set()
            done.wait(20)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        busy.wait(10)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
            wire.sendall(mllp.frame(message("L1", 4)))
            assert wire.recv(4096) == b""  # hung up on, while the database is not free yet
        assert not done.is_set()
    finally:
        done.set()
        writer.join()
        listener.stop()
    told = here.send(message("L1", 4))
    assert (codes(told), ids(told)) == (["AA"], ["L1"])
    values = [r.fields["pain_rest"] for r in here.records() if r.form == "assessment"]
    assert values == [4], "stored once, whether it was the first time or the second"


def test_the_wait_for_a_turn_is_a_part_of_the_time_to_answer(here: World) -> None:
    desk = Desk(here.registry, here.library, Crash(), within=0.2)
    desk.turns.busy = desk.turns.leaders
    listener = Listener(desk, {here.site_id: "A"}, Limits(seconds=5))
    port = listener.listen("127.0.0.1", 0, lambda _: here.feed)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
            wire.sendall(mllp.frame(message("T1", 4)))
            assert wire.recv(4096) == b""
    finally:
        listener.stop()
    assert here.receipts() == [], "nothing is stored, so that it is sent again"


def test_the_numbers_of_a_listener_name_nobody(here: World) -> None:
    desk = Desk(here.registry, here.library, Crash())
    listener = Listener(desk, {here.site_id: "A"}, Limits(frame=2000, seconds=5))
    port = listener.listen("127.0.0.1", 0, lambda _: here.feed)
    with desk.metrics.served("127.0.0.1", 0) as at:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
                wire.sendall(mllp.frame(message("N1", 4)))
                assert wire.recv(4096)
                with urllib.request.urlopen(f"http://127.0.0.1:{at}/metrics", timeout=10) as got:
                    told = got.read().decode()
                wire.sendall(b"\x0b" + b"x" * 3000)
                assert wire.recv(4096)
        finally:
            listener.stop()
    assert 'fhirbridge_hl7v2_messages_total{outcome="applied"} 1.0' in told
    assert "fhirbridge_hl7v2_answer_seconds_count 1.0" in told
    assert "fhirbridge_hl7v2_connections 1.0" in told
    assert desk.metrics.registry.get_sample_value("fhirbridge_hl7v2_connections") == 0
    long = {"outcome": "too-long"}
    assert desk.metrics.registry.get_sample_value("fhirbridge_hl7v2_messages_total", long) == 1
    for secret in ("0004711", "MBD-A", here.site_id, here.feed.name, here.feed.id):
        assert secret not in told
