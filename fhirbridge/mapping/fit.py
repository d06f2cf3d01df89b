"""What fits together in a mapping file: fields and codecs, values and elements, words and codes.

Every question yields cause and remedy of each misfit, and knows no file and no line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from fhirbridge.fhir import definitions
from fhirbridge.mapping.codecs import Codec
from fhirbridge.mapping.coded import Code, Grade, OneCoding
from fhirbridge.mapping.crosswalk import Crosswalk, Line
from fhirbridge.mapping.path import Path, Step
from fhirbridge.mapping.referring import Reference
from fhirbridge.mapping.spec import Block, Fixed, FormMapping, Gate, Row
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
        "boolean": frozenset({"boolean"}),
        "yes-no": frozenset({"choice"}),
        "there": frozenset({"choice"}),
        "code": frozenset({"choice"}),
        "grade": frozenset({"integer"}),
        "reference": frozenset({"reference", "text"}),
        "ids": frozenset({"ids"}),
        "codings": frozenset({"codes"}),
    }
)
"""Types of field that a codec gives."""

_CODED = frozenset({"CodeableConcept", "Coding"})
HOLDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "text": frozenset({"string", "markdown", "Reference"}),
        "integer": frozenset({"integer", "decimal", "Quantity", "string"}) | _CODED,
        "decimal": frozenset({"decimal", "Quantity", "string"}),
        "date": frozenset({"date", "dateTime"}),
        "datetime": frozenset({"dateTime"}),
        "choice": frozenset({"code", "boolean"}) | _CODED,
        "boolean": frozenset({"boolean"}),
        "reference": frozenset({"Reference"}),
        "ids": frozenset({"Identifier"}),
        "codes": frozenset({"Coding"}),
    }
)
"""Types of element that can hold every value of a type of field, and so may be written."""

_PATTERNED = frozenset({"code", "id", "uri", "canonical", "instant", "dateTime", "date"})
"""Types that hold a text whose `pattern` in the study makes it one of them."""


def element(field: Field, path: Path) -> Iterator[Misfit]:
    held = HOLDS.get(field.type, frozenset())
    if field.type == "text" and field.pattern:
        held |= _PATTERNED
    if field.precision == "second":
        held |= {"instant"}
    if field.type == "integer" and field.range and field.range[0] >= 0:
        held |= {"unsignedInt"} | ({"positiveInt"} if field.range[0] > 0 else set())
    if path.type not in held:
        cause = f"{path.text} is a {path.type} and cannot hold every {field.type}"
        yield cause, f"write it to one of {', '.join(sorted(held))}"
    lists = [step for step in path.steps if step.is_list]
    if (field.many or field.type in ("ids", "codes")) and not lists:
        yield f"{path.text} holds one, and {field.name} is a list", "write it to a list"


def target(codec: Codec, path: Path, resource: str) -> Iterator[Misfit]:
    """A reference goes where R4 lets its target go."""
    found = definitions.walk(resource, [step.name for step in path.steps])
    targets = found.targets if isinstance(codec, Reference) and found is not None else ()
    if isinstance(codec, Reference) and targets and codec.resource not in targets:
        cause = f"{path.text} refers to no {codec.resource}"
        yield cause, f"R4 lets it refer to {', '.join(sorted(targets))}"


def walk_of(codec: Codec) -> Crosswalk | None:
    if isinstance(codec, Grade | OneCoding):
        return codec.code.crosswalk
    return codec.crosswalk if isinstance(codec, Code) else None


def ways_back(field: Field, codec: Codec) -> Iterator[Misfit]:
    """Every choice must have a code to be written as."""
    walk = walk_of(codec)
    if walk is not None:
        words = field.choices or ([str(n) for n in grades(field)] if field.range else ())
        missing = [word for word in words if word not in walk.back]
        if missing:
            cause = f"{walk.name}.csv writes no code for {', '.join(missing)}"
            yield cause, "add an 'equivalent' line for each"


def targets(field: Field, codec: Codec) -> Iterator[tuple[Line, Misfit]]:
    """Every code must be read as a word of the field, or as a whole number."""
    walk = walk_of(codec)
    if walk is not None and field.choices:
        for line in unknown_targets(walk, field.choices):
            told = f"{field.name} has no choice '{line.target}'"
            yield line, (told, near(line.target, field.choices))
    if isinstance(codec, Grade):
        for line in codec.code.crosswalk.forward.values():
            if line.reads and not (line.target.isascii() and line.target.isdigit()):
                yield line, (f"'{line.target}' is no grade", "write a whole number")


def grades(field: Field) -> Iterator[int]:
    """The whole numbers that the field can hold."""
    if field.range is not None:
        low, high = field.range
        yield from (n for n in range(int(low), int(high) + 1) if field.allows(n))


def unknown_targets(walk: Crosswalk, words: Collection[str]) -> Iterator[Line]:
    for line in walk.forward.values():
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
        if row.reads_only:
            continue
        if row.field.name in names:
            yield f"two rows map {row.field.name}", "keep one row, and its other forms in 'accepts'"
        names.add(row.field.name)
        told = seen.setdefault(row.first.path.steps, row.field.name)
        unless = row.unless or next((r.unless for r in rows if r.field.name == told), "")
        if told != row.field.name and not unless:
            cause = f"{told} and {row.field.name} both write {row.first.path.text}"
            yield cause, "give one of them another place"
    for item in fixed:
        if item.path.steps in seen:
            cause = f"'write only' and {seen[item.path.steps]} both write {item.path.text}"
            yield cause, "take one of them away"


def whole(mapping: FormMapping, block: Block, *, section: str) -> Iterator[Misfit]:
    """What R4 wants of the resource is always written, and what is written only with another field
    is never given without it."""
    shape = definitions.shape(mapping.resource)
    assert shape is not None
    sure = {fixed.path.steps[0].name for fixed in block.fixed if not fixed.when}
    sure |= {path.steps[0].name for path in mapping.patients}
    written = [row for row in block.rows if not row.reads_only]
    for row in written:
        always = row.field.required or row.field.name in block.needs
        if always or row.field.name == block.main:
            sure.add(row.first.path.steps[0].name)
    groups = {shape.properties[name].group for name in sure}
    for name in shape.required:
        if name not in groups and name != "resourceType":
            cause = f"R4 wants {mapping.resource}.{name}, and {section} does not always write it"
            yield cause, "add it to 'write only', or its field to 'needs'"
    for need in block.needs:
        for row in written:
            field = row.field
            if field.name in block.fields and field.name != need and need not in field.with_:
                cause = f"{field.name} is written only with {need}"
                yield cause, f"say 'with: [{need}]' of {field.name} in study.yaml"
