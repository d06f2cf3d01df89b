"""One field as the page tells it: its words, where it is written, and what else is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fhirbridge.book import in_words, terminology, written
from fhirbridge.book.contents import Contents
from fhirbridge.fhir import definitions
from fhirbridge.mapping.codecs import Quantity
from fhirbridge.mapping.spec import FormMapping, MappingSet, Reading, Row
from fhirbridge.study.definition import Field, Form

FEW = 8  # choices whose codes stand in the field's row; more stand in the crosswalk alone


@dataclass(frozen=True, slots=True)
class Coded:
    """A code with what it means; `word` is empty where the field alone is meant."""

    system: str
    code: str
    display: str
    word: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """One place where the field is written; `coded` is the code of the resource around it."""

    resource: str
    profile: str
    path: str
    plain: str
    how: str
    walk: str
    coded: Coded | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is read and not written. `waits`: why a person decides, or nothing."""

    where: str
    how: str
    walk: str = ""
    waits: str = ""


@dataclass(frozen=True, slots=True)
class FieldEntry:
    field: Field
    kind: str
    values: tuple[str, ...]
    outcome: str  # primary, secondary or nothing
    written: tuple[Written, ...]
    choices: tuple[Coded, ...]
    codes: tuple[Coded, ...]  # other codes by which the resource of a score is known
    waiting: tuple[Coded, ...]
    accepted: tuple[Accepted, ...]


def entry(contents: Contents, form: Form, field: Field) -> FieldEntry:
    mappings = contents.mappings
    told = f"{form.name}.{field.name}"
    outcomes = mappings.study.outcomes
    primary, secondary = told in outcomes.primary, told in outcomes.secondary
    codes = list(_other_codes(contents, form, field))
    return FieldEntry(
        field=field,
        kind=in_words.kind(field),
        values=tuple(in_words.values(field)),
        outcome="primary" if primary else "secondary" if secondary else "",
        written=tuple(dict.fromkeys(_written(mappings, form, field))),
        choices=tuple(_choices(contents, form, field)),
        codes=tuple(code for code, reads in codes if reads),
        waiting=tuple(code for code, reads in codes if not reads),
        accepted=tuple(dict.fromkeys(_accepted(contents, form, field))),
    )


def walk_of(reading: Reading) -> str:
    """The crosswalk that a reading goes through, or nothing."""
    kind, _, name = reading.rule.rpartition(" by ")[2].partition("/")
    return name if kind in ("code", "grade", "number-word") else ""


def _written(mappings: MappingSet, form: Form, field: Field) -> Iterator[Written]:
    for place in written.places(mappings, form.name, field.name):
        resource, first = place.mapping.resource, place.row.first
        is_key = field.name in form.key  # it stands in every resource of its record
        coding = None if is_key else written.block_code(place.mapping, place.block)
        coded = None
        if place.block.word and coding is not None and "system" in coding:
            system = in_words.system(coding["system"])
            coded = Coded(system, coding["code"], coding.get("display", ""))
        yield Written(
            resource,
            "" if is_key else place.block.profile,
            first.path.text,
            in_words.path(first.path, resource),
            in_words.codec(first.codec).partition("; ")[0],
            walk_of(first),
            coded,
        )


def _choices(contents: Contents, form: Form, field: Field) -> Iterator[Coded]:
    codes = written.codes(contents.mappings, form.name, field)
    if codes and len(field.choices) <= FEW:
        for word, system, code, display in terminology.choices(contents, form, field):
            yield Coded(in_words.system(system), code, display, word)


def _other_codes(contents: Contents, form: Form, field: Field) -> Iterator[tuple[Coded, bool]]:
    """The codes that make a resource the field's own beside the one that is written, and whether
    they are read."""
    for place in written.places(contents.mappings, form.name, field.name):
        recogniser = place.mapping.recogniser
        if recogniser is None or place.block.word == "" or field.name in form.key:
            continue
        if field.name != (place.block.main or place.block.fields[0]):
            continue
        walk = recogniser.codec.crosswalk
        for line in walk.forward.values():
            if line.target == place.block.word and line is not walk.back.get(line.target):
                yield Coded(in_words.system(line.system), line.code, line.display), line.reads


def _accepted(contents: Contents, form: Form, field: Field) -> Iterator[Accepted]:
    mappings = contents.mappings
    for mapping in mappings.of_form(form.name):
        for block in mapping.blocks:
            for row in block.rows:
                if row.field.name == field.name:
                    yield from _of_row(contents, mapping, row)
        for inside in mapping.inside:
            holder = definitions.element(inside.resource, inside.items)
            for rows in inside.rows.values():
                for row in rows:
                    if row.field.name == field.name and holder is not None:
                        told = [in_words.path(r.path, holder.path) for r in row.readings]
                        yield Accepted(f"{inside.resource} › {inside.items}", " or ".join(told))


def _of_row(contents: Contents, mapping: FormMapping, row: Row) -> Iterator[Accepted]:
    only_read = mapping.reads_only or row.reads_only
    for number, reading in enumerate(row.readings):
        written_so = number == 0 and not only_read
        if written_so and isinstance(reading.codec, Quantity):
            told = in_words.units(reading.codec).partition("; ")[2]
            if told:
                yield Accepted("the same place", told)
        if not written_so or _waits(contents, mapping, row, reading):
            place = in_words.path(reading.path, mapping.resource)
            at = f"{mapping.resource} › {place}" if only_read else place
            yield _one(contents, mapping, row, reading, at)
    if row.from_source and not only_read:
        told = "it is derived from the identity of the source resource"
        yield Accepted("where no place holds it", told)


def _one(contents: Contents, mapping: FormMapping, row: Row, reading: Reading, at: str) -> Accepted:
    waits = _waits(contents, mapping, row, reading)
    return Accepted(at, in_words.codec(reading.codec), walk_of(reading), waits)


def _waits(contents: Contents, mapping: FormMapping, row: Row, reading: Reading) -> str:
    if not reading.review:
        return ""
    note = contents.note(mapping.name, row.field.name, reading.path.text)
    if row.field.accept == "review":
        return "the study wants a person to confirm it"
    return note or "a person looks whether it is meant"
