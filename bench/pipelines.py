"""Whole ways, from a file to files or to rows, per resource: what a run costs beyond its start.

Each runs on a small and on a large file; the difference of the two is the work. Rows are records in
memory, as `decode` makes them before it writes. All data is synthetic.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from fhir.resources.R4B.observation import Observation

from fhirbridge.cli import commands
from fhirbridge.commands.inputs import bodies
from fhirbridge.commands.long_work import long_work
from fhirbridge.commands.reading import one_by_one, read_body
from fhirbridge.formats.ndjson import LIMIT
from fhirbridge.library import Library
from fhirbridge.settings import Settings

SMALL, LARGE = 200, 2200
PER_ROW = 4
HEADER = "study_id,assessed_on,pain_rest,pain_activity,promis_gph_t,ecog\n"


def rows(path: Path, count: int) -> None:
    """One assessment a row, each of four scores, ten of a subject."""
    with path.open("w", encoding="utf-8") as out:
        out.write(HEADER)
        for n in range(count):
            day = f"20{10 + n % 10}-{1 + n // 10 % 12:02}-{1 + n // 120 % 28:02}"
            score = f"{20 + n % 30}.{n % 10}"
            out.write(f"S-{n // 10},{day},{n % 11},{n % 7},{score},{n % 5}\n")


def lines(path: Path, folder: Path) -> list[bytes]:
    """The Observations that `encode --format ndjson` wrote, as one file."""
    made = [line for file in sorted(folder.glob("*.ndjson")) for line in file.open("rb")]
    path.write_bytes(b"".join(made))
    return made


def took(*words: str | Path) -> float:
    start = time.perf_counter()
    done = CliRunner().invoke(commands, [str(word) for word in words])
    if done.exit_code != 0:
        raise RuntimeError(f"{words[0]} ended with {done.exit_code}: {done.output[-400:]}")
    return time.perf_counter() - start


def read(path: Path, expected: int) -> float:
    """Seconds of the processor from a file's first byte to its last record."""
    mappings = Library(Settings().mappings).of_site("")
    with long_work([str(path)]) as bar:
        start = time.process_time()
        given = bodies(str(path), LIMIT, bar, short=True)
        batches = one_by_one(mappings, (read_body(mappings, body) for body in given))
        made = sum(len(records) for records, _ in batches)
        seconds = time.process_time() - start
    if made != expected:
        raise RuntimeError(f"{made} of {expected} records were read")
    return seconds


def each(run: Callable[[int], float]) -> float:
    """Microseconds a resource: of three tries the least, since others only add."""
    tries = [run(LARGE) - run(SMALL) for _ in range(3)]
    return min(tries) / ((LARGE - SMALL) * PER_ROW) * 1e6


def models(found: list[bytes]) -> float:
    """Microseconds that fhir.resources takes to validate one of them."""
    start = time.process_time()
    for line in found:
        Observation.model_validate_json(line)
    return (time.process_time() - start) / len(found) * 1e6


def measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (SMALL, LARGE):
            rows(folder / f"{count}.csv", count)
            into = folder / f"lines-{count}"
            took("encode", "assessment", folder / f"{count}.csv", "-o", into, "--format", "ndjson")
            found = lines(folder / f"{count}.ndjson", into)
        theirs = min(models(found) for _ in range(3))

        def out(count: int) -> float:
            into = tempfile.mkdtemp(dir=folder)
            return took("encode", "assessment", folder / f"{count}.csv", "-o", into)

        def back(count: int) -> float:
            return took("decode", folder / f"{count}.ndjson", "--format", "ndjson")

        def inward_alone(count: int) -> float:
            return read(folder / f"{count}.ndjson", count * PER_ROW)

        outward, inward, there_and_told = each(out), each(inward_alone), each(back)
    return [
        row("CSV to validated Bundles on disk", outward, "us"),
        row(
            "CSV to validated Bundles / fhir.resources alone",
            outward / theirs,
            "ratio",
            "<= 0.4, or <= 80 us",
            holds=outward <= 80 or outward / theirs <= 0.4,
        ),
        row("NDJSON to validated rows", inward, "us"),
        row(
            "NDJSON to validated rows / fhir.resources alone",
            inward / theirs,
            "ratio",
            "<= 0.2",
            holds=inward / theirs <= 0.2,
        ),
        row("NDJSON to NDJSON of rows: decode", there_and_told, "us"),
        row("fhir.resources alone", theirs, "us"),
    ]


def row(
    name: str, value: float, unit: str, goal: str = "", *, holds: bool | None = None
) -> dict[str, Any]:
    """One figure; without a goal there is nothing that could hold."""
    return {"name": name, "value": value, "unit": unit, "goal": goal, "holds": holds}
