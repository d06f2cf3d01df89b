"""Resources in: what a FHIR R4 resource says in the study's words, and why what it says else is not
taken.

Whose record it becomes is not decided here: the patient's reference is handed on as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fhirbridge.fhir import definitions
from fhirbridge.mapping.codecs import Fault
from fhirbridge.mapping.read_row import Trace, read_row
from fhirbridge.mapping.spec import Block, FormMapping, Gate, MappingSet, Row
from fhirbridge.outcome import Issue
from fhirbridge.study.records import Absent, Value, check_value

Fate = Literal["record", "withdraw", "hold", "refuse"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of one resource.

    `record`: `fields` are (a part of) the record with that key. `withdraw`: these fields are to be
    taken back. `hold`: it waits for a person or a crosswalk line. `refuse`: it is not for this
    study. The issues say why, and in a `record` which parts could not be read.
    """

    fate: Fate
    issues: tuple[Issue, ...] = ()
    form: str = ""
    key: str = ""
    block: str = ""
    fields: Mapping[str, Value] = field(default_factory=dict)
    traces: Mapping[str, Trace] = field(default_factory=dict)
    patient: Mapping[str, Any] | None = None


def decode(
    mappings: MappingSet, resource: Mapping[str, Any], *, source: str, root: str = ""
) -> list[Decoded]:
    """The resource, judged valid R4, in the study's words.

    `source` identifies it where it comes from (`<server or client>|Condition/12`); `root` is the
    FHIRPath that leads to it, its type where it stands alone.
    """
    resource_type = str(resource.get("resourceType"))
    root = root or resource_type
    candidates = mappings.of_resource(resource_type)
    if not candidates:
        cause = f"the study takes nothing from the type {resource_type}"
        return [_ended("refuse", Issue("business-rule", cause, "nothing to do", root))]
    modifier = _modifier(resource, root)
    if modifier:
        cause = "an unknown modifierExtension may turn the meaning round"
        issue = Issue("not-supported", cause, "send it without, or have it mapped", modifier)
        return [_ended("hold", issue)]
    faults: list[tuple[Fault, str]] = []
    for mapping in candidates:
        block, fault = _recognise(mapping, resource, root)
        if block is not None:
            return [_Reader(mappings, mapping, block, resource, source, root).decode()]
        faults += [fault] if fault else []
    if any(m.gate and _gate(m.gate, resource, root)[0] == "withdraw" for m in candidates):
        return [_ended("withdraw")]  # what is entered in error may have lost its code with it
    issues = tuple(Issue(f.category, f.cause, f.remedy, at) for f, at in faults)
    fate: Fate = "refuse" if all(f.refused for f, _ in faults) else "hold"
    return [replace(_ended(fate, *issues), patient=_patient(candidates[0], resource, root))]


def _ended(fate: Fate, *issues: Issue) -> Decoded:
    return Decoded(fate, issues)


def _patient(
    mapping: FormMapping, resource: Mapping[str, Any], root: str
) -> Mapping[str, Any] | None:
    if mapping.patient is None:
        return None
    found = next(mapping.patient.read(resource, root=root), None)
    return found.value if found is not None and isinstance(found.value, Mapping) else None


def _modifier(here: Any, expression: str) -> str:
    """The FHIRPath of the first modifierExtension, or nothing."""
    if isinstance(here, Mapping):
        if here.get("modifierExtension"):
            return f"{expression}.modifierExtension"
        below = [(value, f"{expression}.{name}") for name, value in here.items()]
    elif isinstance(here, list):
        below = [(value, f"{expression}[{number}]") for number, value in enumerate(here)]
    else:
        return ""
    return next(filter(None, (_modifier(*pair) for pair in below)), "")


def _recognise(
    mapping: FormMapping, resource: Mapping[str, Any], root: str
) -> tuple[Block | None, tuple[Fault, str] | None]:
    recogniser = mapping.recogniser
    if recogniser is None:
        return mapping.block_of(""), None
    found = next(recogniser.path.read(resource, root=root), None)
    at = found.expression if found else f"{root}.{recogniser.path.text}"
    word = recogniser.codec.read(found.value) if found else None
    if isinstance(word, str):
        block = mapping.block_of(word)
        if block is None:
            return None, (Fault("business-rule", f"'{word}' has no row here", "add a row"), at)
        return block, None
    if word is None:
        return None, (Fault("required", "there is no code", "code it at its source"), at)
    assert isinstance(word, Fault)
    if word.refused and word.category == "unknown-code" and _doubtful(mapping, resource, root):
        word = replace(word, refused=False)
    return None, (word, at)


def _doubtful(mapping: FormMapping, resource: Mapping[str, Any], root: str) -> bool:
    """True where another field of the mapping is about the study: a person should look."""
    assert mapping.recogniser is not None
    rows = [row for row in mapping.blocks[0].rows if row.field.name in mapping.recogniser.doubt]
    block = mapping.blocks[0]
    return any(read_row(row, mapping, block, resource, root)[0] is not None for row in rows)


