"""Search and its pages, over a socket."""

from __future__ import annotations

import pytest

from fhirbridge.sandbox.search import interval
from tests.sandbox.conftest import Clock
from tests.sandbox.speaker import Speaker, observation, patient

SURVEY = {"coding": [{"system": "urn:cat", "code": "survey"}]}
STOCK = [
    observation(
        id="year",
        effectiveDateTime="2024",
        category=[SURVEY],
        identifier=[{"system": "urn:o", "value": "1"}],
    ),
    observation(
        id="day",
        effectiveDateTime="2024-02-29",
        status="amended",
        identifier=[{"value": "1"}],
    ),
    observation(id="instant", effectiveInstant="2024-03-01T00:30:00+01:00"),
    observation(id="span", effectivePeriod={"start": "2024-02-01", "end": "2024-04"}),
    observation(id="open", effectivePeriod={"start": "2024-12-01"}, code={"text": "no coding"}),
    observation("Group/g1", id="group"),
]


@pytest.fixture
def stocked(speak: Speaker) -> Speaker:
    speak("PUT", "Group/g1", {"resourceType": "Group", "id": "g1"})
    for resource in STOCK:
        assert speak("PUT", f"Observation/{resource['id']}", resource).status_code == 201
    return speak


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("_id=day,year,none", "day year"),
        ("identifier=urn:o|1", "year"),
        ("identifier=1", "year day"),
        ("identifier=|1", "day"),
        ("identifier=urn:o|", "year"),
        ("identifier=urn:o|2", ""),
        ("patient=p1", "year day instant span open"),
        ("patient=Patient/p1", "year day instant span open"),
        ("patient=Group/g1", ""),
        ("patient=g1", ""),
        ("subject=Group/g1", "group"),
        ("subject=g1", "group"),
        ("code=89247-1", "year day instant span group"),
        ("code=http://loinc.org|89247-1", "year day instant span group"),
        ("code=urn:other|89247-1", ""),
        ("code=urn:other|1,http://loinc.org|89247-1", "year day instant span group"),
        ("category=survey", "year"),
        ("status=amended", "day"),
        ("status=http://hl7.org/fhir/observation-status|amended", "day"),
        ("status=amended&category=survey", ""),
        ("date=2024", "year day instant span"),
        ("date=eq2024-02-29", "day instant"),  # 00:30+01:00 is still the 29th in UTC
        ("date=ge2024-02-29T23:30:00Z", "year day instant span open"),
        ("date=gt2024-02-29T23:30:00Z", "year day span open"),
        ("date=ge2024-02-29T23:30:00%2B00:00&date=lt2024-03", "year day instant span"),
        ("date=ge2024-03-01T00:30:00+01:00", "year day instant span open"),  # a raw plus
        ("date=lt2024-02-29", "year span"),
        ("date=le2024-02-29", "year day instant span"),
        ("date=gt2024", "open"),
    ],
)
def test_search_finds(stocked: Speaker, query: str, found: str) -> None:
    assert stocked.ids(f"Observation?{query}&_count=100") == found.split()


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "code:in=urn:x",
        "patient.identifier=1",
        "date=sa2024",
        "date=2024-02-30",
        "date=yesterday",
        "_lastUpdated=ap2024",
        "_count=-1",
    ],
)
def test_what_is_not_understood_is_refused(speak: Speaker, query: str) -> None:
    answer = speak("GET", f"Observation?{query}")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["severity"] == "error"


def test_post_search_is_the_same_search(stocked: Speaker) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    answer = stocked("POST", "Observation/_search", b"status=amended", **form)
    assert [e["resource"]["id"] for e in answer.json()["entry"]] == ["day"]


def test_last_updated_is_exact_to_the_millisecond(speak: Speaker, clock: Clock) -> None:
    clock.forward(milliseconds=1)
    speak("PUT", "Patient/p2", patient("2", id="p2"))
    asked = {
        "gt2026-03-01T08:00:00.000Z": ["p2"],
        "ge2026-03-01T08:00:00.000Z": ["p1", "p2"],
        "ge2026-03-01T08:00:00.001Z": ["p2"],
        "gt2026-03-01T08:00:00.001Z": [],
        "lt2026-03-01T08:00:00.001Z": ["p1"],
        "le2026-03-01T09:00:00.001%2B01:00": ["p1", "p2"],
    }
    assert {q: speak.ids(f"Patient?_lastUpdated={q}") for q in asked} == asked


def pages(speak: Speaker, path: str) -> list[list[str]]:
    seen = []
    while path:
        bundle = speak("GET", path).json()
        seen.append([e["resource"]["id"] for e in bundle.get("entry", [])])
        path = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    return seen


def test_pages_tile_the_result(speak: Speaker) -> None:
    for n in range(2, 8):
        speak("PUT", f"Patient/p{n}", patient(str(n), id=f"p{n}"))
    assert pages(speak, "Patient") == [["p1", "p2", "p3"], ["p4", "p5", "p6"], ["p7"]]
    assert pages(speak, "Patient?_count=4") == [["p1", "p2", "p3", "p4"], ["p5", "p6", "p7"]]
    assert len(pages(speak, "Patient?_count=7")) == 1  # no link to an empty page


def test_pages_stay_stable_while_others_write(speak: Speaker) -> None:
    for n in range(2, 8):
        speak("PUT", f"Patient/p{n}", patient(str(n), id=f"p{n}"))
    first = speak("GET", "Patient").json()
    speak("DELETE", "Patient/p1")
    speak("DELETE", "Patient/p5")
    speak("PUT", "Patient/p8", patient("8", id="p8"))
    rest = pages(speak, first["link"][1]["url"])
    assert rest == [["p4", "p6"], ["p7"]]


def test_page_links_are_gone_after_an_hour(speak: Speaker, clock: Clock) -> None:
    speak("PUT", "Patient/p2", patient("2", id="p2"))
    following = speak("GET", "Patient?_count=1").json()["link"][1]["url"]
    clock.forward(minutes=61)
    assert speak("GET", following).status_code == 410
    assert speak("GET", "?_getpages=made-up&_getpagesoffset=1&_count=1").status_code == 410


def test_total_is_told_only_when_asked_for(speak: Speaker) -> None:
    assert "total" not in speak("GET", "Patient").json()
    assert speak("GET", "Patient?_total=accurate").json()["total"] == 1
    none = speak("GET", "Patient?_count=0").json()
    assert (none["total"], "entry" in none) == (1, False)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("2024", "2025-01-01T00:00:00"),
        ("2024-12", "2025-01-01T00:00:00"),
        ("2024-02-28", "2024-02-29T00:00:00"),
        ("2024-02-29T23:59", "2024-03-01T00:00:00"),
        ("2024-02-29T23:59:59Z", "2024-03-01T00:00:00"),
        ("2024-02-29T23:59:59.999Z", "2024-03-01T00:00:00"),
        ("2024-02-29T23:59:59.123456789Z", "2024-02-29T23:59:59.123457"),
    ],
)
def test_an_interval_ends_where_the_next_begins(text: str, after: str) -> None:
    span = interval(text)
    assert span is not None
    assert span[1].isoformat() == f"{after}+00:00"


@pytest.mark.parametrize("text", ["", "24", "2023-02-29", "2024-13", "2024-01-01T24:61", "0000"])
def test_no_date_is_no_interval(text: str) -> None:
    assert interval(text) is None
