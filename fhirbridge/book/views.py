"""SQL on FHIR views (https://sql-on-fhir.org/ig, version 2): one for each block that is written.

A row of a view is one resource of ours. Codes stand as they are written; the ConceptMap of the
crosswalk tells the study's word. Identifiers of the person are in no view: they are for the vault.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fhirbridge.book import fhirpath, naming, written
from fhirbridge.fhir import definitions
from fhirbridge.mapping.codecs import Codings, Ids, Quantity, There, YesNo
from fhirbridge.mapping.coded import BARE, Code
from fhirbridge.mapping.encode import DATA_ABSENT_REASON
from fhirbridge.mapping.referring import Reference
from fhirbridge.mapping.spec import Block, FormMapping, Gate, MappingSet, Row

_ABSENT = f"extension({fhirpath.text(DATA_ABSENT_REASON)}).value.ofType(code)"
_SHAREABLE = "https://sql-on-fhir.org/ig/StructureDefinition/ShareableViewDefinition"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    path: str
    type: str
    description: str
    collection: bool = False

    def as_json(self) -> dict[str, Any]:
        made = {"name": self.name, "path": self.path, "type": self.type}
        made |= {"description": self.description} if self.description else {}
        return {**made, "collection": True} if self.collection else made


def views(mappings: MappingSet) -> Iterator[dict[str, Any]]:
    for form in mappings.study.forms.values():
        for mapping, block in mappings.blocks(form.name):
            yield view(mappings, mapping, block)


def view(mappings: MappingSet, mapping: FormMapping, block: Block) -> dict[str, Any]:
    """The ViewDefinition of a block: no resource of R4, so our judge does not know it."""
    title = f"{mapping.form.title}: {block.name}"
    purpose = f"Each {mapping.resource} by which {block.name} is written, as a row"
    made = naming.head(
        mappings, "ViewDefinition", naming.id_of(block.name), title=title, purpose=purpose
    )
    made["name"] = naming.id_of(block.name).replace("-", "_")
    made["meta"] = {"profile": [_SHAREABLE]}
    made["fhirVersion"] = [naming.FHIR_VERSION]
    made["resource"] = mapping.resource
    if block.profile:
        made["profile"] = [block.profile]
    columns = [*_usual(mappings, mapping), *_of_rows(mapping, block)]
    made["select"] = [{"column": [column.as_json() for column in columns]}]
    where = list(_where(mapping, block))
    if where:
        made["where"] = where
    return made


def _usual(mappings: MappingSet, mapping: FormMapping) -> Iterator[Column]:
    """What identifies the resource, its record and its patient."""
    yield Column("resource_id", "id", "id", "Id of the resource where it is stored")
    if definitions.element(mapping.resource, "identifier") is not None:
        path = f"identifier.where(system = {fhirpath.text(mappings.record_system)}).value"
        yield Column("record_id", path, "string", "Id of the resource, derived from its record")
    if mapping.patient is not None:
        path = f"{fhirpath.expression(mapping.patient, mapping.resource)}.reference"
        yield Column("patient_reference", path, "string", "Reference to the patient")


def _of_rows(mapping: FormMapping, block: Block) -> Iterator[Column]:
    for row in block.rows:
        if not row.reads_only and not isinstance(row.first.codec, Ids):
            at = fhirpath.expression(row.first.path, mapping.resource)
            yield from _values(row, block, at, mapping.resource)
            if row.field.absent and row.field.name not in mapping.form.key:
                yield _absence(row, at, mapping.resource)


def _values(row: Row, block: Block, at: str, resource: str) -> Iterator[Column]:
    codec, name, meaning = row.first.codec, row.field.name, row.field.meaning
    many = row.field.many
    code = written.code_of(codec)
    if code is not None:
        yield from _coded(row, block, code, at)
    elif isinstance(codec, Quantity):
        yield Column(name, f"{at}.value", "decimal", meaning)
        yield Column(f"{name}_unit", f"{at}.code", "code", f"Unit of {name} (UCUM)")
    elif isinstance(codec, Reference):
        told = f"identifier.where(system = {fhirpath.text(codec.system)}).value"
        yield Column(name, f"{at}.{told}", "string", meaning, many)
    elif isinstance(codec, Codings):
        own = f"{at}.where(userSelected.exists().not() or userSelected)"
        yield Column(name, f"{own}.code", "code", meaning, collection=True)
        yield Column(f"{name}_system", f"{own}.system", "uri", f"System of {name}", collection=True)
    elif isinstance(codec, YesNo):
        told = f"{meaning}: true is {codec.yes}, false is {codec.no}"
        yield Column(name, " or ".join([at, *_there(row, codec.yes, resource)]), "boolean", told)
    else:
        yield Column(name, at, row.first.path.type, meaning, many)


def _coded(row: Row, block: Block, code: Code, at: str) -> Iterator[Column]:
    name, many = row.field.name, row.field.many
    told = f"{row.field.meaning}; a code, see ConceptMap {code.crosswalk.name}"
    if code.bare:
        yield Column(name, at, "code", told, many)
        return
    coding = at if row.first.path.type == "Coding" else f"{at}.coding"
    if code.derived:
        coding = f"{coding}.where(userSelected = false)"
    elif any(fixed.path.steps == row.first.path.steps for fixed in block.fixed):
        coding = f"{coding}.where({fhirpath.one_of(_ways_back(code))})"
    yield Column(name, f"{coding}.code", "code", told, many)
    yield Column(f"{name}_system", f"{coding}.system", "uri", f"System of {name}", many)


def _ways_back(code: Code) -> list[tuple[str, str]]:
    return [(line.system, line.code) for line in code.crosswalk.back.values()]


def _there(row: Row, yes: str, resource: str) -> Iterator[str]:
    """Other elements that say the same by being there (`deceasedDateTime`)."""
    for reading in row.readings[1:]:
        if isinstance(reading.codec, There) and reading.codec.word == yes:
            yield f"{fhirpath.expression(reading.path, resource)}.exists()"


def _absence(row: Row, at: str, resource: str) -> Column:
    name = f"{row.field.name}_absent"
    told = f"Why {row.field.name} has no value"
    if row.absent is not None:
        there = fhirpath.expression(row.absent.path, resource)
        return Column(name, f"{there}.coding.code", "code", told)
    return Column(name, f"{at}.{_ABSENT}", "code", told)


def _where(mapping: FormMapping, block: Block) -> Iterator[dict[str, str]]:
    recogniser = mapping.recogniser
    if recogniser is not None:
        codes = list(_codes(mapping, block))
        at = fhirpath.expression(recogniser.path, mapping.resource)
        if recogniser.path.type in BARE:
            path = " or ".join(f"{at} = {fhirpath.text(code)}" for _, code in codes)
        else:
            path = f"{at}.{fhirpath.coded(codes)}"
        yield {"path": path, "description": f"It has a code by which {block.name} is written"}
    if mapping.gate is not None:
        yield {"path": _passes(mapping.gate, mapping.resource), "description": "Its status counts"}


def _codes(mapping: FormMapping, block: Block) -> Iterator[tuple[str, str]]:
    """System and code of what the block writes where its recogniser reads: a code of its own, or
    those of the row that stands there."""
    assert mapping.recogniser is not None
    at = mapping.recogniser.path.steps
    for fixed in block.fixed:
        if fixed.path.steps == at:
            yield from _codings(fixed.value)
    for row in block.rows:
        code = written.code_of(row.first.codec)
        if row.first.path.steps == at and code is not None and not row.reads_only:
            yield from _ways_back(code)


def _codings(value: Any) -> Sequence[tuple[str, str]]:
    if isinstance(value, str):
        return [("", value)]
    return [(coding["system"], coding["code"]) for coding in value["coding"]]


def _passes(gate: Gate, resource: str) -> str:
    """As the engine reads a gate: what has no status passes, what no list names does not."""
    at = fhirpath.expression(gate.path, resource)
    codes = sorted(gate.passes)
    if gate.path.type in BARE:
        told = " or ".join(f"{at} = {fhirpath.text(code)}" for code in codes)
        return f"{at}.exists().not() or {told}"
    others = " and ".join(f"code != {fhirpath.text(code)}" for code in codes)
    return f"{at}.coding.where({others}).exists().not()"
