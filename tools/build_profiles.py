"""Writes fhirbridge/fhir/profiles.json and extensions.json from the snapshots of HL7's packages.

Usage: python -m tools.build_profiles CORE PACKAGE..., npm packages as .tgz or unpacked folder; of
two with one URL the later wins. CORE is hl7.fhir.r4.examples 4.0.1. Keeps what a profile asks
beyond its type (https://hl7.org/fhir/R4/profiling.html); `Writer.node` says in which words.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tools import snapshots
from tools.build_r4 import TARGET, Definition, render
from tools.snapshots import Node, Packages, tree

Rule = dict[str, str]
Test = dict[str, Any]

FOLDER = TARGET.parent
TOLD_BY_THE_TYPE = frozenset(("ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6"))


class Writer:
    """Turns definitions into entries of the two files, and collects their invariants."""

    def __init__(self, packages: Packages) -> None:
        self.packages = packages
        self.rules: dict[str, list[Rule]] = defaultdict(list)

    def entry(self, one: Definition) -> dict[str, Any]:
        made: dict[str, Any] = {
            "type": one["type"],
            "title": one.get("title", one["name"]),
            "source": self.packages.of[one["url"]],
            "base": one["baseDefinition"],
        }
        if one["type"] == "Extension":
            contexts = (c for c in one.get("context", []) if snapshots.of_r4(c))
            made["context"] = [[c["type"], c["expression"]] for c in contexts]
            if one["snapshot"]["element"][0].get("isModifier"):
                made["modifier"] = True
            if one.get("contextInvariant"):
                made["contextInvariants"] = one["contextInvariant"]
        root = tree(one["snapshot"]["element"])
        made["node"] = self.node(root, one["type"])
        return made

    def node(self, node: Node, path: str, *, sliced: bool = False) -> dict[str, Any]:
        """What the element asks for beyond the base element at `path`; {}: nothing."""
        element, base = node.element, self.base(path)
        made = snapshots.limits(element, base, sliced=sliced)
        types = snapshots.types(element)
        if types and ((sliced and path.endswith("[x]")) or set(types) < set(snapshots.types(base))):
            made["types"] = types
        made |= (
            snapshots.values(element)
            | snapshots.type_profiles(element, base)
            | snapshots.binding(element, base)
        )
        if "binding" in made and len(types) > 1:
            made["binding"]["coded"] = True
        if element.get("mustSupport"):
            made["mustSupport"] = True
        rules = [self.rule(c) for c in self.own_rules(element, base, types)]
        if rules:
            made["rules"] = rules
        under = self.packages.children(path, types) if node.children or node.slices else ""
        children = {
            name: self.node(child, f"{under}.{name}") for name, child in node.children.items()
        }
        children = {name: child for name, child in children.items() if child}
        if children:
            made["children"] = children
        if node.slices:
            made |= self.sliced(node, path)
        return made

    def base(self, path: str) -> Definition:
        return self.packages.types.get(path.split(".")[0], {}).get(path, {})

    # -- slices

    def sliced(self, node: Node, path: str) -> dict[str, Any]:
        told = node.element.get("slicing", {})
        by = [(d["type"], d["path"]) for d in told.get("discriminator", [])]
        slices = []
        for name, child in node.slices.items():
            matches = [test for kind, steps in by for test in self.tests(child, kind, steps)]
            slices.append({"name": name, "match": matches, **self.node(child, path, sliced=True)})
        slicing: dict[str, Any] = {"by": [list(d) for d in by], "rules": told.get("rules", "open")}
        if told.get("ordered"):
            slicing["ordered"] = True
        return {"slicing": slicing, "slices": slices}

    def tests(self, child: Node, kind: str, steps: str) -> list[Test]:
        """What an item must hold to be in the slice, for one discriminator."""
        names = [s for s in steps.removeprefix("$this").strip(".").split(".") if s]
        return self.walked(child, kind, names, [])

    def walked(self, at: Node, kind: str, names: list[str], done: list[str]) -> list[Test]:
        """The tests at the end of the path `names`, which may end early in a fixed whole."""
        if not names:
            return self.criteria(at, kind, done)
        held = snapshots.values(at.element)
        if held and kind in ("value", "pattern"):
            return [{"path": done, **held}]
        name, *others = names
        told = at.element.get("type", [])
        profiles = [url for one in told for url in one.get("profile", [])]
        if name == "url" and profiles and told[0]["code"] == "Extension":
            return [{"path": [*done, name], "fixed": profiles[0].split("|")[0]}]
        if name == "resolve()":
            profiles = [url for one in told for url in one.get("targetProfile", [])]
            if not others:
                return self.criteria(at, kind, [*done, name])
        ways = [_child(at, name), *(self.profiled(url, name) for url in profiles)]
        for way in [node for node in ways if node is not None]:
            for node in (way, *way.slices.values()):
                found = self.walked(node, kind, others, [*done, name])
                if found:
                    return found
        return [{"path": [*done, name], "exists": True}] if kind == "exists" else []

    def profiled(self, url: str, name: str) -> Node | None:
        """The element in the profile of the value's own type, or of its target."""
        told = self.packages.definitions.get(url.split("|")[0], {})
        if told.get("derivation") != "constraint" or "snapshot" not in told:
            return None
        root = tree(told["snapshot"]["element"])
        return root if name == "resolve()" else _child(root, name)

    def criteria(self, at: Node, kind: str, walked: list[str]) -> list[Test]:
        told = at.element.get("type", [])
        if kind == "exists":
            return [{"path": walked, "exists": at.element["max"] != "0"}]
        if kind == "type":
            if walked[-1:] == ["resolve()"]:
                wanted = [p for t in told for p in t.get("targetProfile", [])]
                return [{"path": walked, "profiles": wanted}]
            return [{"path": walked, "types": snapshots.types(at.element)}]
        if kind == "profile":
            wanted = [p for t in told for p in t.get("targetProfile", t.get("profile", []))]
            return [{"path": walked, "profiles": wanted}]
        held = snapshots.values(at.element)
        if held:
            return [{"path": walked, **held}]
        binding = at.element.get("binding", {})
        if binding.get("strength") == "required":
            return [{"path": walked, "valueSet": binding["valueSet"].split("|")[0]}]
        deeper = [
            test
            for name, c in at.children.items()
            for test in self.criteria(c, kind, [*walked, name])
        ]
        return deeper

    # -- invariants

    def own_rules(
        self, element: Definition, base: Definition, types: Sequence[str]
    ) -> Iterator[Definition]:
        """The constraints that neither the base element nor the element's type has."""
        known = {c["key"] for c in base.get("constraint", [])} | TOLD_BY_THE_TYPE
        for name in types:
            root = self.packages.types.get(name, {}).get(name, {})
            known |= {c["key"] for c in root.get("constraint", [])}
        return (c for c in element.get("constraint", []) if c["key"] not in known)

    def rule(self, constraint: Definition) -> str:
        """The rule's key; told apart by its element where two expressions share a key."""
        expression = " ".join(constraint["expression"].split())
        key: str = constraint["key"]
        known = self.rules[key]
        for number, rule in enumerate(known, start=1):
            if rule["expression"] == expression:
                return _numbered(key, number)
        human = constraint["human"]
        known.append({"severity": constraint["severity"], "human": human, "expression": expression})
        return _numbered(key, len(known))

    def invariants(self) -> dict[str, Rule]:
        return {
            _numbered(key, number): rule
            for key, told in sorted(self.rules.items())
            for number, rule in enumerate(told, start=1)
        }


def _child(node: Node, name: str) -> Node | None:
    return node.children.get(name) or node.children.get(f"{name}[x]")


def _numbered(key: str, number: int) -> str:
    return key if number == 1 else f"{key}#{number}"


def build(packages: Packages) -> tuple[dict[str, Any], dict[str, Any]]:
    """The contents of profiles.json and extensions.json."""
    writer = Writer(packages)
    profiles: dict[str, Any] = {}
    extensions: dict[str, Any] = {}
    for one in packages.constraints():
        wanted = extensions if one["type"] == "Extension" else profiles
        wanted[one["url"]] = writer.entry(one)
    note = "made by tools/build_profiles.py from HL7's definitions; do not edit"
    header = {"sources": packages.sources, "note": note}
    rules = writer.invariants()
    return (
        {"header": header, "invariants": rules, "profiles": profiles},
        {"header": header, "extensions": extensions},
    )


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        print("usage: build_profiles.py CORE PACKAGE...", file=sys.stderr)
        return 2
    contents = build(Packages([Path(place) for place in arguments]))
    for name, content in zip(("profiles.json", "extensions.json"), contents, strict=True):
        text = render(content)
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"{name}: {len(text.encode())} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
