"""message list, receipt list and a refused proposal by the command line; persons are made up."""

from __future__ import annotations

from fhirbridge.registry.audit import Event
from tests.commands.test_consent_commands import WHY, at, door, told
from tests.web.sender import LESION, Sender, lesion, score

__all__ = ["door"]


def last(door: Sender) -> Event:
    with door.service.registry.read(door.site_id) as unit:
        return unit.trail.events()[-1]


def test_messages_are_listed_the_newest_first_and_by_page(door: Sender) -> None:
    receipts = [door.receipt(door.push(score(n, id=f"o{n}"))) for n in range(3)]
    ids = [receipt["message_id"] for receipt in reversed(receipts)]
    assert [line.split()[0] for line in told("message list")] == ids
    assert told("message list")[0].endswith("client:engine push/Bundle kept")
    assert told("message list", "--source", "client:other") == []
    first = at("message list --limit 2")
    assert [line.split()[0] for line in first.lines[:2]] == ids[:2]
    assert first.err == f"there are more: --after {ids[1]}\n"
    after = at("message list --limit 2 --after", ids[1])
    assert ([line.split()[0] for line in after.lines], after.err) == (ids[2:], "")


def test_receipts_are_found_by_the_senders_own_names(door: Sender) -> None:
    first = door.push(lesion(), Idempotency_Key="run-1").headers["X-Receipt"]
    second = door.push(score(id="o1")).headers["X-Receipt"]
    for options, wanted in (
        (("--key", "run-1"), [first]),
        (("--identifier", f"{LESION}|L-1"), [first]),
        (("--source-id", "Observation/o1"), [second]),
        (("--source-id", "Condition/o1"), []),
        (("--source", "client:engine"), [second, first]),
        ((), [second, first]),
    ):
        lines = told("receipt list", *options)
        assert [line.split()[0] for line in lines] == wanted, options
    assert told("receipt list")[0].endswith("client:engine done; 1 received, 1 applied")
    wrong = at("receipt list", "--source-id", "o1")
    assert (wrong.code, "no Type/id" in wrong.err) == (1, True)


def test_who_refuses_a_proposal_says_who_and_why(door: Sender) -> None:
    door.push(score(3))
    Sender.at(door.app, "north", client="second").push(score(9))
    waiting = told("proposal list")[0].split()[0]
    assert at("proposal refuse", waiting).code == 2
    told("proposal refuse", waiting, *WHY)
    with door.service.registry.read(door.site_id) as unit:
        decided = unit.proposals.get(waiting)
    assert decided is not None
    assert (decided.status, decided.decided_by, decided.decided_because) == (
        "refused", "nurse", "by letter",
    )  # fmt: skip
    assert (last(door).event, last(door).actor) == ("review", "person:nurse")


def test_consent_lines_and_rehearsals_are_told_in_the_trail(door: Sender) -> None:
    told("consent give S-1", *WHY)
    assert (last(door).event, last(door).actor) == ("consent.give", "person:nurse")
    told("consent withdraw S-1 --policy stop", *WHY)
    assert last(door).event == "consent.withdraw"
    added = told("crosswalk add score urn:local|NRS pain_rest", *WHY)[0].split()[0]
    assert (last(door).event, last(door).entities) == ("crosswalk.add", {"line": added})
    told("crosswalk withdraw", added, *WHY)
    assert (last(door).event, last(door).actor) == ("crosswalk.withdraw", "person:nurse")
    told("consent withdraw S-1 --policy erase", *WHY)
    assert (last(door).action, last(door).event) == ("D", "erase")
    with door.service.registry.read(door.site_id) as unit:
        assert unit.trail.chain().fault == ""
