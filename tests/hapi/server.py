"""A real HAPI FHIR server for a test session: built by Maven, in memory, on a free local port.

It fails at once where Java or Maven is missing or the server ends; it never skips what was asked.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.hapi import fhir_packages

_HERE = Path(__file__).parent
_JAR = _HERE / "target" / "hapi.jar"
_JVM = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_READY = re.compile(r"ready (http://127\.0\.0\.1:\d+/fhir) in ")
_PATIENCE = 180.0  # seconds; 14 on an idle machine, 70 on a busy one


class NotRunning(Exception):
    """The server could not be built, or ended, or was not ready in time."""


@contextmanager
def running(*flags: str) -> Iterator[str]:
    """The base URL of a server with these arguments of its README, ended by its own pid."""
    command = ["java", *_JVM, "-jar", str(built()), "--port", "0"]
    packages = ["--packages", str(fhir_packages.folder())]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [*command, *packages, *flags], stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            yield _ready(process, errors)
        finally:
            _end(process)


def built() -> Path:
    """The jar, built by Maven where it is missing or older than its sources."""
    for tool in ("java", "mvn"):
        if not shutil.which(tool):
            raise NotRunning(f"'{tool}' is missing: install a JDK 17 and Maven, see .ci/run")
    sources = [_HERE / "pom.xml", *(_HERE / "src").rglob("*.java")]
    newest = max(source.stat().st_mtime for source in sources)
    if not _JAR.exists() or _JAR.stat().st_mtime < newest:
        subprocess.run(["mvn", "-B", "-q", "-f", str(_HERE), "package"], check=True)
        os.utime(_JAR)  # Maven leaves an unchanged jar as old as it was
    return _JAR


def _ready(process: subprocess.Popen[str], errors: IO[bytes]) -> str:
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_drain, args=(process, lines), daemon=True).start()
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            line = lines.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            raise NotRunning(f"not ready after {_PATIENCE:.0f} s: {_tail(errors)}") from None
        if line is None:
            raise NotRunning(f"ended with {process.wait()}: {_tail(errors)}")
        if found := _READY.match(line):
            return found[1]


def _drain(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Read to the end, so that the server never waits for us; None says that it ended."""
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            lines.put(line)
    lines.put(None)


def _tail(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read()[-2000:].decode(errors="replace")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
