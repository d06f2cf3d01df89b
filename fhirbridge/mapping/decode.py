"""Resources in: what a FHIR R4 resource says in the study's words, and why what it says else is not
taken.

Whose record it becomes is not decided here: the patient's reference is handed on as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhirbridge.mapping import compile_decode
from fhirbridge.mapping.codecs import Fault
from fhirbridge.mapping.read_row import Trace
from fhirbridge.mapping.reader import Here, Reader, when_final
from fhirbridge.mapping.recognise import Fate, Told, modifier, recognise, status
from fhirbridge.mapping.referring import Refer, unknown
from fhirbridge.mapping.spec import Block, FormMapping, Inside, MappingSet, Row
from fhirbridge.mapping.within import items, recognised
from fhirbridge.outcome import Issue
from fhirbridge.study.records import Value


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of one resource, or of one fact in it.

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
    nulls: frozenset[str] = frozenset()  # fields that a format with a word for it takes back


def decode(
    mappings: MappingSet,
    resource: Mapping[str, Any],
    *,
    source: str,
    root: str = "",
    refer: Refer = unknown,
    unmodified: bool = False,
) -> list[Decoded]:
    """The resource, judged valid R4, in the study's words: one fact, or several (a diagnosis that
    names the primary with its metastasis, the scores of a questionnaire).

    `unmodified` says that nowhere in it is a modifierExtension; else it is looked for.

    `source` identifies it where it comes from (`<server or client>|Condition/12`); `root` is the
    FHIRPath that leads to it, its type where it stands alone; `refer` knows the records that other
    resources became.
    """
    told: list[Decoded] | None = None
    try:
        read = mappings.readers.get(resource["resourceType"]) or _reader(mappings, resource)
        told = read(resource, source, refer, unmodified)
    except (KeyError, TypeError, ValueError, RecursionError):
        told = None  # no JSON, or a list where a code belongs: the interpreter tells
    if told is None:
        return interpret(mappings, resource, source=source, root=root, refer=refer)
    if not root or root == resource["resourceType"]:
        return told
    return [_below(root, one) for one in told]


def source(mappings: MappingSet, resource_type: str) -> str:
    """The generated Python that reads the usual resources of a type."""
    return compile_decode.source(mappings, resource_type)[0].text


def _reader(mappings: MappingSet, resource: Mapping[str, Any]) -> Callable[..., Any]:
    """What is generated for resources of that type; what leaves all to the interpreter otherwise.
    Types that no mapping takes are not remembered: anybody can make one up."""
    resource_type = resource["resourceType"]
    if not mappings.of_resource(resource_type):
        return _nothing
    made = compile_decode.program(mappings, resource_type, Decoded) or _nothing
    mappings.readers[resource_type] = made
    return made


def _nothing(resource: Mapping[str, Any], source: str, refer: Refer, unmodified: bool) -> None:
    """Of a type for which nothing is generated."""


def _below(root: str, decoded: Decoded) -> Decoded:
    """The same, each place below another root than the type's name."""
    traces = {}
    for name, trace in decoded.traces.items():
        _, dot, place = trace.expression.partition(".")
        traces[name] = replace(trace, expression=f"{root}{dot}{place}")
    return replace(decoded, traces=traces)


def interpret(
    mappings: MappingSet,
    resource: Mapping[str, Any],
    *,
    source: str,
    root: str = "",
    refer: Refer = unknown,
) -> list[Decoded]:
    """`decode` without generated code: what a mapping means."""
    resource_type = resource.get("resourceType")
    if not isinstance(resource_type, str):
        issue = Issue("structure", "there is no resourceType", "send a whole resource", root)
        return [Decoded("refuse", (issue,))]
    root = root or resource_type
    candidates = mappings.of_resource(resource_type)
    within = list(mappings.inside_of(resource_type))
    if not candidates and not within:
        cause = f"the study takes nothing from the type {resource_type}"
        return [Decoded("refuse", (Issue("business-rule", cause, "nothing to do", root),))]
    turned = modifier(resource, root)
    if turned:
        cause = "an unknown modifierExtension may turn the meaning round"
        issue = Issue("not-supported", cause, "send it without, or have it mapped", turned)
        return [Decoded("hold", (issue,))]
    made: list[Decoded] = []
    faults: list[Told] = []
    for mapping in candidates:
        block, fault, remarks = recognise(mapping, resource, root)
        if block is not None:
            here = Here(mappings, mapping, source, root, refer)
            told = _whole(here, block, resource)
            made.append(replace(told, issues=(*remarks, *told.issues)))
        faults += [fault] if fault else []
    facts: list[Decoded] = []
    for mapping, inside in within:
        here = Here(mappings, mapping, source, root, refer)
        found, wrong = _inside(here, inside, resource)
        facts, faults = facts + found, faults + wrong
    if any(resource.get(inside.items) for _, inside in within):
        taken, made = made, [one for one in made if not _says_nothing(mappings, one)]
        if taken and not made:  # it is the study's, whatever the other mappings know of it
            faults = [told for told in faults if not told[0].refused]
    made += facts
    return made or [_not_taken(candidates, faults, resource, root)]


