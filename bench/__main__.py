"""The benchmarks: medians and ratios of one run, printed and written to bench/results.json.

Ratios compare two ways of the same work in the same run; absolute figures are for orientation.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bench import bulk, door, doors, hospital, judge, mapping, memory, pipelines, scale, steps

PARTS: Mapping[str, Callable[[], Iterable[dict[str, Any]]]] = {
    "mapping": mapping.measure,
    "judge": judge.measure,
    "pipelines": pipelines.measure,
    "door": door.measure,
    "steps": steps.measure,
    "scale": scale.measure,
    "doors": doors.measure,
    "bulk": bulk.measure,
    "hospital": hospital.measure,
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
