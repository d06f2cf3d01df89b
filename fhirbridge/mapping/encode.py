"""Records out: a record of the study as FHIR R4 resources, by the mapping."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from fhirbridge.mapping.codecs import Ids
from fhirbridge.mapping.spec import Block, FormMapping, MappingSet, Row
from fhirbridge.outcome import BridgeError, failed
from fhirbridge.study import records
from fhirbridge.study.records import Absent, Record, Value

DATA_ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


@dataclass(frozen=True, slots=True)
class Encoded:
    """One resource of a record. `id` is derived and stands in its identifier, never in
    `resource.id`: ids belong to the server that stores it. `deliver`: the study sends it to
    hospitals."""

    block: str
    form: str
    key: str
    id: str
    resource: dict[str, Any]
    deliver: bool


def encode(mappings: MappingSet, record: Record, *, patient: Mapping[str, Any]) -> list[Encoded]:
    """The record's resources; `patient` is the Reference that they carry.

    Raises `BridgeError` with every issue of a record that the study definition does not allow.
    """
    issues = records.check(mappings.study, record)
    if failed(issues):
        raise BridgeError(*issues)
    mapping = mappings.forms[record.form]
    key = record.key(mapping.form)
    return [
        _encode_block(mappings, mapping, block, record, key, patient)
        for block in mapping.blocks
        if not block.fields or any(name in record.fields for name in block.fields)
    ]


def _encode_block(
    mappings: MappingSet,
    mapping: FormMapping,
    block: Block,
    record: Record,
    key: str,
    patient: Mapping[str, Any],
) -> Encoded:
    id = mappings.derived_id(block.name, record.subject, key)
    resource: dict[str, Any] = {"resourceType": mapping.resource}
    if block.profile:
        resource["meta"] = {"profile": [block.profile]}
    resource["identifier"] = [{"system": mappings.record_system, "value": id}]
    for fixed in block.fixed:
        fixed.path.write(resource, deepcopy(fixed.value))
    if mapping.patient is not None:
        mapping.patient.write(resource, deepcopy(dict(patient)))
    for row in block.rows:
        if row.field.name in record.fields:
            _write(resource, block, row, record.fields[row.field.name])
    return Encoded(block.name, record.form, key, id, resource, block.deliver)


def _write(resource: dict[str, Any], block: Block, row: Row, value: Value) -> None:
    first = row.first
    if isinstance(value, Absent):
        if block.absent is not None and row.field.name in block.fields:
            block.absent.path.write(resource, block.absent.codec.write(value.reason))
            return
        reason = {"url": DATA_ABSENT_REASON, "valueCode": value.reason}
        if isinstance(first.codec, Ids):
            first.path.extend(resource, [{"extension": [reason]}])
        else:
            first.path.write_absence(resource, reason)
    elif isinstance(first.codec, Ids) and isinstance(value, tuple):
        first.path.extend(resource, first.codec.write(value))
    else:
        first.path.write(resource, first.codec.write(value))
