"""The hospitals of the sandbox: each speaks a dialect of FHIR, and knows its own truth."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fhirbridge.sandbox.dialects.american import American
from fhirbridge.sandbox.dialects.base import Dialect
from fhirbridge.sandbox.dialects.chart import Written
from fhirbridge.sandbox.dialects.german import German
from fhirbridge.sandbox.dialects.mcode import MCode
from fhirbridge.sandbox.truth import people

DIALECTS: Mapping[str, type[Dialect]] = MappingProxyType(
    {kind.name: kind for kind in (MCode, American, German)}
)


def written(dialect: str, patients: int, *, seed: int = 1, day: int = 1) -> Written:
    kind = DIALECTS[dialect]
    charts = [kind(person, seed).write() for person in people(patients, seed)]
    return Written(dialect, seed, day, charts)
