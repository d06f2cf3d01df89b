"""Which blocks a connection gets, and in which order: what is referred to before what refers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fhirbridge.mapping.referring import Reference
from fhirbridge.mapping.spec import Block, FormMapping, MappingSet
from fhirbridge.outcome import BridgeError, Issue

# The hospital's own; the study never writes them there.
_NOT_OURS = frozenset({"Patient", "Consent"})


def blocks(mappings: MappingSet, wanted: str) -> list[str]:
    """Their names; `wanted` is the option `deliver` of a connection."""
    if wanted == "none":
        return []
    if wanted == "scores":
        return sorted(block.name for _, block in _all(mappings) if block.deliver)
    takeable = [(file, block) for file, block in _all(mappings) if _takeable(file)]
    if wanted == "facts":
        return sorted(block.name for _, block in takeable)
    forms = {name.strip() for name in wanted.split(",")}
    unknown = sorted(forms - {file.form.name for file, _ in takeable})
    if unknown:
        known = ", ".join(sorted({file.form.name for file, _ in takeable}))
        cause = f"'{unknown[0]}' is no form that can be delivered"
        remedy = f"give scores, facts, none, or some of {known}"
        raise BridgeError(Issue("configuration", cause, remedy, place="deliver"))
    return sorted(block.name for file, block in takeable if file.form.name in forms)


def ranks(mappings: MappingSet) -> Mapping[str, int]:
    """By block how many steps of references lead down from it; a circle ends where it closes."""
    edges: dict[str, set[str]] = {}
    for _, block in _all(mappings):
        codecs = [row.first.codec for row in block.rows]
        edges[block.name] = {c.form for c in codecs if isinstance(c, Reference)} - {block.name}
    known: dict[str, int] = {}

    def rank(name: str, above: frozenset[str]) -> int:
        if name not in known:
            below = [one for one in sorted(edges.get(name, ())) if one not in above]
            known[name] = 1 + max((rank(one, above | {name}) for one in below), default=-1)
        return known[name]

    for name in sorted(edges):
        rank(name, frozenset({name}))
    return known


def mapping_of(mappings: MappingSet, block: str) -> tuple[FormMapping, Block]:
    return next((file, one) for file, one in _all(mappings) if one.name == block)


def _all(mappings: MappingSet) -> Iterator[tuple[FormMapping, Block]]:
    for file in mappings.files.values():
        if not file.reads_only:
            yield from ((file, block) for block in file.blocks)


def _takeable(file: FormMapping) -> bool:
    """It is a patient's, and has a status by which it can be taken back."""
    gate = file.gate
    return bool(file.patients and gate and gate.withdraws) and file.resource not in _NOT_OURS
