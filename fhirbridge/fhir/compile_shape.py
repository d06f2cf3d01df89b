"""The source of the function that judges the objects of one type or backbone, `def Coding(v, s)`.

What is usual stands inline; rare types of a choice, `_name` and ids of elements are found in a
table by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

from fhirbridge.fhir import compile_element, definitions, quick
from fhirbridge.fhir.compile_rules import rules
from fhirbridge.fhir.compile_unit import Unit, identifier
from fhirbridge.fhir.definitions import Element, Shape

# Types of a choice, the most frequent first.
_FREQUENT = (
    "dateTime", "Quantity", "CodeableConcept", "integer", "boolean", "Reference", "string", "code",
    "Period", "Coding",
)  # fmt: skip
# What every type or resource has, and few objects give.
_SELDOM = frozenset(("extension", "implicitRules", "language", "modifierExtension"))
_AT_ONCE = 5  # properties that are looked for before it is asked whether any is left


def write(at: str) -> Unit:
    """The unit of a path that definitions.shape knows."""
    shape = definitions.shape(at)
    assert shape is not None
    unit = Unit()
    usual = {e.name for e in shape.properties.values() if _is_usual(e, at)}
    others = _others(shape, at, usual, unit)
    if at in definitions.resource_types():
        usual.add("resourceType")
    with unit.block(f"def {identifier(at)}(v, s):"):
        _opening(at, unit)
        _choices(shape, at, unit)
        _plain(shape, at, usual, unit)
        _rest(shape, at, frozenset(usual), unit)
        _required(shape, at, unit)
        rules(at, unit)
        if at == "Extension":
            unit.add("s.nest -= 1")
        unit.add("return True")
    unit.add("")
    unit.table(f"{identifier(at)}_other", others)
    return unit


def _is_usual(element: Element, at: str) -> bool:
    is_id = element.name == "id" and at not in definitions.resource_types()
    if element.choice:
        return element.type in _FREQUENT
    return not is_id and element.name != "contained"


def _others(shape: Shape, at: str, usual: set[str], unit: Unit) -> Mapping[str, str]:
    """Property name -> name of its function."""
    made = {}
    for element in shape.properties.values():
        if element.name not in usual:
            made[element.name] = compile_element.apart(element, at, unit)
        if definitions.primitive(element.type):
            made[f"_{element.name}"] = compile_element.shadow(element, at, unit)
    return made


def _opening(at: str, unit: Unit) -> None:
    unit.refuse_if("type(v) is not dict or not v")
    if at == "Extension":
        unit.add("s.nest += 1")
        unit.refuse_if(f"s.nest > {quick.DEEPEST_NEST}")
    unit.add(f"n = len(v){' - 1' if at in definitions.resource_types() else ''}  # to be judged")


def _plain(shape: Shape, at: str, usual: set[str], unit: Unit) -> None:
    """What is no choice, in few steps where little is given: once all is counted, nothing more is
    looked for."""
    found = [e for e in shape.properties.values() if e.name in usual and not e.choice]
    found.sort(key=lambda element: element.name in _SELDOM)  # those last, the others as they come
    for start in range(0, len(found), _AT_ONCE):
        with unit.block("if n:") if start else nullcontext():
            for element in found[start : start + _AT_ONCE]:
                compile_element.inline(element, at, unit)


def _choices(shape: Shape, at: str, unit: Unit) -> None:
    """The first of the frequent types of each choice; a second stays counted in `n`."""
    for group in dict.fromkeys(e.choice for e in shape.properties.values() if e.choice):
        members = {e.type: e for e in shape.properties.values() if e.choice == group}
        frequent = [members[kind] for kind in _FREQUENT if kind in members]
        for number, element in enumerate(frequent):
            with unit.block(f'{"elif" if number else "if"} "{element.name}" in v:'):
                compile_element.given(element, at, unit)


def _rest(shape: Shape, at: str, usual: frozenset[str], unit: Unit) -> None:
    """What was not counted down: choices, `_name`, ids, and what the type does not have."""
    name = identifier(at)
    with unit.block("if n:"):
        unit.add(f"rest = [k for k in v if k not in {unit.constant(f'{name}_usual', usual)}]")
        unit.refuse_if("len(rest) != n")  # a choice in two frequent types
        with unit.block("for k in rest:"):
            unit.add(f"check = {name}_other.get(k)")
            unit.refuse_if("check is None or not check(v[k], v, s)")
        typed = [e for e in shape.properties.values() if e.choice]
        choices = {e.name: (e.choice, e.name) for e in typed}
        choices |= {f"_{e.name}": (e.choice, e.name) for e in typed}
        if choices:
            table = unit.constant(f"{name}_choices", choices)
            test = unit.constant("one_type_each", quick.one_type_each)
            unit.refuse_if(f"not {test}(v, {table})")


def _required(shape: Shape, at: str, unit: Unit) -> None:
    for group in shape.required:
        members = [e for e in shape.properties.values() if e.group == group]
        names = [e.name for e in members]
        names += [f"_{e.name}" for e in members if definitions.primitive(e.type)]
        if len(names) > 2:
            told = unit.constant(f"NAMES_{at}_{group}", frozenset(names))
            unit.refuse_if(f"v.keys().isdisjoint({told})")
        else:
            unit.refuse_if(" and ".join(f'"{name}" not in v' for name in names))
