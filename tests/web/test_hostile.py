"""Input that is meant to harm: rows X17, X18, X19 and X22 at the door of a push. All of it made up."""

from __future__ import annotations

import resource
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.fhir.definitions import content, element
from fhirbridge.formats import fhir_json
from fhirbridge.settings import Settings
from tests import databases
from tests.web.sender import Sender, concept, score

LONGEST = 5.0  # seconds: a hundred times what it takes, and nothing to what backtracking would take


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return databases.settings(tmp_path / "data")


XML: list[tuple[str, str]] = [
    ("a billion laughs", '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><Bundle>&b;</Bundle>'),
    ("an external entity", '<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><Bundle>&x;</Bundle>'),
    ("an external DTD", '<!DOCTYPE l SYSTEM "http://192.0.2.1/x.dtd"><Bundle/>'),
    ("XInclude", '<Bundle xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"/></Bundle>'),
    ("CDA with a stylesheet", '<?xml-stylesheet href="http://192.0.2.1/x.xsl"?><ClinicalDocument xmlns="urn:hl7-org:v3"/>'),
    ("a nonXMLBody", "<ClinicalDocument><component><nonXMLBody/></component></ClinicalDocument>"),
]  # fmt: skip


@pytest.mark.parametrize("body", [x[1] for x in XML], ids=[x[0] for x in XML])
@pytest.mark.parametrize(
    ("kind", "status"),
    [("application/fhir+xml", 415), ("application/xml", 415), ("text/xml", 415), ("application/fhir+json", 400)],
)  # fmt: skip
def test_x17_xml_is_never_read(
    door: Sender, body: str, kind: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(*_: object) -> None:
        raise AssertionError("nothing is fetched")

    monkeypatch.setattr(socket.socket, "connect", fetched)
    answer = door("POST", "/fhir", body.encode(), Content_Type=kind)
    assert answer.status_code == status
    assert "application/fhir+json" in answer.text or "root:" not in answer.text
    assert door.records() == []


def wide(number: int) -> bytes:
    return b'{"resourceType":"Observation",%b}' % b",".join(b'"k%d":0' % n for n in range(number))


# What is sent, its status, a word of the answer. Bodies above the limit are not read to their end.
SHAPES: list[tuple[str, bytes, int, str]] = [
    ("5000 nested arrays", b"[" * 5000 + b"]" * 5000, 400, "nested too deep"),
    ("nested in an entry", b'{"resourceType":"Bundle","type":"transaction","entry":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "nested too deep"),
    ("nested objects", b'{"a":' * 5000 + b"1" + b"}" * 5000, 400, "nested too deep"),
    ("a million keys", wide(1_000_000), 413, "longer than"),
    ("as many keys as fit", wide(800_000), 400, "was expected"),
    ("a key twice", b'{"resourceType":"Bundle","resourceType":"Bundle"}', 400, "twice"),
    ("a key a million times", b"{" + b",".join([b'"k":0'] * 1_000_000) + b"}", 400, "twice"),
    ("a string of 100 MB", b'{"resourceType":"' + b"x" * 100_000_000 + b'"}', 413, "longer than"),
    ("a number of a million digits", b'{"resourceType":' + b"9" * 1_000_000 + b"}", 400, ""),
    ("an exponent without end", b'{"resourceType":1e999999999999}', 400, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "told"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES]
)
def test_x18_deep_and_wide_json_is_refused_in_bounds(
    door: Sender, body: bytes, status: int, told: str
) -> None:
    began = time.monotonic()
    answer = door("POST", "/fhir", body)
    assert time.monotonic() - began < LONGEST
    assert answer.status_code == status
    assert told in answer.text
    assert len(answer.data) < 300_000


def test_x18_a_body_above_the_limit_takes_no_memory(door: Sender) -> None:
    body = b'{"resourceType":"' + b"x" * 100_000_000 + b'"}'
    door.push(score())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert door("POST", "/fhir", body).status_code == 413
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


@pytest.mark.parametrize("entry", [{}, None, 1, "x", score()])
def test_x19_too_many_entries_are_refused_with_the_limit(door: Sender, entry: Any) -> None:
    number = 20_001 if isinstance(entry, dict) and entry else 100_001
    body = {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * number}
    answer = door("POST", "/fhir", fhir_json.dump(body))
    assert answer.status_code == 413
    assert f"has {number} entries, 5000 are taken" in answer.text


def many_codings() -> dict[str, Any]:
    return score(code={"coding": [{"system": "urn:x", "code": f"c{n}"} for n in range(2000)]})


def many_contained(**more: Any) -> dict[str, Any]:
    inside = [{"resourceType": "Patient", "id": f"p{n}", **more} for n in range(10_000)]
    return score(contained=inside)


# What is sent, and how the entry or the whole is answered.
PARTS: list[tuple[str, dict[str, Any], set[int]]] = [
    ("2000 codings", many_codings(), {200}),  # the entry waits: none of them is known
    ("10000 contained", many_contained(), {400}),
    ("10000 contained, all wrong", many_contained(gender="x"), {400}),
    ("10000 contained, with faults of every kind", many_contained(x=1, birthDate="y"), {400}),
    ("10000 identifiers", score(identifier=[{"system": "urn:x", "value": str(n)} for n in range(10_000)]), {200}),
    ("10000 extensions", score(extension=[{"url": f"http://x.example.org/{n}", "valueString": "x"} for n in range(10_000)]), {200}),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "codes"), [p[1:] for p in PARTS], ids=[p[0] for p in PARTS])
def test_x19_a_resource_of_very_many_parts_is_judged_in_bounds(
    door: Sender, sent: dict[str, Any], codes: set[int]
) -> None:
    began = time.monotonic()
    answer = door.push(sent)
    assert time.monotonic() - began < LONGEST
    assert answer.status_code in codes
    assert len(answer.data) < 500_000


# Beginnings and ends between which a careless pattern tries every division.
REPEATED = [("AAAA ", "!"), ("a", "!"), ("1", "x"), ("0.", "e"), ("2024-01-01T", "!"), (" ", "\t!"), ("urn:", " "), ("-", "-!"), ("A=", "="), ("<b>", "</a>")]  # fmt: skip


@pytest.mark.parametrize(("part", "end"), REPEATED)
def test_x22_no_pattern_of_a_primitive_backtracks(door: Sender, part: str, end: str) -> None:
    """Every primitive type, as the value of an extension; a long one and the row's own short one."""
    primitives = content("r4.json")["primitives"]
    kinds = [k for k in primitives if element("Extension", f"value{k[0].upper()}{k[1:]}")]
    assert {"base64Binary", "uri", "id", "dateTime", "code", "markdown"} <= {*kinds}
    for text in (part * 26 + end, part * 5_000 + end):
        sent = [
            {"url": "http://x.example.org/e", f"value{kind[0].upper()}{kind[1:]}": text}
            for kind in kinds
        ]
        began = time.monotonic()
        answer = door.push(score(extension=sent))
        assert time.monotonic() - began < LONGEST
        assert answer.status_code == 400


SEARCHES = ["identifier={}", "code={}", "date={}", "_count={}", "_id={}", "patient={}", "{}=1"]


@pytest.mark.parametrize("search", SEARCHES)
def test_x22_no_pattern_of_a_search_backtracks(door: Sender, search: str) -> None:
    for part, end in REPEATED:
        text = (part * 2000 + end).replace("&", "").encode().hex("%")
        began = time.monotonic()
        answer = door("GET", f"/fhir/Observation?{search.format('%' + text)}")
        assert time.monotonic() - began < LONGEST
        assert answer.status_code in (200, 400)


def test_x22_the_words_of_a_header_are_read_in_bounds(door: Sender) -> None:
    began = time.monotonic()
    for part, end in REPEATED:
        text = (part * 1500 + end).replace("\t", " ")
        for name in ("If_None_Exist", "X_Request_Id", "Idempotency_Key", "Prefer", "If_Match"):
            assert door("POST", "/fhir", b"{}", **{name: text}).status_code in (400, 422)
    assert time.monotonic() - began < 10 * LONGEST


def test_x22_a_code_of_any_form_is_looked_up_and_not_matched(door: Sender) -> None:
    began = time.monotonic()
    assert door.push(score(code=concept("urn:local", "(a+)+$" * 5000))).status_code == 200
    assert time.monotonic() - began < LONGEST
