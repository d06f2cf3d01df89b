"""Memory and speed of the commands that read NDJSON, each in a process of its own: the peak of what
is resident must not grow with the file. All data is synthetic.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import pipelines
from fhirbridge.formats import fhir_json

GOAL = 200  # MB resident
_MB = 1 << 20
_LOINC, _UCUM = "http://loinc.org", "http://unitsofmeasure.org"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_COMMANDS = (("validate", "--json"), ("decode", "--format", "ndjson"))


def _score(code: str, **value: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "@",
        "meta": {"lastUpdated": "2026-02-01T08:00:00Z"},
        "identifier": [{"system": "https://hospital.example.org/score", "value": "@"}],
        "status": "final",
        "category": [{"coding": [{"system": _CATEGORY, "code": "survey"}]}],
        "code": {"coding": [{"system": _LOINC, "code": code}]},
        "subject": {"reference": "Patient/@"},
        "effectiveDateTime": "2026-02-01",
        **value,
    }


def _lines() -> list[tuple[bytes, ...]]:
    """Observations as lines, cut where the number of each belongs."""
    quantity = {"value": 38.5, "unit": "{score}", "system": _UCUM, "code": "{score}"}
    reason = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    absent = {"coding": [{"system": reason, "code": "not-asked"}]}
    scores = (
        _score("89247-1", valueInteger=1),
        _score("91721-1", valueQuantity=quantity),
        _score("89247-1", dataAbsentReason=absent),
    )
    return [tuple(fhir_json.dump(score).split(b"@")) for score in scores]


def write(path: Path, size_mb: int) -> int:
    """A file of about that size; how many resources it holds."""
    cut, number = _lines(), 0
    with path.open("wb") as out:
        while out.tell() < size_mb * _MB:
            block = [str(n).encode().join(cut[n % len(cut)]) for n in range(number, number + 1000)]
            out.write(b"\n".join(block) + b"\n")
            number += len(block)
    return number


def resident(process: subprocess.Popen[bytes]) -> float:
    """MB at the peak so far, as Linux tells it; 0 when the process has gone."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return 0.0
    peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0")
    return int(peak.split()[1]) / 1024


def _run(words: tuple[str, ...], path: Path, out: Path) -> tuple[float, float]:
    """Peak MB and seconds; the command writes into `out`."""
    start, peak = time.perf_counter(), 0.0
    with out.open("wb") as stream:
        command = [sys.executable, "-m", "fhirbridge", *words, str(path)]
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, resident(process))
            time.sleep(0.05)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    return peak, time.perf_counter() - start


def _told(out: Path) -> int:
    with out.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(_MB), b""))


def measure(size_mb: int = 1024) -> list[dict[str, Any]]:
    """Peak and rate of each command over one file of that size."""
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="fhirbridge-memory-") as folder:
        path, out = Path(folder) / "scores.ndjson", Path(folder) / "out"
        number = write(path, size_mb)
        for words in _COMMANDS:
            peak, took = _run(words, path, out)
            told = _told(out)
            if told != number:
                raise RuntimeError(f"{words[0]} told {told} of {number} resources")
            name = f"{words[0]} {size_mb} MB of NDJSON"
            results += [
                pipelines.row(f"{name}, peak resident", peak, "MB", f"< {GOAL}", holds=peak < GOAL),
                pipelines.row(name, number / took, "resources/s"),
            ]
    return results
