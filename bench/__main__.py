"""The benchmarks: medians and ratios of one run, printed and written to bench/results.json.

Ratios compare two ways of the same work in the same run; absolute figures are for orientation.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import judge, mapping, memory, pipelines
from fhirbridge.app import create_app
from fhirbridge.commands.encode_command import bundles
from fhirbridge.formats import fhir_json
from fhirbridge.library import Library
from fhirbridge.sandbox import synthetic
from fhirbridge.settings import Settings
from tests.web.sender import Sender


def door() -> Iterator[dict[str, Any]]:
    """Transactions through the application, durable, one after the other, no network."""
    mappings = Library(Settings().mappings).of_site("bench")
    made = [r for n in range(1, 61) for r in synthetic.assessments(n)]
    bodies = [fhir_json.dump(bundle) for _, bundle in bundles(mappings, made)]
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data=Path(folder)))
        sender = Sender.at(app, "bench")
        for number in range(1, 61):
            sender.enrol(synthetic.study_id(number), synthetic.mrn(number))
        took = []
        for body in bodies:
            start = time.perf_counter()
            answer = sender("POST", "/fhir", body)
            took.append(time.perf_counter() - start)
            assert answer.status_code == 200
        again = []
        for body in bodies:
            start = time.perf_counter()
            sender("POST", "/fhir", body)
            again.append(time.perf_counter() - start)
        sender.service.registry.close()
    each = statistics.median(len(fhir_json.parse(body)["entry"]) for body in bodies)
    per_second = each / statistics.median(took)
    yield pipelines.row("transaction, SQLite, durable", per_second, "resources/s")
    once_more = statistics.median(again) * 1e3
    yield pipelines.row("the same Bundle again", once_more, "ms")


PARTS: Mapping[str, Callable[[], Iterable[dict[str, Any]]]] = {
    "mapping": mapping.measure,
    "judge": judge.measure,
    "pipelines": pipelines.measure,
    "door": door,
    "memory": lambda: memory.measure(1024),
}


def main(chosen: list[str]) -> int:
    """All parts, or those that are named; exit code 1 where a goal is missed, 2 for a part that is
    not there."""
    unknown = set(chosen) - PARTS.keys()
    if unknown:
        sys.stderr.write(f"no part {', '.join(sorted(unknown))}; use {', '.join(PARTS)}\n")
        return 2
    results = [row for name, part in PARTS.items() if name in (chosen or PARTS) for row in part()]
    for one in results:
        goal = f"   goal {one['goal']}: {'holds' if one['holds'] else 'MISSED'}"
        line = f"{one['name']:56} {one['value']:10.2f} {one['unit']}"
        sys.stdout.write(f"{line}{goal if one['goal'] else ''}\n")
    if not chosen:
        told = json.dumps(results, indent=1)
        (Path(__file__).parent / "results.json").write_text(told + "\n", encoding="utf-8")
    return 1 if any(one["holds"] is False for one in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
