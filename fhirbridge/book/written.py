"""How the mapping writes: the rows that write a field, and the codes that stand for its words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhirbridge.mapping.codecs import Codec
from fhirbridge.mapping.coded import Code, Grade, OneCoding
from fhirbridge.mapping.crosswalk import Line
from fhirbridge.mapping.spec import Block, FormMapping, MappingSet, Row
from fhirbridge.study.definition import Field


@dataclass(frozen=True, slots=True)
class Place:
    """A row by which a field is written, in its block and file."""

    mapping: FormMapping
    block: Block
    row: Row


def places(mappings: MappingSet, form: str, field: str) -> Iterator[Place]:
    """Every place where the field is written; a key stands in each resource of its record."""
    for mapping, block in mappings.blocks(form):
        for row in block.rows:
            if row.field.name == field and not row.reads_only:
                yield Place(mapping, block, row)


def code_of(codec: Codec) -> Code | None:
    """The crosswalk's codec inside, if the codec goes through one."""
    if isinstance(codec, Grade | OneCoding):
        return codec.code
    return codec if isinstance(codec, Code) else None


def codes(mappings: MappingSet, form: str, field: Field) -> Mapping[str, Line]:
    """The line by which each choice is written; empty where no code stands for it."""
    for place in places(mappings, form, field.name):
        code = code_of(place.row.first.codec)
        if code is not None and field.choices:
            return {word: code.crosswalk.back[word] for word in field.choices}
    return {}


def block_code(mapping: FormMapping, block: Block) -> dict[str, Any] | None:
    """The coding by which the block's resource is known, where the block writes one of its own."""
    recogniser = mapping.recogniser
    for fixed in block.fixed:
        if recogniser is not None and fixed.path.steps == recogniser.path.steps:
            value = fixed.value
            return value["coding"][0] if isinstance(value, dict) else {"code": value}
    return None
