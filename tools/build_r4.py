"""Writes fhirbridge/fhir/r4.json, the R4 element trees, from HL7's own StructureDefinitions.

Usage: build_r4.py PACKAGE, the npm package hl7.fhir.r4.examples 4.0.1 as .tgz or unpacked folder.
Follows https://hl7.org/fhir/R4/structuredefinition.html; takes no profile and no example.
"""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Definition = dict[str, Any]

TARGET = Path(__file__).resolve().parent.parent / "fhirbridge" / "fhir" / "r4.json"
WANTED = ("StructureDefinition-", "ValueSet-", "CodeSystem-", "package.json")
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
PREFIX = "http://hl7.org/fhir/StructureDefinition/"
INLINE = ("BackboneElement", "Element")
LINED = ("elements", "valueSets", "invariants", "profiles", "extensions", "codeSystems")


def read_package(place: Path) -> dict[str, Definition]:
    """The definitions of the package by file name."""
    if place.is_dir():
        files = sorted(place.glob("*.json"))
        return {f.name: json.loads(f.read_bytes()) for f in files if f.name.startswith(WANTED)}
    return dict(sorted(_read_archive(place)))


def _read_archive(place: Path) -> Iterator[tuple[str, Definition]]:
    with tarfile.open(place) as archive:
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            content = archive.extractfile(member) if name.startswith(WANTED) else None
            if content is not None and folder == "package":
                yield name, json.loads(content.read())


def build(files: dict[str, Definition]) -> dict[str, Any]:
    """The content of r4.json: header, type lists, elements by path, codes of the required sets."""
    types = sorted(
        (d for d in _of_type(files, "StructureDefinition") if _is_type(d)), key=lambda d: d["id"]
    )
    elements: dict[str, dict[str, Any]] = {}
    for definition in types:
        if definition["kind"] != "primitive-type":
            elements |= element_tree(definition)
    bound = {
        e["binding"] for children in elements.values() for e in children.values() if "binding" in e
    }
    package = files["package.json"]
    return {
        "header": {
            "source": f"{package['name']} {package['version']}",
            "licence": package["license"],
            "note": "HL7 FHIR R4, made by tools/build_r4.py; do not edit",
        },
        "resources": [d["id"] for d in types if d["kind"] == "resource"],
        "primitives": [d["id"] for d in types if d["kind"] == "primitive-type"],
        "elements": elements,
        "valueSets": value_sets(files, sorted(bound)),
    }


def _of_type(files: dict[str, Definition], resource_type: str) -> Iterator[Definition]:
    return (d for d in files.values() if d.get("resourceType") == resource_type)


def _is_type(definition: Definition) -> bool:
    kinds = ("resource", "complex-type", "primitive-type")
    if definition["id"] == "Element":  # what stands in `_birthDate`
        return True
    return (
        definition["kind"] in kinds
        and definition.get("derivation") == "specialization"
        and not definition["abstract"]
    )


def element_tree(definition: Definition) -> dict[str, dict[str, Any]]:
    """The children of the type and of each of its inline parts: path -> name -> element."""
    tree: dict[str, dict[str, Any]] = {definition["id"]: {}}
    for element in definition["snapshot"]["element"][1:]:
        parent, _, name = element["path"].rpartition(".")
        tree.setdefault(parent, {})[name] = _element(element, kind=definition["kind"])
    return tree


def _element(element: Definition, *, kind: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if element["min"]:
        made["min"] = element["min"]
    if element["max"] != "1":
        made["max"] = element["max"] if element["max"] == "*" else int(element["max"])
    if (element["base"]["max"] == "*") != (element["max"] == "*"):
        raise ValueError(f"{element['path']} is a list in its base type only")
    if "contentReference" in element:
        made["content"] = element["contentReference"].removeprefix("#")
        return made
    types = [_type_code(t, element["path"], kind=kind) for t in element["type"]]
    if types[0] not in INLINE:
        made["types"] = types
    made |= _references(element["type"])
    binding = element.get("binding", {})
    strength = {"required": "binding", "extensible": "extensible"}.get(binding.get("strength", ""))
    if strength and "valueSet" in binding:
        made[strength] = binding["valueSet"].split("|")[0]
    return made


def _type_code(element_type: Definition, path: str, *, kind: str) -> str:
    """The FHIR type; snapshots of 4.0.1 call Resource.id a string, the specification an id."""
    if kind == "resource" and path.count(".") == 1 and path.endswith(".id"):
        return "id"
    told = [e["valueUrl"] for e in element_type.get("extension", []) if e["url"] == FHIR_TYPE]
    code: str = told[0] if told else element_type["code"]
    return "string" if code.startswith("http:") else code


def _references(types: list[Definition]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for element_type in types:
        targets = [url.removeprefix(PREFIX) for url in element_type.get("targetProfile", [])]
        if element_type["code"] == "Reference" and targets and "Resource" not in targets:
            made["targets"] = targets
        if element_type["code"] == "Quantity" and "profile" in element_type:
            made["profile"] = element_type["profile"][0].removeprefix(PREFIX)
    return made


def value_sets(files: dict[str, Definition], wanted: Iterable[str]) -> dict[str, Any]:
    """Value set -> system -> codes, of the sets whose every system is in the package."""
    sets = {v["url"]: v for v in _of_type(files, "ValueSet")}
    systems = {c["url"]: c for c in _of_type(files, "CodeSystem") if c["content"] == "complete"}
    made = {}
    for url in wanted:
        codes = _expansion(sets[url], systems) if url in sets else None
        if codes:
            made[url] = codes
    return made


def _expansion(value_set: Definition, systems: dict[str, Definition]) -> dict[str, Any] | None:
    """Codes by system; None where a filter, another set or an absent system is asked for."""
    made: dict[str, set[str]] = {}
    if value_set["compose"].get("exclude"):
        return None
    for part in value_set["compose"]["include"]:
        system = part.get("system")
        if system is None or "filter" in part or "valueSet" in part:
            return None
        if "concept" not in part and system not in systems:
            return None
        concepts = part.get("concept") or systems[system].get("concept", [])
        made.setdefault(system, set()).update(_codes(concepts))
    return {system: sorted(codes) for system, codes in sorted(made.items())}


def _codes(concepts: list[Definition]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _codes(concept.get("concept", []))


def render(content: dict[str, Any]) -> str:
    """JSON with one line for each definition, so that a new package gives a readable difference."""
    parts = []
    for key, value in content.items():
        if key in LINED:
            lines = [f"{json.dumps(name)}:{_compact(item)}" for name, item in value.items()]
            parts.append(f"{json.dumps(key)}:{{\n" + ",\n".join(lines) + "\n}")
        else:
            parts.append(f"{json.dumps(key)}:{_compact(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: build_r4.py PACKAGE_FOLDER_OR_TGZ", file=sys.stderr)
        return 2
    text = render(build(read_package(Path(arguments[0]))))
    TARGET.write_text(text, encoding="utf-8")
    print(f"{TARGET.name}: {len(text.encode())} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
