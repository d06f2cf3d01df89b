"""Records to resources and back, by the mapping and by hand, in one run. All data is synthetic.

A ratio is the median of the rounds' ratios: what disturbs one way in a round disturbs the other.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import fhirpathpy

from bench import by_hand, pipelines
from fhirbridge.formats import fhir_json
from fhirbridge.library import Library
from fhirbridge.mapping import decode, encode, fit
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.settings import Settings
from fhirbridge.study import records
from fhirbridge.study.records import Record

ROUNDS = 15
PATIENT = {"reference": "Patient/1"}
PAIN = Record("S-001", "assessment", {"assessed_on": "2024-05-01", "pain_rest": 3})
LESION = Record(
    "S-001",
    "lesion",
    {
        "lesion_id": "L1",
        "bone": "femur",
        "laterality": "left",
        "diagnosed_on": "2024-05-01",
        "clinical_status": "active",
        "verification": "confirmed",
        "primary": "P1",
    },
)
SURGERY = Record(
    "S-001",
    "surgery",
    {
        "surgery_id": "O1",
        "performed_on": "2024-05-01",
        "procedure": "plate",
        "bone": "femur",
        "laterality": "left",
        "lesions": ("L1",),
        "index": True,
        "purpose": "fracture_fixation",
        "cement": True,
        "asa_class": 2,
        "blood_loss_ml": 300,
        "duration_min": 90,
    },
)
_OWN = f"{by_hand.STUDY}/StructureDefinition"
_SIDE = f"{by_hand.MCODE}/mcode-laterality-qualifier"
COLUMNS = (
    f"Procedure.identifier.where(system='{by_hand.STUDY}/sid/surgery').value",
    "Procedure.performedDateTime",
    "Procedure.code.coding.code",
    "Procedure.bodySite.coding.code",
    f"Procedure.bodySite.extension.where(url='{_SIDE}').valueCodeableConcept.coding.code",
    "Procedure.reasonReference.identifier.value",
    *(
        f"Procedure.extension.where(url='{_OWN}/{name}').{value}"
        for name, value in (
            ("index-operation", "valueBoolean"),
            ("fixation-purpose", "valueCodeableConcept.coding.code"),
            ("cement", "valueBoolean"),
            ("asa-class", "valueInteger"),
            ("blood-loss", "valueQuantity.value"),
            ("duration", "valueQuantity.value"),
        )
    ),
)


def _seconds(work: Callable[[], Any], times: int) -> float:
    start = time.process_time()  # what others do on the machine meanwhile is nobody's speed
    for _ in range(times):
        work()
    return (time.process_time() - start) / times


def compared(
    ours: Callable[[], Any], other: Callable[[], Any], *, times: int, others: int = 0
) -> tuple[float, float]:
    """Microseconds of ours, and how many times the other's that is; medians after a warm-up."""
    took, ratios = [], []
    for _ in range(ROUNDS + 1):
        one, two = _seconds(ours, times), _seconds(other, others or times)
        took.append(one * 1e6)
        ratios.append(one / two)
    return statistics.median(took[1:]), statistics.median(ratios[1:])


def _codes(mappings: MappingSet, form: str) -> dict[str, by_hand.Codes]:
    """What a hand-written writer would keep of the crosswalks, by field."""
    made: dict[str, by_hand.Codes] = {}
    for row in mappings.files[form].blocks[0].rows:
        walk = fit.walk_of(row.first.codec)
        if walk is not None and row.field.name not in made:
            made[row.field.name] = {w: (x.system, x.code, x.display) for w, x in walk.back.items()}
    return made


def _words(mappings: MappingSet, form: str) -> dict[str, dict[tuple[str, str], str]]:
    """And a hand-written reader."""
    codes = _codes(mappings, form)
    return {
        name: {(system, code): word for word, (system, code, _) in held.items()}
        for name, held in codes.items()
    }


Row = dict[str, Any]


def _below(name: str, pair: tuple[float, float], goal: float) -> list[Row]:
    took, ratio = pair
    return [
        pipelines.row(name, took, "us"),
        pipelines.row(f"{name} / hand-written", ratio, "ratio", f"<= {goal}", holds=ratio <= goal),
    ]


def _again(resource: dict[str, Any]) -> dict[str, Any]:
    """As it comes from its bytes."""
    return fhir_json.parse(fhir_json.dump(resource))


def _writes(program: encode.Program, record: Record) -> Callable[[], Any]:
    return lambda: program.write(record, PATIENT)


