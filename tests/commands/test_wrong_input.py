"""Wrong input of every kind: told with its place, its cause and a remedy, and the end is 1."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.formats import ndjson
from tests.commands.typed import typed
from tests.mapping.files import FOLDER, TEXTS, line_of

PATIENT = b'{"resourceType": "Patient", "gender": "female"}'
BOMB = "a: &a [x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nd: [*c, *c, *c]\n"
SCORES = "study_id,assessed_on,pain_rest\n"
DEEP = b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"


def lined(*bodies: bytes) -> bytes:
    return b"\n".join(bodies) + b"\n"


def record(**more: Any) -> bytes:
    made = {"subject": "S-1", "form": "lesion", "fields": {"lesion_id": "1", "bone": "femur"}}
    return json.dumps({**made, **more}).encode()


# kind of input, command, file, what is in it (None: a folder), place, cause, remedy
FILES: list[tuple[str, str, str, bytes | None, str, str, str]] = [
    ("an unknown column", "encode assessment", "in.csv", b"study_id,assessed_on,pain_rst\n", "in.csv:1:", "no field 'pain_rst'", "did you mean 'pain_rest'"),
    ("a wrong type", "encode assessment", "in.csv", f"{SCORES}S-1,2024,five\n".encode(), "in.csv:2 pain_rest:", "no integer", "give a whole number"),
    ("out of range", "encode assessment", "in.csv", f"{SCORES}S-1,2024,11\n".encode(), "in.csv:2 pain_rest:", "11 is outside 0 to 10", "correct the value"),
    ("no choice", "encode lesion", "in.csv", b"study_id,lesion_id,bone\nS-1,1,femurr\n", "in.csv:2 bone:", "none of the choices", "did you mean 'femur'"),
    ("CSV that is Latin-1", "encode assessment", "in.csv", f"{SCORES}S\xf8,2024,1\n".encode("latin-1"), "in.csv:2:", "0xf8 is not UTF-8", "save the file as UTF-8"),
    ("CSV that is UTF-16", "encode assessment", "in.csv", SCORES.encode("utf-16"), "in.csv:", "the file is UTF-16", "save it as UTF-8"),
    ("CSV that is empty", "encode assessment", "in.csv", b"", "in.csv:", "the file is empty", "leave it out"),
    ("an open quote", "encode assessment", "in.csv", f'{SCORES}S-1,"2024,1\n'.encode(), "in.csv:2:", "no CSV", "close the quotes"),
    ("a record of a form that is not there", "encode all", "in.ndjson", lined(record(), b"", record(form="leison")), "in.ndjson:3:", "no form 'leison'", "did you mean 'lesion'"),
    ("a record with an unknown field", "encode all", "in.ndjson", lined(record(fields={"lesion_id": "1", "bonne": "femur"})), "in.ndjson:1:", "no field 'bonne'", "did you mean 'bone'"),
    ("a record that is a number", "encode all", "in.ndjson", lined(b"5"), "in.ndjson:1:", "no record", "give subject, form, fields"),
    ("a record of broken JSON", "encode all", "in.ndjson", lined(record(), b'{"subject": }'), "in.ndjson:2:13:", "broken JSON", "on each line"),
    ("a list of broken JSON", "encode all", "in.json", b'[{"subject":\n}]', "in.json:2:1:", "broken JSON", "UTF-8 JSON"),
    ("a list of records with a wrong one", "encode all", "in.json", b"[" + record() + b"," + record(subject=5) + b"]", "in.json record 2:", "'subject' is of the wrong kind", "are texts"),
    ("broken JSON in a .json", "validate", "in.json", b'{\n "resourceType": "Patient",\n}', "in.json:3:1:", "broken JSON", "UTF-8 JSON"),
    ("broken JSON on a line", "validate", "in.ndjson", lined(PATIENT, PATIENT[:-1]), "in.ndjson:2:47:", "broken JSON", "one whole resource on each line"),
    ("broken JSON, decoded", "decode", "in.ndjson", lined(PATIENT, PATIENT[:-1]), "in.ndjson:2:47:", "broken JSON", "one whole resource on each line"),
    ("NDJSON that is called .json", "validate", "in.json", lined(PATIENT, PATIENT), "in.json:2:1:", "Extra data", "name the file .ndjson"),
    ("NaN", "validate", "in.ndjson", lined(b'{"resourceType": "Patient", "x": NaN}'), "in.ndjson:1:", "NaN is no JSON value", "UTF-8 JSON"),
    ("a key twice", "validate", "in.ndjson", lined(PATIENT, b'{"id": "1", "id": "2"}'), "in.ndjson:2:", "'id' is given twice", "UTF-8 JSON"),
    ("nested deep", "validate", "in.ndjson", lined(PATIENT, DEEP), "in.ndjson:2:", "nested too deep", "UTF-8 JSON"),
    ("no UTF-8", "validate", "in.ndjson", lined(PATIENT, b'{"id": "\xff"}'), "in.ndjson:2:", "is not UTF-8", "UTF-8 JSON"),
    ("half of a surrogate pair", "validate", "in.ndjson", lined(b'{"id": "\\ud800"}'), "in.ndjson:1:", "half of a surrogate pair", "UTF-8 JSON"),
    ("an array", "validate", "in.json", b"[]", "in.json:", "no JSON object", "one FHIR resource"),
    ("UTF-16", "validate", "in.ndjson", "{}\n{}\n".encode("utf-16"), "in.ndjson:", "the file is UTF-16", "save it as UTF-8"),
    ("gzip", "decode", "in.ndjson", b"\x1f\x8b\x08\n\n\n", "in.ndjson:", "compressed (gzip)", "unpack it"),
    ("an empty file", "validate", "in.json", b"", "in.json:", "the file is empty", "leave it out"),
    ("an empty file of lines", "validate", "in.ndjson", b"\n\n", "in.ndjson:", "the file is empty", "leave it out"),
    ("an empty file, decoded", "decode", "in.ndjson", b"", "in.ndjson:", "the file is empty", "leave it out"),
    ("a folder", "validate", "in.ndjson", None, "in.ndjson:", "a folder, not a file", "name the files in it"),
    ("a folder, decoded", "decode", "in.ndjson", None, "in.ndjson:", "a folder, not a file", "name the files in it"),
    ("a folder of records", "encode all", "in.json", None, "in.json:", "a folder, not a file", "name the files in it"),
    ("a file beyond the limit", "validate --max-line 9", "in.json", PATIENT, "in.json:", "more than the 9 bytes", "raise --max-line"),
    ("a type that R4 has not", "validate", "in.ndjson", lined(b'{"resourceType": "Patent"}'), "in.ndjson:1:", "no R4 resource type", "did you mean Patient"),
    ("an unknown code", "validate", "in.ndjson", lined(PATIENT, PATIENT.replace(b"female", b"w")), "in.ndjson:2 Patient.gender:", "not in the required value set", "take one of female"),
    ("an unknown code, decoded", "decode", "in.ndjson", lined(PATIENT, PATIENT.replace(b"female", b"w")), "in.ndjson:2 Patient.gender:", "not in the required value set", "take one of female"),
    ("an unknown element", "validate", "in.json", b'{"resourceType": "Patient", "gendr": "male"}', "in.json Patient.gendr:", "no such property", "did you mean gender"),
]  # fmt: skip


def told(lines: list[str], place: str, cause: str, remedy: str) -> bool:
    """True where one error says all of it."""
    found = [line.partition(" -> ") for line in lines if line.startswith("error: ")]
    return any(place in said and cause in said and remedy in to_do for said, _, to_do in found)


@pytest.mark.parametrize(
    ("command", "name", "content", "place", "cause", "remedy"),
    [row[1:] for row in FILES],
    ids=[row[0] for row in FILES],
)
def test_a_wrong_file_is_told_with_place_cause_and_remedy(
    tmp_path: Path,
    command: str,
    name: str,
    content: bytes | None,
    place: str,
    cause: str,
    remedy: str,
) -> None:
    file = tmp_path / name
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    out = ("-o", tmp_path / "out") if command.startswith("encode") else ()
    said = typed(*command.split(), file, *out)
    assert told(said.lines, place, cause, remedy), said.lines
    assert said.code == 1


@pytest.mark.parametrize("command", ["validate", "decode", "encode all"])
def test_a_missing_file_is_told_and_the_next_is_read(tmp_path: Path, command: str) -> None:
    good = tmp_path / "good.ndjson"
    good.write_bytes(lined(record() if command == "encode all" else PATIENT))
    out = ("-o", tmp_path / "out") if command == "encode all" else ()
    said = typed(*command.split(), tmp_path / "none.json", good, *out)
    assert told(said.lines, "none.json:", "there is no such file", "check the name")
    assert said.code == 1
    assert any(word in said.out for word in ("1 valid", "female", "1 records"))


@pytest.mark.parametrize("command", ["validate", "decode", "encode all"])
@pytest.mark.parametrize("name", [f"{'x' * 300}.json", "in.json/below.json"])
def test_a_name_that_can_be_no_file_is_told(tmp_path: Path, command: str, name: str) -> None:
    (tmp_path / "in.json").write_bytes(lined(PATIENT))
    out = ("-o", tmp_path / "out") if command == "encode all" else ()
    said = typed(*command.split(), tmp_path / name, *out)
    assert told(said.lines, f"{name}:", "cannot be read", "check")
    assert said.code == 1


# kind of mistake, file of the mappings, old, new, the word on whose line it is told, cause, remedy
MAPPINGS = [
    ("a YAML bomb", "lesion.yaml", "", BOMB, "a: &a", "anchors and aliases are not read", "write the value out"),
    ("an unknown field", "lesion.yaml", "field: bone,", "field: bonne,", "bonne", "'bonne'", "did you mean 'bone'"),
    ("broken YAML", "lesion.yaml", "rows:", "rows: [", "", "no YAML", "mend the line"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "old", "new", "word", "cause", "remedy"),
    [row[1:] for row in MAPPINGS],
    ids=[row[0] for row in MAPPINGS],
)
def test_a_wrong_mapping_is_told_by_check(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    old: str,
    new: str,
    word: str,
    cause: str,
    remedy: str,
) -> None:
    folder = tmp_path / "mappings"
    shutil.copytree(FOLDER, folder)
    text = TEXTS[name].replace(old, new, 1) if old else new
    assert text != TEXTS[name]
    (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("FHIRBRIDGE_MAPPINGS", str(folder))
    said = typed("check")
    place = f"{line_of({name: text}, name, word)}:" if word else f"{name}:"
    assert told(said.lines, place, cause, remedy), said.lines
    assert said.code == 1


def test_a_missing_mappings_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIRBRIDGE_MAPPINGS", str(tmp_path / "none"))
    said = typed("check")
    assert told(said.lines, f"{tmp_path / 'none'}:", "no study.yaml", "set FHIRBRIDGE_MAPPINGS")
    assert said.code == 1


@pytest.mark.parametrize("words", [("scores",), ("Lesion",)])
def test_a_form_that_is_not_there_is_told(tmp_path: Path, words: tuple[str, ...]) -> None:
    file = tmp_path / "in.ndjson"
    file.write_bytes(lined(record()))
    said = typed("encode", *words, file, "-o", tmp_path / "out")
    assert told(said.lines, "", f"no form '{words[0]}'", "lesion")
    assert said.code == 1


def test_a_profile_that_is_not_there_is_told_with_the_near_ones(tmp_path: Path) -> None:
    file = tmp_path / "in.json"
    file.write_bytes(PATIENT)
    url = "http://hl7.org/fhir/StructureDefinition/bodyheigt"
    said = typed("validate", file, "--profile", url)
    near = "did you mean http://hl7.org/fhir/StructureDefinition/bodyheight"
    assert told(said.lines, f"--profile {url}:", "no such profile", near)
    assert said.code == 1
    assert said.out == ""


def test_an_output_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "in.ndjson"
    file.write_bytes(lined(PATIENT))
    said = typed("decode", file, "-o", file / "out")
    assert told(said.lines, "records.json:", "cannot be written", "--out")
    assert said.code == 1


@pytest.mark.parametrize("command", ["validate", "decode --format ndjson"])
def test_an_output_that_is_full_is_told(tmp_path: Path, command: str) -> None:
    file = tmp_path / "in.ndjson"
    file.write_bytes(lined(PATIENT))
    with Path("/dev/full").open("wb") as full:
        words = [sys.executable, "-m", "fhirbridge", *command.split(), str(file)]
        buffered = {n: value for n, value in os.environ.items() if n != "PYTHONUNBUFFERED"}
        ended = subprocess.run(
            words, env=buffered, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 1
    assert told(ended.stderr.splitlines(), "", "No space left on device", "make room")
    assert "Traceback" not in ended.stderr
    assert "ignored" not in ended.stderr


PEAK = """
import sys
from fhirbridge.cli import main
try:
    main()
