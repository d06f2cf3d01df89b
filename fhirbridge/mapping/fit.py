"""What fits together in a mapping file: fields and codecs, values and elements, words and codes.

Every question yields cause and remedy of each misfit, and knows no file and no line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from fhirbridge.fhir import definitions
from fhirbridge.mapping.codecs import Code, Codec, Grade
from fhirbridge.mapping.crosswalk import Line
from fhirbridge.mapping.path import Path, Step
from fhirbridge.mapping.spec import Fixed, Gate, Row
from fhirbridge.study.definition import Field, near

Misfit = tuple[str, str]

_NUMBERS = frozenset({"integer", "decimal"})
GIVES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "text": frozenset({"text"}),
        "date": frozenset({"date", "datetime"}),
        "number": _NUMBERS,
        "number-word": _NUMBERS,
        "quantity": _NUMBERS,
        "code": frozenset({"choice"}),
        "grade": frozenset({"integer"}),
        "ids": frozenset({"ids"}),
    }
)
"""Types of field that a codec gives."""

_CODED = frozenset({"CodeableConcept", "Coding"})
HOLDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "text": frozenset({"string", "markdown"}),
        "integer": frozenset({"integer", "decimal", "Quantity", "string"}) | _CODED,
        "decimal": frozenset({"decimal", "Quantity", "string"}),
        "date": frozenset({"date", "dateTime"}),
        "datetime": frozenset({"dateTime"}),
        "choice": frozenset({"code"}) | _CODED,
        "ids": frozenset({"Identifier"}),
    }
)
"""Types of element that can hold every value of a type of field, and so may be written."""


def element(field: Field, path: Path) -> Iterator[Misfit]:
    held = HOLDS.get(field.type, frozenset())
    if path.type not in held:
        cause = f"{path.text} is a {path.type} and cannot hold every {field.type}"
        yield cause, f"write it to one of {', '.join(sorted(held))}"


def ways_back(field: Field, codec: Codec) -> Iterator[Misfit]:
    """Every choice must have a code to be written as."""
    if isinstance(codec, Code):
        walk = codec.crosswalk
        missing = [word for word in field.choices if word not in walk.back]
        if missing:
            cause = f"{walk.name}.csv writes no code for {', '.join(missing)}"
            yield cause, "add an 'equivalent' line for each"


def targets(field: Field, codec: Codec) -> Iterator[tuple[Line, Misfit]]:
    """Every code must be read as a word of the field, or as a whole number."""
    if isinstance(codec, Code) and field.choices:
        for line in unknown_targets(codec, field.choices):
            told = f"{field.name} has no choice '{line.target}'"
            yield line, (told, near(line.target, field.choices))
    if isinstance(codec, Grade):
        for line in codec.code.crosswalk.forward.values():
            if line.reads and not (line.target.isascii() and line.target.isdigit()):
                yield line, (f"'{line.target}' is no grade", "write a whole number")


def unknown_targets(code: Code, words: Collection[str]) -> Iterator[Line]:
    for line in code.crosswalk.forward.values():
        if line.reads and line.target not in words:
            yield line


def absence(field: Field, path: Path, resource: str, known_by: str) -> Iterator[Misfit]:
    """An extension in place of a code leaves a required binding, and a recogniser, without it.

    `known_by` is the path by which the resource is recognised.
    """
    found = definitions.walk(resource, [step.name for step in path.steps])
    bound = found is not None and definitions.value_set(found.binding) is not None
    if field.absent and (bound or known_by == path.text):
        cause = f"{path.text} must hold a code, and {field.name} may be absent for a reason"
        yield cause, f"say 'absent: false' of {field.name} in study.yaml"


def statuses(gate: Gate, resource: str) -> Iterator[Misfit]:
    """Each status is one of R4, has one fate, and what is written passes."""
    found = definitions.walk(resource, [step.name for step in gate.path.steps])
    bound = definitions.value_set(found.binding) if found is not None else None
    fates = (gate.passes, gate.withdraws, gate.refuses, gate.holds)
    named = [status for fate in fates for status in sorted(fate)]
    for status in named:
        if bound is not None and status not in bound.codes:
            yield f"{gate.path.text} is never '{status}' in R4", near(status, bound.codes)
        if named.count(status) > 1:
            yield f"'{status}' has two fates", "name it once"
    if gate.writes is not None and gate.writes not in gate.passes:
        yield f"'{gate.writes}' is written and does not pass", "add it to 'pass'"


def one_place_each(rows: Sequence[Row], fixed: Sequence[Fixed]) -> Iterator[Misfit]:
    """No two rows map one field or write one place, however it is spelled."""
    seen: dict[tuple[Step, ...], str] = {}
    names: set[str] = set()
    for row in rows:
        if row.field.name in names:
            yield f"two rows map {row.field.name}", "keep one row, and its other forms in 'accepts'"
        names.add(row.field.name)
        told = seen.setdefault(row.first.path.steps, row.field.name)
        if told != row.field.name:
            cause = f"{told} and {row.field.name} both write {row.first.path.text}"
            yield cause, "give one of them another place"
    for item in fixed:
        if item.path.steps in seen:
            cause = f"'write only' and {seen[item.path.steps]} both write {item.path.text}"
            yield cause, "take one of them away"
