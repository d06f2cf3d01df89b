"""What a mapping file says, as checked nouns. One row serves both directions; there is no code in
it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhirbridge.mapping.codecs import Code, Codec
from fhirbridge.mapping.path import Path
from fhirbridge.study.definition import Field, Form, Study


@dataclass(frozen=True, slots=True)
class Reading:
    """One place and form of a value. `review`: what it reads is proposed, never taken by itself."""

    path: Path
    codec: Codec
    rule: str  # how a receipt names it: the path and the codec
    review: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One field of a form. The first reading is also how it is written; the others are accepted."""

    field: Field
    readings: tuple[Reading, ...]
    from_source: bool = False  # a missing key is derived from the identity of the source resource

    @property
    def first(self) -> Reading:
        return self.readings[0]


@dataclass(frozen=True, slots=True)
class Fixed:
    """Written only."""

    path: Path
    value: Any


@dataclass(frozen=True, slots=True)
class Gate:
    """The status that decides whether a resource counts at all, by its codes."""

    path: Path
    passes: frozenset[str]
    withdraws: frozenset[str]
    refuses: frozenset[str]
    holds: frozenset[str]
    writes: Any


@dataclass(frozen=True, slots=True)
class Recogniser:
    """How a resource is known to be one of the mapping's. `doubt`: fields whose presence makes an
    unknown code worth a person's look."""

    path: Path
    codec: Code
    doubt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """One resource of a record. `word` is what the recogniser must read, empty for any; `fields`
    are those without a value of which it is not written, empty for always."""

    name: str
    word: str
    profile: str
    rows: tuple[Row, ...]
    fields: tuple[str, ...]
    fixed: tuple[Fixed, ...]
    absent: Reading | None = None
    deliver: bool = False


@dataclass(frozen=True, slots=True)
class FormMapping:
    """One mapping file: a form, and the resource type that carries it."""

    form: Form
    resource: str
    patient: Path | None  # None: the resource is the patient
    recogniser: Recogniser | None
    gate: Gate | None
    blocks: tuple[Block, ...]

    def block_of(self, word: str) -> Block | None:
        return next((b for b in self.blocks if b.word in ("", word)), None)


@dataclass(frozen=True, slots=True)
class MappingSet:
    """Every mapping of a study for one site, with its version: a hash of all that it was made
    of.
    """

    study: Study
    site: str
    forms: Mapping[str, FormMapping]
    names: Mapping[str, str]
    version: str

    @property
    def record_system(self) -> str:
        """The identifier system of the derived ids that every resource of ours carries."""
        return f"{self.study.canonical}/sid/record"

    def of_resource(self, resource_type: str) -> tuple[FormMapping, ...]:
        return tuple(m for m in self.forms.values() if m.resource == resource_type)

    def derived_id(self, block: str, subject: str, key: str) -> str:
        """The id of a record's resource: the same for the same site, subject, key and block,
        always.
        """
        space = uuid.uuid5(uuid.NAMESPACE_URL, self.study.canonical)
        return str(uuid.uuid5(space, "\n".join((block, self.site, subject, key))))

    def source_key(self, source: str) -> str:
        """A key for a record whose source resource carries none, derived from that source's
        identity.
        """
        space = uuid.uuid5(uuid.NAMESPACE_URL, self.study.canonical)
        return str(uuid.uuid5(space, f"source\n{source}"))
