"""What every request passes: its name, its line in the log, the limits; rows X32, X33, X34, X37, X38."""

from __future__ import annotations

import ast
import hmac
import io
import json
import logging
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import fhirbridge
from fhirbridge.app import create_app
from fhirbridge.outcome import BridgeError
from fhirbridge.web import access, logs, throttle
from tests import databases
from tests.web.sender import Sender, lesion, score
from tests.web.signing import BASE, Signing

PACKAGE = Path(fhirbridge.__file__).parent


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the process would write to standard error."""
    stream = io.StringIO()
    made, root = logs.handler(stream), logging.getLogger()
    before, ours = root.level, logging.getLogger("fhirbridge")
    root.addHandler(made)
    root.setLevel(logging.DEBUG)
    ours.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(made)
    root.setLevel(before)
    ours.setLevel(logging.NOTSET)


def read(lines: io.StringIO, event: str = "request") -> list[dict[str, Any]]:
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [one for one in told if one["event"] == event]


def test_each_request_is_one_line_of_known_keys(door: Sender, lines: io.StringIO) -> None:
    answer = door.push(lesion(), score(11))
    door("GET", "/fhir/Observation/secret-id?name=secret")
    door("GET", "/nothing/secret")
    first, second, third = read(lines)
    assert {*first} - {"time", "level", "event"} <= logs.KEYS
    assert (first["method"], first["route"], first["status"]) == ("POST", "/fhir", 200)
    assert (first["site"], first["client"]) == (door.site_id, "engine")
    assert first["receipt"] == answer.headers["X-Receipt"]
    assert first["request"] == answer.headers["X-Request-Id"]
    assert first["counts"] == {"received": 2, "applied": 1, "unchanged": 0, "superseded": 0, "quarantined": 1, "refused": 0}  # fmt: skip
    assert (second["route"], second["status"], second["category"]) == ("/fhir/<type>/<id>", 400, "not-supported")  # fmt: skip
    assert (third["route"], third["status"]) == ("none", 404)
    assert "secret" not in lines.getvalue()


def test_an_unknown_key_is_dropped_and_a_text_of_others_never_printed(lines: io.StringIO) -> None:
    logs.tell(logging.INFO, "tried", status=200, patient="canary", counts={"a": 1})
    logging.getLogger("sqlalchemy.engine").warning("SELECT canary")
    logging.getLogger("werkzeug").error("GET /%s", "canary")
    logging.getLogger("urllib3").debug("canary")
    try:
        raise ValueError("canary")
    except ValueError:
        logging.getLogger("gunicorn.error").exception("canary")
    assert "canary" not in lines.getvalue()
    (ours,) = read(lines, "tried")
    assert {*ours} == {"time", "level", "event", "status", "counts"}
    kinds = [one["kind"] for one in read(lines, "library")]
    assert kinds == ["sqlalchemy.engine", "werkzeug", "urllib3", "ValueError"]


# Texts by which a log could be forged, or a terminal steered.
FORGED = [
    "\n2026-01-01 INFO login ok",
    "\r\nx",
    "\x1b[2J",
    "\u2028",
    "\u2029",
    "\x85",
    '"}\n{"a":"',
    "\0",
]


@pytest.mark.parametrize("text", FORGED)
def test_x32_no_text_ends_a_line_or_steers_a_terminal(lines: io.StringIO, text: str) -> None:
    logs.tell(logging.INFO, "tried", client=f"a{text}b", counts={text: 1})
    (line,) = lines.getvalue().splitlines()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["client"] == f"a{text}b"


@pytest.mark.parametrize("text", [text for text in FORGED if text[0] not in "\n\r\0"])
def test_x32_what_a_sender_calls_things_forges_no_line(
    door: Sender, lines: io.StringIO, text: str
) -> None:
    client = door.app.test_client()
    for path in (f"/fhir/{text}", f"/fhir/Patient?name={text}", f"/api/v1/records/{text}"):
        headers = {"Authorization": f"Bearer {door.key}"}
        client.open(path, headers=headers, environ_overrides={"HTTP_X_REQUEST_ID": text})
    client.open("/fhir", method="GET\x1b[2J", headers={"Authorization": f"Bearer {door.key}"})
    told = lines.getvalue().splitlines()
    assert len(told) == len(read(lines)) == 4
    assert all(line.isascii() and line.isprintable() for line in told)
    assert read(lines)[-1]["method"] == "other"


def test_x32_a_clients_name_is_escaped(door: Sender, lines: io.StringIO) -> None:
    Sender.at(door.app, "alpha", client="a\nb\u2028\x1b[0m")("GET", "/fhir/Patient")
    (line,) = lines.getvalue().splitlines()
    assert line.isascii()
    assert read(lines)[0]["client"] == "a\nb\u2028\x1b[0m"


def test_a_request_keeps_its_name_where_that_is_a_uuid(door: Sender) -> None:
    given = str(uuid4())
    answer = door("GET", "/fhir/Patient", X_Request_Id=given)
    assert answer.headers["X-Request-Id"] == given
    assert "X-Correlation-Id" not in answer.headers


@pytest.mark.parametrize("given", ["4711", "Mueller-1960", "x" * 200, "0000000000004711"])
def test_a_name_that_could_be_a_patients_is_answered_but_not_logged(
    door: Sender, lines: io.StringIO, given: str
) -> None:
    answer = door("GET", "/fhir/Patient", X_Request_Id=given)
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["X-Request-Id"])
    assert answer.headers.get("X-Correlation-Id") == (given if len(given) <= 128 else None)
    assert given not in lines.getvalue()


def test_a_defect_is_named_by_kind_and_place(
    door: Sender, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("canary 4711")

    monkeypatch.setattr(access, "caller", broken)
    answer = door("GET", "/api/v1/records")
    assert (answer.status_code, [*answer.get_json()]) == (500, ["issues"])
    (told,) = read(lines, "unexpected")
    assert told["kind"] == "RuntimeError"
    assert "test_entrance.py:" in told["place"]
    (request,) = read(lines)
    assert (request["level"], request["status"]) == ("error", 500)
    assert "canary" not in lines.getvalue() + answer.text


class Counted:
    """hmac.compare_digest, with a look at how often and on what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def __call__(self, a: Any, b: Any) -> bool:
        self.asked.append((len(a), len(b)))
        return hmac_compare(a, b)


