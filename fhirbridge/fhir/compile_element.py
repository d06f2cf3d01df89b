"""Python for one property of an object `v`: its JSON shape, its values and what its element asks.

Writes what the slow pass does for an element (validate.py, demands.py), as straight-line code.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhirbridge.fhir import codings, definitions, extensions, languages, quick
from fhirbridge.fhir.compile_primitive import not_plain_uri, refusal
from fhirbridge.fhir.compile_unit import Unit
from fhirbridge.fhir.definitions import Element

_ID_TESTS = {"Element": quick.shadow_id, "ElementDefinition": quick.element_id_again}
WITH_SYSTEM = frozenset(("Age", "Count", "Distance", "Duration", "Identifier", "Quantity"))


def inline(element: Element, at: str, unit: Unit) -> None:
    """`if "name" in v:` and what follows; `n` counts the properties not yet judged."""
    with unit.block(f'if "{element.name}" in v:'):
        given(element, at, unit)


def given(element: Element, at: str, unit: Unit) -> None:
    """What follows where the property is there."""
    unit.add("n -= 1")
    unit.add(f'x = v["{element.name}"]')
    _values(element, at, unit)


def apart(element: Element, at: str, unit: Unit) -> str:
    """A function of its own, for what is rarely given; its name."""
    name = unit.name(f"{at}__{element.name}")
    with unit.block(f"def {name}(x, v, s):"):
        if element.name == "id":
            test = _ID_TESTS.get(at, quick.element_id)
            unit.add(f"return {unit.constant(test.__name__, test)}(x, v, s)")
        else:
            _values(element, at, unit)
            unit.add("return True")
    unit.add("")
    return name


def shadow(element: Element, at: str, unit: Unit) -> str:
    """A function for `_name`, the id and extensions of a primitive; its name."""
    name = unit.name(f"{at}__{element.name}_beside")
    bound = bool(element.type == "code" and definitions.value_set(element.binding))
    places = unit.constant(
        f"PLACES_{at}__{element.name}", extensions.places("Element", element, {})
    )
    told = f"fits={unit.constant('fits', None)}, places={places}, is_bound={bound}"
    with unit.block(f"def {name}(x, v, s):"):
        unit.call("Element")
        if element.is_list:
            test = unit.constant("beside_all", quick.beside_all)
            unit.add(f'return {test}(x, v.get("{element.name}"), s, element=Element, {told})')
        else:
            test = unit.constant("beside", quick.beside)
            given = f'has_value="{element.name}" in v'
            unit.add(f"return {test}(x, s, element=Element, {given}, {told})")
    unit.add("")
    return name


def _values(element: Element, at: str, unit: Unit) -> None:
    if not element.is_list:
        unit.refuse_if(" or ".join(_faults(element, at, "x", unit)))
        return
    unit.refuse_if("type(x) is not list or not x")
    with unit.block("for one in x:"):
        if (element.type, at) == ("Coding", "CodeableConcept"):
            _coding_of_concept(unit)
            return
        fault = " or ".join(_faults(element, at, "one", unit))
        if definitions.primitive(element.type):
            with unit.block(f"if {fault}:"):
                unit.refuse_if(f'one is not None or "_{element.name}" not in v')
        else:
            unit.refuse_if(fault)


def _coding_of_concept(unit: Unit) -> None:
    """A Coding `one`, which is remembered where it is no more than system, code and display."""
    seen, learn = unit.constant("seen_codings", None), unit.constant("new_coding", None)
    right = unit.constant("right_code", quick.right_code)
    check = unit.call("Coding")
    unit.refuse_if("type(one) is not dict")
    unit.add('c = one.get("code")')
    with unit.block(f"if type(c) is str and {seen}.get(c) == one:"):
        unit.add("continue")
    unit.refuse_if(f"not {check}(one, s) or c is not None and not {right}(one)")
    unit.add(f"{learn}(one)")


def _faults(element: Element, at: str, x: str, unit: Unit) -> Iterator[str]:
    """Conditions that hold of every wrong value."""
    if element.name == "system" and at in WITH_SYSTEM:
        yield not_plain_uri(x, f"absolute({x}, s)", unit)
    elif definitions.primitive(element.type):
        yield refusal(element, x, unit)
        if element.name == "language" and at in definitions.resource_types():
            yield f"not {unit.constant('is_tag', languages.is_tag)}({x})"
    elif element.type == "Resource":
        name = "held" if element.name == "contained" else "whole"
        yield f"not {unit.constant(name, None)}({x}, s)"
    elif element.type == "Coding" and at != "CodeableConcept":
        told = unit.constant(f"ELEMENT_{at}_{element.name}", element)
        check, alone = unit.call("Coding"), unit.constant("right_alone", None)
        yield f"not {alone}({x}, {check}, {told}, s)"
        yield from _demands(element, at, x, unit)
    elif element.type == "Reference":
        yield _not_pointing(element, at, x, unit)
    else:
        check = unit.call(element.path)
        if _holds_itself(element, at):
            yield f"not {unit.constant('deeper', quick.deeper)}({check}, {x}, s)"
        else:
            yield f"not {check}({x}, s)"
        yield from _demands(element, at, x, unit)


def _not_pointing(element: Element, at: str, x: str, unit: Unit) -> str:
    """Not a plain reference alone, nor another that is right."""
    targets = unit.constant(f"TARGETS_{at}_{element.name}", element.targets)
    aimed = unit.constant(f"at_{targets}", quick.plain_reference(element.targets))
    alone = f'type({x}) is dict and len({x}) == 1 and type({x}.get("reference")) is str'
    plain = f'{alone} and {aimed}({x}["reference"])'
    check, points = unit.call("Reference"), unit.constant("points", quick.points)
    return f"not ({plain}) and not ({check}({x}, s) and {points}({x}, {targets}, s))"


def _holds_itself(element: Element, at: str) -> bool:
    inner = element.type == "" and element.path != f"{at}.{element.name}"
    return inner or (at, element.name) == ("Reference", "identifier")


def _demands(element: Element, at: str, x: str, unit: Unit) -> Iterator[str]:
    kind = element.type
    if kind == "Extension" and at != "Element":  # in Element the place is told by the caller
        if at == "Extension":
            yield f"not {unit.constant('fits_inside', None)}({x}, v, s)"
        else:
            places = unit.constant(f"PLACES_{at}", _places(at))
            modifier = element.name == "modifierExtension"
            yield f"not {unit.constant('fits', None)}({x}, {places}, {modifier}, s)"
    elif kind == "Quantity" and element.profile == "SimpleQuantity":
        yield f'"comparator" in {x} or "_comparator" in {x}'
    if kind in codings.CODED - {"Coding"}:
        yield f'"code" in {x} and not {unit.constant("right_unit", quick.right_unit)}({x})'
    if kind in ("CodeableConcept", "Coding"):
        bound = definitions.value_set(element.binding)
        if bound is not None:
            systems = unit.constant(f"SET_{bound.url.rpartition('/')[2]}", bound.systems)
            test = quick.in_set if kind == "CodeableConcept" else quick.coding_in_set
            yield f"not {unit.constant(test.__name__, test)}({x}, {systems})"


def _places(at: str) -> frozenset[str]:
    """The contexts that fit wherever an object of the type or backbone stands; others may too."""
    if at in definitions.resource_types():
        return frozenset(extensions.places(at, None, {}))
    return frozenset((at, "BackboneElement")) if "." in at else frozenset((at,))
