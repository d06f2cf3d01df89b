"""Projects a record: computes its FHIR resources by the mapping and stores them with their search
index.
"""

from __future__ import annotations

from collections.abc import Mapping

from fhirbridge.fhir import search_parameters
from fhirbridge.mapping.encode import encode
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.registry.records import Record as Stored
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.study import records
from fhirbridge.study.records import Record, Value


def fields_of(stored: Stored) -> Mapping[str, Value]:
    """The stored fields as values of the study."""
    return {name: records.value_from_json(raw) for name, raw in stored.fields.items()}


def patient_id(mappings: MappingSet, subject: Subject) -> str:
    """The id of the subject's Patient in the registry's own view."""
    return mappings.derived_id("subject", subject.study_id, "")


def project(
    unit: Unit, mappings: MappingSet, stored: Stored, subject: Subject
) -> list[ResourceRow]:
    """The record's resources after this revision; those that it has no more are marked deleted."""
    made = {}
    if stored.status == "active":
        record = Record(subject.study_id, stored.form, fields_of(stored))
        patient = {"reference": f"Patient/{patient_id(mappings, subject)}"}
        made = {block.block: block for block in encode(mappings, record, patient=patient)}
    for row in unit.resources.of_record(stored.id):
        if row.block not in made:
            unit.resources.mark_deleted(row.type, row.fhir_id)
    return [
        unit.resources.put(
            stored.id,
            block.block,
            block.resource["resourceType"],
            block.id,
            block.resource,
            tokens=search_parameters.tokens({**block.resource, "id": block.id}),
            dates=search_parameters.intervals(block.resource),
        )
        for block in made.values()
    ]
