"""Mending over HTTP: a crosswalk line for a code that waits, and a replay that is rehearsed first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhirbridge.registry.audit import Event
from fhirbridge.settings import Settings
from tests import databases
from tests.web.sender import Sender, concept, score
from tests.web.signing import BASE, Signing

LOCAL = "urn:local"
LINE = {
    "crosswalk": "score", "system": LOCAL, "code": "NRS-1", "target": "pain_rest",
    "by": "nurse", "reason": "the ward's form says so",
}  # fmt: skip
ADDITIONS, REPLAYS = "/api/v1/crosswalk-additions", "/api/v1/replays"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return databases.settings(tmp_path / "data", base_url=BASE)


def ask(door: Sender, path: str, body: Any, status: int = 200) -> Any:
    answer = door("POST", path, body, Content_Type="application/json")
    assert answer.status_code == status, answer.text
    return answer.get_json()


def wait(door: Sender, number: int, code: str = "NRS-1") -> str:
    """The id of a message that waits for the code."""
    day = {"effectiveDateTime": f"2026-03-{number + 1:02}", "id": f"o{number}"}
    return str(
        door.receipt(door.push(score(number, code=concept(LOCAL, code), **day)))["message_id"]
    )


def replays(door: Sender, *, rehearse: bool = False, **more: Any) -> Any:
    return ask(door, REPLAYS, {"rehearse": rehearse, "by": "nurse", **more})


def last(door: Sender) -> Event:
    with door.service.registry.read(door.site_id) as unit:
        assert unit.trail.chain().fault == ""
        return unit.trail.events()[-1]


def test_a_line_is_added_and_what_waits_for_it_is_replayed_after_a_rehearsal(door: Sender) -> None:
    message = wait(door, 3)
    made = ask(door, ADDITIONS, LINE, 201)
    assert (made["added_by"], made["withdrawn_at"]) == ("nurse by client:engine", None)
    assert (last(door).event, last(door).actor) == (
        "crosswalk.add",
        "person:nurse by client:engine",
    )

    told = replays(door, rehearse=True)
    assert (told["rehearsed"], told["waited"], told["waits"], told["left"]) == (True, 1, 1, 0)
    (one,) = told["messages"]
    assert one["message_id"] == message
    assert one["entries"][0] | {"resource_type": ""} == {
        "position": 0, "part": 0, "resource_type": "", "before": "quarantined", "after": "applied",
    }  # fmt: skip
    changed = {(c["form"], c["field"]): (c["old"], c["new"]) for c in one["fields"]}
    assert changed["assessment", "pain_rest"] == (None, 3)
    assert door.records() == []
    assert (last(door).action, last(door).event) == ("R", "rehearse")
    assert len(last(door).entities["subjects"]) == 1

    done = replays(door)
    assert next(c for c in done["messages"][0]["fields"] if c["field"] == "pain_rest")["new"] == 3
    assert (done["waited"], done["waits"], door.waiting()) == (1, 0, 0)
    assert door.records() == [{"assessed_on": "2026-03-04", "pain_rest": 3}]
    event = last(door)
    assert (event.event, event.actor) == ("replay", "person:nurse by client:engine")
    assert event.request_id is not None


def test_a_line_is_withdrawn_for_what_comes_from_now_on(door: Sender) -> None:
    id = ask(door, ADDITIONS, LINE, 201)["id"]
    assert ask(door, ADDITIONS, LINE, 409)["issues"][0]["cause"]
    gone = ask(door, f"{ADDITIONS}/{id}/withdraw", {"by": "nurse", "reason": "wrong"})
    assert (gone["withdrawn_by"], gone["withdrawn_reason"]) == ("nurse by client:engine", "wrong")
    assert last(door).event == "crosswalk.withdraw"
    ask(door, f"{ADDITIONS}/{id}/withdraw", {"by": "nurse", "reason": "wrong"}, 404)
    ask(door, ADDITIONS, LINE, 201)
    listed = door("GET", ADDITIONS).get_json()
    assert [line["withdrawn_at"] is None for line in listed["items"]] == [False, True]
    first = door("GET", f"{ADDITIONS}?limit=1").get_json()
    second = door("GET", f"{ADDITIONS}?limit=1&after={first['next']}").get_json()
    assert [*first["items"], *second["items"]] == listed["items"]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"target": "nonsense"}, 422),
        ({"crosswalk": "nonsense"}, 422),
        ({"crosswalk": "../score"}, 422),
        ({"relationship": "alike"}, 400),
        ({"system": ""}, 400),
        ({"code": "a\nb"}, 400),
        ({"added_by": "me"}, 400),
        ({"by": None}, 400),
    ],
)
def test_a_line_that_would_be_no_line_of_a_file_is_refused(
    door: Sender, more: dict[str, Any], status: int
) -> None:
    assert ask(door, ADDITIONS, {**LINE, **more}, status)["issues"]
    assert door("GET", ADDITIONS).get_json()["items"] == []


def test_a_replay_is_bounded_and_goes_on_where_it_ended(door: Sender) -> None:
    messages = [wait(door, number, "of-nobody") for number in range(5)]
    first = replays(door, limit=2)
    assert ([m["message_id"] for m in first["messages"]], first["left"]) == (messages[:2], 3)
    assert first["next"] == messages[1]
    second = replays(door, limit=2, after=first["next"])
    assert ([m["message_id"] for m in second["messages"]], second["left"]) == (messages[2:4], 1)
    third = replays(door, limit=2, after=second["next"])
    assert [m["message_id"] for m in third["messages"]] == messages[4:]
    assert (third["left"], third["next"]) == (0, None)


def test_a_replay_goes_on_behind_a_message_that_waits_no_more(door: Sender) -> None:
    messages = [wait(door, number) for number in range(4)]
    ask(door, ADDITIONS, LINE, 201)
    first = replays(door, limit=2)
    assert (first["left"], first["waits"]) == (2, 2)
    second = replays(door, limit=2, after=first["next"])
    assert [m["message_id"] for m in second["messages"]] == messages[2:]
    assert second["waits"] == 0


def test_a_replay_is_of_what_is_named(door: Sender) -> None:
    one, other = wait(door, 1), wait(door, 2, "NRS-2")
    for more, wanted in (
        ({"codes": [f"{LOCAL}|NRS-2"]}, [other]),
        ({"causes": ["unknown-subject"]}, []),
        ({"causes": ["unknown-code"]}, [one, other]),
        ({"messages": [one]}, [one]),
    ):
        told = replays(door, rehearse=True, **more)
        assert [m["message_id"] for m in told["messages"]] == wanted, more


@pytest.mark.parametrize(
    "body",
    [
        {"by": "nurse"},
        {"rehearse": True},
        {"rehearse": "yes", "by": "nurse"},
        {"rehearse": True, "by": "nurse", "limit": 101},
        {"rehearse": True, "by": "nurse", "limit": 0},
        {"rehearse": True, "by": "nurse", "causes": ["bad-luck"]},
        {"rehearse": True, "by": "nurse", "messages": ["0"] * 101},
    ],
)
def test_a_replay_that_is_not_understood_is_refused(door: Sender, body: dict[str, Any]) -> None:
    ask(door, REPLAYS, body, 400)


def test_a_message_of_another_site_is_not_replayed(door: Sender) -> None:
    message = wait(door, 1)
    other = Sender.at(door.app, "beta")
    for more in ({"messages": [message]}, {"after": message}):
        asked = {"rehearse": True, "by": "nurse", **more}
        known = ask(other, REPLAYS, asked, 404)
        unknown = {name: "0" if name == "after" else ["0"] for name in more}
        assert known == ask(other, REPLAYS, {**asked, **unknown}, 404)


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("system/*.r", (403, 403, 200)),
        ("system/*.u", (201, 403, 403)),
        ("system/*.ru", (201, 200, 200)),
        ("system/Observation.cruds", (403, 403, 403)),
    ],
)
def test_mending_needs_the_scopes_of_deciding(
    door: Sender, scope: str, statuses: tuple[int, int, int]
) -> None:
    lab = Signing.at(door, scope=scope).bearing(scope)
    ask(lab, ADDITIONS, LINE, statuses[0])
    ask(lab, REPLAYS, {"rehearse": True, "by": "nurse"}, statuses[1])
    assert lab("GET", ADDITIONS).status_code == statuses[2]
