"""Foreign senders: `mllp_send` of PyPI's `hl7`, and HAPI HL7v2 2.6.0 (marker `hapi`: Java, Maven).

Every message is answered once, and its sender matches the answer by MSA-2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fhirbridge.formats import hl7v2, mllp
from tests.hl7v2.test_listener import message
from tests.hl7v2.world import HERE, World, read

PEER = HERE / "peer"
JAR = PEER / "target" / "peer.jar"


def test_mllp_send_of_the_package_hl7_gets_its_answers(here: World, tmp_path: Path) -> None:
    file = tmp_path / "messages.hl7"
    file.write_bytes(b"".join(mllp.frame(message(f"P{n}", n)) for n in range(3)))
    words = [Path(sys.executable).parent / "mllp_send", "--port", str(here.port)]
    told = subprocess.run(
        [*words, "--file", str(file), "127.0.0.1"], capture_output=True, check=True, timeout=60
    ).stdout
    assert [f"MSA|AA|P{n}".encode() in told for n in range(3)] == [True] * 3


def sendable() -> list[tuple[str, str]]:
    """Cases that a parser can send: no batch, no line feed within a text, one charset, wanted."""
    cases = [one for one in read(HERE / "cases.json") if one["expected"]["ack"]]
    plain = [one for one in cases if "\n" not in one["message"] and "encoding" not in one]
    return [(one["id"], one["message"]) for one in plain]


@pytest.mark.hapi
def test_hapi_hl7v2_sends_the_cases_and_matches_every_answer(here: World, tmp_path: Path) -> None:
    files, wanted = [], []
    for number, (id, text) in enumerate(sendable()):
        file = tmp_path / f"{number:02}-{id}.hl7"
        file.write_text(text, encoding="utf-8", newline="")
        files.append(str(file))
        wanted.append(hl7v2.header(text.encode()).text(10))
    words = ["java", "-jar", str(built()), str(here.port), *files]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    told = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in told] == wanted, done.stderr
    assert [row for row in told if row[0] != row[2] or row[1] not in ("AA", "CA")] == []


def built() -> Path:
    """The jar, built by Maven where it is missing or older than its sources."""
    for tool in ("java", "mvn"):
        assert shutil.which(tool), f"'{tool}' is missing: install a JDK 17 and Maven, see .ci/run"
    sources = [PEER / "pom.xml", *(PEER / "src").rglob("*.java")]
    newest = max(source.stat().st_mtime for source in sources)
    if not JAR.exists() or JAR.stat().st_mtime < newest:
        subprocess.run(["mvn", "-B", "-q", "-f", str(PEER), "package"], check=True)
        os.utime(JAR)
    return JAR
