"""A stay in hospital (PV1-44, PV1-45): the days of the operation that falls into the visit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from fhirbridge.formats.hl7v2_shapes import Shape
from fhirbridge.mapping.decode import Decoded
from fhirbridge.mapping.read_row import Trace
from fhirbridge.outcome import Issue
from fhirbridge.registry.records import Record
from fhirbridge.sync.judge import Asked, Tell


def visit(shape: Shape, patient: Mapping[str, Any], *, gone: bool) -> Tell:
    """The days in hospital of the operation that falls into the visit."""

    def tell(asked: Asked) -> list[Decoded]:
        if gone:
            return [Decoded("withdraw")]
        admitted, discharged = str(shape.get("admitted"))[:10], str(shape.get("discharged"))[:10]
        if len(admitted) < 10 or len(discharged) < 10:
            return [Decoded("refuse", (_open(shape),))]
        days = (date.fromisoformat(discharged) - date.fromisoformat(admitted)).days
        if days < 0:
            issue = Issue("value", "discharged before admitted", "correct it", place=shape.at)
            return [Decoded("hold", (issue,))]
        during = [one for one in _operations(asked) if admitted <= _day(one) <= discharged]
        made = [_stay(one, days, shape, patient) for one in during]
        return made or [Decoded("hold", (_no_operation(shape),), form="surgery")]

    return tell


def _operations(asked: Asked) -> list[Record]:
    found = asked.unit.records.all("surgery", asked.subject.id) if asked.subject else []
    return [one for one in found if one.status == "active"]


def _day(operation: Record) -> str:
    told = operation.fields.get("performed_on")
    return told[:10] if isinstance(told, str) and len(told) >= 10 else ""


def _stay(operation: Record, days: int, shape: Shape, patient: Mapping[str, Any]) -> Decoded:
    trace = Trace(f"{shape.at}-45", "days from PV1-44 to PV1-45", False)
    return Decoded(
        "record",
        form="surgery",
        key=operation.key,
        block="surgery",
        fields={"hospital_stay_days": days},
        traces={"hospital_stay_days": trace},
        patient=patient,
    )


def _open(shape: Shape) -> Issue:
    cause = "the visit has no end yet, or no beginning"
    return Issue("required", cause, "nothing to do", place=shape.at, severity="information")


def _no_operation(shape: Shape) -> Issue:
    cause = "no operation is known within the visit"
    return Issue("not-found", cause, "replay it when the operation has come", place=shape.at)