def _gate(gate: Gate, resource: Mapping[str, Any], root: str) -> tuple[Fate, str, str]:
    """Fate, status and place; a resource without the element passes."""
    fates: dict[str, Fate] = {}
    for found in gate.path.read(resource, root=root):
        for status in _codes(found.value):
            fates[status] = (
                "record"
                if status in gate.passes
                else "withdraw"
                if status in gate.withdraws
                else "refuse"
                if status in gate.refuses
                else "hold"
            )
    order: tuple[Fate, ...] = ("withdraw", "refuse", "hold")
    for fate in order:
        for status, told in fates.items():
            if told == fate:
                return fate, status, f"{root}.{gate.path.text}"
    return "record", "", ""


def _codes(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (str(coding.get("code")) for coding in value.get("coding", ()))


@dataclass
class _Reader:
    """Reads one recognised resource."""

    mappings: MappingSet
    mapping: FormMapping
    block: Block
    resource: Mapping[str, Any]
    source: str
    root: str
    issues: list[Issue] = field(default_factory=list)
    fields: dict[str, Value] = field(default_factory=dict)
    traces: dict[str, Trace] = field(default_factory=dict)

    def decode(self) -> Decoded:
        fate: Fate = "record"
        if self.mapping.gate is not None:
            fate, status, at = _gate(self.mapping.gate, self.resource, self.root)
            if fate in ("refuse", "hold"):
                remedy = "send it again when it is final" if fate == "hold" else "nothing to do"
                self.issues.append(Issue("business-rule", f"its status is {status}", remedy, at))
                return self.ended(fate)
        for row in self.block.rows:
            self.read(row)
        if fate == "record":
            self.required()
        elif fate == "withdraw":
            return self.ended(fate)  # by what it was, whatever is left of it
        if self.keyless:
            cause = f"{', '.join(self.keyless)} cannot be read, and without it there is no record"
            self.issues.append(Issue("required", cause, "send it with the resource", self.root))
            return self.ended("hold")
        if any(name not in self.fields for name in self.block.fields):
            return self.ended("hold")
        return self.ended(fate)

    @property
    def keyless(self) -> list[str]:
        """The key fields without a value; a reason for its absence identifies nothing."""
        no_value = Absent("unknown")
        key = self.mapping.form.key
        return [name for name in key if isinstance(self.fields.get(name, no_value), Absent)]

    def ended(self, fate: Fate) -> Decoded:
        form = self.mapping.form
        return Decoded(
            fate=fate,
            issues=tuple(self.issues),
            form=form.name,
            key="" if self.keyless else form.key_of(self.fields),
            block=self.block.name,
            fields=self.fields,
            traces=self.traces,
            patient=_patient(self.mapping, self.resource, self.root),
        )

    def read(self, row: Row) -> None:
        name = row.field.name
        read, issues = read_row(row, self.mapping, self.block, self.resource, self.root)
        if read is None and row.from_source and not issues:
            trace = Trace(self.root, "derived from the source resource", review=False)
            read = self.mappings.source_key(self.source), trace
        self.issues += issues
        if read is None:
            return
        wrong = check_value(row.field, read[0])
        if wrong is not None:
            self.issues.append(replace(wrong, expression=read[1].expression))
            return
        self.fields[name], self.traces[name] = read

    def required(self) -> None:
        """A score without value: its stated reason, or `unknown` and a warning that none was
        stated.
        """
        for name in self.block.fields:
            if name in self.fields or self.issues or self.block.absent is None:
                continue
            unread = self.unread(name)
            if unread:
                cause = f"{name} stands in a form that is not read"
                remedy = "send it in one of the forms that the mapping accepts"
                self.issues.append(Issue("not-supported", cause, remedy, f"{self.root}.{unread}"))
                continue
            found = next(self.block.absent.path.read(self.resource, root=self.root), None)
            reason = self.block.absent.codec.read(found.value) if found else None
            if isinstance(reason, str):
                assert found is not None
                trace = Trace(found.expression, self.block.absent.rule, self.block.absent.review)
                self.fields[name], self.traces[name] = Absent(reason), trace
                continue
            cause = f"{name} has neither a value nor a reason for its absence"
            if isinstance(reason, Fault):
                cause = f"{name} is absent for a reason that is not known here: {reason.cause}"
            remedy = "send a value or a dataAbsentReason"
            at = found.expression if found else self.root
            self.issues.append(Issue("required", cause, remedy, at, severity="warning"))
            self.fields[name] = Absent("unknown")
            self.traces[name] = Trace(self.root, "no value, no reason", review=False)

    def unread(self, name: str) -> str:
        """The property that holds a value in a type that no reading took (`valueRange`), or
        nothing."""
        row = next(row for row in self.block.rows if row.field.name == name)
        own = definitions.element(self.mapping.resource, row.first.path.steps[0].name)
        for given in self.resource:
            element = definitions.element(self.mapping.resource, given.removeprefix("_"))
            if own and own.choice and element and element.choice == own.choice:
                return given
        return ""
