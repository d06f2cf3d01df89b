"""What changes at a hospital between two pulls: merges (E20), deletions (E21), corrections (E22) and
versions that come out of order (E24). All persons and values are synthetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirbridge.formats import fhir_json
from tests.sync import truth
from tests.sync.ward import JSON, Ward, chart, match, page, patient
from tests.web.sender import MRN, whose
from tests.web.sender import score as asked


def score(day: int, value: int = 2, **more: object) -> dict[str, object]:
    return chart(f"e{day}", value, effectiveDateTime=f"2026-02-{day:02d}", **more)


def link(kind: str, other: str) -> list[dict[str, object]]:
    return [{"type": kind, "other": {"reference": f"Patient/{other}"}}]


def merged(into: str) -> dict[str, object]:
    """p1, as it is after a merge."""
    return {**patient(), "active": False, "link": link("replaced-by", into)}


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Ward.open(tmp_path, patient(), *(score(day) for day in range(1, 4))) as made:
        made.enrol()
        yield made


def days(ward: Ward) -> list[str]:
    return [one["assessed_on"][-2:] for one in ward.records()]


def identities(ward: Ward) -> list[str]:
    with ward.registry.read(ward.site_id) as unit:
        subject = unit.subjects.by_study_id("S-1")
        assert subject is not None
        return [value for _, value in unit.subjects.identities(subject.id)]


def test_e20_a_patient_who_was_merged_into_another_is_followed(ward: Ward, tmp_path: Path) -> None:
    ward.pull()
    ward.put({**patient("0815", "p2"), "active": True})
    ward.put(merged("p2"))
    for day in range(1, 4):
        ward.put(score(day, subject={"reference": "Patient/p2"}))
    ward.put(score(4, subject={"reference": "Patient/p2"}))
    run = ward.pull()
    assert (run.state, run.reasons, run.counts["merges"]) == ("complete", (), 1)
    assert days(ward) == ["01", "02", "03", "04"]
    assert identities(ward) == ["0815", "4711"]
    assert ward.sandbox.ledger.merges == [("Patient/p1", "Patient/p2")]
    truth.holds(ward, tmp_path, "p1", "p2")


def test_e20_a_chain_of_merges_is_followed_and_a_replacing_patient_too(
    ward: Ward, tmp_path: Path
) -> None:
    ward.put(patient("3333", "p3"))
    ward.put({**patient("2222", "p2"), "active": False, "link": link("replaced-by", "p3")})
    ward.put({**patient("3333", "p3"), "link": link("replaces", "p2")})
    ward.put(merged("p2"))
    ward.put(score(5, subject={"reference": "Patient/p3"}))
    run = ward.pull()
    assert (run.state, days(ward)) == ("complete", ["01", "02", "03", "05"])
    assert identities(ward) == ["2222", "3333", "4711"]
    truth.holds(ward, tmp_path, "p1", "p2", "p3")


def test_e20_two_patients_of_a_merge_with_one_identifier_are_no_riddle(ward: Ward) -> None:
    ward.put({**patient("4711", "p2"), "active": True, "link": link("replaces", "p1")})
    ward.put(merged("p2"))
    ward.put(score(5, subject={"reference": "Patient/p2"}))
    assert ward.pull().state == "complete"
    assert days(ward) == ["01", "02", "03", "05"]


def test_e20_a_merge_into_another_subject_waits_for_a_person(ward: Ward) -> None:
    ward.enrol("S-2", "4712")
    ward.put(patient("4712", "q1"))
    ward.pull()
    before = ward.state()
    ward.put(merged("q1"))
    ward.put(score(5, subject={"reference": "Patient/q1"}))
    run = ward.pull()
    assert run.state == "incomplete"
    assert any("who is another subject" in reason for reason in run.reasons)
    assert [held.source_id for held in ward.held()] == ["p1"]
    assert "conflict" in {issue.category for issue in ward.held()[0].issues}
    assert days(ward) == ["01", "02", "03"]  # nothing of S-1 was withdrawn, nothing added
    assert identities(ward) == ["4711"]
    assert before["records"]


def test_e20_a_circle_of_merges_ends(ward: Ward) -> None:
    ward.put({**patient("0815", "p2"), "active": False, "link": link("replaced-by", "p1")})
    ward.put(merged("p2"))
    run = ward.pull()
    assert run.state == "incomplete"
    assert any("circle" in reason for reason in run.reasons)
    assert ward.records() == []


@pytest.mark.parametrize("answer", ["redirect", "another id"])
@pytest.mark.parametrize("linked", [True, False])
def test_e20_a_reading_answered_with_another_patient_is_believed_by_a_link_alone(
    ward: Ward, answer: str, linked: bool
) -> None:
    ward.pull()
    ward.put(patient("9999"))  # the search by 4711 finds nobody any more
    other = {**patient("0815", "p2"), **({"link": link("replaces", "p1")} if linked else {})}
    ward.put(other)
    ward.put(score(5, subject={"reference": "Patient/p2"}))
    if answer == "redirect":
        headers = {"Location": f"{ward.hospital.base}/Patient/p2"}
        ward.sandbox.fail("GET /fhir/Patient/p1", status=301, headers=headers, times=3)
    else:
        raw = fhir_json.dump(other)
        ward.sandbox.fail("GET /fhir/Patient/p1", status=200, headers=JSON, body=raw, times=3)
    run = ward.pull()
    if linked:
        assert ("05" in days(ward), identities(ward)) == (True, ["0815", "4711"])
    else:
        assert run.state == "incomplete"
        assert any("no link says why" in reason for reason in run.reasons)
        assert (days(ward), identities(ward)) == (["01", "02", "03"], ["4711"])


def test_e20_a_patient_who_is_gone_takes_nothing_along(ward: Ward) -> None:
    ward.pull()
    ward.sandbox.fail("GET /fhir/Patient?", hook=page(), times=9)
    ward.sandbox.fail("GET /fhir/Patient/p1", status=410, times=9)
    for _ in range(3):
        run = ward.pull(full=True)
        assert run.state == "incomplete"
        assert any("it was deleted there" in reason for reason in run.reasons)
    assert days(ward) == ["01", "02", "03"]


def test_e21_what_was_deleted_is_withdrawn_at_the_next_full_pull(
    ward: Ward, tmp_path: Path
) -> None:
    ward.pull()
    ward.delete("Observation/e2")
    assert ward.pull().counts.get("deleted") is None  # an increment cannot know
    run = ward.pull(full=True)
    assert (run.state, run.counts["deleted"], days(ward)) == ("complete", 1, ["01", "03"])
    with ward.registry.read(ward.site_id) as unit:
        (gone,) = [r for r in unit.records.all("assessment") if r.status == "withdrawn"]
        revisions = unit.records.revisions(gone.id)
        assert [one.reason for one in revisions][-1] == "deleted at its source"
    before = ward.state()
    ward.pull(full=True)
    assert ward.state() == before
    truth.holds(ward, tmp_path, "p1")


def test_e21_what_a_reading_does_not_find_is_withdrawn_after_two_full_pulls(
    ward: Ward, tmp_path: Path
) -> None:
    ward.pull()
    ward.delete("Observation/e2")
    ward.sandbox.fail("GET /fhir/Observation/e2", status=404, times=9)
    ward.pull(full=True)
    assert days(ward) == ["01", "02", "03"]
    ward.pull()  # an increment counts neither way
    ward.pull(full=True)
    assert days(ward) == ["01", "03"]
    truth.holds(ward, tmp_path, "p1")


@pytest.mark.parametrize("fault", ["status=403", "status=500", "truncate", "outcome=error"])
def test_e21_an_incomplete_pull_withdraws_nothing(ward: Ward, tmp_path: Path, fault: str) -> None:
    ward.attempts(1)
    ward.pull()
    ward.sandbox.fail("GET /fhir/Observation/e", status=404, times=99)
    for _ in range(3):
        ward.sandbox.suffer(f"{fault} GET /fhir?_getpages 1")
        run = ward.pull(page_size=2, full=True)
        assert run.state == "incomplete"
    assert days(ward) == ["01", "02", "03"]
    truth.holds(ward, tmp_path, "p1")


def test_e21_what_a_search_leaves_out_and_a_reading_finds_stays(ward: Ward) -> None:
    ward.pull()
    for _ in range(3):
        ward.sandbox.suffer("without=1 GET /fhir/Observation?")
        assert ward.pull(full=True).state == "complete"
    assert days(ward) == ["01", "02", "03"]


def test_e21_what_was_moved_to_a_stranger_is_withdrawn_and_not_kept(
    ward: Ward, tmp_path: Path
) -> None:
    ward.pull()
    ward.put(patient("9999", "stranger"))
    ward.put(score(2, subject={"reference": "Patient/stranger"}))
    ward.pull(full=True)
    assert days(ward) == ["01", "03"]
    truth.nothing_of_others(ward, "stranger")
    truth.holds(ward, tmp_path, "p1")


def test_e21_a_history_tells_deletions_between_full_pulls(ward: Ward, tmp_path: Path) -> None:
    ward.set(deletions="history")
    ward.pull()
    ward.delete("Observation/e2")
    run = ward.pull()
    assert (run.facts["full"], run.counts["deleted"], days(ward)) == (False, 1, ["01", "03"])
    truth.holds(ward, tmp_path, "p1")


def test_e21_what_was_deleted_and_is_there_again_is_taken_again(ward: Ward, tmp_path: Path) -> None:
    ward.pull()
    ward.delete("Observation/e2")
    ward.pull(full=True)
    ward.put(score(2, 4))
    ward.pull()
    assert days(ward) == ["01", "02", "03"]
    truth.holds(ward, tmp_path, "p1")


def test_e21_what_waited_and_was_deleted_waits_no_more(ward: Ward) -> None:
    ward.put(score(4, status="preliminary"))
    ward.pull()
    assert [held.source_id for held in ward.held()] == ["e4"]
    ward.delete("Observation/e4")
    ward.pull(full=True)
    assert ward.held() == []


def test_e22_an_error_is_withdrawn_a_correction_replaces_a_late_preliminary_waits(
    ward: Ward, tmp_path: Path
) -> None:
    ward.pull()
    ward.put(score(1, 2, status="entered-in-error"))
    ward.put(score(2, 4, status="corrected"))
    ward.put(score(3, 1, status="preliminary"))
    ward.pull()
    assert [(one["assessed_on"][-2:], one["ecog"]) for one in ward.records()] == [
        ("02", 4),
        ("03", 2),
    ]
    assert [held.source_id for held in ward.held()] == ["e3"]
    truth.ledger_ties(ward)


def test_e24_an_older_version_that_comes_late_changes_nothing(ward: Ward, tmp_path: Path) -> None:
    ward.pull()
    first = next(one for one in ward.there() if one["id"] == "e1")
    ward.put(score(1, 4))
    ward.pull()
    ward.sandbox.fail("GET /fhir/Observation", hook=page(match(first)))
    run = ward.pull()
    assert run.counts["Observation/superseded"] == 1
    assert ward.records()[0]["ecog"] == 4
    truth.holds(ward, tmp_path, "p1")


def test_the_identifiers_of_a_merge_are_of_a_kind_that_is_enrolled(ward: Ward) -> None:
    other = {"system": "https://elsewhere.example.org", "value": "1"}
    ward.put({**patient("0815", "p2"), "identifier": [other]})
    ward.put(merged("p2"))
    run = ward.pull()
    assert any("no identifier that we know" in reason for reason in run.reasons)
    assert MRN not in str(run.reasons)


@pytest.mark.parametrize("active", [True, False])
def test_e20_a_merge_that_is_taken_back_is_told_and_nothing_more_is_read(
    ward: Ward, active: bool
) -> None:
    ward.pull()
    ward.put({**patient("0815", "p2"), "active": True})
    ward.put(merged("p2"))
    ward.put(score(4, subject={"reference": "Patient/p2"}))
    assert ward.pull().state == "complete"
    ward.put({**patient(), "active": active})
    ward.put(score(5, subject={"reference": "Patient/p2"}))
    for _ in range(2):  # it stays so until somebody has settled it
        run = ward.pull()
        assert run.state == "incomplete"
        told = [one for one in run.reasons if "taken back" in one]
        assert told
        assert "->" in told[0]
        assert days(ward) == ["01", "02", "03", "04"]
        assert [one.source_id for one in ward.held()] == ["p1"]
    ward.put(merged("p2"))  # the hospital meant it
    assert ward.pull().state == "complete"
    assert days(ward)[-1] == "05"
    assert ward.held() == []


def test_e20_an_identifier_that_moves_to_another_patient_is_told(ward: Ward) -> None:
    ward.pull()
    ward.put({**patient("9999"), "active": True})
    ward.put(patient("4711", "p9"))
    ward.put(score(5, subject={"reference": "Patient/p9"}))
    run = ward.pull()
    assert run.state == "incomplete"
    assert any("Patient/p1 was this person" in one and "->" in one for one in run.reasons)


def test_e20_after_a_merge_is_delivered_to_the_patient_who_stays(ward: Ward) -> None:
    ward.pull()
    ward.put({**patient("0815", "p2"), "active": True})
    ward.put(merged("p2"))
    ward.pull()
    ward.push(asked(7, id="ours", subject=whose("4711"), effectiveDateTime="2026-03-01"))
    assert ward.deliver().reasons == ()
    (sent,) = [one for one in ward.there() if one["effectiveDateTime"] == "2026-03-01"]
    assert sent["subject"]["reference"] == "Patient/p2"
    ward.put(patient())  # the hospital takes it back: to nobody, until somebody says who that is
    ward.pull()
    ward.push(asked(3, id="more", subject=whose("4711"), effectiveDateTime="2026-03-02"))
    assert ward.deliver().reasons
    assert not [one for one in ward.there() if one["effectiveDateTime"] == "2026-03-02"]
