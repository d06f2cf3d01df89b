"""Python for slices, and for the comparisons that profiles make: fixed, pattern, value set.

Conditions mean exactly what slicing.py means by them: they decide to which slice an item goes
(https://hl7.org/fhir/R4/profiling.html#slicing).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fhirbridge.fhir import codings, definitions, items, packages, quick
from fhirbridge.fhir import quick_profile as profile_tests
from fhirbridge.fhir.compile_unit import Unit
from fhirbridge.fhir.definitions import Element
from fhirbridge.fhir.packages import Node

WriteItem = Callable[[Node, str, str, str, Unit], None]
_FOREIGN = ("http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org")


def is_by_type(one: Node) -> bool:
    match = one["match"]
    return len(match) == 1 and match[0]["path"] == [] and "types" in match[0]


def write(node: Node, element: Element, x: str, unit: Unit, write_item: WriteItem) -> None:
    """Sorts each value into its slice; counts the slices."""
    y = f"v{int(x[1:]) + 1}"
    tests = [_fits(one, element, y, unit) for one in node["slices"]]
    if None in tests or node["slicing"].get("ordered") or not element.is_list:
        unit.refuse_if(f'"{element.name}" in {x}')
        tests = []
    counters = [f"{y}_in_{number}" for number in range(len(tests))]
    for counter in counters:
        unit.add(f"{counter} = 0")
    with unit.block(f'for {y} in {x}.get("{element.name}", ()):'):
        for number, (one, test) in enumerate(zip(node["slices"], tests, strict=False)):
            with unit.block(f"{'elif' if number else 'if'} {test}:  # {one['name']}"):
                unit.add(f"{counters[number]} += 1")
                unit.known = frozenset((str(test)[1:-1],))
                write_item(one, element.type, element.path, y, unit)
                unit.known = frozenset()
        with unit.block("else:" if tests else "if True:"):
            if node["slicing"]["rules"] == "closed":
                unit.add("return False")
            write_item(node, element.type, element.path, y, unit)
            unit.add("pass")
    _counts(node["slices"], counters, unit)


def _counts(slices: Sequence[Node], counters: Sequence[str], unit: Unit) -> None:
    for one, counter in zip(slices, counters, strict=False):
        least, most = one.get("min", 0), one.get("max", "*")
        if least:
            unit.refuse_if(f"{counter} < {least}")
        if most != "*":
            unit.refuse_if(f"{counter} > {most}")
    if not counters and any(one.get("min") for one in slices):
        unit.add("return False")


def _fits(one: Node, element: Element, y: str, unit: Unit) -> str | None:
    """The condition that `y` is in the slice; None where it cannot be written."""
    tests = [_test(test, element.type, element.path, y, unit) for test in one["match"]]
    if any(test is None for test in tests):
        return None
    return " and ".join(f"({test})" for test in tests) if tests else "False"


def _test(test: Mapping[str, Any], kind: str, at: str, y: str, unit: Unit) -> str | None:
    if "exists" in test or "profiles" in test:
        return None
    return _at(test["path"], test, kind, at, y, unit)


def _at(
    steps: Sequence[str], test: Mapping[str, Any], kind: str, at: str, y: str, unit: Unit
) -> str | None:
    """That any value at the end of the steps meets the test."""
    if not steps:
        return _meets(test, kind, y, unit)
    shape = definitions.shape(at)
    element = shape.properties.get(steps[0]) if shape else None
    if element is None:  # a choice, resolve(), or below a resource of any type
        return None
    if element.is_list:
        inner = _at(steps[1:], test, element.type, element.path, "c", unit)
        return inner and f'any({inner} for c in {y}.get("{element.name}", ()))'
    below = f'{y}["{element.name}"]'
    inner = _at(steps[1:], test, element.type, element.path, below, unit)
    return inner and f'"{element.name}" in {y} and {inner}'


def _meets(test: Mapping[str, Any], kind: str, y: str, unit: Unit) -> str | None:
    if "types" in test:
        if kind == "Resource":
            types = unit.constant(f"KINDS_{'_'.join(test['types'])}", frozenset(test["types"]))
            return f'{y}.get("resourceType") in {types}'
        return str(kind in test["types"])
    if "valueSet" in test:
        return _in(test["valueSet"], kind, y, unit)
    if "fixed" in test:
        return same(test["fixed"], y, unit)
    return holds(test["pattern"], y, unit)


# -- comparisons


def same(fixed: Any, x: str, unit: Unit) -> str:
    if isinstance(fixed, str):
        return f"({x} == {fixed!r})"
    return f"{unit.constant('same', items.same)}({x}, {fixed!r})"


def holds(pattern: Any, x: str, unit: Unit) -> str:
    if isinstance(pattern, str):
        return f"({x} == {pattern!r})"
    match pattern:
        case {"coding": [{"system": str(system), "code": str(code), **more}], **others}:
            if not more and not others:
                test = unit.constant("has_coding", profile_tests.has_coding)
                return f"{test}({x}, {system!r}, {code!r})"
    return f"{unit.constant('holds', items.holds)}({x}, {pattern!r})"


def _members(url: str) -> Mapping[str, frozenset[str]] | None:
    told = packages.value_set(url)
    if told is None:
        return None
    made = {}
    for system, codes in told["codes"].items():
        known = packages.code_system(system) or {"codes": ()}
        made[system] = frozenset(known["codes"] if codes is True else codes)
    return made


def _surely_in(url: str, kind: str, x: str, unit: Unit) -> str:
    """A condition that the value is in the set; where it does not hold, it may be all the same."""
    members = _members(url) or {}
    name = f"VS_{url.partition('|')[0]}"
    if kind == "CodeableConcept":
        return f"{unit.constant('in_set', quick.in_set)}({x}, {unit.constant(name, members)})"
    if kind in codings.CODED:
        test = unit.constant("coding_in_set", quick.coding_in_set)
        return f"{test}({x}, {unit.constant(name, members)})"
    if kind == "code":
        codes = frozenset().union(*members.values())
        return f"{x} in {unit.constant(f'CODES_OF_{name}', codes)}"
    return "False"


def _in(url: str, kind: str, x: str, unit: Unit) -> str:
    told = packages.value_set(url) or {"codes": ()}
    any_case = any((packages.code_system(s) or {}).get("anyCase") for s in told["codes"])
    if not any_case and (kind == "CodeableConcept" or kind in codings.CODED):
        return _surely_in(url, kind, x, unit)  # and nothing else is
    exact = unit.constant("of_value", codings.of_value)
    return f"({_surely_in(url, kind, x, unit)} or {exact}({x}, {kind!r}, {url!r}) == 'in')"


def out_of(url: str, kind: str, x: str, unit: Unit) -> str:
    exact = unit.constant("of_value", codings.of_value)
    told = f"not {_surely_in(url, kind, x, unit)} and {exact}({x}, {kind!r}, {url!r}) == 'out'"
    if kind == "CodeableConcept" and (open_systems := _open(url)):
        test = unit.constant("has_system", profile_tests.has_system)
        systems = unit.constant(f"OPEN_{url.partition('|')[0]}", open_systems)
        return f"not {test}({x}, {systems}) and {told}"
    return told


def _open(url: str) -> frozenset[str]:
    """Systems of which no code is out of the set, whatever it is."""
    told = packages.value_set(url) or {"codes": {}}
    systems = {*told.get("open", ()), *told["codes"], *_FOREIGN} - {"*"}
    probes = ({"system": system, "code": "\x00"} for system in systems)
    return frozenset(p["system"] for p in probes if codings.of_coding(p, url) == "undecided")
