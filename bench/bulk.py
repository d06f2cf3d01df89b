"""A pull by bulk export from the sandbox, and one that is ten times as large, each in a process of
its own: what is resident must not grow. The size is BENCH_BULK. All data is synthetic.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.door import ENTRIES, transactions
from bench.hospital import bridge_to, load_hospital, sandbox
from bench.memory import resident
from bench.pipelines import row
from fhirbridge.library import Library
from fhirbridge.settings import Settings
from tests.journeys.bridge import SITE, Bridge

BULK = int(os.environ.get("BENCH_BULK", "3000"))  # resources of an export, and ten times as many
GOAL_FLAT = 1.3


def measure() -> Iterator[dict[str, Any]]:
    supply = transactions(Library(Settings().mappings).of_site("bench"))
    with tempfile.TemporaryDirectory(prefix="fhirbridge-bulk-") as name:
        yield from exporting(Path(name), supply)


def exporting(folder: Path, supply: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """A pull by bulk export, and one that is ten times as large: what is resident must not grow."""
    peaks = []
    for count in (BULK, BULK * 10):
        with sandbox() as base:
            load_hospital(base, [*itertools.islice(supply, count // ENTRIES)])
            bridge = bridge_to(folder / f"bulk-{count}", base)
            bridge.say("connection", "set", "ward", "pull=export-patients", "--site", SITE)
            peak, took = _peak(bridge, "pull", SITE, "--wait", "600")
        (held,) = re.findall(r"(\d+) resources received", bridge.log.read_text(encoding="utf-8"))
        assert int(held) >= count
        peaks.append(peak)
        yield row(f"bulk export of {int(held):,}", int(held) / took, "resources/s")
        yield row(f"bulk export of {int(held):,}, peak resident", peak, "MB")
    grown = peaks[1] / peaks[0]
    yield row("  ratio of the two", grown, "ratio", f"<= {GOAL_FLAT}", holds=grown <= GOAL_FLAT)


def _peak(bridge: Bridge, *words: str) -> tuple[float, float]:
    """MB resident at the peak of a command, and its seconds; the bridge's log has what it says."""
    start, peak = time.perf_counter(), 0.0
    with bridge.log.open("wb") as log:
        command = [sys.executable, "-m", "fhirbridge", *words]
        process = subprocess.Popen(command, env=bridge.environment(), stdout=log, stderr=log)
        while process.poll() is None:
            peak = max(peak, resident(process))
            time.sleep(0.05)
    assert process.returncode == 0, bridge.log.read_text(encoding="utf-8")[-2000:]
    return peak, time.perf_counter() - start
