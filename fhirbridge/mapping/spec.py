"""What mapping files say, as checked nouns. One row serves both directions; there is no code in
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.mapping.codecs import Codec
from fhirbridge.mapping.coded import Code
from fhirbridge.mapping.derived import derived
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
    """One field of a form. The first reading is also how it is written, unless it `reads_only`;
    the others are accepted. `absent`: where the reason stands why there is no value; without it, an
    extension in place of the value. `unless`: not written where this other field has a value, which
    says it already. `borrowed`: those readings whose place says another thing first."""

    field: Field
    readings: tuple[Reading, ...]
    from_source: bool = False  # a missing key is derived from the identity of the source resource
    reads_only: bool = False
    absent: Reading | None = None
    unless: str = ""
    borrowed: frozenset[int] = frozenset()

    @property
    def first(self) -> Reading:
        return self.readings[0]


@dataclass(frozen=True, slots=True)
class Fixed:
    """Written only; `when`: only where one of these fields is given."""

    path: Path
    value: Any
    when: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gate:
    """The status that decides whether a resource counts at all, by its codes."""

    path: Path
    passes: frozenset[str]
    withdraws: frozenset[str]
    refuses: frozenset[str]
    holds: frozenset[str]
    writes: Any

    def names(self, code: str) -> bool:
        return any(
            code in listed for listed in (self.passes, self.withdraws, self.refuses, self.holds)
        )


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
    are those without any of which it is not written, empty for always; `needs` must all have a
    value; `main` is the field whose absence must be told, if there is one."""

    name: str
    word: str
    profile: str
    rows: tuple[Row, ...]
    fields: tuple[str, ...]
    fixed: tuple[Fixed, ...]
    needs: tuple[str, ...] = ()
    main: str = ""
    deliver: bool = False


@dataclass(frozen=True, slots=True)
class Inside:
    """Values that stand inside another resource: as its components, or as a questionnaire's
    answers. `items` leads to the list that holds them (into lists of the same name below, too),
    `code` is the property of an item that the recogniser reads; `system` is where the system of a
    bare code stands; the codes of the system `own` are the names of fields. `rows` by block read
    from the item, `shared` from the resource around it."""

    resource: str
    items: str
    code: str
    system: Path | None
    gate: Gate | None
    patient: Path
    shared: tuple[Row, ...]
    rows: Mapping[str, tuple[Row, ...]]
    own: str = ""


@dataclass(frozen=True, slots=True)
class FormMapping:
    """One mapping file: a form, and the resource type that carries it or a part of it.

    `reads_only`: nothing is written by it. `pulled`: hospitals are asked for it. `patients`: where
    the reference to the patient is written; the first is where it is read, none where the resource
    is the patient or of nobody. `where`: a second status that must pass; `besides`: one that must
    where it is there. `review`: codes of a status whose resources a person looks at.
    """

    name: str
    form: Form
    resource: str
    patients: tuple[Path, ...]
    recogniser: Recogniser | None
    gate: Gate | None
    blocks: tuple[Block, ...]
    inside: tuple[Inside, ...] = ()
    where: Gate | None = None
    besides: Gate | None = None
    review: Gate | None = None
    reads_only: bool = False
    pulled: bool = True

    @property
    def patient(self) -> Path | None:
        return self.patients[0] if self.patients else None

    def block_of(self, word: str) -> Block | None:
        return next((b for b in self.blocks if b.word in ("", word)), None)


@dataclass(frozen=True, slots=True)
class MappingSet:
    """Every mapping of a study for one site, with its version: a hash of all that it was made
    of. `files` by name; the one that has the form's own name carries the form's record. `tables`
    are the site's texts about its own files, `walks` the crosswalks by name.
    `writers` by form and `readers` by resource type keep the functions that are generated from it,
    each made at first use.
    """

    study: Study
    site: str
    files: Mapping[str, FormMapping]
    names: Mapping[str, str]
    version: str
    tables: Mapping[str, str] = field(default_factory=dict)
    walks: Mapping[str, Any] = field(default_factory=dict)
    shapes: Any = None  # `mapping.read_shapes.Shapes`: how HL7 v2 becomes FHIR at this site
    writers: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    readers: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def record_system(self) -> str:
        """The identifier system of the derived ids that every resource of ours carries."""
        return f"{self.study.canonical}/sid/record"

    def of_resource(self, resource_type: str) -> tuple[FormMapping, ...]:
        return tuple(m for m in self.files.values() if m.resource == resource_type)

    def inside_of(self, resource_type: str) -> Iterator[tuple[FormMapping, Inside]]:
        for mapping in self.files.values():
            yield from ((mapping, i) for i in mapping.inside if i.resource == resource_type)

    def reads(self, resource_type: str) -> bool:
        """Whether anything is read of resources of the type."""
        return bool(self.of_resource(resource_type)) or any(self.inside_of(resource_type))

    def of_form(self, form: str) -> tuple[FormMapping, ...]:
        """The files that carry the form, its own first."""
        own = [m for m in self.files.values() if m.form.name == form]
        return tuple(sorted(own, key=lambda m: m.name != form))

    def blocks(self, form: str) -> Iterator[tuple[FormMapping, Block]]:
        """Every block by which a record of the form is written."""
        for mapping in self.of_form(form):
            if not mapping.reads_only:
                yield from ((mapping, block) for block in mapping.blocks)

    def derived_id(self, block: str, subject: str, key: str) -> str:
        """The id of a record's resource: the same for the same site, subject, key and block,
        always.
        """
        return derived(self.study.canonical, f"{block}\n{self.site}\n{subject}\n{key}")

    def source_key(self, source: str) -> str:
        """A key for a record whose source resource carries none, derived from that source's
        identity.
        """
        return derived(self.study.canonical, f"source\n{source}")
