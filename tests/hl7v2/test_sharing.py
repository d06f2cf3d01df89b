"""Messages that wait for the database are stored in one transaction, and each is answered for itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from fhirbridge.crash import Crash
from fhirbridge.listener.sharing import Sharing
from fhirbridge.listener.taking import Came, Desk
from fhirbridge.outcome import BridgeError, Issue
from tests.hl7v2.test_listener import codes, ids, message
from tests.hl7v2.world import World

FAULT = BridgeError(Issue("transient", "away", "send it again"))


@dataclass
class Counting(Crash):
    commits: int = 0

    def reach(self, point: str) -> None:
        self.commits += point == "ingest.after-commit"


def all_at_once(desk: Desk, here: World, bodies: Sequence[bytes]) -> list[bytes]:
    """What is answered to messages that all wait when the database is free."""
    turns, answers = desk.turns, {}
    turns.busy = turns.leaders

    def send(number: int, body: bytes) -> None:
        answers[number] = desk.take(here.feed, "A", body)

    threads = [threading.Thread(target=send, args=pair) for pair in enumerate(bodies)]
    for thread in threads:
        thread.start()
    _until(lambda: len(turns.waiting) == len(bodies))
    with turns.turn:
        turns.busy = 0
        turns.turn.notify_all()
    for thread in threads:
        thread.join()
    return [one for number in range(len(bodies)) for one in answers[number]]


def _until(true: object) -> None:
    assert callable(true)
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.sqlite_only(reason="PostgreSQL has many writers, and each message its own transaction")
def test_who_waits_together_is_stored_by_one_commit(here: World) -> None:
    crash = Counting()
    desk = Desk(here.registry, here.library, crash, within=30)
    people = ("0004711", "0008150", "0012345")
    sent = [message(f"W{n}", n, name=people[n % 3]) for n in range(6)]
    told = all_at_once(desk, here, sent)
    assert crash.commits == 1
    assert (codes(told), ids(told)) == (["AA"] * 6, [f"W{n}" for n in range(6)])
    assert len(here.receipts()) == 6


def test_the_same_message_on_two_connections_is_stored_once(here: World) -> None:
    desk = Desk(here.registry, here.library, Crash(), within=30)
    told = all_at_once(desk, here, [message("D1", 4), message("D1", 4), message("D2", 5)])
    assert (codes(told), ids(told)) == (["AA"] * 3, ["D1", "D1", "D2"])
    assert len(here.receipts()) == 2


def test_what_one_message_did_the_next_of_the_transaction_finds(here: World) -> None:
    """A merge, a result by the number that survives, its correction, and the late first saying."""
    merge = (
        b"MSH|^~\\&|EHR|SITEA|FHIRBRIDGE|MBDSTUDY|20260301101500||ADT^A40^ADT_A39|M1|P|2.5.1\r"
        b"EVN|A40|20260301101500\rPID|1||0020001^^^SITEA&2.999.1.1&ISO^MR\r"
        b"MRG|0012345^^^SITEA&2.999.1.1&ISO^MR\r"
    )
    first = message("R1", 4, name="0020001")
    later = first.replace(b"|R1|", b"|R2|").replace(b"20260301101500", b"20260302101500")
    corrected = later.replace(b"||4|", b"||7|").replace(b"|F|||", b"|C|||")
    late = first.replace(b"|R1|", b"|R3|").replace(b"||4|", b"||1|")
    late = late.replace(b"20260301101500", b"20260301091500")
    desk = Desk(here.registry, here.library, Crash())
    told = desk.turns.together([Came(here.feed, "A", b) for b in (merge, first, corrected, late)])
    assert [taken.fate for taken, *_ in told] == ["applied", "applied", "applied", "superseded"]
    (record,) = (one for one in here.records() if one.form == "assessment")
    assert record.fields["pain_rest"] == 7


def test_what_cannot_be_stored_takes_nobody_with_it() -> None:
    stored: list[int] = []

    def alone(given: int) -> int:
        if given == 2:
            raise FAULT
        stored.append(given)
        return given * 10

    def together(given: Sequence[int]) -> list[int]:
        assert len(given) > 1
        raise FAULT

    turns: Sharing[int, int] = Sharing(together, alone, leaders=1, most=9, busy=1)
    told: dict[int, object] = {}

    def take(given: int) -> None:
        try:
            told[given] = turns.take(given, "one site", seconds=20)
        except BridgeError as fault:
            told[given] = fault

    threads = [threading.Thread(target=take, args=(n,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    _until(lambda: len(turns.waiting) == 3)
    with turns.turn:
        turns.busy = 0
        turns.turn.notify_all()
    for thread in threads:
        thread.join()
    assert told == {1: 10, 2: FAULT, 3: 30}
    assert sorted(stored) == [1, 3]


def test_sites_do_not_share_a_transaction() -> None:
    groups: list[list[str]] = []

    def together(given: Sequence[str]) -> list[str]:
        groups.append([*given])
        return [*given]

    turns: Sharing[str, str] = Sharing(together, lambda one: one, leaders=1, most=9, busy=1)
    words = ("a1", "b1", "a2", "b2", "a3")
    threads = [
        threading.Thread(target=turns.take, args=(w, w[0]), kwargs={"seconds": 20}) for w in words
    ]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        _until(lambda most=number: len(turns.waiting) == most)
    with turns.turn:
        turns.busy = 0
        turns.turn.notify_all()
    for thread in threads:
        thread.join()
    assert sorted(groups) == [["a1", "a2", "a3"], ["b1", "b2"]]
