"""The benchmarks: medians and ratios of one run, printed and written to bench/results.json.

Ratios compare two ways of the same work in the same run; absolute figures are for orientation.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fhir.resources.R4B.observation import Observation

from fhirbridge.app import create_app
from fhirbridge.commands.mapping_commands import bundles
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json
from fhirbridge.library import Library
from fhirbridge.mapping.decode import decode
from fhirbridge.mapping.encode import encode
from fhirbridge.sandbox import synthetic
from fhirbridge.settings import Settings
from tests.web.sender import Sender

ROUNDS = 7


@dataclass(frozen=True)
class Result:
    name: str
    value: float
    unit: str
    goal: str = ""
    holds: bool | None = None


def median(work: Callable[[], Any], times: int) -> float:
    """Microseconds for one `work()`, the median of several rounds after a warm-up."""
    rounds = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        for _ in range(times):
            work()
        rounds.append((time.perf_counter() - start) / times * 1e6)
    return statistics.median(rounds[1:])


def by_hand(record: Any) -> list[dict[str, Any]]:
    """The four Observations of an assessment as one would write them without a mapping."""
    day, subject = record.fields["assessed_on"], {"reference": "Patient/1"}
    made = []
    for name, system, code in (
        ("pain_rest", "urn:study", "pain-nrs-rest"),
        ("pain_activity", "urn:study", "pain-nrs-activity"),
        ("promis_pf_t", "http://loinc.org", "91721-1"),
        ("ecog", "http://loinc.org", "89247-1"),
    ):
        value = record.fields.get(name)
        one: dict[str, Any] = {
            "resourceType": "Observation",
            "meta": {"profile": ["urn:profile"]},
            "identifier": [{"system": "urn:record", "value": f"{record.subject}-{day}-{name}"}],
            "status": "final",
            "category": [{"coding": [{"system": "urn:category", "code": "survey"}]}],
            "code": {"coding": [{"system": system, "code": code}]},
            "subject": subject,
            "effectiveDateTime": day,
        }
        if name == "promis_pf_t":
            one["valueQuantity"] = {"value": value, "unit": "{score}", "code": "{score}"}
        else:
            one["valueInteger"] = value
        made.append(one)
    return made


def mapping() -> Iterator[Result]:
    mappings = Library(Settings().mappings).of_site("bench")
    record = next(r for r in synthetic.assessments(3) if len(r.fields) == 5)
    patient = {"reference": "Patient/1"}
    ours = median(lambda: encode(mappings, record, patient=patient), 200) / 4
    hand = median(lambda: by_hand(record), 500) / 4
    yield Result("encode one score", ours, "us")
    yield Result("encode / hand-written", ours / hand, "ratio")
    score = encode(mappings, record, patient=patient)[3].resource
    yield Result("decode one score", median(lambda: decode(mappings, score, source=""), 500), "us")
    raw = fhir_json.dump(score)
    verdict = median(lambda: validate(fhir_json.parse(raw)), 300)
    model = median(lambda: Observation.model_validate_json(raw), 300)
    yield Result("bytes to verdict, one score", verdict, "us")
    yield Result("bytes to verdict / fhir.resources", verdict / model, "ratio")


def door() -> Iterator[Result]:
    """20-entry transactions through the application, durable, one after the other, no network."""
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
    per_second = 12 / statistics.median(took)
    yield Result("12-entry transaction, SQLite, durable", per_second, "resources/s")
    yield Result("the same Bundle again", statistics.median(again) * 1e3, "ms")


def main() -> int:
    results = [*mapping(), *door()]
    for one in results:
        goal = f"   goal {one.goal}: {'holds' if one.holds else 'MISSED'}" if one.goal else ""
        sys.stdout.write(f"{one.name:42} {one.value:10.2f} {one.unit}{goal}\n")
    told = json.dumps([asdict(one) for one in results], indent=1)
    (Path(__file__).parent / "results.json").write_text(told + "\n", encoding="utf-8")
    return 1 if any(one.holds is False for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
