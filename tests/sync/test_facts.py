"""Several facts in one resource: each has its own fate, and none of them is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.registry.receipts import Receipt
from fhirbridge.sync import review
from fhirbridge.sync.ingest import work_off
from tests.sync.ward import Ward, patient
from tests.web.sender import SCT, STUDY, Resource, concept, score, whose

VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
BONE = {"system": SCT, "code": "94222008"}
BREAST = {"system": SCT, "code": "254837009"}


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Ward.open(tmp_path, patient()) as made:
        made.enrol()
        yield made


def diagnosis(*codings: Resource, **more: Any) -> Resource:
    """The hospital's one line for the tumour and its metastasis."""
    return {
        "resourceType": "Condition",
        "id": "c1",
        "code": {"coding": list(codings or (BREAST, BONE))},
        "subject": whose(),
        "onsetDateTime": "2025-11",
        **more,
    }


def answers(*pairs: tuple[str, int], **more: Any) -> Resource:
    """A questionnaire whose link ids are the study's own codes."""
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "q1",
        "questionnaire": STUDY,
        "status": "completed",
        "subject": whose(),
        "authored": "2026-03-01",
        "item": [{"linkId": code, "answer": [{"valueInteger": n}]} for code, n in pairs],
        **more,
    }


def told(receipt: Receipt) -> list[tuple[int, str, str | None]]:
    """Part, fate and rule of each line; the counts tie, whatever there is."""
    counts = dict(receipt.counts)
    assert counts.pop("received") == sum(counts.values())
    return [(line.part, line.fate, line.rule) for line in receipt.entries]


def forms(ward: Ward) -> dict[str, int]:
    return {form: len(ward.records(form)) for form in ("primary_cancer", "lesion")}


def replay(ward: Ward, receipt: Receipt) -> Receipt:
    with ward.registry.unit(ward.site_id) as unit:
        message = unit.messages.get(receipt.message_id)
        assert message is not None
        again = work_off(unit, ward.hospital.mappings, message)
        unit.commit()
    return again


def test_a_diagnosis_of_two_tumours_is_two_records_and_one_entry(ward: Ward) -> None:
    receipt = ward.push(diagnosis())
    assert told(receipt) == [(0, "applied", "lesion"), (2, "applied", "primary_cancer")]
    assert receipt.counts["received"] == receipt.counts["applied"] == 1
    assert len({line.record_id for line in receipt.entries}) == 2
    assert ward.records("primary_cancer")[0]["site"] == "breast"
    assert [r["diagnosed_on"] for r in ward.records("lesion")] == ["2025-11"]


def test_sent_again_and_replayed_it_changes_nothing(ward: Ward) -> None:
    receipt = ward.push(diagnosis())
    before = ward.state()
    again = ward.push(diagnosis(), score(3, id="o1", effectiveDateTime="2026-03-01"))
    assert [fate for _, fate, _ in told(again)] == ["unchanged", "unchanged", "applied"]
    assert (again.counts["unchanged"], again.counts["applied"]) == (1, 1)
    ward.push(score(3, id="o1", status="entered-in-error"))
    assert told(replay(ward, receipt)) == told(receipt)
    after = ward.state()
    assert after["records"][: len(before["records"])] != []
    assert forms(ward) == {"primary_cancer": 1, "lesion": 1}
    assert [r for r in after["records"] if r in before["records"]] == before["records"]


def test_what_the_corrected_diagnosis_says_no_more_is_taken_back(ward: Ward) -> None:
    ward.push(diagnosis())
    receipt = ward.push(diagnosis(BONE))
    assert forms(ward) == {"primary_cancer": 0, "lesion": 1}
    fates = [(line.fate, line.rule) for line in receipt.entries]
    assert sorted(fates) == [("applied", "primary_cancer"), ("unchanged", "lesion")]
    assert "taken back" in str([line.issues for line in receipt.entries])
    assert told(ward.push(diagnosis(BONE), score(1))) == [
        (0, "unchanged", "lesion"),
        (0, "applied", "assessment.pain_rest"),
    ]
    ward.push(diagnosis())
    assert forms(ward) == {"primary_cancer": 1, "lesion": 1}


def test_entered_in_error_takes_back_all_that_it_gave_once(ward: Ward) -> None:
    ward.push(diagnosis())
    wrong = diagnosis(verificationStatus=concept(VERIFIED, "entered-in-error"))
    receipt = ward.push(wrong)
    assert forms(ward) == {"primary_cancer": 0, "lesion": 0}
    assert [fate for _, fate, _ in told(receipt)] == ["applied", "applied"]
    before = ward.state()
    again = ward.push(wrong, score(1, status="cancelled"))
    assert [fate for _, fate, _ in told(again)] == ["unchanged", "refused"]
    assert ward.state() == before


