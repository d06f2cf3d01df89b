"""Pulls by Bulk Data export (B1-B13): asked for, waited for without waiting, fetched whole, and
ended. All persons and values are synthetic.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Request, Response

from fhirbridge.outcome import BridgeError
from fhirbridge.registry.runs import Run
from fhirbridge.sandbox.bulk import NDJSON
from fhirbridge.servers.bulk import Export, Wait
from fhirbridge.servers.retry import ComeBack
from fhirbridge.sync.pull import Pull, ties
from fhirbridge.sync.replay import Selection, replay
from tests.sync import truth
from tests.sync.ward import JSON, Ward, chart, patient

POLL = "GET /fhir/$export-poll-status"
FILE = "GET /fhir/Binary/"


def score(day: int, value: int = 2, **more: object) -> dict[str, object]:
    return chart(f"e{day}", value, effectiveDateTime=f"2026-02-{day:02d}", **more)


def group(*members: str) -> dict[str, object]:
    listed = [{"entity": {"reference": f"Patient/{id}"}} for id in members]
    return {"resourceType": "Group", "id": "g1", "type": "person", "actual": True, "member": listed}


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    stranger = [patient("9999", "stranger"), chart("x1", patient="stranger")]
    scores = [score(day) for day in range(1, 6)]
    with Ward.open(tmp_path, patient(), *scores, *stranger, group("p1", "stranger")) as made:
        made.enrol()
        made.set(pull="export-group", group="g1")
        made.sandbox.bulk.polls = 0
        yield made


def lines(ward: Ward, part: str) -> list[str]:
    told = [f"{one.method} {one.path}" for one in ward.sandbox.requests]
    return [line for line in told if part in line]


def later(ward: Ward, moment: datetime) -> None:
    ward.registry._clock = lambda: moment


def own(run: Run) -> dict[str, int]:
    return {name: number for name, number in run.counts.items() if name.startswith("Obs")}


@pytest.mark.parametrize("way", ["export-group", "export-patients", "export-system"])
def test_b1_an_export_is_begun_polled_read_and_ended(ward: Ward, tmp_path: Path, way: str) -> None:
    ward.set(pull=way)
    run = ward.pull()
    assert (run.state, own(run), run.reasons) == ("complete", {"Observation/applied": 5}, ())
    begin = next(one for one in ward.sandbox.requests if "$export" in one.path)
    assert begin.headers["Prefer"] == "respond-async"
    assert begin.headers["Accept"] == "application/fhir+json"
    assert run.counts["foreign"] == 2
    truth.nothing_of_others(ward, "stranger")
    truth.holds(ward, tmp_path, "p1")


def test_b1_where_get_is_not_allowed_parameters_are_posted(ward: Ward) -> None:
    seen: list[Any] = []

    def post(request: Request) -> Response:
        seen.append(json.loads(request.get_data()))
        return Response(status=202, headers={"Content-Location": f"{ward.hospital.base}/job"})

    ward.sandbox.fail("GET /fhir/Group/g1/$export", status=405)
    ward.sandbox.fail("POST /fhir/Group/g1/$export", hook=post)
    export = Export(ward.hospital.server)
    url = export.begin("Group/g1/$export", [("_type", "Patient,Observation")])
    assert url == f"{ward.hospital.base}/job"
    assert [one["valueString"] for one in seen[0]["parameter"]] == ["Patient", "Observation"]


def test_b1_the_poll_url_is_kept_before_the_first_poll(ward: Ward) -> None:
    ward.attempts(1)
    ward.sandbox.fail(POLL)
    with pytest.raises(BridgeError):
        ward.pull()
    assert len(lines(ward, "Group/g1/$export")) == 1
    assert ward.pull().state == "complete"
    assert len(lines(ward, "Group/g1/$export")) == 1


def test_b2_nobody_waits_and_the_wait_is_capped(ward: Ward) -> None:
    ward.sandbox.bulk.polls = 1
    ward.sandbox.bulk.retry_after = "18000"
    with pytest.raises(ComeBack) as told:
        ward.pull()
    assert told.value.not_before is not None
    left = told.value.not_before - ward.registry.now()
    assert timedelta(seconds=200) < left <= timedelta(seconds=300)
    before = len(ward.sandbox.requests)
    with pytest.raises(ComeBack):
        ward.pull()
    assert len(ward.sandbox.requests) == before
    later(ward, told.value.not_before)
    assert ward.pull().state == "complete"


@pytest.mark.parametrize(
    ("headers", "polls", "expected"),
    [
        ({"Retry-After": "7"}, 0, 7),
        ({"Retry-After": "0"}, 0, 1),
        ({"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}, 0, 300),
        ({"Retry-After": "soon"}, 3, 8),
        ({}, 0, 1),
        ({}, 5, 32),
        ({}, 60, 300),
    ],
)
def test_b2_how_long_to_wait(
    ward: Ward, headers: dict[str, str], polls: int, expected: int
) -> None:
    ward.sandbox.fail("GET /fhir/job", status=202, headers=headers)
    told = Export(ward.hospital.server).poll(f"{ward.hospital.base}/job", polls=polls)
    assert told == Wait(expected)


def test_b2_too_many_questions_slow_down(ward: Ward) -> None:
    ward.sandbox.fail("GET /fhir/job", status=429)
    told = Export(ward.hospital.server).poll(f"{ward.hospital.base}/job", polls=1)
    assert told == Wait(8)


def test_b3_in_progress_is_believed_of_a_header_too(ward: Ward) -> None:
    ward.sandbox.fail("GET /fhir/job", status=200, headers={"X-Export-Status": "202"})
    told = Export(ward.hospital.server).poll(f"{ward.hospital.base}/job", polls=0)
    assert isinstance(told, Wait)


def outcome(code: str) -> bytes:
    return json.dumps({"resourceType": "OperationOutcome", "issue": [{"code": code}]}).encode()


def test_b4_a_transient_error_is_waited_out_and_another_ends_the_run(ward: Ward) -> None:
    ward.sandbox.fail(POLL, status=500, body=outcome("transient"), headers=JSON)
    with pytest.raises(ComeBack) as told:
        ward.pull()
    assert told.value.not_before is not None
    later(ward, told.value.not_before)
    ward.sandbox.fail(POLL, status=500, body=outcome("exception"), headers=JSON)
    run = ward.pull()
    assert (run.state, run.reasons) == (
        "incomplete",
        ("export: the export failed there (500) -> show this to the hospital's IT",),
    )
    assert ward.pull().state == "complete"


def manifest(ward: Ward, change: Callable[[dict[str, Any]], None], times: int = 1) -> None:
    """The manifest as the sandbox has it, changed."""

    def answer(_: Request) -> Response:
        job = next(iter(ward.sandbox.bulk.jobs.values()))
        made = ward.sandbox.bulk.manifest(job, ward.hospital.base)
        change(made)
        return Response(json.dumps(made), 200, {"Content-Type": "application/json"})

    ward.sandbox.fail(POLL, hook=answer, times=times)


@pytest.mark.parametrize("token", [True, False])
def test_b5_a_foreign_host_gets_no_token_and_is_asked_only_where_it_is_allowed(
    tmp_path: Path, token: bool
) -> None:
    stored = tmp_path / "elsewhere"
    stored.mkdir()
    with (
        Ward.open(stored) as storage,
        Ward.open(tmp_path, patient(), score(1), group("p1"), token="secret") as ward,
    ):
        ward.enrol()
        ward.set(pull="export-group", group="g1")
        ward.sandbox.bulk.polls = 0
        ward.bearer("secret")
        there = storage.hospital.base

        def moved(made: dict[str, Any]) -> None:
            made["requiresAccessToken"] = token
            for one in made["output"]:
                one["url"] = one["url"].replace(ward.hospital.base, there)

        def file(request: Request) -> Response:
            raw = ward.sandbox.bulk.file(request.path.rpartition("/")[2])
            return Response(raw, 200, content_type=NDJSON)

        storage.sandbox.fail("GET /fhir/Binary/", hook=file, times=99)
        manifest(ward, moved)
        run = ward.pull()
        assert run.state == "incomplete"
        assert "file_hosts" in run.reasons[0]
        assert storage.sandbox.requests == []

        ward.set(file_hosts=there.removeprefix("http://").removesuffix("/fhir"))
        manifest(ward, moved)
        assert ward.pull().state == "complete"
        assert len(storage.sandbox.requests) == 2
        assert all("Authorization" not in one.headers for one in storage.sandbox.requests)


def files(ward: Ward, change: Callable[[bytes], bytes], times: int, **headers: str) -> None:
    """Files of Observations, changed."""

    def answer(request: Request) -> Response | None:
        raw = ward.sandbox.bulk.file(request.path.rpartition("/")[2]) or b""
        if b'"Observation"' in raw:
            raw = change(raw)
        return Response(raw, 200, {"Content-Type": NDJSON, **headers})

    ward.sandbox.fail(FILE, hook=answer, times=times)


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "cut in the last line": lambda raw: raw[:-40],
    "another type": lambda raw: raw.replace(b'"Observation"', b'"Condition"', 1),
    "no JSON": lambda raw: raw.replace(b"{", b"[", 1),
    "one line lost": lambda raw: raw.split(b"\n", 1)[1],
    "a packed file that is cut": lambda raw: gzip.compress(raw)[:-9],
}


@pytest.mark.parametrize("name", BROKEN)
def test_b6_a_file_that_is_not_whole_is_fetched_again(
    ward: Ward, tmp_path: Path, name: str
) -> None:
    files(ward, BROKEN[name], times=2)  # Patients, then once the Observations
    run = ward.pull()
    assert (run.state, own(run)) == ("complete", {"Observation/applied": 5})
    truth.holds(ward, tmp_path, "p1")


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "one line lost"])
def test_b6_of_a_file_that_stays_broken_nothing_is_taken(
    ward: Ward, tmp_path: Path, name: str
) -> None:
    files(ward, BROKEN[name], times=9)
    run = ward.pull()
    assert (run.state, own(run), ward.records()) == ("incomplete", {}, [])
    ward.sandbox.recover()
    assert ward.pull().state == "complete"
    truth.holds(ward, tmp_path, "p1")


def test_b6_a_wrong_count_leaves_the_run_incomplete(ward: Ward, tmp_path: Path) -> None:
    def change(made: dict[str, Any]) -> None:
        made["output"][-1]["count"] += 1

    manifest(ward, change)
    run = ward.pull()
    assert (run.state, len(run.reasons)) == ("incomplete", 1)
    assert "the manifest says" in run.reasons[0]
    assert ward.pull().counts["Observation/unchanged"] == 5  # all of it again: no mark was made
    truth.holds(ward, tmp_path, "p1")


FINE: dict[str, Callable[[bytes], bytes]] = {
    "a blank last line": lambda raw: raw + b"\n\n",
    "no last line end": lambda raw: raw.rstrip(b"\n"),
    "CR LF": lambda raw: raw.replace(b"\n", b"\r\n"),
    "packed": gzip.compress,
}


@pytest.mark.parametrize("name", FINE)
def test_b6_other_ways_to_write_the_same_are_read(ward: Ward, name: str) -> None:
    files(ward, FINE[name], times=9)
    run = ward.pull()
    assert (run.state, own(run)) == ("complete", {"Observation/applied": 5})


def test_b6_a_packed_answer_is_read(ward: Ward) -> None:
    def answer(request: Request) -> Response:
        raw = ward.sandbox.bulk.file(request.path.rpartition("/")[2]) or b""
        headers = {"Content-Type": NDJSON, "Content-Encoding": "gzip"}
        return Response(gzip.compress(raw), 200, headers)

    ward.sandbox.fail(FILE, hook=answer, times=9)
    assert own(ward.pull()) == {"Observation/applied": 5}


def test_b7_what_is_told_as_deleted_is_withdrawn(ward: Ward, tmp_path: Path) -> None:
    ward.pull()
    ward.delete("Observation/e1")
    ward.delete("Observation/x1")
    run = ward.pull()
    assert (run.state, run.counts["deleted"]) == ("complete", 1)
    assert [one["assessed_on"] for one in ward.records()] == [f"2026-02-0{d}" for d in range(2, 6)]
    with ward.registry.read(ward.site_id) as unit:
        (gone,) = [r for r in unit.records.all("assessment") if r.status == "withdrawn"]
        assert unit.records.revisions(gone.id)[-1].reason == "deleted at its source"
    truth.holds(ward, tmp_path, "p1")


@pytest.mark.parametrize(
    ("severity", "state"), [("error", "incomplete"), ("information", "complete")]
)
def test_b8_an_error_beside_the_files_makes_the_run_incomplete(
    ward: Ward, severity: str, state: str
) -> None:
    issue = {"severity": severity, "code": "processing", "diagnostics": "a type could not be read"}
    ward.sandbox.bulk.remarks = [{"resourceType": "OperationOutcome", "issue": [issue]}]
    run = ward.pull()
    assert run.state == state
    assert any("a type could not be read" in one for one in run.reasons) == (severity == "error")


def test_b9_the_parts_of_a_manifest_are_followed_and_not_in_a_circle(ward: Ward) -> None:
    ward.attempts(1)
    rest: list[Any] = []

    def first(made: dict[str, Any]) -> None:
        rest.append({**made, "output": made["output"][1:]})
        made["output"] = made["output"][:1]
        made["link"] = [{"relation": "next", "url": f"{ward.hospital.base}/part2"}]

    def second(_: Request) -> Response:
        return Response(json.dumps(rest[-1]), 200, {"Content-Type": "application/json"})

    manifest(ward, first)
    ward.sandbox.fail("GET /fhir/part2", hook=second)
    run = ward.pull()
    assert (run.state, own(run)) == ("complete", {"Observation/applied": 5})

    def circle(made: dict[str, Any]) -> None:
        made["link"] = [{"relation": "next", "url": f"{ward.hospital.base}/part2"}]
        rest.append(dict(made))

    manifest(ward, circle)
    ward.sandbox.fail("GET /fhir/part2", hook=second, times=9)
    run = ward.pull()
    assert "in a circle" in run.reasons[0]


def test_b9_parts_of_two_times_are_refused(ward: Ward) -> None:
    def first(made: dict[str, Any]) -> None:
        made["link"] = [{"relation": "next", "url": f"{ward.hospital.base}/part2"}]

    other = {"transactionTime": "2020-01-01T00:00:00Z", "output": []}
    manifest(ward, first)
    ward.sandbox.fail("GET /fhir/part2", status=200, body=json.dumps(other))
    assert "several times" in ward.pull().reasons[0]


def test_b10_the_next_export_is_asked_from_the_servers_time_on(ward: Ward, tmp_path: Path) -> None:
    first = ward.pull()
    ward.put(score(1, 4))
    ward.enrol("S-2", "4712")
    ward.put(patient("4712", "q1"))
    ward.put(chart("f1", 3, patient="q1"))
    run = ward.pull()
    moment = first.facts["transaction_time"].replace(":", "%3A")
    assert f"_since={moment}" in lines(ward, "Group/g1/$export")[-1]
    assert run.state == "complete"
    assert lines(ward, "GET /fhir/Observation?patient=q1")  # new here: read in full, by a search
    assert [one["ecog"] for one in ward.records(study_id="S-2")] == [3]
    truth.holds(ward, tmp_path, "p1", "q1")


def test_b11_a_run_that_stopped_between_two_files_goes_on_there(ward: Ward, tmp_path: Path) -> None:
    ward.attempts(1)
    taken = ward.sandbox.bulk.file
    ward.sandbox.fail(FILE, hook=lambda r: Response(taken(r.path.rpartition("/")[2]), 200))
    ward.sandbox.fail(FILE, status=503, times=2)
    with pytest.raises(BridgeError):
        ward.pull()
    run = ward.pull()
    assert (run.state, own(run)) == ("complete", {"Observation/applied": 5})
    assert len(lines(ward, "Group/g1/$export")) == 1
    truth.holds(ward, tmp_path, "p1")


def test_b11_a_file_that_is_gone_is_asked_for_anew_then_the_export_is_begun_again(
    ward: Ward, tmp_path: Path
) -> None:
    ward.sandbox.fail(FILE, status=404)
    assert ward.pull().state == "complete"
    assert len(lines(ward, "Group/g1/$export")) == 1
    ward.sandbox.fail(FILE, status=404, times=2)
    assert ward.pull(full=True).state == "complete"
    assert len(lines(ward, "Group/g1/$export")) == 3
    ward.sandbox.fail(FILE, status=404, times=9)
    assert ward.pull(full=True).state == "incomplete"
    truth.holds(ward, tmp_path, "p1")


def test_b12_the_server_may_forget_the_export(ward: Ward) -> None:
    ward.pull()
    assert len(lines(ward, "DELETE /fhir/$export-poll-status")) == 1
    assert ward.sandbox.bulk.jobs == {}
    ward.sandbox.fail("DELETE /fhir/$export-poll-status", status=404)  # as HAPI 8.4
    assert ward.pull().state == "complete"


def test_b13_an_export_without_a_line_is_no_error(tmp_path: Path) -> None:
    with Ward.open(tmp_path, patient(), group("p1")) as ward:
        ward.enrol()
        ward.set(pull="export-group", group="g1")
        ward.sandbox.bulk.polls = 0
        run = ward.pull()
        assert (run.state, run.counts["received"]) == ("complete", 1)


def test_one_line_that_is_no_valid_resource_waits_and_the_others_are_taken(ward: Ward) -> None:
    ward.put(score(6, 3, status=["none"]))
    run = ward.pull()
    assert (run.state, ties(run)) == ("complete", True)
    assert own(run) == {"Observation/applied": 5, "Observation/quarantined": 1}
    (held,) = ward.held()
    assert held.issues[0].place == f"line {held.position + 1}"


def test_lines_of_an_export_are_kept_as_they_came_and_can_be_replayed(ward: Ward) -> None:
    ward.put(score(6, 3, status="preliminary"))
    ward.pull()
    (held,) = ward.held()
    with ward.registry.read(ward.site_id) as unit:
        message = unit.messages.get(held.message_id)
    assert message is not None
    line = message.body.split(b"\n")[held.position]
    assert (message.kind, b"preliminary" in line) == ("ndjson", True)
    before = ward.state()
    mappings = ward.hospital.mappings
    report = replay(ward.registry, ward.site_id, lambda _: mappings, Selection())
    assert (len(report.outcomes), report.failed) == (1, ())
    assert ward.state() == before


def test_everything_of_a_patient_is_a_way_to_pull(ward: Ward, tmp_path: Path) -> None:
    ward.set(pull="everything")
    run = ward.pull(page_size=2)
    assert (run.state, own(run)) == ("complete", {"Observation/applied": 5})
    assert not lines(ward, "GET /fhir/Observation")
    truth.holds(ward, tmp_path, "p1")


def test_the_pull_is_the_same_by_every_way(ward: Ward) -> None:
    found = []
    for way in ("search", "everything", "export-group", "export-system"):
        ward.set(pull=way)
        assert Pull(ward.hospital, 3, full=True).run().state == "complete"
        found.append(ward.state())
    assert all(one == found[0] for one in found)


def test_e20_a_merge_within_an_export_is_followed(ward: Ward, tmp_path: Path) -> None:
    """The Patient that takes over is a stranger until then, and his older scores come, too."""
    ward.put(patient("0815", "p2"))
    ward.put(score(7, subject={"reference": "Patient/p2"}))
    ward.set(pull="export-patients")
    assert ward.pull().state == "complete"
    link = [{"type": "replaced-by", "other": {"reference": "Patient/p2"}}]
    ward.put({**patient(), "active": False, "link": link})
    later(ward, ward.registry.now() + timedelta(minutes=20))
    ward.put(score(8, subject={"reference": "Patient/p2"}))
    run = ward.pull()
    assert (run.state, run.counts["merges"]) == ("complete", 1)
    held = {one["assessed_on"][-2:] for one in ward.records()}
    assert held == {"01", "02", "03", "04", "05", "07", "08"}
    truth.nothing_of_others(ward, "stranger")

    ward.put(patient())  # and the hospital takes it back
    ward.put(score(9, subject={"reference": "Patient/p2"}))
    run = ward.pull()
    assert run.state == "incomplete"
    assert any("taken back" in one for one in run.reasons)
    assert len(ward.records()) == 7
