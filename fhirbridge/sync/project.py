"""Projects a record: computes its FHIR resources by the mapping and stores them with their search
index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from fhirbridge.fhir import search_parameters
from fhirbridge.mapping.encode import Encoded, encode
from fhirbridge.mapping.referring import Reference
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.registry.records import Record as Stored
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.study import records
from fhirbridge.study.records import Record, Value

Mark = tuple[str, str, str]


def fields_of(stored: Stored) -> Mapping[str, Value]:
    """The stored fields as values of the study."""
    return values_of(stored.fields)


def values_of(kept: Mapping[str, Any]) -> Mapping[str, Value]:
    return {name: records.value_from_json(raw) for name, raw in kept.items()}


def patient_id(mappings: MappingSet, subject: Subject) -> str:
    """The id of the subject's Patient in the registry's own view."""
    return mappings.derived_id("subject", subject.study_id, "")


def project(
    unit: Unit, mappings: MappingSet, stored: Stored, subject: Subject
) -> list[ResourceRow]:
    """The record's resources after this revision; those that it has no more are marked deleted."""
    made = blocks(mappings, stored, subject)
    for row in unit.resources.of_record(stored.id):
        if row.block not in made:
            unit.resources.mark_deleted(row.type, row.fhir_id, revision=stored.number)
    return [
        unit.resources.put(
            stored.id,
            block.block,
            block.resource["resourceType"],
            block.id,
            block.resource,
            tokens=search_parameters.tokens(block.resource),
            dates=search_parameters.intervals(block.resource),
            revision=stored.number,
        )
        for block in made.values()
    ]


def blocks(mappings: MappingSet, stored: Stored, subject: Subject) -> dict[str, Encoded]:
    """What the mapping makes of the record, by block; nothing of one that was withdrawn."""
    if stored.status != "active":
        return {}
    record = Record(subject.study_id, stored.form, fields_of(stored))
    patient = {"reference": f"Patient/{patient_id(mappings, subject)}"}
    return {block.block: block for block in encode(mappings, record, patient=patient)}


def marks(block: Encoded) -> tuple[frozenset[Mark], frozenset[Mark]]:
    """Tokens and dates of the block as the search index holds them."""
    found = search_parameters.tokens(block.resource)
    tokens = frozenset((name, system or "", value) for name, system, value in found)
    return tokens, frozenset(search_parameters.intervals(block.resource))


def linked(unit: Unit, mappings: MappingSet, rows: Sequence[ResourceRow]) -> list[dict[str, Any]]:
    """The resources with a literal reference beside each logical one whose target is here, too.

    Computed when it is served: the target may come later and go before, and what is stored and sent
    keeps the logical reference alone. Two queries, however many rows there are.
    """
    asking = {row.id for row in rows if any(True for _ in logical(row.body))}
    bodies = [deepcopy(dict(r.body)) if r.id in asking else dict(r.body) for r in rows]
    if not asking:
        return bodies
    subjects = unit.records.study_ids(row.record_id for row in rows if row.id in asking)
    places = places_of(mappings)
    wanted = [
        (reference, name)
        for row, body in zip(rows, bodies, strict=True)
        if row.id in asking and row.record_id in subjects
        for reference in logical(body)
        if (name := target_of(mappings, places, reference, subjects[row.record_id]))
    ]
    here = {(row.type, row.fhir_id) for row in unit.resources.among(name for _, name in wanted)}
    for reference, name in wanted:
        if name in here:
            reference["reference"] = "/".join(name)
    return bodies


def target_of(
    mappings: MappingSet,
    places: Mapping[tuple[Any, Any], str],
    reference: Mapping[str, Any],
    study_id: str,
) -> tuple[str, str] | None:
    """The type and id that a logical reference of this subject's record would have here."""
    identifier = reference["identifier"]
    form = places.get((reference.get("type"), identifier.get("system")))
    if form is None:
        return None
    return reference["type"], mappings.derived_id(form, study_id, str(identifier.get("value")))


def places_of(mappings: MappingSet) -> dict[tuple[Any, Any], str]:
    """By the type and the identifier system of a logical reference the form that it leads to."""
    rows = (row for m in mappings.files.values() for block in m.blocks for row in block.rows)
    codecs = (row.first.codec for row in rows)
    return {(c.resource, c.system): c.form for c in codecs if isinstance(c, Reference)}


def logical(value: Any) -> Iterator[dict[str, Any]]:
    """The References that have an identifier and lead nowhere yet."""
    if isinstance(value, dict):
        if isinstance(value.get("identifier"), dict) and "reference" not in value:
            yield value
        for below in value.values():
            yield from logical(below)
    elif isinstance(value, list):
        for below in value:
            yield from logical(below)
