"""fhirbridge as an operator meets it: commands in processes of their own, and the service on a socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from tests import databases

SITE = "A"


@dataclass
class Bridge:
    """One installation with its data in a folder; `settings` are FHIRBRIDGE_* without the prefix."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    key: str = ""

    @property
    def log(self) -> Path:
        return self.folder / "serve.log"

    def environment(self, **more: str) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith("FHIRBRIDGE_")}
        database = databases.setting(self.folder)
        here = {"DATA": str(self.folder), "DATABASE": database, "NETWORKS": "127.0.0.1/32"}
        ours = {**here, **self.settings, **more}
        return {**kept, **{f"FHIRBRIDGE_{name}": value for name, value in ours.items()}}

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fhirbridge", *words],
            env=self.environment(**settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def say(self, *words: str, expect: int = 0, **settings: str) -> str:
        done = self.run(*words, **settings)
        assert done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def found(self, *, unmatched: str = "hold") -> Bridge:
        """With a site and a client; returns itself."""
        self.say("site", "add", SITE, "--unmatched", unmatched)
        self.key = self.say("client", "add", "engine", "--site", SITE).strip()
        return self

    def start(self, **settings: str) -> tuple[subprocess.Popen[str], str]:
        """The service in a process group of its own, and its FHIR base URL."""
        with self.log.open("ab") as log:  # a pipe that nobody reads would stop it when it is full
            process = subprocess.Popen(
                [sys.executable, "-m", "fhirbridge", "serve", "--port", "0", "--workers", "2"],
                env=self.environment(**settings),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), line + self.log.read_text(encoding="utf-8")
        return process, line.split()[1]

    def connect(self, base: str, *, token: str = "") -> None:
        auth = ("--auth", "bearer", "--secret", token) if token else ()
        self.say("connection", "add", "ward", base, "--site", SITE, *auth)

    def enrol(self, listed: str) -> None:
        """Everyone of an enrolment list in CSV."""
        file = self.folder / "subjects.csv"
        file.write_text(listed, encoding="utf-8")
        self.say("subject", "import", str(file), "--site", SITE)

    @contextmanager
    def serving(self, **settings: str) -> Iterator[str]:
        process, base = self.start(**settings)
        try:
            yield base
        finally:
            end(process, signal.SIGTERM)

    def post(self, base: str, body: Any, **headers: str) -> requests.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body, default=_number).encode()
        return requests.post(base, data=raw, headers=self.headers(**headers), timeout=60)

    def get(self, url: str, **params: str) -> requests.Response:
        return requests.get(url, params=params, headers=self.headers(), timeout=60)

    def headers(self, **more: str) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        ours = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/fhir+json"}
        return {**ours, **named}

    def export(self) -> list[dict[str, Any]]:
        told = self.run("record", "export", "--site", SITE, "--json")
        assert told.returncode == 0, told.stderr
        exported: list[dict[str, Any]] = json.loads(told.stdout, parse_float=Decimal)
        return exported


def end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """The whole process group, and wait until nothing of it is left."""
    if process.poll() is None:
        os.killpg(process.pid, number)
    process.wait(timeout=30)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    until = time.monotonic() + 10
    while _lives(process.pid) and time.monotonic() < until:
        time.sleep(0.02)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _number(value: Any) -> Any:
    raise TypeError(f"no JSON: {value!r}")
