"""demo: the whole service once, on this machine, against the sandbox hospital."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from fhirbridge.commands.mapping_commands import bundles
from fhirbridge.library import Library
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.sandbox import synthetic
from fhirbridge.sandbox.hospitals import DIALECTS, crosswalk_lines
from fhirbridge.servers.auth import Bearer
from fhirbridge.servers.client import Answer, Server
from fhirbridge.servers.network import Network
from fhirbridge.settings import Settings

ENROLLED = 20
SITE, HOSPITAL = "demo", "sandbox"
HERE = "127.0.0.1/32"


@click.command()
@click.option("--patients", default=30, show_default=True)
@click.option("--dialect", type=click.Choice(sorted(DIALECTS)), default="mcode", show_default=True)
def demo(patients: int, dialect: str) -> None:
    """Run the main job step by step in a temporary folder. All data is synthetic."""
    with tempfile.TemporaryDirectory(prefix="fhirbridge-demo-") as folder:
        story = Story(Path(folder), dialect, patients)
        asked = ("--patients", str(patients), "--dialect", dialect)
        with story.server("sandbox", *asked) as hospital:
            story.prepare(hospital)
            story.pull()
            with story.server("serve", "--port", "0", "--workers", "1") as door:
                story.push(door)
            story.deliver()
    click.echo("\nDone. Nothing is left running, and the folder is gone.")


@dataclass
class Story:
    """Every step is a command of ours in a process of its own, as an operator would type it."""

    folder: Path
    dialect: str
    patients: int

    @property
    def truth(self) -> Path:
        return self.folder / "truth"

    @property
    def environment(self) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith("FHIRBRIDGE_")}
        return {**kept, "FHIRBRIDGE_DATA": str(self.folder), "PYTHONUNBUFFERED": "1"}

    def step(self, title: str) -> None:
        click.secho(f"\n== {title}", bold=True)

    def say(self, *words: str, expect: int = 0) -> str:
        """Run `fhirbridge WORDS` and show what it says."""
        click.echo(f"$ fhirbridge {' '.join(words)}")
        done = subprocess.run(
            [sys.executable, "-m", "fhirbridge", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = (done.stdout + done.stderr).splitlines()
        shown = (
            lines if len(lines) <= 12 else [*lines[:5], f"... {len(lines) - 10} more", *lines[-5:]]
        )
        click.echo("\n".join(f"  {line}" for line in shown))
        if done.returncode != expect:
            cause = f"the command ended with {done.returncode}, not {expect}"
            raise BridgeError(Issue("exception", cause, "see what it said", place=words[0]))
        return done.stdout

    @contextmanager
    def server(self, *words: str) -> Iterator[str]:
        """`fhirbridge WORDS` in the background until the block ends; its FHIR base URL."""
        self.step(f"start: fhirbridge {' '.join(words)}")
        log = self.folder / f"{words[0]}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "fhirbridge", *words],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("ready "):
                click.echo(log.read_text(encoding="utf-8"), err=True)
                cause = f"{words[0]} did not start"
                raise BridgeError(Issue("exception", cause, "see what it said", place=words[0]))
            click.echo(f"  {line.strip()}")
            yield line.split()[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)

    def prepare(self, hospital: str) -> None:
        self.step("a site, its hospital's FHIR server, and the subjects who are enrolled")
        self.say("site", "add", SITE)
        self.say("connection", "add", HOSPITAL, hospital, "--site", SITE, "--network", HERE)
        self.say("connection", "check", HOSPITAL, "--site", SITE)
        enrolled = min(ENROLLED, self.patients)
        asked = ("--patients", str(self.patients), "--enrolled", str(enrolled))
        self.say("truth", "write", str(self.truth), "--dialect", self.dialect, *asked)
        self.say("subject", "import", str(self.truth / "subjects.csv"), "--site", SITE)
        self.step("what the hospital told of its own codes")
        for line in self.lines():
            self.say("crosswalk", "add", *line, "--site", SITE, "--by", "demo", "--reason", "told")

    def lines(self) -> Iterator[tuple[str, str, str]]:
        """Crosswalk, code and target of each line of the hospital that says what a code means."""
        for name, text in crosswalk_lines(self.dialect).items():
            for row in csv.DictReader(text.splitlines()):
                if row["target"]:
                    code = f"{row['source_system']}|{row['source_code']}"
                    yield name.removesuffix(".csv"), code, row["target"]

    def push(self, door: str) -> None:
        """The study's own scores come in as an integration engine would send them."""
        self.step(f"the study's scores of {ENROLLED} subjects are pushed to POST {door}")
        key = self.say("client", "add", "engine", "--site", SITE).strip()
        mappings = Library(Settings().mappings).of_site(SITE)
        made = [record for n in _enrolled() for record in synthetic.assessments(n)]
        here = Network.of(HERE)
        with Server(door, auth=Bearer(key), limits=Settings(), network=here) as server:
            answers = [server.post_bundle(b) for _, b in bundles(mappings, made)]
            again = [server.post_bundle(b) for _, b in bundles(mappings, made)]
        entries = sum(len((a.body or {}).get("entry", ())) for a in answers)
        click.echo(f"  {len(answers)} Bundles, {entries} scores: {_statuses(answers)}")
        same = all(
            a.headers["X-Receipt"] == b.headers["X-Receipt"]
            for a, b in zip(answers, again, strict=True)
        )
        click.echo(f"  the same Bundles again: {_statuses(again)}; the same receipts: {same}")

    def pull(self) -> None:
        self.step("pull what the hospital has of them")
        self.say("pull", SITE)
        self.step("what waits, and why")
        self.say("quarantine", "list", "--site", SITE)
        self.step("how much of it is right: what is held beside what the hospital truly has")
        self.say("truth", "score", "--site", SITE, "--truth", str(self.truth / "truth.json"))

    def deliver(self) -> None:
        self.step("deliver the scores to the hospital, and read them back")
        self.say("deliver", SITE)
        self.step("again: nothing changes, on either side")
        self.say("deliver", SITE)
        self.say("pull", SITE)


def _enrolled() -> range:
    return range(1, ENROLLED + 1)


def _statuses(answers: list[Answer]) -> str:
    return f"HTTP {sorted({answer.status for answer in answers})}"
