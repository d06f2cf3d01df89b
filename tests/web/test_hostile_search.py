"""Searches that want more than they may: of another site, of the database, of our time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import event

from fhirbridge.fhir.validate import validate
from fhirbridge.outcome import failed
from fhirbridge.web.links import LONGEST
from fhirbridge.web.paging import LIFE, Page, Pager
from tests.web.sender import LESION, Sender, found, score, whose

FORM = "application/x-www-form-urlencoded"


def links(answer: Any) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in answer.get_json()["link"]}


def path(url: str) -> str:
    return url.removeprefix("http://localhost")


def next_of(door: Sender, query: str) -> str:
    return path(links(door("GET", f"/fhir/{query}"))["next"])


def posted(door: Sender, type: str, form: str) -> Any:
    return door("POST", f"/fhir/{type}/_search", form.encode(), Content_Type=FORM)


# -- another site


@pytest.fixture
def other(full: Sender) -> Sender:
    """A client of the site beta, which holds one score of its own."""
    made = Sender.at(full.app, "beta")
    made.enrol("S-9", "4711")
    made.push(score(7))
    return made


def test_x14_nothing_of_another_site_comes_through_a_search(full: Sender, other: Sender) -> None:
    mine = found(full, "Condition?_include=Condition:subject&_revinclude=Provenance:target")
    patient = found(full, "Patient?gender=female")[0]["id"]
    record = found(full, f"Condition?patient={patient}")[0]["identifier"]
    every = [
        f"Condition?_id={','.join(one['id'] for one in mine)}",
        f"Condition?patient={patient}&_include=Condition:subject",
        f"Patient?_id={patient}&_revinclude=Provenance:target",
        *(f"Condition?identifier={one['system']}|{one['value']}" for one in record),
        f"Observation?subject=Patient/{patient}&_include=Observation:subject",
        f"Observation?subject=http://localhost/fhir/Patient/{patient}",
        f"Provenance?patient={patient}",
    ]
    for query in every:
        assert found(other, query) == [], query
        assert other("GET", f"/fhir/{query}&_total=accurate").get_json()["total"] == 0
    assert len(found(other, "Observation?_include=Observation:subject")) == 2


@pytest.mark.parametrize(
    "query",
    [
        "Patient?_has:Observation:patient:code=pain-nrs-rest",
        "Observation?subject.identifier=x",
        "Observation?subject:Patient.gender=female",
        "Observation?_source=urn:uuid:1",
        "Observation?_include=*",
        "Observation?_include:iterate=Observation:subject",
        "Observation?_include=Condition:subject",
        "Observation?_include=Observation:subject:Group",
        "Observation?_include=Observation:code",
        "Patient?_revinclude=Observation:subject",
        "Patient?_revinclude=*",
        "Patient?_include=Patient:general-practitioner",
        "Observation?_profile=x",
        "Observation?_content=x",
        "Observation?_filter=code eq x",
        "Observation?_list=x",
        "Observation?_query=x",
    ],
)
def test_x14_ways_around_are_not_spoken(still: Sender, query: str) -> None:
    assert still("GET", f"/fhir/{query}").status_code == 400


def test_x14_a_cursor_of_another_site_is_not_taken(full: Sender, other: Sender) -> None:
    url = next_of(full, "Observation?_count=2")
    assert full("GET", url).status_code == 200
    theirs = other("GET", url)
    assert theirs.status_code == 400
    assert "was not made for this site and this search" in theirs.text
    hidden = path(links(posted(full, "Observation", "_count=2"))["next"])
    assert (full("GET", hidden).status_code, other("GET", hidden).status_code) == (200, 400)


def test_x14_a_cursor_serves_its_own_query_alone(still: Sender) -> None:
    query = "Observation?date=ge2026-03-02&status=final&_count=2"
    url = next_of(still, query)
    cursor = dict(parse_qsl(urlsplit(url).query))["_cursor"]
    assert (
        still(
            "GET", f"/fhir/Observation?_count=2&status=final&date=ge2026-03-02&_cursor={cursor}"
        ).status_code
        == 200
    )
    for changed in (
        f"Observation?date=ge2026-03-01&status=final&_count=2&_cursor={cursor}",
        f"Observation?status=final&_count=2&_cursor={cursor}",
        f"Observation?_cursor={cursor}",
        f"Observation?date=ge2026-03-02&status=final&_count=3&_cursor={cursor}",
        f"{query}&_cursor={cursor}&_cursor={cursor}",
        f"Condition?_cursor={cursor}",
        f"{query.replace('Observation', 'Procedure')}&_cursor={cursor}",
        f"{query}&_cursor={cursor[:-2]}",
        f"{query}&_cursor={cursor[:20]}{'A' if cursor[20] != 'A' else 'B'}{cursor[21:]}",
        f"{query}&_cursor=",
        f"{query}&_cursor=%C3%A4",
    ):
        assert still("GET", f"/fhir/{changed}").status_code == 400, changed


def test_x14_a_cursor_lasts_a_day(still: Sender) -> None:
    def cursor(age: timedelta) -> str:
        made = datetime.now(UTC) - age
        pager = Pager(still.service.registry.vault, still.site_id, "Observation", made)
        return pager.cursor(Page("0"), ())

    young, old = cursor(LIFE - timedelta(minutes=1)), cursor(LIFE + timedelta(minutes=1))
    assert len(found(still, f"Observation?_cursor={young}")) == 5
    answer = still("GET", f"/fhir/Observation?_cursor={old}")
    assert answer.status_code == 400
    assert "older than a day" in answer.text


def test_pages_stay_stable_while_records_come(full: Sender) -> None:
    before = {one["id"] for one in found(full, "Observation")}
    url, seen = "/fhir/Observation?_count=1", []
    for day in range(10, 30):
        answer = full("GET", url)
        seen += [entry["resource"]["id"] for entry in answer.get_json()["entry"]]
        url = path(links(answer).get("next", ""))
        if not url:
            break
        full.push(score(1, effectiveDateTime=f"2026-04-{day}"))
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_a_search_by_post_brings_nothing_asked_into_a_url(still: Sender) -> None:
    patient = found(still, "Patient?gender=female")[0]["id"]
    answer = posted(
        still, "Observation", f"patient={patient}&status=final&_count=2&_total=accurate"
    )
    ids = [entry["resource"]["id"] for entry in answer.get_json()["entry"]]
    assert answer.get_json()["total"] == 5
    for _ in range(2):
        for url in links(answer).values():
            assert patient not in url
            assert {name for name, _ in parse_qsl(urlsplit(url).query)} == {"_cursor"}
        answer = still("GET", path(links(answer)["next"]))
        ids += [entry["resource"]["id"] for entry in answer.get_json()["entry"]]
    assert len(set(ids)) == 5
    assert "next" not in links(answer)
    again = still("GET", path(links(answer)["self"])).get_json()
    assert again["entry"] == answer.get_json()["entry"]


def test_what_is_too_long_for_a_link_is_told_and_a_hundred_ids_are_not(still: Sender) -> None:
    own = [one["id"] for one in found(still, "Observation")]
    ids = [*own, *(str(uuid4()) for _ in range(95))]
    answer = posted(still, "Observation", f"_id={','.join(ids)}&_count=2")
    assert len(links(answer)["next"]) < LONGEST
    assert len(still("GET", path(links(answer)["next"])).get_json()["entry"]) == 2
    noise = ",".join(f"urn:{uuid4()}|{uuid4()}{uuid4()}{uuid4()}" for _ in range(100))
    long = posted(still, "Observation", f"code={noise}")
    assert long.status_code == 400
    assert "too long for the link" in long.text


def test_a_next_link_names_no_id_of_what_was_found(still: Sender) -> None:
    answer = still("GET", "/fhir/Observation?_count=1")
    (entry,) = answer.get_json()["entry"]
    assert entry["resource"]["id"] not in links(answer)["next"]


# -- the database


INJECTED = [
    "';--",
    "' OR '1'='1",
    "%",
    "_",
    "%25",
    "a' UNION SELECT body FROM message--",
    '"; DROP TABLE resource;--',
    "a|b|c",
    "|'",
    "'|",
    "$$",
    "\\",
]


@pytest.mark.parametrize("text", INJECTED)
def test_x16_what_is_searched_for_is_bound_and_matched_by_the_letter(
    still: Sender, text: str
) -> None:
    told: list[str] = []
    event.listen(
        still.service.registry.engine, "before_cursor_execute", lambda *a: told.append(a[2])
    )
    for name in ("identifier", "code", "patient", "subject", "status", "_id"):
        answer = still("GET", f"/fhir/Observation?{name}={quote(text)}")
        assert answer.status_code == 200, answer.data
        assert "entry" not in answer.get_json(), (name, text)
    for place in (quote(text, safe=""), "x" * 65, f"1/_history/{quote(text, safe='')}"):
        assert still("GET", f"/fhir/Observation/{place}").status_code == 404
    assert told
    marks = [
        mark
        for mark in ("DROP", "UNION", "'1'", "message--", "LIKE")
        if any(mark in sql for sql in told)
    ]
    assert marks == []


@pytest.mark.parametrize(
    "query",
    [
        "code=" + ",".join("x" * 201),
        "_id=" + "," * 200,
        "code=",
        "code=a,,b",
        "identifier=|",
        "code=a%00b",
        "code=" + "x" * 1001,
        "identifier=" + "s" * 1001 + "|1",
        "_count=1e9",
        "_count=-1",
        "_count=%C2%B2",
        "_sort=;",
        "_sort=date",
        "_elements=code",
        "_summary=true",
        "_total=all",
        "code:in=x",
        "code:missing=true",
        "patient:identifier=x",
        "status:not=final",
        "_id:exact=1",
        "_lastUpdated:missing=true",
        "_lastUpdated=soon",
        "_lastUpdated=zz2026",
        "date=ge",
        "date=2026-13-01",
        "date=2026-03-01T10",
        "date=zz2026",
        "_count=2&_count=3",
        "_summary=count&_summary=false",
        "date=2026-01-01,2026-01-02",
        "subject.subject.subject.subject.subject=1",
        "&".join(f"status=a{n}" for n in range(101)),
        "_after=1",
        "%27=1",
        "_lastupdated=2026",
    ],
)
def test_x16_what_is_too_much_or_not_spoken_is_400(still: Sender, query: str) -> None:
    answer = still("GET", f"/fhir/Observation?{query}")
    assert answer.status_code == 400, answer.data
    issue = answer.get_json()["issue"][0]
    assert len(issue["details"]["text"]) < 400
    assert still("GET", f"/fhir/Observation?{query}", Prefer="handling=strict").status_code == 400


def test_x16_the_limits_are_told(still: Sender) -> None:
    answer = still("GET", "/fhir/Observation?code=" + ",".join("x" * 200))
    assert "more than 100 values" in answer.text
    assert "more than 100 parameters" in still("GET", f"/fhir/Observation?{'status=a&' * 101}").text
    assert "0 to 500" in still("GET", "/fhir/Observation?_count=1e9").text


def test_x16_a_page_is_never_longer_than_the_most(still: Sender, monkeypatch: Any) -> None:
    monkeypatch.setattr("fhirbridge.web.searching.MOST", 3)
    for count in ("999999999", "1" + "0" * 60):
        assert len(found(still, f"Observation?_count={count}")) == 3


# -- strict and lenient


DROPPED = ["nonsense=1", "_typo=1", "_sort=date", "_elements=code", "_include=Observation:x"]


@pytest.mark.parametrize("unknown", DROPPED)
def test_r13_an_unknown_parameter_is_refused_or_dropped_and_told(
    still: Sender, unknown: str
) -> None:
    url = f"/fhir/Observation?status=final&{unknown}&_count=2"
    for prefer in ("", "handling=strict", "return=minimal"):
        assert still("GET", url, Prefer=prefer).status_code == 400
    answer = still("GET", url, Prefer="handling=lenient")
    told = answer.get_json()
    assert links(answer)["self"].endswith("/Observation?status=final&_count=2")
    modes = [entry["search"]["mode"] for entry in told["entry"]]
    assert modes == ["match", "match", "outcome"]
    assert unknown.partition("=")[0] in str(told["entry"][2])
    assert not failed(validate(told))
    assert unknown not in links(answer)["next"]
    assert still("GET", path(links(answer)["next"])).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    ["code:in=x", "date=yesterday", "_count=x", "code=", "_total=x", "_lastUpdated:not=2026"],
)
def test_r13_lenient_drops_no_filter_that_is_known(still: Sender, wrong: str) -> None:
    answer = still("GET", f"/fhir/Observation?{wrong}", Prefer="handling=lenient")
    assert answer.status_code == 400


def test_r13_a_read_takes_no_parameter_that_it_would_not_follow(still: Sender) -> None:
    one = found(still, "Patient")[0]["id"]
    url = f"/fhir/Patient/{one}?_elements=gender"
    assert still("GET", url).status_code == 400
    assert still("GET", url, Prefer="handling=lenient").status_code == 200
    assert still("GET", f"/fhir/Patient/{one}?_format=json").status_code == 200


# -- the new words of a search


def test_last_updated_filters_with_its_prefixes(full: Sender) -> None:
    old = found(full, "Observation")
    moments = sorted(one["meta"]["lastUpdated"] for one in old)
    full.push(score(8, effectiveDateTime="2026-05-01"))
    (new,) = [one for one in found(full, "Observation") if one not in old]
    last, before = new["meta"]["lastUpdated"], moments[-1]
    ids = lambda query: {one["id"] for one in found(full, f"Observation?{query}")}  # noqa: E731
    assert ids(f"_lastUpdated={last}") == {new["id"]}
    assert ids(f"_lastUpdated=gt{before}") == {new["id"]}
    assert ids(f"_lastUpdated=ge{last}") == {new["id"]}
    assert ids(f"_lastUpdated=lt{last}") == {one["id"] for one in old}
    assert ids(f"_lastUpdated=gt{last}") == set()
    assert ids(f"_lastUpdated=le{last}&_lastUpdated=ge{last[:10]}") == ids("")
    assert ids("_lastUpdated=lt2020") == set()


def test_what_is_included_comes_once_and_is_no_match(still: Sender) -> None:
    asked = "Observation?_include=Observation:subject&_include=Observation:patient:Patient&_count=3"
    answer = still("GET", f"/fhir/{asked}&_revinclude=Provenance:target&_total=accurate")
    told = answer.get_json()
    assert not failed(validate(told))
    modes = [(e["resource"]["resourceType"], e["search"]["mode"]) for e in told["entry"]]
    assert modes == [
        *[("Observation", "match")] * 3,
        ("Patient", "include"),
        *[("Provenance", "include")] * 3,
    ]
    assert told["total"] == 5
    subject = told["entry"][0]["resource"]["subject"]["reference"]
    assert told["entry"][3]["fullUrl"].endswith(subject)
    targets = {e["resource"]["target"][0]["reference"] for e in told["entry"][4:]}
    assert targets == {f"Observation/{e['resource']['id']}/_history/1" for e in told["entry"][:3]}


def test_ids_and_other_parameters_filter_together(still: Sender) -> None:
    ids = ",".join(one["id"] for one in found(still, "Observation"))
    assert len(found(still, f"Observation?_id={ids}")) == 5
    assert len(found(still, f"Observation?_id={ids}&date=2026-03-02")) == 1
    assert found(still, f"Observation?_id={ids}&status=amended") == []


@pytest.mark.parametrize("query", ["_count=0", "_summary=count", "_summary=count&_count=3"])
def test_the_total_alone(still: Sender, query: str) -> None:
    told = still("GET", f"/fhir/Observation?{query}").get_json()
    assert told["total"] == 5
    assert "entry" not in told
    assert [link["relation"] for link in told["link"]] == ["self"]
    assert not failed(validate(told))


@pytest.mark.parametrize(("word", "has"), [("accurate", True), ("estimate", True), ("none", False)])
def test_the_total_as_it_is_asked_for(still: Sender, word: str, has: bool) -> None:
    assert ("total" in still("GET", f"/fhir/Observation?_total={word}").get_json()) == has


def test_a_system_alone_finds_all_its_codes_and_a_backslash_hides_a_sign(full: Sender) -> None:
    record = found(full, "Condition")[0]["identifier"][0]
    assert len(found(full, f"Condition?identifier={record['system']}|")) == 2
    assert len(found(full, f"Condition?identifier={LESION}|L-1")) == 1
    escaped = f"{record['system']}|{record['value']}".replace("|", "\\|")
    assert found(full, f"Condition?identifier={quote(escaped)}") == []
    full.push(score(2, identifier=[{"system": "urn:a", "value": "x,y"}], subject=whose()))
    assert found(full, "Condition?identifier=urn:a|x\\,y") == []


def test_a_reference_may_be_our_own_url(still: Sender) -> None:
    patient = found(still, "Patient?gender=female")[0]["id"]
    url = f"http://localhost/fhir/Patient/{patient}"
    assert len(found(still, f"Observation?subject={quote(url)}")) == 5
    away = f"http://elsewhere.example.org/fhir/Patient/{patient}"
    assert found(still, f"Observation?subject={quote(away)}") == []


def test_a_page_costs_as_many_queries_as_one_resource(full: Sender) -> None:
    """Counted, not timed: nothing is asked of the database for each match."""
    told: list[str] = []
    event.listen(
        full.service.registry.engine, "before_cursor_execute", lambda *a: told.append(a[2])
    )

    def queries(path: str) -> int:
        told.clear()
        assert full("GET", f"/fhir/{path}").status_code == 200
        return len([sql for sql in told if re.match(r"\s*(SELECT|WITH)", sql)])

    beside = "_include=Procedure:subject&_revinclude=Provenance:target"
    assert queries("Observation?_count=1") == queries("Observation?_count=5")
    assert queries(f"Condition?{beside.replace('Procedure', 'Condition')}&_count=1") == queries(
        f"Condition?{beside.replace('Procedure', 'Condition')}&_count=2"
    )
    assert queries(f"Procedure?{beside}") <= 11  # two of them for the audit trail
