"""validate as it is typed: a verdict for each resource, in order, for a person or a program."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.commands import long_work
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json
from fhirbridge.outcome import operation_outcome
from tests.commands.typed import Said, typed
from tests.mapping.hospital import observation

GOOD = observation(valueInteger=1)
BAD = {**GOOD, "status": "done", "code": {}}
HEIGHT = "http://hl7.org/fhir/StructureDefinition/bodyheight"


def lined(*resources: dict[str, Any]) -> bytes:
    return b"".join(fhir_json.dump(resource) + b"\n" for resource in resources)


def verdicts(said: Said) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.out.splitlines()]


def test_a_line_of_json_for_each_resource_in_order(tmp_path: Path) -> None:
    many, one = tmp_path / "many.ndjson", tmp_path / "one.json"
    many.write_bytes(lined(GOOD, BAD) + b"{\n" + lined(GOOD))
    one.write_text(json.dumps(GOOD, indent=2), encoding="utf-8")
    said = typed("validate", "--json", many, one)
    assert said.code == 1
    assert [(v["file"], v["line"], v["valid"]) for v in verdicts(said)] == [
        (str(many), 1, True),
        (str(many), 2, False),
        (str(many), 3, False),
        (str(many), 4, True),
        (str(one), 1, True),
    ]


def test_an_issue_says_what_the_operation_outcome_says(tmp_path: Path) -> None:
    file = tmp_path / "x.ndjson"
    file.write_bytes(lined(BAD))
    (verdict,) = verdicts(typed("validate", "--json", file))
    expected = operation_outcome(validate(BAD))["issue"]
    assert len(expected) == 2
    assert verdict["issues"] == [
        {
            "severity": issue["severity"],
            "code": issue["code"],
            "expression": issue["expression"][0],
            "details": issue["details"]["text"],
        }
        for issue in expected
    ]


@pytest.mark.parametrize(
    ("name", "raw", "line", "details"),
    [
        ("x.ndjson", lined(GOOD) + b'{"a" 1}\n', 2, "column 6: broken JSON"),
        ("x.json", b'{\n"a" 1}', 1, "line 2, column 5: broken JSON"),
        ("x.ndjson", lined(GOOD) + b"[]", 2, "the body is no JSON object; remedy: "),
        ("none.ndjson", None, 0, "there is no such file; remedy: check the name"),
        ("x.json", b"", 0, "the file is empty; remedy: "),
    ],
)
def test_what_is_no_resource_is_a_line_too(
    tmp_path: Path, name: str, raw: bytes | None, line: int, details: str
) -> None:
    file = tmp_path / name
    if raw is not None:
        file.write_bytes(raw)
    said = typed("validate", "--json", file)
    verdict = verdicts(said)[-1]
    assert (verdict["file"], verdict["line"], verdict["valid"]) == (str(file), line, False)
    (issue,) = verdict["issues"]
    assert issue["details"].startswith(details)
    assert said.code == 1


def test_a_person_reads_place_cause_remedy_and_a_count(tmp_path: Path) -> None:
    file = tmp_path / "x.ndjson"
    file.write_bytes(lined(GOOD, BAD, GOOD))
    said = typed("validate", file, tmp_path / "none.json")
    first, second, third, count = said.out.splitlines()
    assert first.startswith(f"error: {file}:2 Observation.status: the code is not in the required")
    assert " -> take one of " in first
    assert second.startswith(f"error: {file}:2 Observation.code: ")
    assert third.startswith(f"error: {tmp_path / 'none.json'}: there is no such file -> ")
    assert count == "3 resources: 2 valid, 1 invalid; 1 unreadable files"
    assert said.code == 1


def test_what_is_valid_ends_with_0(tmp_path: Path) -> None:
    file = tmp_path / "x.ndjson"
    file.write_bytes(lined(GOOD, GOOD))
    said = typed("validate", file)
    assert (said.code, said.out, said.err) == (0, "2 resources: 2 valid, 0 invalid\n", "")


def test_a_warning_is_told_and_makes_nothing_invalid(tmp_path: Path) -> None:
    claimed = {**GOOD, "meta": {"profile": ["https://hospital.example.org/fhir/unheard-of"]}}
    file = tmp_path / "x.ndjson"
    file.write_bytes(lined(claimed))
    (verdict,) = verdicts(typed("validate", "--json", file))
    assert verdict["valid"] is True
    assert [issue["severity"] for issue in verdict["issues"]] == ["warning"]
    said = typed("validate", file)
    assert said.code == 0
    assert said.out.startswith(f"warning: {file}:1 Observation.meta.profile: ")


def test_remarks_on_the_form_go_beside_and_make_nothing_invalid(tmp_path: Path) -> None:
    file = tmp_path / "x.ndjson"
    file.write_bytes(b"\xef\xbb\xbf" + lined(GOOD).replace(b"\n", b"\r\n") + b"\r\n" + lined(GOOD))
    said = typed("validate", "--json", file)
    assert [(v["line"], v["valid"], v["issues"]) for v in verdicts(said)] == [
        (1, True, []),
        (3, True, []),
    ]
    told = [line.partition(": ")[2] for line in said.err.splitlines()]
    assert [line.removeprefix(str(file))[:3] for line in told] == [":1:", ":1:", ":2:"]
    assert said.code == 0


# reason, bytes, lines of the verdicts
STREAMS = [
    ("one a line", lined(GOOD, GOOD), [1, 2]),
    ("one on one line", fhir_json.dump(GOOD), [1]),
    ("one over many lines", json.dumps(GOOD, indent=1).encode(), [1]),
    ("one over many lines, the first not alone", json.dumps(GOOD, indent=1).replace("{\n", "{", 1).encode(), [1]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "numbers"), [row[1:] for row in STREAMS], ids=[row[0] for row in STREAMS]
)
def test_standard_input_is_read_as_it_comes(raw: bytes, numbers: list[int]) -> None:
    said = typed("validate", "--json", "-", stdin=raw)
    found = [(v["file"], v["line"], v["valid"]) for v in verdicts(said)]
    assert found == [("-", number, True) for number in numbers]
    assert said.code == 0


def test_a_profile_is_asked_of_every_resource(tmp_path: Path) -> None:
    file = tmp_path / "x.ndjson"
    file.write_bytes(lined(GOOD))
    (verdict,) = verdicts(typed("validate", "--json", file, "--profile", HEIGHT))
    assert verdict["valid"] is False
    assert "Observation.category" in [issue["expression"] for issue in verdict["issues"]]


def test_a_claimed_profile_counts(tmp_path: Path) -> None:
    file = tmp_path / "x.ndjson"
    file.write_bytes(lined({**GOOD, "meta": {"profile": [HEIGHT]}}))
    assert typed("validate", file).code == 1


def test_a_verdict_is_there_before_the_next_resource_comes() -> None:
    command = [sys.executable, "-m", "fhirbridge", "validate", "--json", "-"]
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONUNBUFFERED"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(lined(GOOD, GOOD))
        process.stdin.flush()
        watch = threading.Timer(30, process.kill)  # an end for a verdict that does not come
        watch.start()
        assert json.loads(process.stdout.readline())["line"] == 1
        watch.cancel()
        process.stdin.close()
        assert json.loads(process.stdout.readline())["line"] == 2
    assert process.returncode == 0


def test_the_bar_is_shown_at_a_terminal_and_only_there(tmp_path: Path) -> None:
    file = tmp_path / "x.ndjson"
    number = long_work.LONG // 20_000 + 2
    padded = {**GOOD, "note": [{"text": "x" * 20_000}]}
    file.write_bytes(lined(padded) * number)
    command = [sys.executable, "-m", "fhirbridge", "validate", str(file)]
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=True)
        shown = os.read(ours, 1 << 16)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"100%" in shown
    assert done.stdout == f"{number} resources: {number} valid, 0 invalid\n".encode()
    piped = subprocess.run(command, capture_output=True, check=True)
    assert piped.stderr == b""