hmac_compare = hmac.compare_digest
SECRET = "0" * 48


def test_x33_known_and_unknown_keys_take_the_same_way(
    door: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By construction: one look-up by the public prefix, one comparison of two whole hashes."""
    counted = Counted()
    monkeypatch.setattr(access.hmac, "compare_digest", counted)
    _, prefix, secret = door.key.split("_")
    first = ("0" if secret[0] != "0" else "1") + secret[1:]
    last = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    for key in (f"fb_{prefix}_{first}", f"fb_{prefix}_{last}", f"fb_0000000000_{SECRET}", "x", ""):
        with pytest.raises(BridgeError):
            access.caller(door.service.registry, f"Bearer {key}", "")
    assert counted.asked == [(64, 64)] * 5
    assert access.caller(door.service.registry, f"Bearer {door.key}", "").client == "engine"


def test_x33_a_known_and_an_unknown_prefix_take_as_long(door: Sender) -> None:
    """Medians of processor time in turns, and a ratio that no other work can reach."""
    prefix = door.key.split("_")[1]
    taken: dict[str, list[float]] = {prefix: [], "0000000000": []}
    for _ in range(150):
        for known, times in taken.items():
            began = time.process_time()
            with pytest.raises(BridgeError):
                access.caller(door.service.registry, f"Bearer fb_{known}_{SECRET}", "")
            times.append(time.process_time() - began)
    first, second = (statistics.median(times) for times in taken.values())
    assert max(first, second) / min(first, second) < 2


def test_x33_keys_and_tokens_are_compared_nowhere_else() -> None:
    """Whoever compares a secret with `==` tells its beginning by the time that takes."""
    for name in ("access.py", "assertions.py"):
        tree = ast.parse((PACKAGE / "web" / name).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare):
                told = ast.unparse(node)
                assert not re.search(r"secret|_hash\b|token\b|signature", told), told


@pytest.fixture
def fenced(tmp_path: Path) -> Iterator[Sender]:
    settings = databases.settings(
        tmp_path / "f", base_url=BASE, rate="5/minute", login_rate="20/minute"
    )
    door = Sender.at(create_app(settings), "alpha")
    yield door
    door.service.registry.close()


def test_x34_of_a_hundred_wrong_keys_most_are_told_to_wait_and_the_right_one_is_let_in(
    fenced: Sender,
) -> None:
    codes = []
    for number in range(100):
        wrong = f"Bearer fb_{number:010d}_{SECRET}"
        codes.append(fenced("GET", "/fhir/Patient", Authorization=wrong))
    assert [a.status_code for a in codes] == [401] * 20 + [429] * 80
    assert 1 <= int(codes[-1].headers["Retry-After"]) <= 60
    issue = codes[-1].get_json()["issue"][0]
    assert (issue["code"], "logins failed" in issue["details"]["text"]) == ("throttled", True)
    assert fenced("GET", "/fhir/Patient").status_code == 200


def test_x34_another_address_is_not_meant(fenced: Sender) -> None:
    client = fenced.app.test_client()
    for address, expected in (("192.0.2.1", [401] * 20 + [429] * 2), ("192.0.2.2", [401])):
        codes = [
            client.get("/fhir/Patient", environ_base={"REMOTE_ADDR": address}).status_code
            for _ in expected
        ]
        assert codes == expected


def test_x34_failed_assertions_count_too(fenced: Sender) -> None:
    lab = Signing.at(fenced)
    answers = [lab.ask("a.b.c") for _ in range(22)]
    assert [a.status_code for a in answers] == [401] * 20 + [429] * 2
    assert (answers[-1].get_json()["error"], "Retry-After" in answers[-1].headers) == ("temporarily_unavailable", True)  # fmt: skip
    assert lab.ask().status_code == 200


def test_x34_an_unknown_and_a_known_key_are_refused_with_the_same_words(door: Sender) -> None:
    prefix = door.key.split("_")[1]
    told = {
        door("GET", "/fhir/Patient", Authorization=f"Bearer fb_{known}_{SECRET}").data
        for known in (prefix, "0000000000")
    }
    assert len(told) == 1


def test_x38_a_client_that_asks_too_much_waits_and_others_do_not(fenced: Sender) -> None:
    others = [Sender.at(fenced.app, "alpha", client="second"), Sender.at(fenced.app, "beta")]
    codes = [fenced("GET", "/fhir/Patient") for _ in range(8)]
    assert [a.status_code for a in codes] == [200] * 5 + [429] * 3
    assert 1 <= int(codes[-1].headers["Retry-After"]) <= 60
    assert codes[-1].get_json()["issue"][0]["code"] == "throttled"
    assert fenced("GET", "/api/v1/records").get_json()["issues"][0]["retryable"] is True
    for other in others:
        assert [other("GET", "/fhir/Patient").status_code for _ in range(5)] == [200] * 5
    assert fenced("GET", "/readyz").status_code == 200


def test_x38_what_is_refused_for_its_number_is_not_taken(fenced: Sender) -> None:
    for _ in range(5):
        fenced("GET", "/fhir/Patient")
    assert fenced.push(score()).status_code == 429
    assert fenced.records() == []


def test_a_window_ends_and_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "_MOST", 3)
    made = throttle.Throttle("2/second", setting="x")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    assert [made.wait("a") for _ in range(3)] == [0, 0, 1]
    for name in "bcd":
        assert made.wait(name) == 0
    now += 1.5
    assert [made.wait("a") for _ in range(3)] == [0, 0, 1]
    assert [made.wait("e"), made.wait("e"), made.wait("e")] == [0, 0, 1]


def test_without_a_rate_everything_is_taken(tmp_path: Path) -> None:
    door = Sender.at(
        create_app(databases.settings(tmp_path / "f", rate="", login_rate="")), "alpha"
    )
    assert {door("GET", "/healthz").status_code for _ in range(200)} == {200}
    door.service.registry.close()


@pytest.mark.parametrize("name", ["rate", "login_rate"])
def test_a_rate_that_is_none_is_told_at_the_start(tmp_path: Path, name: str) -> None:
    with pytest.raises(BridgeError) as fault:
        create_app(databases.settings(tmp_path / "f", **{name: "many"}))  # type: ignore[arg-type]
    assert fault.value.issues[0].place == f"FHIRBRIDGE_{name.upper()}"


# What makes objects of any kind of bytes that came in.
UNSAFE = re.compile(
    r"\b(c?pickle|marshal|shelve|dill|jsonpickle)\b|\byaml\.(unsafe_|full_)?load(_all)?\b"
)


def test_x37_nothing_makes_objects_of_bytes() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if UNSAFE.search(line.partition("#")[0]):
                found.append(f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}")
    assert found == []


@pytest.mark.parametrize(
    "line", ["import pickle", "yaml.load(x)", "yaml.load_all(x)", "marshal.loads(x)"]
)
def test_x37_an_unsafe_line_is_seen(line: str) -> None:
    assert UNSAFE.search(line)
