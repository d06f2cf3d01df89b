"""Bytes -> verdict of accepted resources, against fhir.resources' R4B models on the same bytes.

The goals are asked of what the study itself exchanges, as its mappings write it. No resource is
timed twice: ids, dates and values differ throughout a run, so that what the judge remembers helps
it no more than a real stream would. Both ways are timed in turn within each round. All synthetic.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from fhir.resources.R4B.condition import Condition
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.patient import Patient
from fhir.resources.R4B.procedure import Procedure

from bench import pipelines
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json, judged_json
from fhirbridge.library import Library
from fhirbridge.mapping.encode import encode
from fhirbridge.settings import Settings
from fhirbridge.study.records import Identifier, Record

ROUNDS = 9
EACH = 250  # resources of a kind in a round
R4, PROFILE = 0.10, 0.20  # goals: as many times what the model takes
EXAMPLES = Path(__file__).resolve().parent.parent / "tests" / "fhir" / "examples"
MODELS: dict[str, Any] = {
    "Condition": Condition,
    "Observation": Observation,
    "Patient": Patient,
    "Procedure": Procedure,
}
FILES = (
    "mcode-Observation-ecog-performance-status-jenny-m",
    "mcode-Condition-secondary-cancer-condition-brain-mets",
    "mcode-Patient-cancer-patient-jenny-m",
    "mcode-Procedure-cancer-related-surgical-procedure-lobectomy",
)
_BONES = ("femur", "humerus", "tibia", "acetabulum")


class Figures(NamedTuple):
    """Of a kind of resource: microseconds of three ways, and the first's ratio to the model's."""

    fast: float
    slow: float
    model: float
    ratio: float


# -- what is judged


def _score(number: int, field: str, most: int) -> Record:
    fields = {"assessed_on": _day(number), field: number % (most + 1)}
    return Record(f"S-{number}", "assessment", fields)


def _day(number: int) -> str:
    return (date(2012, 1, 1) + timedelta(days=number * 2)).isoformat()


def _pain(number: int) -> Record:
    return _score(number, "pain_rest", 10)


def _ecog(number: int) -> Record:
    return _score(number, "ecog", 4)


def _subject(number: int) -> Record:
    born = (date(1930, 1, 1) + timedelta(days=number * 7)).isoformat()
    hospital = Identifier("https://hospital.example.org/mrn", f"M{number:06}")
    fields = {
        "study_id": f"S-{number}",
        "hospital_ids": (hospital,),
        "sex": ("female", "male")[number % 2],
        "birth_date": born,
    }
    return Record(f"S-{number}", "subject", fields)


def _lesion(number: int) -> Record:
    fields = {
        "lesion_id": f"L{number}",
        "bone": _BONES[number % 4],
        "laterality": ("left", "right")[number % 2],
        "diagnosed_on": _day(number),
        "clinical_status": "active",
        "verification": "confirmed",
        "primary": f"P{number}",
    }
    return Record(f"S-{number}", "lesion", fields)


def _surgery(number: int) -> Record:
    fields = {
        "surgery_id": f"O{number}",
        "performed_on": _day(number),
        "procedure": "plate",
        "bone": _BONES[number % 4],
        "laterality": ("left", "right")[number % 2],
        "lesions": (f"L{number}",),
        "index": True,
        "purpose": "fracture_fixation",
        "cement": number % 3 == 0,
        "asa_class": 1 + number % 4,
        "blood_loss_ml": 100 + number,
        "duration_min": 60 + number % 200,
    }
    return Record(f"S-{number}", "surgery", fields)


KINDS: Mapping[str, Callable[[int], Record]] = {
    "pain score": _pain,
    "ECOG": _ecog,
    "lesion": _lesion,
    "surgery": _surgery,
    "patient": _subject,
}


def sent(kind: str, count: int) -> Iterator[dict[str, Any]]:
    """Resources of a kind as the study writes them, no two alike."""
    mappings = Library(Settings().mappings).of_site("bench")
    for number in range(count):
        patient = {"reference": f"Patient/{number:x}"}
        for made in encode(mappings, KINDS[kind](number), patient=patient)[:1]:
            yield made.resource


def named(kind: str, count: int) -> Iterator[dict[str, Any]]:
    """An example with narrative, by the name of its file, with other ids."""
    read = fhir_json.parse((EXAMPLES / f"{kind}.json").read_bytes())
    for number in range(count):
        yield {**read, "id": f"{number:x}-{number}"}


def bare(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Without the claim of a profile: judged by R4 alone."""
    return {name: value for name, value in resource.items() if name != "meta"}


# -- measuring


def _each(work: Callable[[bytes], Any], raws: Sequence[bytes]) -> float:
    start = time.process_time()  # what others do on the machine meanwhile is nobody's speed
    for raw in raws:
        work(raw)
    return (time.process_time() - start) / len(raws) * 1e6


def figures(resources: Sequence[Mapping[str, Any]]) -> Figures:
    """Raises ValueError where one is not accepted at once: then nothing was measured."""
    raws = [fhir_json.dump(resource) for resource in resources]
    model = MODELS[resources[0]["resourceType"]].model_validate_json
    first, rest = raws[:EACH], raws[EACH:]
    for raw in first:  # the judge compiles itself at first use
        if judged_json.accepted(raw) is None:
            raise ValueError(f"not accepted: {raw.decode()}")
        model(raw)
    rounds = []
    for at in range(0, len(rest), EACH):
        part = rest[at : at + EACH]
        fast, models = _each(judged_json.accepted, part), _each(model, part)
        slow = _each(lambda raw: validate(fhir_json.parse(raw)), part[:20])
        rounds.append((fast, slow, models, fast / models))
    return Figures(*(statistics.median(values) for values in zip(*rounds, strict=True)))


def judged(kinds: Sequence[str]) -> Iterator[tuple[dict[str, Any], Figures]]:
    """A row for each kind by R4, and by the profile that it claims; narrative has no goal."""
    for kind in kinds:
        made = [*(sent if kind in KINDS else named)(kind, EACH * (ROUNDS + 1))]
        for by, change, goal in (("R4", bare, R4), ("its profile", dict, PROFILE)):
            found = figures([change(one) for one in made])
            name = f"verdict / fhir.resources, {kind}, by {by}"
            if kind in KINDS:
                holds = found.ratio <= goal
                yield pipelines.row(name, found.ratio, "ratio", f"<= {goal}", holds=holds), found
            else:
                yield pipelines.row(name, found.ratio, "ratio"), found


def measure() -> list[dict[str, Any]]:
    return [row for row, _ in judged((*KINDS, *FILES))]


def main() -> int:
    for row, us in judged(sys.argv[1:] or (*KINDS, *FILES)):
        goal = f"  goal {row['goal']}: {row['holds']}" if row["goal"] else ""
        sys.stdout.write(
            f"{row['name'][25:]:72} {row['value']:.3f}  fast {us.fast:6.1f} us"
            f"  slow {us.slow:7.1f} us  fhir.resources {us.model:6.1f} us{goal}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