def _says_nothing(mappings: MappingSet, told: Decoded) -> bool:
    """A record of which nothing but the key is known."""
    return told.fate == "record" and told.fields.keys() <= {*mappings.study.form(told.form).key}


def _whole(here: Here, block: Block, resource: Mapping[str, Any]) -> Decoded:
    reader = Reader(here, block, [(row, resource, here.root) for row in block.rows])
    mapping = here.mapping
    for gate in (mapping.gate, mapping.where, mapping.besides):
        if gate is not None and reader.fate == "record" and not reader.passes(gate, resource):
            return _told(reader, mapping, resource)
    if mapping.review is not None:
        reader.doubt(mapping.review, resource)
    reader.read()
    return _told(reader, mapping, resource)


def _told(reader: Reader, mapping: FormMapping, resource: Mapping[str, Any]) -> Decoded:
    return Decoded(
        fate=reader.fate,
        issues=tuple(reader.issues),
        form=mapping.form.name,
        key=reader.key,
        block=reader.block.name,
        fields=reader.fields,
        traces=reader.traces,
        patient=_patient(mapping, resource, reader.here.root),
    )


def _inside(
    here: Here, inside: Inside, resource: Mapping[str, Any]
) -> tuple[list[Decoded], list[Told]]:
    """The facts that stand inside the resource as items of their own."""
    made: list[Decoded] = []
    faults: list[Told] = []
    fate, told, place = (
        status(inside.gate, resource, here.root) if inside.gate else ("record", "", "")
    )
    if inside.gate and fate == "hold" and resource["resourceType"] != here.mapping.resource:
        remedy = when_final(inside.gate, told)
        return [], [(Fault("business-rule", f"its status is {told}", remedy), place)]
    for item, at in items(resource, inside.items, here.root):
        block, fault = recognised(here.mapping, inside, item, resource, at)
        if block is None:
            faults += [fault] if fault else []
            continue
        own = inside.rows[block.name]
        if not any(_answered(row, item) for row in own):
            continue  # a question without an answer is no fact
        rows = [(row, resource, here.root) for row in inside.shared]
        rows += [(row, item, at) for row in own]
        reader = Reader(here, block, rows)
        if inside.gate is None or reader.passes(inside.gate, resource):
            reader.read()
        found = next(inside.patient.read(resource, root=here.root), None)
        patient = found.value if found and isinstance(found.value, Mapping) else None
        made.append(replace(_told(reader, here.mapping, resource), patient=patient))
    return made, faults


def _answered(row: Row, item: Mapping[str, Any]) -> bool:
    names = (reading.path.steps[0].name for reading in row.readings)
    return row.absent is not None or any(n in item or f"_{n}" in item for n in names)


def _not_taken(
    candidates: tuple[FormMapping, ...],
    faults: list[Told],
    resource: Mapping[str, Any],
    root: str,
) -> Decoded:
    """Nobody's resource: taken back, refused where each knows that it is not meant, or held."""
    if any(m.gate and status(m.gate, resource, root)[0] == "withdraw" for m in candidates):
        return Decoded("withdraw")  # what is entered in error may have lost its code with it
    spoken = [told for told in faults if told[0].category != "required"]
    faults = spoken or faults
    held = [told for told in faults if not told[0].refused]
    open_ = [told for told in held if told[0].category != "unknown-code"]
    certain = [told for told in faults if told[0].refused and told[0].category != "unknown-code"]
    fate: Fate = "refuse" if not held or (certain and not open_) else "hold"
    shown = _together(held if fate == "hold" else certain or faults)
    issues = dict.fromkeys(Issue(f.category, f.cause, f.remedy, at) for f, at in shown)
    if not issues:
        cause = "nothing in it is known to the study"
        issues = {Issue("unknown-code", cause, "add crosswalk lines, then replay", root): None}
        fate = "hold"
    patient = _patient(candidates[0], resource, root) if candidates else None
    return Decoded(fate, tuple(issues), patient=patient)


def _together(faults: list[Told]) -> list[Told]:
    """One fault for a code that several crosswalks do not list."""
    unlisted = [told for told in faults if told[0].code]
    if len(unlisted) < 2 or len({(fault.code, at) for fault, at in unlisted}) > 1:
        return faults
    (fault, at), walks = unlisted[0], sorted({fault.walk for fault, _ in unlisted})
    cause = f"{fault.code} is in none of the crosswalks {', '.join(walks)}"
    line = "add a line to the one of them that means it, in the site's folder"
    remedy = (
        f"nothing to do; where it is meant, {line}" if fault.refused else f"{line}, then replay"
    )
    if fault.slip:  # its remedy stands: the code is wrong, whatever crosswalk is asked
        cause, remedy = f"{cause}, and {fault.slip} fails its check digit", fault.remedy
    return [(replace(fault, cause=cause, remedy=remedy), at)] + [
        told for told in faults if told not in unlisted
    ]


def _patient(
    mapping: FormMapping, resource: Mapping[str, Any], root: str
) -> Mapping[str, Any] | None:
    if mapping.patient is None:
        return None
    found = next(mapping.patient.read(resource, root=root), None)
    return found.value if found is not None and isinstance(found.value, Mapping) else None
