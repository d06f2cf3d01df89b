"""Which resources are a mapping's, and whether their status lets them count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from fhirbridge.mapping.codecs import Fault, Remark
from fhirbridge.mapping.read_row import read_row
from fhirbridge.mapping.referring import unknown
from fhirbridge.mapping.spec import Block, FormMapping, Gate
from fhirbridge.outcome import Issue

Fate = Literal["record", "withdraw", "hold", "refuse"]
Told = tuple[Fault, str]
"""What is wrong, and where."""


def recognise(
    mapping: FormMapping, resource: Mapping[str, Any], root: str
) -> tuple[Block | None, Told | None, tuple[Issue, ...]]:
    """The block whose resource it is, or why it is none; and what its code calls for saying."""
    recogniser = mapping.recogniser
    if recogniser is None:
        return mapping.block_of(""), None, ()
    found = next(recogniser.path.read(resource, root=root), None)
    at = found.expression if found else f"{root}.{recogniser.path.text}"
    word = recogniser.codec.read(found.value) if found else None
    remarks: tuple[Issue, ...] = ()
    if isinstance(word, Remark):
        remarks = (Issue("business-rule", word.cause, word.remedy, at, severity="warning"),)
        word = word.value
    if isinstance(word, str):
        block = mapping.block_of(word)
        if block is None:
            return None, (Fault("business-rule", f"'{word}' has no row here", "add a row"), at), ()
        return block, None, remarks
    if not isinstance(word, Fault):
        return None, (Fault("required", "there is no code", "code it at its source"), at), ()
    if word.refused and word.category == "unknown-code" and _doubtful(mapping, resource, root):
        word = replace(word, refused=False)
    return None, (word, at), ()


def _doubtful(mapping: FormMapping, resource: Mapping[str, Any], root: str) -> bool:
    """True where another field of the mapping is about the study: a person should look."""
    assert mapping.recogniser is not None
    rows = [row for row in mapping.blocks[0].rows if row.field.name in mapping.recogniser.doubt]
    return any(read_row(row, resource, root, unknown)[0] is not None for row in rows)


def status(gate: Gate, resource: Mapping[str, Any], root: str) -> tuple[Fate, str, str]:
    """Fate, status and place; a resource without the element passes. Codes beside one that is
    named say more of it, as how a diagnosis was confirmed (MII oncology module)."""
    fates: dict[str, Fate] = {}
    for found in gate.path.read(resource, root=root):
        given = list(codes(found.value))
        for code in [one for one in given if gate.names(one)] or given:
            fates[code] = fate_of(gate, code)
    order: tuple[Fate, ...] = ("withdraw", "refuse", "hold")
    for fate in order:
        for code, told in fates.items():
            if told == fate:
                return fate, code, f"{root}.{gate.path.text}"
    return "record", "", ""


def fate_of(gate: Gate, code: str) -> Fate:
    if code in gate.passes:
        return "record"
    if code in gate.withdraws:
        return "withdraw"
    return "refuse" if code in gate.refuses else "hold"


def codes(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, Mapping):
        given = value.get("coding")
        codings = given if isinstance(given, list) else ()
        yield from (str(c.get("code")) for c in codings if isinstance(c, Mapping))
        if "code" in value and "coding" not in value:  # a Coding itself
            yield str(value["code"])


def modifier(here: Any, expression: str) -> str:
    """The FHIRPath of the first modifierExtension, or nothing."""
    if isinstance(here, Mapping):
        if here.get("modifierExtension"):
            return f"{expression}.modifierExtension"
        below = [(value, f"{expression}.{name}") for name, value in here.items()]
    elif isinstance(here, list):
        below = [(value, f"{expression}[{number}]") for number, value in enumerate(here)]
    else:
        return ""
    return next(filter(None, (modifier(*pair) for pair in below)), "")
