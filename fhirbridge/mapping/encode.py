"""Records out: a record of the study as FHIR R4 resources, by the mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from fhirbridge.fhir import definitions
from fhirbridge.mapping import compile_encode
from fhirbridge.mapping.codecs import Codings, Ids
from fhirbridge.mapping.compile_source import quick
from fhirbridge.mapping.spec import Block, FormMapping, MappingSet, Row
from fhirbridge.outcome import BridgeError, failed
from fhirbridge.study import records
from fhirbridge.study.forms import Form
from fhirbridge.study.records import Absent, Identifier, Record, Value

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
    return compiled(mappings, record.form).write(record, patient)


def interpret(mappings: MappingSet, record: Record, *, patient: Mapping[str, Any]) -> list[Encoded]:
    """`encode` of a record that was checked, without generated code: what a mapping means."""
    key = record.key(mappings.study.forms[record.form])
    return [
        _encode_block(mappings, mapping, block, record, key, patient)
        for mapping, block in mappings.blocks(record.form)
        if is_written(block, record.fields)
    ]


def source(mappings: MappingSet, form: str) -> str:
    """The generated Python that writes the form's records."""
    return compile_encode.source(mappings, form, _write).text


Write = Callable[[Mapping[str, Value], str, bytes, Mapping[str, Any]], Encoded]
_PLAIN = frozenset({str, int, bool, Decimal, tuple})
"""Types of values; what else a field holds is a reason of absence."""


@dataclass(frozen=True, slots=True)
class Program:
    """The generated functions of a form: `every` for all blocks, and one for each of them with the
    fields that it looks at."""

    mappings: MappingSet
    form: Form
    every: Callable[[Mapping[str, Value], str, bytes, Mapping[str, Any]], list[Encoded]]
    blocks: tuple[tuple[FormMapping, Block, frozenset[str], Write], ...]

    def write(self, record: Record, patient: Mapping[str, Any]) -> list[Encoded]:
        """The resources of a record that was checked."""
        fields, key = record.fields, self.form.key_of(record.fields)
        tail = f"{record.subject}\n{key}".encode()
        if _PLAIN.issuperset(map(type, fields.values())):
            return self.every(fields, key, tail, patient)
        unusual = {name for name in fields if type(fields[name]) not in _PLAIN}
        return [
            write(fields, key, tail, patient)
            if unusual.isdisjoint(names)
            else _encode_block(self.mappings, mapping, block, record, key, patient)
            for mapping, block, names, write in self.blocks
            if is_written(block, fields)
        ]


def compiled(mappings: MappingSet, form: str) -> Program:
    """What is generated for the form, once."""
    known: Program | None = mappings.writers.get(form)
    if known is not None:
        return known
    source = compile_encode.source(mappings, form, _write)
    source.constants["made_of"] = quick(Encoded)
    names = source.linked(f"encode {form}")
    told = (
        (mapping, block, compile_encode.names_of(block), names[f"b{number}"])
        for number, (mapping, block) in enumerate(mappings.blocks(form))
    )
    made = Program(mappings, mappings.study.form(form), names["every"], tuple(told))
    mappings.writers[form] = made
    return made


def is_written(block: Block, fields: Mapping[str, Value]) -> bool:
    if block.fields and not any(name in fields for name in block.fields):
        return False
    absent = Absent("unknown")
    return not any(isinstance(fields.get(name, absent), Absent) for name in block.needs)


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
    write_identifier(resource, mappings.record_system, id)
    for fixed in block.fixed:
        if not fixed.when or any(name in record.fields for name in fixed.when):
            fixed.path.write(resource, deepcopy(fixed.value))
    for path in mapping.patients:
        path.write(resource, deepcopy(dict(patient)))
    for row in block.rows:
        if row.field.name in record.fields and not row.reads_only:
            value = record.fields[row.field.name]
            if not row.unless or isinstance(record.fields.get(row.unless, Absent("")), Absent):
                _write(resource, row, value)
    return Encoded(block.name, record.form, key, id, resource, block.deliver)


def write_identifier(resource: dict[str, Any], system: str, id: str) -> None:
    """The derived id, in the shape that the resource type has for it, if it has one."""
    element = definitions.element(resource["resourceType"], "identifier")
    if element is not None:
        given = {"system": system, "value": id}
        resource["identifier"] = [given] if element.is_list else given


def _write(resource: dict[str, Any], row: Row, value: Value) -> None:
    path, codec = row.first.path, row.first.codec
    if isinstance(value, Absent):
        reason = {"url": DATA_ABSENT_REASON, "valueCode": value.reason}
        if row.absent is not None:
            row.absent.path.write(resource, row.absent.codec.write(value.reason))
        elif row.field.many or isinstance(codec, Ids | Codings):
            path.write_each(resource, [{"extension": [reason]}])
        else:
            path.write_absence(resource, reason)
    elif isinstance(codec, Ids | Codings):
        path.write_each(resource, codec.write(cast("tuple[Identifier, ...]", value)))
    elif row.field.many:
        path.write_each(resource, [codec.write(item) for item in cast("tuple[str, ...]", value)])
    else:
        path.write(resource, codec.write(value))