def _reads(mappings: MappingSet, resource: dict[str, Any]) -> Callable[[], Any]:
    return lambda: decode.decode(mappings, resource, source="x")


def writing(mappings: MappingSet) -> list[Row]:
    codes = _codes(mappings, "lesion")
    codes["code"] = {"bone-metastasis": _first(mappings, LESION, "code")}
    codes["category"] = {"problem": _first(mappings, LESION, "category")}
    ways: list[tuple[str, Record, Callable[[], Any]]] = [
        ("a score out", PAIN, lambda: by_hand.pain(PAIN, "bench", "Patient/1")),
        ("a lesion out", LESION, lambda: by_hand.lesion(LESION, "bench", "Patient/1", codes)),
    ]
    rows: list[Row] = []
    for name, record, hand in ways:
        program = encode.compiled(mappings, record.form)
        assert program.write(record, PATIENT)[0].resource == hand()
        ours = _writes(program, record)
        rows += _below(name, compared(ours, hand, times=2000), 1.2)
        whole = partial(encode.encode, mappings, record, patient=PATIENT)
        took, _ = compared(whole, partial(records.check, mappings.study, record), times=1000)
        rows.append(pipelines.row(f"{name}, checked by the study first", took, "us"))
        meant = partial(encode.interpret, mappings, record, patient=PATIENT)
        _, ratio = compared(meant, ours, times=100, others=1000)
        rows.append(pipelines.row(f"{name}: interpreted / generated", ratio, "ratio"))
    return rows


def _first(mappings: MappingSet, record: Record, name: str) -> tuple[str, str, str]:
    held = encode.encode(mappings, record, patient=PATIENT)[0].resource[name]
    coding = (held[0] if isinstance(held, list) else held)["coding"][0]
    return coding["system"], coding["code"], coding["display"]


def reading(mappings: MappingSet) -> list[Row]:
    made = {
        record.form: _again(encode.encode(mappings, record, patient=PATIENT)[0].resource)
        for record in (PAIN, LESION, SURGERY)
    }
    recogniser = mappings.files["assessment"].recogniser
    assert recogniser is not None
    known = recogniser.codec.crosswalk.forward
    scores = {key: line.target for key, line in known.items() if line.reads}
    fields = mappings.study.forms["assessment"].fields.values()
    ranges = {f.name: (int(f.range[0]), int(f.range[1])) for f in fields if f.range}
    lesion, surgery = _words(mappings, "lesion"), _words(mappings, "surgery")
    system, code, _ = _first(mappings, LESION, "code")
    lesion["code"] = {(system, code): "bone-metastasis"}
    ways: list[tuple[str, Record, Callable[[], Any]]] = [
        ("a score in", PAIN, lambda: by_hand.read_score(made["assessment"], scores, ranges)),
        ("a lesion in", LESION, lambda: by_hand.read_lesion(made["lesion"], lesion)),
        ("a surgery in", SURGERY, lambda: by_hand.read_surgery(made["surgery"], surgery)),
    ]
    rows: list[Row] = []
    for name, record, hand in ways:
        resource = made[record.form]
        ours = _reads(mappings, resource)
        (decoded,) = ours()
        assert (decoded.fields, decoded.patient) == hand() == (record.fields, PATIENT)
        rows += _below(name, compared(ours, hand, times=2000), 3.5)
        meant = partial(decode.interpret, mappings, resource, source="x")
        _, ratio = compared(meant, ours, times=50, others=1000)
        rows.append(pipelines.row(f"{name}: interpreted / generated", ratio, "ratio"))
    return [*rows, *_fhirpath(mappings, made["surgery"])]


def _fhirpath(mappings: MappingSet, resource: dict[str, Any]) -> list[Row]:
    """The twelve columns by FHIRPath expressions, compiled once."""
    columns: list[Any] = [fhirpathpy.compile(text) for text in COLUMNS]
    assert [len(column(resource)) for column in columns] == [1] * len(SURGERY.fields)
    _, ratio = compared(
        lambda: [column(resource) for column in columns],
        _reads(mappings, resource),
        times=3,
        others=1000,
    )
    return [
        pipelines.row("a surgery in: fhirpathpy / ours", ratio, "ratio", ">= 50", holds=ratio >= 50)
    ]


def measure() -> list[dict[str, Any]]:
    mappings = Library(Settings().mappings).of_site("bench")
    return [*writing(mappings), *reading(mappings)]
