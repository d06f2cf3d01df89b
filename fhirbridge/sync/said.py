"""What one resource says of one record: its facts put together.

The scores of a questionnaire are facts of their own and one record, which is judged as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fhirbridge.mapping.decode import Decoded
from fhirbridge.mapping.read_row import Trace
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue, failed
from fhirbridge.study.values import Value, has_value


@dataclass(frozen=True, slots=True)
class Said:
    """`rule` is the block that read it, or the form where several did. `unread`: the fields of
    which the resource may say more than could be read."""

    form: str
    key: str
    rule: str
    fields: Mapping[str, Value]
    traces: Mapping[str, Trace]
    issues: tuple[Issue, ...]
    unread: frozenset[str]
    patient: Mapping[str, Any] | None
    nulls: frozenset[str] = frozenset()  # the fields whose values are taken back
    promotes: frozenset[str] = frozenset()  # those of which what waits is final now


def together(mappings: MappingSet, facts: Iterable[Decoded]) -> list[Said]:
    """Of each record that the facts are about what they say of it, in their order."""
    given = list(facts)
    groups: dict[tuple[str, str], list[Decoded]] = {}
    for fact in given:
        if fact.fate == "record":
            groups.setdefault((fact.form, fact.key), []).append(fact)
    return [
        _said(mappings, own, [*own, *_held(given, form, key)])
        for (form, key), own in groups.items()
    ]


def _held(facts: list[Decoded], form: str, key: str) -> list[Decoded]:
    """What waits and is, or may be, about the same record."""
    return [f for f in facts if f.fate == "hold" and f.form in ("", form) and f.key in ("", key)]


def _said(mappings: MappingSet, own: list[Decoded], all_of_it: list[Decoded]) -> Said:
    first = own[0]
    fields, traces, two_ways = _united(own)
    unread: set[str] = set()
    for fact in all_of_it:
        if fact.fate == "hold" or failed(fact.issues):
            unread |= _fields(mappings, fact)
    one_block = {fact.block for fact in own} == {first.block}
    return Said(
        form=first.form,
        key=first.key,
        rule=first.block if one_block else first.form,
        fields={name: value for name, value in fields.items() if name not in two_ways},
        traces=traces,
        issues=tuple(dict.fromkeys([*(i for f in own for i in f.issues), *two_ways.values()])),
        unread=frozenset(unread | two_ways.keys()),
        patient=first.patient,
        nulls=frozenset().union(*(fact.nulls for fact in own)),
        promotes=frozenset().union(*(fact.promotes for fact in own)),
    )


def _united(
    own: list[Decoded],
) -> tuple[dict[str, Value], dict[str, Trace], dict[str, Issue]]:
    """Fields, their traces, and why a field is none; a value goes before a reason of absence."""
    fields: dict[str, Value] = {}
    traces: dict[str, Trace] = {}
    two_ways: dict[str, Issue] = {}
    for fact in own:
        for name, value in fact.fields.items():
            before = fields.get(name)
            if not has_value(before):
                fields[name], traces[name] = value, fact.traces[name]
            elif has_value(value) and value != before:
                cause = f"{name} is said in two ways"
                remedy = "a person decides, or the sender divides the resource"
                at = fact.traces[name].expression
                two_ways[name] = Issue("business-rule", cause, remedy, at)
    return fields, traces, two_ways


def _fields(mappings: MappingSet, fact: Decoded) -> set[str]:
    """The fields that the fact's block may give."""
    files = mappings.of_form(fact.form)
    blocks = [block for file in files for block in file.blocks if block.name == fact.block]
    named = {name for block in blocks for name in block.fields}
    form = mappings.study.forms.get(fact.form)
    return named or ({*form.fields} if form else set())
