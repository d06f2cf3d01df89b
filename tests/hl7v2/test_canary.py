"""A site's canary: written, sent by the real channel, and judged; nothing of it is kept."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from fhirbridge.cli import commands
from fhirbridge.formats import hl7v2, mllp
from fhirbridge.mapping.feed import Feed as Rules
from fhirbridge.registry.store import Registry
from fhirbridge.sync import canary
from fhirbridge.sync.canary import Answered, Finding
from tests import databases
from tests.web.test_rehearsals import only_the_trail_grows

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
UTF8 = "UNICODE UTF-8"
BERLIN = Rules(timezone="Europe/Berlin")


def by_channel(body: bytes, rules: Rules = BERLIN, *, at: datetime = NOW) -> dict[str, Finding]:
    """The findings of a file; the worst of each thing."""
    found = canary.examine(Answered(body, (), 0.0, at), rules, by_file=True)
    return {one.about: one for one in sorted(found, key=lambda one: one.state == "wrong")}


def sent(msh7: str = "20260301100002", charset: str = UTF8) -> bytes:
    body = canary.message(NOW, BERLIN, charset)
    return body.replace(b"|20260301090000+0000||ORU", f"|{msh7}||ORU".encode(), 1)


def test_what_came_as_it_was_written_is_well() -> None:
    found = canary.examine(Answered(sent(), (), 0.0, NOW), BERLIN, by_file=True)
    assert [(one.about, one.state) for one in found] == [
        *[("characters", "ok")] * 3,
        ("clock", "ok"),
    ]


@pytest.mark.parametrize(
    ("how", "body", "cause", "remedy"),
    [
        ("Latin-1 that says UTF-8", sent(charset="8859/1").replace(b"8859/1", UTF8.encode()),
         "the bytes are Latin-1", "charset: 8859/1"),
        ("encoded twice", sent().decode("latin-1").encode("utf-8"), "once more", "reads: UTF-8"),
        ("ASCII", sent().decode().encode("ascii", "replace"), "left as '?'", "to UTF-8"),
        ("accents apart", sent().replace("ä".encode(), "a\u0308".encode()), "come apart", "NFC"),
        ("a segment left out", re.sub(rb"OBX\|2[^\r]*\r", b"", sent()), "beyond is not there",
         "all segments"),
        ("unescaped", sent().replace(rb"\T\d", b"&d"), "signs", "not unescape"),
    ],
)  # fmt: skip
def test_what_the_channel_did_to_the_characters_is_told_with_its_remedy(
    how: str, body: bytes, cause: str, remedy: str
) -> None:
    found = by_channel(body)["characters"]
    assert found.state == "wrong", how
    assert cause in found.told
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("msh7", "state", "told"),
    [
        ("20260301100030", "ok", "+30 seconds"),
        ("20260301090002", "wrong", "-1 hours from ours: another time zone"),
        ("20260301090700+0000", "wrong", "+420 seconds"),
        ("20260301113000+0100", "wrong", "+1.5 hours"),
        ("20260301", "wrong", "no date with a time"),
    ],
)
def test_the_senders_clock_is_set_beside_ours(msh7: str, state: str, told: str) -> None:
    found = by_channel(sent(msh7))["clock"]
    assert (found.state, told in found.told) == (state, True), found


def test_a_message_that_nobody_dated_shows_no_clock() -> None:
    assert by_channel(canary.message(NOW, BERLIN, UTF8))["clock"].state == "not seen"


def answered(code: str, id: str, *, seconds: float = 0.1, times: int = 1) -> list[Finding]:
    ack = f"MSH|^~\\&|||||||ACK|1|P|2.5.1\rMSA|{code}|{id}\r".encode()
    came = Answered(sent(), (ack,), seconds, NOW, times)
    return [one for one in canary.examine(came, BERLIN) if one.about == "answers"]


def test_an_answer_must_fit_be_quick_and_be_taken() -> None:
    id = hl7v2.header(sent()).text(10)
    assert [one.state for one in answered("AA", id)] == ["ok"]
    assert "MSA-2" in answered("AA", "other")[0].told
    assert "answered AE" in answered("AE", id)[0].told
    assert "took 6.0 seconds" in answered("AA", id, seconds=6)[1].told
    assert "came 3 times" in answered("AA", id, times=3)[1].told


def test_a_table_tells_what_the_sites_program_did_to_it() -> None:
    rows = [line.split(",") for line in canary.table(NOW).decode("utf-8-sig").splitlines()]
    saved = NOW + timedelta(minutes=5)
    assert {one.state for one in canary.examine_table(rows, saved, saved)} == {"ok"}
    excel = [[n, {"zeros": "4711", "decimal": "44,1"}.get(n, v)] for n, v in rows]
    wrong = [one for one in canary.examine_table(excel, saved, saved) if one.state == "wrong"]
    assert [one.told.partition(":")[0] for one in wrong] == ["zeros", "decimal"]
    late = canary.examine_table(rows, saved, NOW)
    assert "ahead of our clock" in next(o.told for o in late if o.about == "clock")
    early = canary.examine_table(rows, NOW - timedelta(hours=1), NOW)
    assert "before the canary" in next(o.told for o in early if o.about == "clock")


def test_a_canary_by_the_feed_of_rehearsal_leaves_one_event_of_the_trail(tmp_path: Path) -> None:
    url = databases.url(tmp_path)
    folder = Path(__file__).parents[2] / "mappings"
    env = {**os.environ, "FHIRBRIDGE_DATABASE": url, "FHIRBRIDGE_DATA": str(tmp_path)}
    env["FHIRBRIDGE_MAPPINGS"] = str(folder)

    def run(*words: str) -> str:
        done = CliRunner(env=env).invoke(commands, [*words])
        assert done.exit_code == 0, done.output
        return done.output

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run("site", "add", "north")
    run("feed", "add", "trial", "--site", "north", "--port", str(port), "--rehearsal")
    out = tmp_path / "canary.hl7"
    assert "canary.hl7 written" in run("site", "canary", "--site", "north", "--write", str(out))
    registry = Registry.open(url, key=b"k" * 32)
    words = ["site", "canary", "--site", "north", "--feed", "trial", "--settle", "0.3"]
    command = [sys.executable, "-m", "fhirbridge", *words]
    with (
        only_the_trail_grows(registry, events=1),
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        watch = threading.Timer(60, process.kill)
        watch.start()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
            wire.sendall(mllp.frame(out.read_bytes()))
            assert b"MSA|AA|CANARY" in wire.recv(4096)
            told = process.stdout.read()
        watch.cancel()
    registry.close()
    assert process.returncode == 0, told
    assert "characters: ok: latin came as it was written" in told
    assert "clock: not seen" in told
    assert re.search(r"answers: ok: AA with its MSH-10 in \d\.\d\d seconds", told)


def test_only_a_feed_of_rehearsal_is_listened_on(tmp_path: Path) -> None:
    env = {"FHIRBRIDGE_DATABASE": databases.url(tmp_path), "FHIRBRIDGE_DATA": str(tmp_path)}
    run = CliRunner(env=env)
    run.invoke(commands, ["site", "add", "north"])
    run.invoke(commands, ["feed", "add", "real", "--site", "north", "--port", "2"])
    done = run.invoke(commands, ["site", "canary", "--site", "north", "--feed", "real"])
    assert done.exit_code != 0
    assert "no feed of rehearsal" in str(done.exception)


def test_a_table_that_came_in_another_charset_is_told_at_the_command(tmp_path: Path) -> None:
    env = {"FHIRBRIDGE_DATABASE": databases.url(tmp_path), "FHIRBRIDGE_DATA": str(tmp_path)}
    run = CliRunner(env=env)
    run.invoke(commands, ["site", "add", "north"])
    out = tmp_path / "canary.csv"
    run.invoke(commands, ["site", "canary", "--site", "north", "--write", str(out)])
    asked = ["site", "canary", str(out), "--site", "north"]
    assert run.invoke(commands, asked).exit_code == 0
    text = out.read_text(encoding="utf-8-sig").replace("€", "?").encode("windows-1252", "replace")
    out.write_bytes(text)
    done = run.invoke(commands, [*asked, "--charset", "windows-1252"])
    assert done.exit_code == 1
    assert "latin came as it was written" in done.output
    assert "beyond: characters left as '?'" in done.output
