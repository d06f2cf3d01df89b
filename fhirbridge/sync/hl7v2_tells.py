"""What FHIR has no words for in HL7 v2, said of facts once the mapping has read them: null, what is
not final yet, a word of absence among numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fhirbridge.formats.hl7v2_shapes import Shape
from fhirbridge.mapping.decode import Decoded, decode
from fhirbridge.mapping.read_row import Trace
from fhirbridge.mapping.shaped import Placed
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue, failed
from fhirbridge.study.records import Absent
from fhirbridge.sync.hl7v2_resources import OPEN
from fhirbridge.sync.judge import Asked, Tell

WAITS = "preliminary: waits for a final"
_TEXTS = ("TX", "FT")


def decoded(
    mappings: MappingSet, placed: Placed, asked: Asked, resource: Mapping[str, Any] | None = None
) -> list[Decoded]:
    """The facts, each with the places of the message in its traces."""
    resource = resource or placed.resource
    facts = decode(mappings, resource, source=asked.source, refer=asked.refer)
    whose = asked.resource.get("subject")
    return [replace(_placed(fact, placed), patient=whose) for fact in facts]


def _placed(fact: Decoded, placed: Placed) -> Decoded:
    traces = {
        name: replace(trace, expression=placed.place(trace.expression))
        for name, trace in fact.traces.items()
    }
    return replace(fact, traces=traces)


def plain(mappings: MappingSet, placed: Placed, shape: Shape, *, review: bool) -> Tell:
    def tell(asked: Asked) -> list[Decoded]:
        facts = [_fracture(fact) for fact in decoded(mappings, placed, asked)]
        facts = [_beside(mappings, fact, placed) for fact in facts]
        return [reviewed(mappings, fact, placed.at) for fact in facts] if review else facts

    return tell


def _beside(mappings: MappingSet, fact: Decoded, placed: Placed) -> Decoded:
    """What the code of an operation says besides: its approach, and what it only suggests."""
    if fact.form != "surgery" or fact.fate != "record":
        return fact
    fields, traces = dict(fact.fields), dict(fact.traces)
    for name, walk in mappings.shapes.beside.items():
        for coding in placed.resource["code"].get("coding", ()) if name not in fields else ():
            line = walk.find(coding.get("system", ""), coding["code"])
            if line is not None and line.reads:
                rule = f"code by code/{walk.name}"
                at = placed.place("Procedure.code")
                fields[name], traces[name] = line.target, Trace(at, rule, name == "purpose")
    return replace(fact, fields=fields, traces=traces)


def _fracture(fact: Decoded) -> Decoded:
    """The day beside a code that says a bone broke is the day of the fracture."""
    code = fact.traces.get("fracture_status")
    when = fact.fields.get("diagnosed_on")
    if code is None or when is None or fact.fields.get("fracture_status") != "actual":
        return fact
    fields = {n: v for n, v in fact.fields.items() if n != "diagnosed_on"}
    traces = {n: t for n, t in fact.traces.items() if n != "diagnosed_on"}
    own = {"fracture_on": when}
    at = {"fracture_on": fact.traces["diagnosed_on"]}
    return replace(fact, fields={**fields, **own}, traces={**traces, **at})


def reviewed(mappings: MappingSet, fact: Decoded, at: str, rule: str = "") -> Decoded:
    """Every value but the key waits for a person."""
    if fact.fate != "record":
        return fact
    form = mappings.study.form(fact.form)
    key = form.key
    if any(form.fields[name].required for name in fact.fields if name not in key):
        # A record is not begun by what waits, and its required values would.
        return replace(fact, fate="hold", issues=(*fact.issues, _unsure(fact.form, at, rule)))
    traces = {
        name: trace if name in key else replace(trace, review=True, rule=rule or trace.rule)
        for name, trace in fact.traces.items()
    }
    return replace(fact, traces=traces)


def _unsure(form: str, at: str, rule: str) -> Issue:
    cause = f"a {form} that is only claimed, or has no number of its own"
    remedy = "send its number (PR1-19, DG1-20) in an ADT message, or enter it as a table"
    return Issue("review", rule or cause, remedy, place=at)


def person(mappings: MappingSet, placed: Placed, shape: Shape) -> Tell:
    """Null takes a value back; that somebody lives again is a question, too."""

    def tell(asked: Asked) -> list[Decoded]:
        facts = decoded(mappings, placed, asked, {**placed.resource})
        nulls = {n for n in shape.nulls if n in ("birth_date", "death_date")}
        nulls |= {"vital_status"} if "death_date" in nulls and "dead" not in shape.items else set()
        warned = [_alive(shape.nulls["death_date"])] if "death_date" in nulls else []
        warned += [_kept(shape.nulls["sex"])] if "sex" in shape.nulls else []
        return [
            replace(f, nulls=frozenset(nulls), issues=(*f.issues, *warned))
            if nulls or warned
            else f
            for f in facts
        ]

    return tell


def _kept(at: str) -> Issue:
    cause = "the sex is taken away, and the study needs one: what was known stands"
    return Issue("review", cause, "send U where it is unknown", place=at, severity="warning")


def _alive(at: str) -> Issue:
    cause = "the sender takes a date of death back"
    return Issue("review", cause, "ask the hospital why", place=at, severity="warning")


def result(mappings: MappingSet, placed: Placed, shape: Shape, status: str, type: str) -> Tell:
    def tell(asked: Asked) -> list[Decoded]:
        facts = decoded(mappings, placed, asked)
        words = _as_word(mappings, placed, shape, asked) if _unread(facts) else None
        facts = words or facts
        if status in OPEN:
            return [reviewed(mappings, fact, placed.at, WAITS) for fact in facts]
        if status == "U" and "empty" in shape.items:
            return [_promoting(mappings, fact) for fact in facts]
        if "null" in shape.items:
            return [_nulled(mappings, fact) for fact in facts]
        if type in _TEXTS and all(_unknown(fact) for fact in facts):
            return [Decoded("refuse", (_no_rule(shape),))]
        return facts

    return tell


def _unread(facts: list[Decoded]) -> bool:
    return any(fact.fate == "hold" or failed(fact.issues) for fact in facts)


def _as_word(
    mappings: MappingSet, placed: Placed, shape: Shape, asked: Asked
) -> list[Decoded] | None:
    """A number that the field cannot hold, where it is a word of absence ("99": unable to
    respond) and came without a physical unit."""
    number = shape.get("number", None)
    if number is None or number.comparator or number.unit.strip("{}") not in _SCORES:
        return None
    other = {n: v for n, v in placed.resource.items() if n != "valueQuantity"}
    other["valueString"] = str(number.value)
    at = shape.items["number"].at
    moved = replace(placed, places=(*placed.places, ("Observation.valueString", at)))
    facts = decoded(mappings, moved, asked, other)
    absent = any(isinstance(v, Absent) for fact in facts for v in fact.fields.values())
    return facts if absent and not _unread(facts) else None


_SCORES = ("", "score", "1")


def _unknown(fact: Decoded) -> bool:
    categories = {issue.category for issue in fact.issues}
    return fact.fate != "record" and categories <= {"unknown-code", "required"}


def _no_rule(shape: Shape) -> Issue:
    codings = getattr(shape.get("code", None), "codings", ())
    told = "|".join((codings[0][2], codings[0][0])) if codings else "no code"
    return Issue("business-rule", f"{told}: a text that no rule reads", "nothing to do",
                 place=shape.at, severity="information")  # fmt: skip


def _main(mappings: MappingSet, fact: Decoded) -> str:
    files = mappings.of_form(fact.form)
    blocks = [block for file in files for block in file.blocks if block.name == fact.block]
    return blocks[0].main if blocks else ""


def _promoting(mappings: MappingSet, fact: Decoded) -> Decoded:
    """U: what waits of this result is final now, and stands in it no more."""
    absent = {n for n, v in fact.fields.items() if isinstance(v, Absent)}
    names = absent or {_main(mappings, fact)} - {""}
    fields = {n: v for n, v in fact.fields.items() if n not in names}
    issues = tuple(i for i in fact.issues if i.severity != "error")
    fate = "record" if fact.key or fields else fact.fate
    return replace(fact, fate=fate, fields=fields, issues=issues, promotes=frozenset(names))


def _nulled(mappings: MappingSet, fact: Decoded) -> Decoded:
    """A field that takes no reason of absence is taken back instead."""
    name = _main(mappings, fact)
    if fact.fate != "hold" or not name or not fact.key:
        return fact
    return replace(fact, fate="record", issues=(), nulls=frozenset({name}))
