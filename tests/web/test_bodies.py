"""What a body is packed and declared as, and what an answer may be: R14, X20, 406 and 415."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from fhirbridge.formats import fhir_json
from fhirbridge.settings import Settings
from fhirbridge.web.bodies import FREE, MOST_RATIO
from fhirbridge.web.packed import SMALLEST
from tests import databases
from tests.web.sender import Sender, bundle, found, lesion, person, score

MOST = 4_000_000
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return databases.settings(tmp_path / "data", max_body=MOST)


def told(answer: TestResponse) -> str:
    assert answer.get_json()["resourceType"] == "OperationOutcome"
    return str(answer.get_json()["issue"][0]["details"]["text"])


def packed(*resources: dict[str, Any]) -> bytes:
    return gzip.compress(fhir_json.dump(bundle(*resources)))


def test_r14_a_packed_body_is_taken(door: Sender) -> None:
    answer = door("POST", "/fhir", packed(lesion(), score()), Content_Encoding="gzip")
    assert door.fates(answer) == ["applied", "applied"]
    single = gzip.compress(fhir_json.dump(score(4, effectiveDateTime="2026-04-01")))
    assert door("POST", "/fhir/Observation", single, Content_Encoding="X-GZIP").status_code == 201


def test_r14_a_packed_body_and_the_plain_one_are_one_message(door: Sender) -> None:
    first = door("POST", "/fhir", packed(score()), Content_Encoding="gzip")
    again = door.push(score(), Content_Encoding="identity")
    assert again.headers["X-Receipt"] == first.headers["X-Receipt"]


def test_r14_members_of_a_gzip_follow_each_other(door: Sender) -> None:
    raw = fhir_json.dump(bundle(score()))
    parts = gzip.compress(raw[:100]) + gzip.compress(b"") + gzip.compress(raw[100:])
    assert door.fates(door("POST", "/fhir", parts, Content_Encoding="gzip")) == ["applied"]


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip,br", "rot13"])
def test_r14_another_encoding_is_415(door: Sender, encoding: str) -> None:
    answer = door("POST", "/fhir", packed(score()), Content_Encoding=encoding)
    assert answer.status_code == 415
    assert "send it as gzip, once" in told(answer)
    assert door.records() == []


def test_x20_a_gzip_within_a_gzip_is_415(door: Sender) -> None:
    twice = gzip.compress(packed(score()))
    answer = door("POST", "/fhir", twice, Content_Encoding="gzip")
    assert answer.status_code == 415
    assert "a gzip within a gzip" in told(answer)


BROKEN = {
    "no gzip": fhir_json.dump(bundle(score())),
    "nothing": b"",
    "cut": packed(score())[:-20],
    "a wrong checksum": packed(score())[:-8] + b"\0" * 8,
    "more behind it": packed(score()) + b"more",
    "zlib, not gzip": zlib.compress(fhir_json.dump(bundle(score()))),
    "another member, cut": packed(score()) + packed(score())[:15],
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_r14_a_broken_gzip_is_400(door: Sender, body: bytes) -> None:
    answer = door("POST", "/fhir", body, Content_Encoding="gzip")
    assert answer.status_code == 400
    assert "declared as gzip" in told(answer)
    assert door.records() == []


def test_x20_a_bomb_is_left_unexploded(door: Sender) -> None:
    """200 MiB in 200 kB: refused at the ratio, and never held."""
    bomb = gzip.compress(b" " * 209_715_200, 9)
    tracemalloc.start()
    answer = door("POST", "/fhir", bomb, Content_Encoding="gzip")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code == 413
    assert most < 8 * MOST


@pytest.mark.parametrize(
    ("length", "filler", "cause"),
    [
        (MOST + 1, b"random", f"more than {MOST} bytes"),
        (FREE + 1, b" ", f"more than {MOST_RATIO} times"),
    ],
)
def test_x20_both_limits_are_told(door: Sender, length: int, filler: bytes, cause: str) -> None:
    plain = b" " * length
    if filler == b"random":
        plain = b"".join(b"%08x" % (n * 2_654_435_761 % 2**32) for n in range(length // 8 + 1))
    answer = door("POST", "/fhir", gzip.compress(plain), Content_Encoding="gzip")
    assert answer.status_code == 413
    assert cause in told(answer)


def test_a_body_that_packs_well_and_is_small_is_no_bomb(door: Sender) -> None:
    raw = fhir_json.dump(bundle(score())) + b" " * 500_000
    body = gzip.compress(raw)
    assert len(raw) > MOST_RATIO * len(body)
    assert door.fates(door("POST", "/fhir", body, Content_Encoding="gzip")) == ["applied"]


@pytest.mark.parametrize(
    ("type", "cause"),
    [
        ("application/fhir+xml", "'application/fhir+xml' is not read here"),
        ("text/xml", "'text/xml'"),
        ("text/plain", "'text/plain'"),
        (FORM, FORM),
        ("application/fhir+json; charset=iso-8859-1", "charset 'iso-8859-1'"),
        ("application/json; charset=utf-16", "charset 'utf-16'"),
        ("application/fhir+json; fhirVersion=3.0", "another FHIR version"),
        ("application/fhir+json; fhirVersion=5.0", "another FHIR version"),
    ],
)
def test_r11_a_body_declared_as_another_thing_is_415(door: Sender, type: str, cause: str) -> None:
    answer = door("POST", "/fhir", bundle(score()), Content_Type=type)
    assert answer.status_code == 415
    assert cause in told(answer)
    assert "remedy: send" in told(answer)
    assert door.records() == []


@pytest.mark.parametrize(
    "type",
    [
        "application/fhir+json",
        "application/fhir+json; charset=UTF-8; fhirVersion=4.0",
        "application/json",
        "application/json+fhir; charset=utf8",
    ],
)
def test_a_body_declared_as_json_is_read(door: Sender, type: str) -> None:
    assert door("POST", "/fhir", bundle(score()), Content_Type=type).status_code == 200


# -- forms


def test_a_search_by_post_wants_a_form(door: Sender) -> None:
    door.push(score())
    path = "/fhir/Observation/_search"
    for type in ("application/fhir+json", "text/plain", "multipart/form-data; boundary=x"):
        answer = door("POST", path, b"status=final", Content_Type=type)
        assert answer.status_code == 415, type
        assert FORM in told(answer)
    latin = door("POST", path, b"status=final", Content_Type=f"{FORM}; charset=latin-1")
    assert latin.status_code == 415
    plain = door("POST", path, b"status=final", Content_Type=FORM)
    small = door(
        "POST", path, gzip.compress(b"status=final"), Content_Type=FORM, Content_Encoding="gzip"
    )
    assert plain.get_json()["entry"] == small.get_json()["entry"]
    assert door("POST", f"{path}?status=final", Content_Type="").status_code == 200
    assert door("POST", path, b"status=%FF", Content_Type=FORM).status_code == 400
    assert door("POST", path, b"status=\xff", Content_Type=FORM).status_code == 400
    assert door("POST", path, b"status=a&" * 101, Content_Type=FORM).status_code == 400


# -- answers


def test_r14_a_long_answer_is_packed_for_who_takes_it(door: Sender) -> None:
    door.push(*(score(1, effectiveDateTime=f"2026-03-0{day}") for day in range(1, 9)))
    plain = door("GET", "/fhir/Observation")
    assert "Content-Encoding" not in plain.headers
    for accepted in ("gzip", "gzip, br;q=0.9", "br, gzip;q=0.1", "*"):
        small = door("GET", "/fhir/Observation", Accept_Encoding=accepted)
        assert small.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(small.data) == plain.data
        assert len(small.data) < len(plain.data) / 4
        assert small.headers["Content-Length"] == str(len(small.data))
    for refused in ("br", "gzip;q=0", "identity", "*;q=0"):
        assert door("GET", "/fhir/Observation", Accept_Encoding=refused).data == plain.data
    for answer in (plain, small):
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.content_type == "application/fhir+json; charset=utf-8"


def test_a_short_answer_is_not_packed(door: Sender) -> None:
    answer = door("GET", "/fhir/Patient/none", Accept_Encoding="gzip")
    assert len(answer.data) < SMALLEST
    assert "Content-Encoding" not in answer.headers
    assert "Vary" not in answer.headers


ACCEPTED = [
    "", "*/*", "application/*", "application/fhir+json", "application/json",
    "application/json+fhir", "text/json", "application/fhir+xml, application/fhir+json;q=0.1",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "application/fhir+json; fhirVersion=4.0", "application/fhir+json;charset=utf-8",
]  # fmt: skip
REFUSED = [
    "application/fhir+xml", "text/html", "application/xml, text/*", "application/fhir+json;q=0",
    "application/fhir+json; fhirVersion=3.0", "application/fhir+turtle", "nonsense",
]  # fmt: skip


@pytest.mark.parametrize("accept", ACCEPTED)
def test_who_takes_json_gets_json(still: Sender, accept: str) -> None:
    for path in ("metadata", "Patient", f"Patient/{found(still, 'Patient')[0]['id']}"):
        assert still("GET", f"/fhir/{path}", Accept=accept).status_code == 200


@pytest.mark.parametrize("accept", REFUSED)
def test_r11_who_takes_no_json_gets_406(still: Sender, accept: str) -> None:
    for path in ("metadata", "Patient", "Patient/1", "Patient/1/_history", "Provenance/1"):
        answer = still("GET", f"/fhir/{path}", Accept=accept)
        assert answer.status_code == 406, path
        assert "application/fhir+json" in told(answer)


@pytest.mark.parametrize("accept", REFUSED)
def test_r11_of_who_takes_no_json_nothing_is_taken(door: Sender, accept: str) -> None:
    for method, path, body in (
        ("POST", "", bundle(score())),
        ("POST", "/Observation", score()),
        ("PUT", "/Observation/o1", score(id="o1")),
        ("PUT", "/Observation?identifier=urn:a|1", score()),
        ("POST", "/Observation/$validate", score()),
        ("POST", "/$process-message", bundle(score())),
    ):
        assert door(method, f"/fhir{path}", body, Accept=accept).status_code == 406, path
    assert door("POST", "/fhir?_format=xml", bundle(score())).status_code == 406
    assert door.records() == []


@pytest.mark.parametrize(
    ("format", "status"),
    [
        ("json", 200),
        ("application/fhir%2Bjson", 200),
        ("application/fhir+json", 200),
        ("application/json", 200),
        ("text/json", 200),
        ("xml", 406),
        ("application/fhir+xml", 406),
        ("ttl", 406),
        ("jsonx", 406),
        ("notjson", 406),
        ("", 406),
    ],
)
def test_r11_the_format_in_the_url_comes_before_the_header(
    still: Sender, format: str, status: int
) -> None:
    for path in ("metadata", "Patient", f"Patient/{found(still, 'Patient')[0]['id']}"):
        answer = still("GET", f"/fhir/{path}?_format={format}", Accept="application/fhir+xml")
        assert answer.status_code == status, path
    form = still("POST", "/fhir/Patient/_search", f"_format={format}".encode(), Content_Type=FORM)
    assert form.status_code == status


def test_a_person_is_not_told_in_what_was_refused(door: Sender) -> None:
    body = fhir_json.dump(bundle(person("CANARY")))
    answers = [
        door("POST", "/fhir", body, Content_Encoding="gzip"),
        door("POST", "/fhir", body, Content_Type="text/canary"[:9]),
        door("GET", "/fhir/Patient?identifier=CANARY&_cursor=CANARY"),
    ]
    assert b"CANARY" not in b"".join(answer.data for answer in answers)