finally:
    lines = open("/proc/self/status").read().splitlines()
    print(next(line for line in lines if line.startswith("VmHWM")), file=sys.stderr)
"""


def in_a_process(*words: str | Path) -> tuple[int, str, int]:
    """Exit code, what was said, MB resident at the peak."""
    command = [sys.executable, "-c", PEAK, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    *_, last = done.stderr.splitlines()
    return done.returncode, done.stdout, int(last.split()[1]) // 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak")
@pytest.mark.parametrize(
    ("words", "is_told"),
    [
        (("validate",), lambda out: "error: {file}:2: the line has 104857600 bytes" in out),
        (("decode", "--format", "ndjson"), lambda out: out.count('"female"') == 2),
    ],
    ids=["validate", "decode"],
)
def test_a_line_of_100_mb_is_told_and_never_held(
    tmp_path: Path, words: tuple[str, ...], is_told: Callable[[str], bool]
) -> None:
    file = tmp_path / "in.ndjson"
    with file.open("wb") as stream:
        stream.write(PATIENT + b"\n")
        for _ in range(100):
            stream.write(b"x" * ndjson.CHUNK)
        stream.write(b"\n" + PATIENT + b"\n")
    code, out, peak = in_a_process(*words, file)
    assert code == 1
    assert is_told(out.replace(str(file), "{file}"))
    assert peak < 200
