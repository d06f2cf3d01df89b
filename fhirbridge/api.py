"""The public Python API: the mapping and the judge, for programs that want no server.

Resources are plain dicts, numbers with a fraction `decimal.Decimal`. `encode(..., as_models=True)`
gives them as the classes of fhir.resources, which knows R4B and not R4: what only R4 allows (an
extension in place of the value of an extension) it refuses with its own `ValidationError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

from fhirbridge import library
from fhirbridge.fhir.validate import validate
from fhirbridge.formats import fhir_json
from fhirbridge.mapping import decode as decoding
from fhirbridge.mapping import encode as encoding
from fhirbridge.mapping import losses as losing
from fhirbridge.mapping.decode import Decoded
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.study.records import Record

__all__ = ["Record", "decode", "encode", "load", "losses", "models", "validate"]


def load(folder: str | Path, *, site: str = "") -> MappingSet:
    """The study and its mapping files from the folder, for one site.

    Raises `fhirbridge.outcome.BridgeError` with every fault of every file, each with its line.
    """
    return library.Library(Path(folder)).of_site(site)


def encode(
    mappings: MappingSet,
    record: Record,
    *,
    patient: Mapping[str, Any],
    as_models: bool = False,
) -> list[Any]:
    """The record's resources: dicts, or with `as_models` models of fhir.resources (R4B).

    Raises `fhirbridge.outcome.BridgeError` for a record that the study does not allow.
    """
    made = [one.resource for one in encoding.encode(mappings, record, patient=patient)]
    return models(made) if as_models else list(made)


def models(resources: list[dict[str, Any]]) -> list[Any]:
    """Resources as models of fhir.resources; `pydantic.ValidationError` where R4B differs."""
    return [
        get_fhir_model_class(one["resourceType"]).model_validate_json(fhir_json.dump(one))
        for one in resources
    ]


def decode(
    mappings: MappingSet, resource: Mapping[str, Any], *, source: str = "here"
) -> list[Decoded]:
    """What a valid R4 resource says in the study's words, and why it says no more; `source` makes
    the keys of records whose resources carry none."""
    return decoding.decode(mappings, resource, source=source)


def losses(mappings: MappingSet, resource: Mapping[str, Any]) -> list[str]:
    """FHIRPath of every element that `decode` does not read."""
    return losing.losses(mappings, resource)
