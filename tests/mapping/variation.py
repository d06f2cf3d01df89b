"""What becomes of a resource as a hospital sends it, in a form that a table can hold."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

from fhirbridge.fhir import definitions
from fhirbridge.fhir.validate import validate
from fhirbridge.mapping.decode import Decoded, decode
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import failed
from fhirbridge.study.records import Value, value_to_json

PATIENT = {"reference": "Patient/1"}


def outcome(mappings: MappingSet, resource: dict[str, Any]) -> dict[str, Any]:
    """`judge`: what keeps it from being R4; `facts`: what the study reads in it, or why not."""
    whole = completed(resource)
    before = deepcopy(whole)
    wrong = [issue.sentence() for issue in validate(whole) if failed([issue])]
    facts = [fact(one) for one in decode(mappings, whole, source="hospital|Resource/1")]
    assert whole == before
    return {"judge": wrong, "facts": facts}


def completed(resource: dict[str, Any]) -> dict[str, Any]:
    """The cases leave out whose resource it is; R4 wants a subject, so one is added."""
    made = deepcopy(resource)
    shape = definitions.shape(str(resource.get("resourceType")))
    for name in ("subject", "patient"):
        if shape and name in shape.properties and name not in made:
            made[name] = PATIENT
    return made


def fact(decoded: Decoded) -> dict[str, Any]:
    fields = {n: plain(v) for n, v in decoded.fields.items() if n not in KEYS}
    told: dict[str, Any] = {"fate": decoded.fate}
    if decoded.form:
        told |= {"form": decoded.form, "fields": fields}
    review = sorted(n for n, t in decoded.traces.items() if t.review)
    told |= {"review": review} if review else {}
    return told | {"says": [f"{i.severity}: {i.sentence()}" for i in decoded.issues]}


def plain(value: Value) -> Any:
    """A decimal as its digits: what a file reads as 60 may be a whole number."""
    return str(value) if isinstance(value, Decimal) else value_to_json(value)


KEYS = frozenset(
    {
        "lesion_id",
        "surgery_id",
        "primary_id",
        "imaging_id",
        "radiotherapy_id",
        "medication_id",
        "complication_id",
    }
)
"""Derived from the source where a resource has none of its own: the same for all cases."""
