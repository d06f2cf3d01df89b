"""The source of the function that judges a resource or value by a profile, `def <url>(v0, s)`.

Writes what profiles.py does with a node of profiles.json or extensions.json, as straight-line code;
what cannot be written makes the function refuse, which leaves it to the slow pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fhirbridge.fhir import compile_slices, definitions, items, packages, profiles
from fhirbridge.fhir import quick_profile as quick
from fhirbridge.fhir.compile_unit import Unit, identifier
from fhirbridge.fhir.definitions import Element
from fhirbridge.fhir.packages import Node
from fhirbridge.fhir.profile_invariants import RULES
from fhirbridge.fhir.quick import plain_reference


def write(url: str) -> Unit:
    """The unit of a known profile or extension."""
    unit = Unit()
    told = packages.profile(url) or packages.extension(url)
    assert told is not None
    with unit.block(f"def {identifier(url)}(v0, s):"):
        kind = told["type"]
        write_item(told["node"], kind, kind, "v0", unit)
        if kind == "Extension":
            parts = unit.constant("PARTS_" + url, _parts(told["node"]))
            unit.constant("known_parts", quick.known_parts)
            unit.refuse_if(f'"extension" in v0 and not known_parts(v0, {parts})')
        unit.add("return True")
    return unit


def _parts(node: Node) -> Mapping[str, Any]:
    """Url -> the parts of that part; None where the definition says nothing below it."""
    slices = node.get("children", {}).get("extension", {}).get("slices", ())
    return {_url(one): _parts(one) if "children" in one else None for one in slices}


def _url(one: Node) -> str:
    return next((str(t["fixed"]) for t in one["match"] if t["path"] == ["url"]), "")


# -- what asks for an error


def binds(binding: Mapping[str, str] | None) -> list[str]:
    """The value sets that a value must not be out of."""
    if binding is None:
        return []
    required = [binding["valueSet"]] if binding["strength"] == "required" else []
    return required + ([binding["most"]] if "most" in binding else [])


def _judged(node: Node) -> list[str]:
    """Keys of the rules whose failure is an error."""
    keys = (key for key in node.get("rules", ()) if key in RULES)
    return [key for key in keys if packages.invariant(key)["severity"] != "warning"]


def asks_item(node: Node) -> bool:
    """Anything of each single value."""
    shaped = any(kind != "Extension" for kind in node.get("profiles", {}))
    if shaped or binds(node.get("binding")) or _judged(node):
        return True
    if any(key in node for key in ("types", "fixed", "pattern", "targets")):
        return True
    return any(asks(child) for child in node.get("children", {}).values())


def asks(node: Node) -> bool:
    """Anything at all that a resource could break."""
    if node.get("min") or node.get("max", "*") != "*" or asks_item(node):
        return True
    closed = node.get("slicing", {}).get("rules") == "closed"
    return closed or any(asks(one) for one in node.get("slices", ()))


# -- one value


def write_item(node: Node, kind: str, at: str, x: str, unit: Unit) -> None:
    """Refusals of the value `x`, of a type and a place in r4.json, by what its node asks."""
    if "types" in node and kind not in node["types"]:
        unit.add("return False")
        return
    if kind == "Resource" and asks_item(node):
        unit.add("return False")  # which profile of which type: the slow pass
        return
    _wanted(node, x, unit)
    coded = "coded" not in node.get("binding", {}) or kind in ("CodeableConcept", "Coding", "code")
    for url in binds(node.get("binding")) if coded else ():
        unit.refuse_if(compile_slices.out_of(url, kind, x, unit))
    for key in _judged(node):
        _rule(key, kind, at, x, unit)
    _shaped(node, kind, x, unit)
    if kind == "Reference" and "targets" in node:
        urls = unit.constant(f"URLS_{_listed(node['targets'])}", tuple(node["targets"]))
        types = frozenset(profiles.target_type(url) for url in node["targets"]) - {""}
        known = unit.constant(f"TYPES_{_listed(node['targets'])}", types)
        aimed = f"not {unit.constant('aims', None)}({x}, {known}, {urls}, s)"
        if types:  # to be found elsewhere, as most are
            plain = unit.constant(f"at_{known}", plain_reference(types))
            aimed = f'not (s.entries is None and {plain}({x}.get("reference", ""))) and {aimed}'
        unit.refuse_if(aimed)
    for name, child in node.get("children", {}).items():
        if definitions.primitive(kind):
            if child.get("min"):  # what is beside a value was refused already
                unit.add("return False")
        elif asks(child):
            _element(child, at, name, x, unit)


def _listed(urls: Sequence[str]) -> str:
    return "_or_".join(url.removeprefix(profiles.BASE) for url in urls)


def _wanted(node: Node, x: str, unit: Unit) -> None:
    if "fixed" in node:
        unit.refuse_if(f"not {compile_slices.same(node['fixed'], x, unit)}")
    if "pattern" in node:
        unit.refuse_if(f"not {compile_slices.holds(node['pattern'], x, unit)}")


def _rule(key: str, kind: str, at: str, x: str, unit: Unit) -> None:
    rule = unit.constant(f"rule_{key}", RULES[key])
    item = unit.constant("Item", items.Item)
    unit.constant("ANSWERS", quick.ANSWERS)
    unit.constant("has_modality", quick.has_modality)
    surely = quick.surely(key, kind)
    told = f'{rule}({item}({x}, {{}}, "{kind}", "{at}", ""), s.surroundings)'
    unit.refuse_if(f"not ({surely.format(x=x)}) and not {told}" if surely else f"not {told}")


def _shaped(node: Node, kind: str, x: str, unit: Unit) -> None:
    urls = node.get("profiles", {}).get(kind, ())
    if kind == "Extension" or not urls:
        return
    known = [url for url in urls if packages.profile(url) is not None]
    if len(urls) == 1 and known:
        unit.refuse_if(f"not {unit.call(urls[0])}({x}, s)")
    elif len(urls) > 1:
        unit.add("return False")  # one of several: the slow pass


# -- all values of one element


def _element(node: Node, at: str, name: str, x: str, unit: Unit) -> None:
    bare = name.removesuffix("[x]")
    shape = definitions.shape(at)
    found = [e for e in shape.properties.values() if e.group == bare] if shape else []
    if not found:
        unit.add("return False")  # below a resource of any type
        return
    if found[0].choice:
        _choice(node, found, at, x, unit)
    else:
        if definitions.primitive(found[0].type):
            unit.refuse_if(f'"_{found[0].name}" in {x}')
        _plain(node, found[0], x, unit)


def _none_of(found: Sequence[Element], but: Sequence[Element], x: str, unit: Unit) -> None:
    """None of a choice's properties is there but those of some types, and nothing beside any."""
    names = [e.name for e in found if e not in but]
    names += [f"_{e.name}" for e in found if definitions.primitive(e.type)]
    choice = f"{found[0].owner}_{found[0].choice}"
    without = [e for e in found if e not in but]
    told = f"NO_{choice}_BUT_" if len(but) <= len(without) else f"NO_{choice}_OF_"
    told += "_".join(e.type for e in min(but, without, key=len))
    if names:
        told = unit.constant(told, frozenset(names))
        unit.refuse_if(f"not {x}.keys().isdisjoint({told})")


