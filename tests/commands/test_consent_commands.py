"""consent, crosswalk, replay, subject and message by the command line; persons are made up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirbridge.app import create_app
from fhirbridge.settings import Settings
from tests import databases
from tests.commands.typed import Said, typed
from tests.web.sender import LOINC, MRN, Sender, concept, score

LOCAL = "https://hospital.example.org/catalogue"
UNKNOWN = score(2, id="u1", code=concept(LOCAL, "ECOG-KURZ"))
WHY = ("--by", "nurse", "--reason", "by letter")


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sender]:
    monkeypatch.setenv("FHIRBRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FHIRBRIDGE_DATABASE", databases.setting(tmp_path / "data"))
    assert at("site add north", site=False).code == 0
    assert at("subject enrol S-1", "--identifier", f"{MRN}|4711").code == 0
    sender = Sender.at(create_app(Settings.from_environment()), "north")
    yield sender
    sender.service.registry.close()


def at(words: str, *more: str, site: bool = True) -> Said:
    return typed(*words.split(), *more, *(("--site", "north") if site else ()))


def told(words: str, *more: str) -> list[str]:
    said = at(words, *more)
    assert said.code == 0, said.err
    return said.lines


def test_consent_is_withdrawn_given_again_and_shown(door: Sender) -> None:
    assert told("consent show S-1") == [
        "S-1: no record says whether consent is given; site: enrolment"
    ]
    told("consent withdraw S-1 --policy stop", *WHY)
    assert door.push(score()).get_json()["entry"][0]["response"]["status"][:3] == "422"
    assert told("subject list") == ["S-1 consent: withdrawn", "1 enrolled"]
    told("consent give S-1", *WHY)
    assert door.fates(door.push(score(), Idempotency_Key="again")) == ["applied"]
    shown = told("consent show S-1")
    assert shown[-1] == "S-1: consent is given; site: enrolment"
    assert "status active" in shown[0]
    with door.service.registry.read(door.site_id) as unit:
        (record,) = unit.records.all("consent")
        who = [(one.actor, one.reason) for one in unit.records.revisions(record.id)]
    assert who == [("person:nurse", "by letter")] * 2


def test_a_person_is_erased_for_good(door: Sender) -> None:
    answer = door.push(score())
    door.service.registry.close()
    lines = told("consent withdraw S-1 --policy erase", *WHY)
    assert lines[0].startswith("S-1 is erased: ")
    assert lines[1:] == ["messages: 1 without a body now, 0 without a part"]
    assert told("consent show S-1")[0].startswith("S-1: erased")
    assert told("consent withdraw S-1 --policy erase", *WHY) == ["S-1 was erased before"]
    again = at("subject enrol S-1")
    assert again.code == 1
    assert "S-1" not in again.err
    message_id = door.receipt(answer)["message_id"]
    assert "erased, 0 bytes" in told(f"message show {message_id}")[1]
    assert told("subject list") == ["0 enrolled"]


def test_nobody_is_told_apart_from_who_is_not_there(door: Sender) -> None:
    for words in ("consent show S-9", "consent give S-9", "subject show S-9"):
        more = WHY if "give" in words else ()
        assert at(words, *more).err.startswith("error: nobody is enrolled under this study id")


def test_a_site_may_ask_for_a_record_of_consent(door: Sender) -> None:
    assert typed("site", "add", "south", "--consent", "record").lines[1].endswith("record")
    south = Sender.at(door.app, "south")
    south.enrol("S-2", "4711")
    assert south.fates(south.push(score())) == ["refused"]
    typed("consent", "give", "S-2", "--site", "south", *WHY)
    assert south.fates(south.push(score(), Idempotency_Key="again")) == ["applied"]


def test_a_line_is_added_rehearsed_replayed_and_withdrawn(door: Sender) -> None:
    answer = door.push(UNKNOWN)
    id = door.receipt(answer)["message_id"]
    assert told("replay --rehearse")[-1] == "1 messages rehearsed; nothing was changed, 1 wait"
    (line,) = told("crosswalk add score", f"{LOCAL}|ECOG-KURZ", "ecog", *WHY)
    assert line.endswith(
        f"score: {LOCAL}|ECOG-KURZ -> ecog (equal); then 'fhirbridge replay --site north'"
    )
    rehearsed = told("replay --rehearse --cause unknown-code")
    assert rehearsed[0] == f"{id}: done; 1 received, 1 applied"
    assert rehearsed[1] == "  entry 0 Observation: quarantined -> applied"
    assert rehearsed[-2].endswith(" ecog: nothing -> 2")
    replayed = told("replay", "--code", f"{LOCAL}|ECOG-KURZ")
    assert replayed[:-1] == rehearsed[:-1]
    assert replayed[-1] == "1 messages replayed; 1 waited, 0 still wait"
    assert at("crosswalk add score", f"{LOCAL}|ECOG-KURZ", "ecog", *WHY).code == 1
    told(f"crosswalk withdraw {line.split()[0]}", *WHY)
    assert told("crosswalk list")[-1].endswith(" by nurse: by letter")
    shown = told(f"message show {id}")
    assert shown[0].startswith(f"{id}: push/Bundle from client:engine")
    assert shown[2].endswith("done; 1 received, 1 applied")
    assert "  assessment: 1 active" in told("subject show S-1")


def test_a_code_that_the_study_cannot_decide_is_decided_by_a_line(door: Sender) -> None:
    pain = f"{LOINC}|38208-5"
    answer = door.push(score(3, id="p1", code=concept(LOINC, "38208-5")))
    assert door.fates(answer) == ["quarantined"]
    refused = at("crosswalk add score", f"{LOINC}|89247-1", "pain_rest", *WHY)
    assert (refused.code, "already mapped" in refused.err) == (1, True)
    told("crosswalk add score", pain, "pain_rest", *WHY)
    replayed = told("replay", "--code", pain)
    assert replayed[1] == "  entry 0 Observation: quarantined -> applied"
    assert replayed[-2].endswith(" pain_rest: nothing -> 3")
    assert replayed[-1] == "1 messages replayed; 1 waited, 0 still wait"


def test_what_is_not_there_is_told(door: Sender) -> None:
    assert at("message show x").code == 1
    assert at("replay --message x").code == 1
    assert at("crosswalk withdraw x", *WHY).code == 1