def test_moved_to_another_subject_all_of_it_moves(ward: Ward) -> None:
    ward.enrol("S-2", "4712")
    ward.push(diagnosis())
    ward.push(diagnosis(subject=whose("4712")))
    assert forms(ward) == {"primary_cancer": 0, "lesion": 0}
    assert len(ward.records("lesion", "S-2")) == len(ward.records("primary_cancer", "S-2")) == 1


def test_what_waits_keeps_every_record_that_it_may_be_about(ward: Ward) -> None:
    ward.push(diagnosis())
    receipt = ward.push(diagnosis(subject=whose("nobody")))
    assert [fate for _, fate, _ in told(receipt)] == ["quarantined", "quarantined"]
    assert receipt.counts["quarantined"] == 1
    assert forms(ward) == {"primary_cancer": 1, "lesion": 1}
    assert len(ward.held()) == 2
    ward.push(diagnosis())
    assert ward.held() == []


def test_the_answers_of_a_questionnaire_are_one_record(ward: Ward) -> None:
    receipt = ward.push(answers(("pain-nrs-rest", 2), ("pain-nrs-activity", 6)))
    assert told(receipt) == [(0, "applied", "assessment")]
    assert ward.records() == [{"assessed_on": "2026-03-01", "pain_rest": 2, "pain_activity": 6}]


def test_an_answer_out_of_range_waits_alone_and_mended_waits_no_more(ward: Ward) -> None:
    receipt = ward.push(answers(("pain-nrs-rest", 2), ("pain-nrs-activity", 60)))
    assert told(receipt) == [
        (0, "applied", "assessment.pain_rest"),
        (2, "quarantined", "assessment.pain_activity"),
    ]
    assert (receipt.counts["applied"], receipt.counts["quarantined"]) == (1, 0)
    assert [(held.position, held.part) for held in ward.held()] == [(0, 2)]
    before = ward.state()
    assert told(replay(ward, receipt))[1][1] == "quarantined"
    assert ward.state() == before
    ward.push(answers(("pain-nrs-rest", 2), ("pain-nrs-activity", 6)))
    assert ward.held() == []
    assert ward.records() == [{"assessed_on": "2026-03-01", "pain_rest": 2, "pain_activity": 6}]


def test_an_answer_that_cannot_be_read_any_more_leaves_the_one_before(ward: Ward) -> None:
    ward.push(answers(("pain-nrs-rest", 2), ("pain-nrs-activity", 6)))
    ward.push(answers(("pain-nrs-rest", 1), ("pain-nrs-activity", 60)))
    assert ward.records() == [{"assessed_on": "2026-03-01", "pain_rest": 1, "pain_activity": 6}]
    ward.push(answers(("pain-nrs-rest", 1)))
    assert ward.records() == [{"assessed_on": "2026-03-01", "pain_rest": 1}]


def test_two_answers_to_one_question_are_not_chosen_from(ward: Ward) -> None:
    receipt = ward.push(
        answers(("pain-nrs-rest", 2), ("pain-nrs-rest", 7), ("pain-nrs-activity", 6))
    )
    assert ward.records() == [{"assessed_on": "2026-03-01", "pain_activity": 6}]
    assert "said in two ways" in receipt.entries[0].issues[0].cause
    assert [(held.position, held.part) for held in ward.held()] == [(0, 1)]


def test_a_decision_releases_the_part_that_waited_for_it_and_no_other(ward: Ward) -> None:
    """recordedDate is an upper bound: of both records a person looks at the date."""
    bare = {n: v for n, v in diagnosis().items() if n != "onsetDateTime"}
    ward.push({**bare, "recordedDate": "2025-12-01"})
    assert sorted(held.part for held in ward.held()) == [1, 3]
    with ward.registry.unit(ward.site_id) as unit:
        one = unit.proposals.waiting()[0]
        review.accept(unit, ward.hospital.mappings, one.id, by="nurse", reason="chart")
        unit.commit()
    assert len(ward.held()) == 1
    with ward.registry.unit(ward.site_id) as unit:
        review.refuse(unit, unit.proposals.waiting()[0].id, by="nurse", reason="told")
        unit.commit()
    assert ward.held() == []
