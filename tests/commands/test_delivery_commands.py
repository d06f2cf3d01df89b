"""delivery list, show, retry and writes, and a delivery's certificate; all persons are made up."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from fhirbridge.sandbox.server import Hospital
from tests.commands.test_consent_commands import at, door, told
from tests.web.sender import Sender, person, score

__all__ = ["door"]


@pytest.fixture
def ward(door: Sender) -> Iterator[Hospital]:
    """A hospital that knows S-1 and refuses the first of two scores."""
    sandbox = Hospital([person("4711", id="p1")])
    with sandbox.running() as base:
        told("connection add ward", base)
        assert at("pull", "north", site=False).code == 0
        door.push(score(3, id="o1"), score(4, "pain-nrs-activity", id="o2"))
        sandbox.fail("POST /fhir/Observation", status=422)
        yield sandbox


def test_a_certificate_ties_and_is_there_as_json(ward: Hospital) -> None:
    said = at("deliver --json", "north", site=False)
    assert said.code == 1
    made = json.loads(said.out)
    ends = {"verified": 1, "conflict": 0, "dead": 1, "pending": 0, "withheld": 0}
    assert made["counts"] == {"outstanding": 2, **ends}
    assert (made["state"], made["ties"], made["connection"]) == ("incomplete", True, "ward")
    assert len(made["reasons"]) == 1
    assert said.err == ""


def test_a_certificate_is_one_line_for_people(ward: Hospital) -> None:
    said = at("deliver", "north", site=False)
    line = next(line for line in said.lines if line.startswith("run "))
    assert line.endswith("incomplete; 2 outstanding = 1 verified, 1 dead (the counts tie)")


def test_what_died_is_listed_shown_and_tried_again(ward: Hospital) -> None:
    at("deliver", "north", site=False)
    first, last = told("delivery list --state dead")
    assert " dead (refused): " in first
    assert last == "1 deliveries"
    assert told("delivery list --cause gone") == ["0 deliveries"]
    id = first.split()[0]
    shown = told("delivery show", id)
    assert shown[0] == first
    assert "1 attempts, 0 failures in a row" in shown
    nothing = at("delivery retry --by nurse")
    assert (nothing.code, "--state, --cause or --connection" in nothing.err) == (1, True)
    assert told("delivery retry --by nurse --state dead --cause refused") == [
        "1 deliveries are tried by the next 'fhirbridge deliver north'"
    ]
    assert at("deliver", "north", site=False).code == 0
    assert told("delivery list --state dead") == ["0 deliveries"]
    assert at("delivery show nothing").code == 1


def test_what_a_server_lets_us_write_is_told_and_forgotten(ward: Hospital) -> None:
    assert told("delivery writes ward") == [
        "nothing is known yet: the first 'deliver' asks the server"
    ]
    at("deliver", "north", site=False)
    known = told("delivery writes ward")
    assert known[0].startswith("asked on ")
    assert "Observation: create yes (declared)" in known
    assert "Observation: conditional-create yes (declared)" in known
    assert told("delivery writes ward --forget")[0].endswith(" things forgotten")
    assert len(told("delivery writes ward")) == 1
