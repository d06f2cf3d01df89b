"""The hospitals of the sandbox: each speaks a dialect of FHIR, and knows its own truth."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from fhirbridge.sandbox import days
from fhirbridge.sandbox.dialects.american import American
from fhirbridge.sandbox.dialects.base import Dialect
from fhirbridge.sandbox.dialects.chart import Written
from fhirbridge.sandbox.dialects.german import German
from fhirbridge.sandbox.dialects.mcode import MCode
from fhirbridge.sandbox.truth import people

DIALECTS: Mapping[str, type[Dialect]] = MappingProxyType(
    {kind.name: kind for kind in (MCode, American, German)}
)
_LOCAL = Path(__file__).parent / "dialects" / "local.csv"


def written(dialect: str, patients: int, *, seed: int = 1, day: int = 1) -> Written:
    """The whole hospital as it is on that day."""
    kind = DIALECTS[dialect]
    charts = []
    for person in people(patients, seed):
        chart = kind(days.person_on(person, day), seed).write()
        charts.append(days.chart_on(chart, day))
    return Written(dialect, seed, day, charts)


def crosswalk_lines(dialect: str) -> dict[str, str]:
    """What such a hospital tells of its own codes: files for the site's folder, by name."""
    with _LOCAL.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.pop("dialect") == dialect]
    made: dict[str, str] = {}
    for name in sorted({row["crosswalk"] for row in rows}):
        own = [
            {k: v for k, v in r.items() if k != "crosswalk"} for r in rows if r["crosswalk"] == name
        ]
        text = io.StringIO()
        table = csv.DictWriter(text, list(own[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(own)
        made[f"{name}.csv"] = text.getvalue()
    return made
