"""Pulls from a sandbox hospital: what is taken is surely the person's, and what is not is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from flask import Request, Response

from fhirbridge.fhir.bundle import transaction
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError
from fhirbridge.sync.pull import Pull
from tests.sync.ward import JSON, Ward, chart, joined, match, page, patient
from tests.web.sender import SCT, concept, lesion

HELD = "quarantined"


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with Ward.open(tmp_path, patient(), chart("e1")) as made:
        made.enrol()
        yield made


def scores(ward: Ward, study_id: str = "S-1") -> list[tuple[str, int]]:
    return [
        (one["assessed_on"], one["ecog"])
        for one in ward.records(study_id=study_id)
        if "ecog" in one
    ]


def met(id_: str = "c1", **more: object) -> dict[str, object]:
    """A bone metastasis as the hospital holds it."""
    return {**lesion(id=id_, subject={"reference": "Patient/p1"}), **more}


def test_a_second_pull_changes_nothing(ward: Ward) -> None:
    first = ward.pull()
    assert (first.state, first.counts["applied"], first.counts["unchanged"]) == ("complete", 1, 1)
    before = ward.state()
    again = ward.pull()
    assert (again.state, again.counts["applied"], again.counts["unchanged"]) == ("complete", 0, 2)
    assert ward.state() == before


@pytest.mark.parametrize("server_pages", [20, 1])
def test_of_two_patients_with_one_identifier_neither_is_taken(
    ward: Ward, server_pages: int
) -> None:
    """Also where the server puts each of them on a page of its own."""
    ward.put(patient("4711", "p2"))

    def narrow(request: Request) -> Response:
        query = request.query_string.decode().replace("_count=20", f"_count={server_pages}")
        with ward.sandbox.app.test_client() as other:
            told = other.get(f"{request.path}?{query}")
        body = told.get_data().replace(b"http://localhost", ward.hospital.base[:-5].encode())
        return Response(body, told.status_code, JSON)

    ward.sandbox.fail("GET /fhir/Patient?", hook=narrow)
    run, fates = ward.pulled()
    assert run.state == "incomplete"
    assert "S-1: no Patient there is surely this person" in run.reasons
    assert {fates.get(f"Patient/{id_}", HELD) for id_ in ("p1", "p2")} == {HELD}
    assert ward.records() == []


def test_a_second_patient_who_turns_up_later_stops_the_reading(ward: Ward) -> None:
    ward.pull()
    ward.put(patient("4711", "p2"))
    ward.put(chart("e2", 4, patient="p2", effectiveDateTime="2026-02-02"))
    assert ward.pull().state == "incomplete"
    assert scores(ward) == [("2026-02-01", 2)]


def test_two_patients_of_one_person_by_two_enrolled_numbers_are_both_read(ward: Ward) -> None:
    ward.enrol("S-1", "4711", "0815")
    ward.put(patient("0815", "p2"))
    ward.put(chart("e2", 4, patient="p2", effectiveDateTime="2026-02-02"))
    assert ward.pull().state == "complete"
    assert scores(ward) == [("2026-02-01", 2), ("2026-02-02", 4)]


def test_a_patient_whose_identifier_was_corrected_away_is_not_read(ward: Ward) -> None:
    ward.pull()
    ward.put(patient("9999"))
    ward.put(chart("e2", 4, effectiveDateTime="2026-02-02"))
    run = ward.pull()
    (reason,) = run.reasons
    assert reason.startswith(
        "S-1: Patient/p1 was this person, and is not found now: its identifier "
    )
    assert scores(ward) == [("2026-02-01", 2)]


def test_a_failing_type_leaves_the_run_incomplete_and_the_others_read(ward: Ward) -> None:
    ward.put(met())
    ward.sandbox.fail("GET /fhir/Condition", status=500)
    run = ward.pull()
    assert run.state == "incomplete"
    assert ["500" in reason for reason in run.reasons] == [True]
    assert (ward.records("lesion"), scores(ward)) == ([], [("2026-02-01", 2)])
    assert ward.pull().state == "complete"
    assert len(ward.records("lesion")) == 1


def days(ward: Ward, number: int) -> None:
    for day in range(2, number + 1):
        ward.put(chart(f"e{day}", 1, effectiveDateTime=f"2026-02-{day:02d}"))


def test_a_page_that_fails_in_the_middle_is_told_and_read_the_next_time(ward: Ward) -> None:
    days(ward, 5)
    ward.sandbox.fail("_getpagesoffset=2", status=500)
    run = ward.pull(page_size=2)
    assert (run.state, len(scores(ward))) == ("incomplete", 2)
    assert ward.pull(page_size=2).state == "complete"
    assert len(scores(ward)) == 5


def test_an_expired_page_link_begins_the_stream_anew_and_doubles_nothing(ward: Ward) -> None:
    days(ward, 5)
    ward.sandbox.fail("_getpagesoffset=2", status=410)
    run = ward.pull(page_size=2)
    assert run.state == "complete"
    assert (len(scores(ward)), run.counts["applied"], run.counts["unchanged"]) == (5, 5, 3)


def test_a_page_that_is_refused_as_a_whole_leaves_the_run_incomplete(ward: Ward) -> None:
    ward.sandbox.fail("GET /fhir/Observation", hook=page(match(chart("e1")), kind="nonsense"))
    run = ward.pull()
    assert (run.state, "Bundle.type" in run.reasons[0]) == ("incomplete", True)
    assert (ward.pull().state, scores(ward)) == ("complete", [("2026-02-01", 2)])


def test_for_a_fault_on_the_cover_of_a_page_no_resource_is_given_up(ward: Ward) -> None:
    """An empty list of links is not FHIR; some servers send it on the last page."""
    ward.sandbox.fail(
        "GET /fhir/Observation", hook=page(match(chart("e1")), cover={"link": [], "total": "1"})
    )
    run = ward.pull()
    assert (run.state, run.counts["refused"], scores(ward)) == ("complete", 0, [("2026-02-01", 2)])


MISSHAPEN: list[object] = [
    None,
    "text",
    {"resource": None},
    {"resource": "text"},
    {"resource": []},
    {"search": None},
]


@pytest.mark.parametrize("entry", MISSHAPEN, ids=str)
def test_an_entry_that_is_none_stops_no_run(ward: Ward, entry: object) -> None:
    ward.sandbox.fail("GET /fhir/Observation", hook=page(match(chart("e1")), entry))
    run = ward.pull()
    assert (run.state, run.counts["applied"], run.counts[HELD]) == ("complete", 1, 1)


def test_a_page_link_that_expires_twice_leaves_the_run_incomplete(ward: Ward) -> None:
    days(ward, 5)
    ward.sandbox.fail("_getpagesoffset=2", status=410, times=2)
    run = ward.pull(page_size=2)
    assert (run.state, "expired" in run.reasons[0]) == ("incomplete", True)


def test_a_run_that_a_dead_server_left_open_goes_on_with_who_was_enrolled_since(ward: Ward) -> None:
    """The new identifier comes before the old one: neither is passed over."""
    ward.attempts(1)
    ward.sandbox.fail("GET /fhir/Observation")
    with pytest.raises(BridgeError):
        ward.pull()
    ward.enrol("S-1", "0815")
    ward.put(patient("0815", "p0"))
    ward.put(chart("e2", 4, patient="p0", effectiveDateTime="2026-02-02"))
    assert ward.pull().state == "complete"
    assert scores(ward) == [("2026-02-01", 2), ("2026-02-02", 4)]


def test_a_doubtful_patient_is_still_doubtful_when_the_run_is_taken_up(ward: Ward) -> None:
    ward.enrol("S-2", "4712")
    ward.put(patient("4712", "q1"))
    ward.put(patient("4711", "p2"))
    ward.attempts(1)
    ward.sandbox.fail("GET /fhir/Observation")
    with pytest.raises(BridgeError):
        ward.pull()
    run = ward.pull()
    assert (run.state, run.reasons) == (
        "incomplete",
        ("S-1: no Patient there is surely this person",),
    )


def test_a_servers_remark_is_told_and_is_no_data(ward: Ward) -> None:
    remark = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "warning", "code": "processing", "diagnostics": "code was ignored"}],
    }
    entries = ({"resource": remark, "search": {"mode": "outcome"}}, match(chart("e1")))
    ward.sandbox.fail("GET /fhir/Observation", hook=page(*entries))
    run, _ = ward.pulled()
    assert (run.state, run.counts["refused"], run.counts["applied"]) == ("complete", 1, 1)
    assert ward.held() == []


BROKEN = [
    {"effectiveDateTime": "2026-02-30"},
    {"identifier": None},
    {"identifier": "text"},
    {"identifier": [None]},
    {"meta": "text"},
    {"meta": {"lastUpdated": 5}},
    {"subject": "Patient/p1"},
    {"code": []},
    {"id": 7},
]


@pytest.mark.parametrize("wrong", BROKEN, ids=str)
def test_of_a_page_with_one_invalid_resource_the_others_are_taken(
    ward: Ward, wrong: dict[str, object]
) -> None:
    ward.put(chart("e3", 1, effectiveDateTime="2026-02-03"))
    entries = [match(chart("e1")), match({**chart("e2"), **wrong}), match(ward.there()[-1])]
    ward.sandbox.fail("GET /fhir/Observation", hook=page(*entries))
    run, _ = ward.pulled()
    assert (run.counts["applied"], run.counts[HELD]) == (2, 1)
    assert [held.position for held in ward.held()] == [1]


@pytest.mark.parametrize("moment", ["2026-02-01T23:59:60Z", "0001-01-01T00:00:00+14:00"])
def test_a_moment_that_python_has_not_stops_nothing(ward: Ward, moment: str) -> None:
    stamped = chart("e1", meta={"lastUpdated": moment})
    ward.sandbox.fail("GET /fhir/Observation", hook=page(match(stamped)))
    assert ward.pull().state == "complete"
    assert len(ward.records()) + len(ward.held()) == 1


def test_the_same_resource_on_two_pages_is_one_record(ward: Ward) -> None:
    following = f"{ward.hospital.base}?page=2"
    ward.sandbox.fail("GET /fhir/Observation", hook=page(match(chart("e1")), next_url=following))
    ward.sandbox.fail("GET /fhir?page=2", hook=page(match(chart("e1"))))
    run = ward.pull()
    assert (run.state, run.counts["applied"], run.counts["unchanged"]) == ("complete", 1, 2)
    assert scores(ward) == [("2026-02-01", 2)]


def test_what_is_anothers_is_never_filed_under_this_subject(ward: Ward) -> None:
    """The server ignores the filter: one other person is enrolled, one is not."""
    ward.enrol("S-2", "4712")
    ward.put(patient("4712", "q1"))
    ward.put(patient("1111", "r1"))
    wide = [
        match(chart("e1")),
        match(chart("f1", 3, patient="q1")),
        match(chart("g1", 4, patient="r1")),
    ]
    ward.sandbox.fail("GET /fhir/Observation", hook=page(*wide), times=2)
    run, fates = ward.pulled()
    assert run.state == "complete"
    assert (scores(ward), scores(ward, "S-2")) == ([("2026-02-01", 2)], [("2026-02-01", 3)])
    assert "Observation/g1" not in fates
    # g1 on both pages; and f1 on the first, for S-2's Patient had not been read yet.
    assert run.counts["foreign"] == 3
    with ward.registry.read(ward.site_id) as unit:
        assert not any(b"r1" in message.body for message in unit.traces.messages())


def test_a_reference_and_an_identifier_of_two_subjects_are_not_guessed_about(ward: Ward) -> None:
    ward.enrol("S-2", "4712")
    ward.put(
        chart(
            "e1",
            subject={
                "reference": "Patient/p1",
                "identifier": {"system": "urn:oid:2.999.4", "value": "4712"},
            },
        )
    )
    _, fates = ward.pulled()
    assert fates["Observation/e1"] == HELD


def test_a_preliminary_score_waits_and_is_taken_when_it_is_final(ward: Ward) -> None:
    ward.put(chart("e1", status="preliminary"))
    ward.pull()
    assert (ward.records(), len(ward.held())) == ([], 1)
    ward.put(chart("e1", status="final"))
    ward.pull()
    assert (scores(ward), ward.held()) == ([("2026-02-01", 2)], [])


def test_a_corrected_score_is_a_second_revision(ward: Ward) -> None:
    ward.pull()
    ward.put(chart("e1", 3, status="corrected"))
    run = ward.pull()
    assert (run.counts["applied"], run.counts["unchanged"]) == (1, 1)
    assert scores(ward) == [("2026-02-01", 3)]


def test_a_score_whose_date_was_corrected_moves(ward: Ward) -> None:
    ward.pull()
    ward.put(chart("e1", effectiveDateTime="2026-02-09"))
    ward.pull()
    assert scores(ward) == [("2026-02-09", 2)]


def test_a_score_whose_code_was_corrected_leaves_its_first_field(ward: Ward) -> None:
    ward.pull()
    pain = concept("https://fhirbridge.example.org/fhir/CodeSystem/mbd-study", "pain-nrs-rest")
    ward.put(chart("e1", code=pain))
    ward.pull()
    assert ward.records() == [{"assessed_on": "2026-02-01", "pain_rest": 2}]


def test_a_score_that_was_filed_under_the_wrong_patient_moves_to_the_right_one(ward: Ward) -> None:
    ward.enrol("S-2", "4712")
    ward.put(patient("4712", "q1"))
    ward.pull()
    ward.put(chart("e1", patient="q1"))
    ward.pull()
    assert (scores(ward), scores(ward, "S-2")) == ([], [("2026-02-01", 2)])
    before = ward.state()
    assert ward.pull().counts["applied"] == 0
    assert ward.state() == before


def test_an_entered_in_error_score_is_withdrawn_once(ward: Ward) -> None:
    ward.put(
        chart(
            "n1",
            4,
            code=concept(
                "https://fhirbridge.example.org/fhir/CodeSystem/mbd-study", "pain-nrs-rest"
            ),
        )
    )
    ward.pull()
    ward.put(chart("e1", status="entered-in-error"))
    assert ward.pull().counts["applied"] == 1
    assert ward.records() == [{"assessed_on": "2026-02-01", "pain_rest": 4}]
    before = ward.state()
    assert ward.pull().counts["applied"] == 0
    assert ward.state() == before
    ward.put(chart("e1", status="final"))
    ward.pull()
    assert scores(ward) == [("2026-02-01", 2)]


def test_what_is_not_of_the_study_any_more_is_taken_back(ward: Ward) -> None:
    """The bone metastasis was one in the brain."""
    ward.put(met())
    ward.pull()
    assert len(ward.records("lesion")) == 1
    ward.put(met(code=concept(SCT, "94225005")))
    ward.pull()
    assert ward.records("lesion") == []
    assert ward.pull().counts["applied"] == 0


def test_what_waits_after_it_was_taken_says_that_the_record_keeps_the_first(ward: Ward) -> None:
    ward.pull()
    ward.put(chart("e1", 3, status="preliminary"))
    ward.pull()
    assert scores(ward) == [("2026-02-01", 2)]
    assert "the record still says" in " ".join(issue.cause for issue in ward.held()[0].issues)


def test_an_older_version_that_comes_late_is_superseded(ward: Ward) -> None:
    old = ward.there()[0]
    ward.put(chart("e1", 4))
    ward.pull()
    ward.sandbox.fail("GET /fhir/Observation", hook=page(match(old)))
    run = ward.pull()
    assert run.counts["superseded"] == 1
    assert scores(ward) == [("2026-02-01", 4)]


def test_of_two_sources_one_field_has_the_first_and_the_other_waits(ward: Ward) -> None:
    ward.put(chart("e2", 4))
    for _ in range(2):
        ward.pull()
        assert (scores(ward), len(ward.held())) == ([("2026-02-01", 2)], 1)
        assert [value for *_, value in ward.state()["waiting"]] == [4]
    ward.put(chart("e1", status="entered-in-error"))
    ward.pull()
    assert scores(ward) == [("2026-02-01", 4)]
    assert (ward.held(), ward.state()["waiting"]) == ([], [])


def test_what_a_source_proposes_no_more_does_not_wait(ward: Ward) -> None:
    ward.put(chart("e2", 4))
    ward.pull()
    ward.put(chart("e2", 1))
    ward.pull()
    assert [value for *_, value in ward.state()["waiting"]] == [1]
    ward.put(chart("e2", status="entered-in-error"))
    ward.pull()
    assert (ward.state()["waiting"], ward.held(), scores(ward)) == ([], [], [("2026-02-01", 2)])


def test_a_sites_run_never_sees_another_sites_subjects(ward: Ward) -> None:
    other = joined(ward.registry, "beta", ward.hospital.base)
    elsewhere = Ward(ward.sandbox, other, ward.clock)
    elsewhere.enrol("B-1", "4712")
    ward.put(patient("4712", "q1"))
    ward.put(chart("f1", 3, patient="q1"))
    assert ward.pull().state == "complete"
    asked = [r.path for r in ward.sandbox.requests if r.method == "GET"]
    assert not [path for path in asked if "4712" in path or "q1" in path]
    assert elsewhere.pull().state == "complete"
    assert (scores(ward), scores(elsewhere, "B-1")) == ([("2026-02-01", 2)], [("2026-02-01", 3)])
    other.server.close()


def test_five_days_of_random_changes_end_as_the_hospital_has_it(ward: Ward) -> None:
    """Many pages of two, all in transactions, a change each day; the counts tie in every run."""
    for day in range(1, 6):
        entries = [
            {
                "resource": chart(f"d{n}", (n * day) % 5, effectiveDateTime=f"2026-03-{n:02d}"),
                "request": {"method": "PUT", "url": f"Observation/d{n}"},
            }
            for n in range(1, 8)
        ]
        raw = fhir_json.dump(transaction(entries))
        requests.post(ward.hospital.base, data=raw, headers=JSON, timeout=5).raise_for_status()
        assert ward.pull(page_size=2).state == "complete"
    expected = [(f"2026-03-{n:02d}", n * 5 % 5) for n in range(1, 8)]
    assert scores(ward) == [("2026-02-01", 2), *expected]


def asked_for(ward: Ward) -> set[str]:
    paths = [r.path.partition("?")[0] for r in ward.sandbox.requests if r.method == "GET"]
    return {path.rsplit("/", 1)[-1] for path in paths}


def test_a_pull_asks_for_what_hospitals_hold_and_not_for_the_registrys_own(ward: Ward) -> None:
    assert ward.pull().state == "complete"
    assert asked_for(ward) >= {"Condition", "DiagnosticReport", "QuestionnaireResponse", "Consent"}
    assert not asked_for(ward) & {"ResearchSubject", "ResearchStudy", "CareTeam", "Provenance"}


def statement(*types: str, **more: object) -> dict[str, object]:
    rest = [{"mode": "server", "resource": [{"type": name} for name in types]}]
    return {"resourceType": "CapabilityStatement", "rest": rest, **more}


def metadata(ward: Ward, body: dict[str, object], status: int = 200) -> None:
    raw = fhir_json.dump(body)
    ward.sandbox.fail("GET /fhir/metadata", status=status, headers=JSON, body=raw)


def test_a_type_that_the_server_does_not_list_is_not_asked_for_and_no_fault(ward: Ward) -> None:
    metadata(ward, statement("Patient", "Condition", "Observation"))
    told: list[str] = []
    run = Pull(ward.hospital, 20, tell=told.append).run()
    assert (run.state, scores(ward)) == ("complete", [("2026-02-01", 2)])
    assert asked_for(ward) == {"metadata", "Patient", "Condition", "Observation"}
    assert "no such type: Consent, DiagnosticReport" in told[0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (statement(), 200),
        (statement(rest="text"), 200),
        (statement(rest=[None, {"mode": "server", "resource": [None, {"type": 5}]}]), 200),
        (statement(rest=[{"mode": "client", "resource": [{"type": "Group"}]}]), 200),
        ({"resourceType": "OperationOutcome", "issue": []}, 200),
        ({"resourceType": "OperationOutcome", "issue": []}, 404),
        ({"resourceType": "OperationOutcome", "issue": []}, 503),
    ],
    ids=["no types", "text", "misshapen", "a client", "no statement", "not found", "away"],
)
def test_where_the_server_does_not_say_all_is_asked_for(
    ward: Ward, body: dict[str, object], status: int
) -> None:
    ward.attempts(1)
    metadata(ward, body, status)
    run = ward.pull()
    assert (run.state, scores(ward)) == ("complete", [("2026-02-01", 2)])
    assert "Consent" in asked_for(ward)
