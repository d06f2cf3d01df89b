"""Facts that go to a hospital: with references to what is there, never an echo, taken back once.

All persons and values are synthetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.library import Library
from fhirbridge.options import ConnectionOptions
from fhirbridge.outcome import BridgeError
from fhirbridge.sync import withdraw
from fhirbridge.sync.accept import Context
from fhirbridge.sync.delivery import wanted
from fhirbridge.sync.delivery.dressed import dressed
from tests.sync.test_deliver import CREATE, ends
from tests.sync.ward import MAPPINGS, Ward, patient
from tests.web.conftest import OPERATION
from tests.web.sender import lesion, score

OWN = "https://fhirbridge.example.org/fhir"


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    """S-1 is known there as p1; the hospital gets facts."""
    with Ward.open(tmp_path, patient()) as made:
        made.enrol()
        made.pull()
        made.set(deliver="facts")
        made.sandbox.requests.clear()
        yield made


def operation(**more: Any) -> dict[str, Any]:
    return {**OPERATION, **more}


def consented(ward: Ward, does: Any) -> None:
    with ward.registry.unit(ward.site_id) as unit:
        context = Context(unit, ward.hospital.mappings, "", "person:nurse")
        does(context, withdraw.subject_of(unit, "S-1"), reason="told")
        unit.commit()


def test_a_lesion_goes_before_the_operation_that_names_it(ward: Ward) -> None:
    ward.push(lesion(), operation(), score(3, id="o1"))
    assert ends(ward.deliver()) == {"verified": 3}
    (there,), (done,) = ward.there("Condition"), ward.there("Procedure")
    (reason,) = done["reasonReference"]
    assert reason["reference"] == f"Condition/{there['id']}"
    assert reason["identifier"]["value"] == "L-1"
    ward.sandbox.requests.clear()
    assert ends(ward.deliver()) == {}
    assert ward.sandbox.requests == []
    ward.pull()
    assert ends(ward.deliver()) == {}


def test_an_operation_waits_with_its_reason_until_its_lesion_is_there(ward: Ward) -> None:
    ward.push(lesion(), operation())
    ward.sandbox.fail("POST /fhir/Condition", status=422)
    run = ward.deliver()
    assert ends(run) == {"dead": 1, "pending": 1}
    assert any("refers to Condition/" in reason for reason in run.reasons)
    assert ward.writes == ["POST 422"]
    ward.push(
        lesion(bodySite=[{"coding": [{"system": "http://snomed.info/sct", "code": "85050009"}]}])
    )
    assert ends(ward.deliver()) == {"verified": 2}


def test_where_the_site_says_so_it_goes_with_the_identifier_alone(ward: Ward) -> None:
    ward.set(deliver="surgery", reference="identifier")
    ward.push(lesion(), operation())
    assert ends(ward.deliver()) == {"verified": 1}
    (reason,) = ward.there("Procedure")[0]["reasonReference"]
    assert reason["identifier"]["value"] == "L-1"
    assert "reference" not in reason


def test_forms_and_nothing_are_choices_and_a_wrong_one_is_told(ward: Ward) -> None:
    ward.push(lesion(), operation(), score(3, id="o1"))
    ward.set(deliver="none")
    assert ends(ward.deliver()) == {}
    ward.set(deliver="lesion, assessment")
    assert ends(ward.deliver()) == {"verified": 2}
    assert ward.there("Procedure") == []
    ward.set(deliver="lesions")
    with pytest.raises(BridgeError, match="'lesions' is no form"):
        ward.deliver()


def test_neither_patients_nor_consents_are_ever_facts() -> None:
    mappings = Library(MAPPINGS).of_site("alpha")
    facts = wanted.blocks(mappings, "facts")
    sent = {wanted.mapping_of(mappings, name)[0].resource for name in facts}
    assert {"Condition", "Procedure", "Observation"} <= sent
    assert sent & {"Patient", "Consent", "ResearchSubject", "Provenance"} == set()
    scores = wanted.blocks(mappings, "scores")
    assert set(scores) < set(facts)


def test_what_is_referred_to_ranks_before_what_refers() -> None:
    ranks = wanted.ranks(Library(MAPPINGS).of_site("alpha"))
    assert ranks["primary_cancer"] < ranks["lesion"] < ranks["surgery"]
    assert ranks["lesion"] < ranks["lesion.findings.fracture"]


def test_the_hospitals_own_lesion_is_no_second_time_made_and_is_what_we_refer_to(
    tmp_path: Path,
) -> None:
    theirs = {**lesion(id="c1"), "subject": {"reference": "Patient/p1"}}
    with Ward.open(tmp_path, patient(), theirs) as ward:
        ward.enrol()
        ward.pull()
        ward.set(deliver="facts")
        ward.push(operation())
        told: list[str] = []
        run = ward.deliver()
        assert ends(run) == {"verified": 1, "withheld": 1}, told
        assert [one["id"] for one in ward.there("Condition")] == ["c1"]
        (reason,) = ward.there("Procedure")[0]["reasonReference"]
        assert reason["reference"] == "Condition/c1"


@pytest.mark.parametrize("first", ["hospital", "engine"])
def test_a_lesion_of_both_is_no_second_time_made_whoever_said_it_first(
    tmp_path: Path, first: str
) -> None:
    """One fact with two origins: the hospital's own resource, and an engine's that adds to it."""
    theirs = {**lesion(id="c1"), "subject": {"reference": "Patient/p1"}}
    more = lesion(
        clinicalStatus={
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                    "code": "active",
                }
            ]
        }
    )
    with Ward.open(tmp_path, patient(), theirs) as ward:
        ward.enrol()
        if first == "hospital":
            ward.pull()
            ward.push(more)
        else:
            ward.push(more)
            ward.pull()
        ward.set(deliver="facts")
        assert ends(ward.deliver()) == {"withheld": 1}
        assert ward.writes == []
        assert len(ward.there("Condition")) == 1


def test_a_condition_that_is_taken_back_has_no_clinical_status(ward: Ward) -> None:
    status = {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
        ]
    }
    ward.push(lesion(clinicalStatus=status))
    assert ends(ward.deliver()) == {"verified": 1}
    error = {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
                "code": "entered-in-error",
            }
        ]
    }
    ward.push(lesion(verificationStatus=error))
    assert ends(ward.deliver()) == {"verified": 1}
    (there,) = ward.there("Condition")
    assert there["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert "clinicalStatus" not in there


def test_what_was_delivered_of_who_withdraws_consent_is_taken_back_once(ward: Ward) -> None:
    ward.set(deliver="scores", take_back="yes")
    ward.push(score(3, id="o1"))
    ward.deliver()
    ward.push(score(4, "pain-nrs-activity", id="o2"))
    consented(ward, withdraw.withdraw)
    assert ends(ward.deliver()) == {"verified": 1, "withheld": 1}
    assert [one["status"] for one in ward.there()] == ["entered-in-error"]
    ward.sandbox.requests.clear()
    assert ends(ward.deliver()) == {"withheld": 1}
    assert ward.sandbox.requests == []


def test_who_gives_consent_again_is_told_of_again(ward: Ward) -> None:
    ward.set(deliver="scores", take_back="yes")
    ward.push(score(3, id="o1"))
    ward.deliver()
    consented(ward, withdraw.withdraw)
    ward.deliver()
    consented(ward, withdraw.give)
    assert ends(ward.deliver()) == {"verified": 1}
    assert [one["status"] for one in ward.there()] == ["final"]


def test_what_was_delivered_stays_where_nobody_says_otherwise(ward: Ward) -> None:
    ward.set(deliver="scores")
    ward.push(score(3, id="o1"))
    ward.deliver()
    consented(ward, withdraw.withdraw)
    assert ends(ward.deliver()) == {}
    assert [one["status"] for one in ward.there()] == ["final"]


def test_a_server_that_takes_one_coding_gets_one(ward: Ward) -> None:
    ward.set(codings="standard", displays="no")
    ward.push(lesion(), operation())
    assert ends(ward.deliver()) == {"verified": 2}
    codings = [c for one in ward.there("Condition") for c in one["code"]["coding"]]
    assert codings
    assert all("display" not in coding for coding in codings)


@pytest.mark.parametrize(("codings", "left"), [("all", "ab"), ("standard", "b"), ("local", "a")])
def test_of_a_concept_with_both_the_option_decides_and_one_alone_stays(
    codings: str, left: str
) -> None:
    options = ConnectionOptions().changed({"codings": codings})
    own, other = {"system": f"{OWN}/CodeSystem/x", "code": "a"}, {"system": "urn:s", "code": "b"}
    body = {
        "code": {"coding": [own, other]},
        "method": {"coding": [own]},
        "site": [{"coding": [other]}],
    }
    made = dressed(body, options, own=OWN)
    assert "".join(c["code"] for c in made["code"]["coding"]) == left
    assert made["method"] == body["method"]
    assert made["site"] == body["site"]


def test_what_stays_in_quarantine_or_waits_for_a_person_is_not_sent(ward: Ward) -> None:
    """Two sources disagree: the value that is not decided travels nowhere."""
    ward.set(deliver="scores")
    ward.push(score(3, id="o1"))
    ward.push(score(9, id="o7"), source="client:other")
    assert ends(ward.deliver()) == {"verified": 1}
    assert [one["valueInteger"] for one in ward.there()] == [3]
    assert ward.writes == [CREATE.split(" ")[0] + " 201"]