def _plain(node: Node, element: Element, x: str, unit: Unit) -> None:
    name, y = element.name, f"v{int(x[1:]) + 1}"
    least, most = node.get("min", 0), node.get("max", "*")
    if most == 0:
        unit.refuse_if(f'"{name}" in {x}')
        return
    if least == 1:
        unit.refuse_if(f'"{name}" not in {x}')
    elif least:
        unit.refuse_if(f'len({x}.get("{name}", ())) < {least}')
    if most != "*" and element.is_list:
        unit.refuse_if(f'len({x}.get("{name}", ())) > {most}')
    if ("slices" in node and (asks_item(node) or any(asks(s) for s in node["slices"]))) or (
        "slices" in node and node["slicing"]["rules"] == "closed"
    ):
        compile_slices.write(node, element, x, unit, write_item)
    elif asks_item(node):
        values = f'{x}.get("{name}", ())' if element.is_list else f'({x}["{name}"],)'
        with unit.block(f"for {y} in {values}:" if element.is_list else f'if "{name}" in {x}:'):
            if not element.is_list:
                unit.add(f'{y} = {x}["{name}"]')
            write_item(node, element.type, element.path, y, unit)
            unit.add("pass")


def _choice(node: Node, found: Sequence[Element], at: str, x: str, unit: Unit) -> None:
    """Of a choice the slices are one for each type; another kind is left to the slow pass."""
    slices = node.get("slices", ())
    if node.get("min") or any(one.get("min") for one in slices):
        names = frozenset(e.name for e in found)
        told = unit.constant(f"ANY_{at}_{found[0].choice}", names)
        unit.refuse_if(f"{x}.keys().isdisjoint({told})")
    allowed = [e for e in found if "types" not in node or e.type in node["types"]]
    if node.get("max", "*") == 0 or not all(compile_slices.is_by_type(one) for one in slices):
        allowed = []
    _none_of(found, allowed, x, unit)
    for element in allowed:
        of_slices = [s for s in slices if element.type in s["match"][0]["types"]]
        _typed(node, of_slices[0] if of_slices else None, element, x, unit)


def _typed(node: Node, of_slice: Node | None, element: Element, x: str, unit: Unit) -> None:
    chosen = node if of_slice is None else of_slice
    closed = "slices" in node and node["slicing"]["rules"] == "closed" and of_slice is None
    full = of_slice is not None and of_slice.get("max", "*") == 0
    others = [s for s in node.get("slices", ()) if s is not of_slice and s.get("min")]
    if closed or full or others:
        unit.refuse_if(f'"{element.name}" in {x}')
    elif asks_item(chosen):
        y = f"v{int(x[1:]) + 1}"
        with unit.block(f'if "{element.name}" in {x}:'):
            unit.add(f'{y} = {x}["{element.name}"]')
            write_item(chosen, element.type, element.path, y, unit)
