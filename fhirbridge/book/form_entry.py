"""One form as the page tells it: the resources that carry it, and its fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fhirbridge.book import in_words, written
from fhirbridge.book.contents import Contents
from fhirbridge.book.field_entry import Coded, FieldEntry, entry
from fhirbridge.mapping.spec import FormMapping, Gate
from fhirbridge.study.definition import Form


@dataclass(frozen=True, slots=True)
class Carrier:
    """A mapping file: which resources are the form's, and when they count."""

    resource: str
    remark: str
    reads_only: bool
    profiles: tuple[str, ...]
    known_by: str
    walk: str
    coded: Coded | None  # what is written there, where it is one code for all
    statuses: tuple[tuple[str, str], ...]  # what happens, and at which statuses
    deliver: bool


@dataclass(frozen=True, slots=True)
class FormEntry:
    form: Form
    carriers: tuple[Carrier, ...]
    fields: tuple[FieldEntry, ...]
    instruments: tuple[str, ...]


def form_entry(contents: Contents, form: Form) -> FormEntry:
    return FormEntry(
        form=form,
        carriers=tuple(_carrier(contents, m) for m in contents.mappings.of_form(form.name)),
        fields=tuple(entry(contents, form, field) for field in form.fields.values()),
        instruments=tuple(
            dict.fromkeys(f.instrument for f in form.fields.values() if f.instrument)
        ),
    )


def _carrier(contents: Contents, mapping: FormMapping) -> Carrier:
    recogniser = mapping.recogniser
    known_by = walk = ""
    if recogniser is not None:
        known_by = in_words.path(recogniser.path, mapping.resource)
        walk = recogniser.codec.crosswalk.name
    return Carrier(
        resource=mapping.resource,
        remark=contents.remarks[mapping.name].head,
        reads_only=mapping.reads_only,
        profiles=tuple(dict.fromkeys(b.profile for b in mapping.blocks if b.profile)),
        known_by=known_by,
        walk=walk,
        coded=_coded(mapping),
        statuses=tuple(_statuses(mapping)),
        deliver=any(block.deliver for block in mapping.blocks),
    )


def _coded(mapping: FormMapping) -> Coded | None:
    first = mapping.blocks[0]
    code = written.block_code(mapping, first) if not first.word else None
    if code is None or "system" not in code:
        return None
    return Coded(in_words.system(code["system"]), code["code"], code.get("display", ""))


def _statuses(mapping: FormMapping) -> Iterator[tuple[str, str]]:
    for gate in (mapping.gate, mapping.where):
        if gate is not None:
            yield from _of_gate(gate)
    if mapping.review is not None:
        codes = " or ".join(sorted(mapping.review.holds))
        yield "read, and each value waits", f"where {mapping.review.path.text} is {codes}"


def _of_gate(gate: Gate) -> Iterator[tuple[str, str]]:
    told = (
        ("counts", gate.passes),
        ("taken back", gate.withdraws),
        ("waits", gate.holds),
        ("refused", gate.refuses),
    )
    for what, codes in told:
        if codes:
            yield what, f"where {gate.path.text} is {' or '.join(sorted(codes))}"
