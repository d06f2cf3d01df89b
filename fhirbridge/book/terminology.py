"""The study's terminology as FHIR: its code systems, a ValueSet a choice, a ConceptMap a crosswalk.

Follows https://hl7.org/fhir/R4/terminology-module.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from fhirbridge.book import naming, written
from fhirbridge.book.contents import Contents, Entry
from fhirbridge.mapping.path import Path
from fhirbridge.mapping.spec import Block
from fhirbridge.study.definition import Field, Form

EQUIVALENCES: Mapping[str, str] = MappingProxyType(
    {
        "equivalent": "equivalent",
        "equal": "equal",
        "wider": "wider",
        "deprecated": "equal",
        "narrower": "narrower",
        "inexact": "inexact",
        "unmatched": "unmatched",
        "disjoint": "disjoint",
    }
)
"""https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html by our relationship."""


def code_systems(contents: Contents) -> Iterator[dict[str, Any]]:
    """Each code system that lives under the study's own URL, and the one of its words."""
    mappings = contents.mappings
    own = f"{mappings.study.canonical}/CodeSystem/"
    codes = _codes(contents)
    for url in sorted({system for system, _ in codes if system.startswith(own)}):
        id = url.removeprefix(own)
        title = f"Codes of the study {mappings.study.id}"
        purpose = "Codes that no standard has: scores, their parts, and words of choices"
        concepts = {code: {"display": codes[url, code] or code} for s, code in codes if s == url}
        yield _code_system(contents, id, title, purpose, concepts) | {"url": url}
    id = naming.words_url(mappings).rpartition("/")[2]
    title = f"Words of the study {mappings.study.id}"
    purpose = "What crosswalks lead to: the words of choices, of grades and of resources"
    yield _code_system(contents, id, title, purpose, _words(contents))


def _code_system(
    contents: Contents, id: str, title: str, purpose: str, concepts: Mapping[str, dict[str, str]]
) -> dict[str, Any]:
    made = naming.head(contents.mappings, "CodeSystem", id, title=title, purpose=purpose)
    listed = [{"code": code, **concepts[code]} for code in sorted(concepts)]
    told = {"caseSensitive": True, "content": "complete", "count": len(listed)}
    return made | told | {"concept": listed}


def _codes(contents: Contents) -> dict[tuple[str, str], str]:
    """Display by system and code of everything that is mapped, selected by or written."""
    found: dict[tuple[str, str], str] = {}
    named = [told for remarks in contents.remarks.values() for told in remarks.displays.items()]
    names = contents.mappings.names
    for written_so, display in named:
        system, _, code = written_so.partition("|")
        found[names.get(system.removeprefix("$"), system), code] = display
    for entries in contents.walks.values():
        for entry in entries:
            _add(found, entry.line.system, entry.line.code, entry.line.display)
    for mapping in contents.mappings.files.values():
        for block in mapping.blocks:
            for path in _paths(block):
                for step in path.steps:
                    if step.selector is not None and step.selector.system is not None:
                        _add(found, step.selector.system, step.selector.value, "")
            for fixed in block.fixed:
                for coding in _codings(fixed.value):
                    _add(found, coding["system"], coding["code"], coding.get("display", ""))
    return found


def _add(found: dict[tuple[str, str], str], system: str, code: str, display: str) -> None:
    if "+" not in code:
        found[system, code] = found.get((system, code)) or display


def _paths(block: Block) -> Iterator[Path]:
    for row in block.rows:
        yield from (reading.path for reading in row.readings)
    yield from (fixed.path for fixed in block.fixed)


def _codings(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        if {"system", "code"} <= value.keys():
            yield value
        for below in value.values():
            yield from _codings(below)
    elif isinstance(value, list):
        for below in value:
            yield from _codings(below)


def _words(contents: Contents) -> dict[str, dict[str, str]]:
    """Every word with what it is a word of."""
    used: dict[str, set[str]] = {}
    for name, entries in contents.walks.items():
        for entry in entries:
            if entry.line.target:
                used.setdefault(entry.line.target, set()).add(f"crosswalk {name}")
    for form in contents.mappings.study.forms.values():
        for field in form.fields.values():
            for word in field.choices:
                used.setdefault(word, set()).add(f"field {form.name}.{field.name}")
    return {
        word: {"display": word, "definition": f"A word of: {', '.join(sorted(where))}"}
        for word, where in used.items()
    }


def value_sets(contents: Contents) -> Iterator[dict[str, Any]]:
    for form in contents.mappings.study.forms.values():
        for field in form.fields.values():
            if field.choices:
                yield _value_set(contents, form, field)


def _value_set(contents: Contents, form: Form, field: Field) -> dict[str, Any]:
    """What is written for the choices, each code with the study's word as its designation."""
    mappings = contents.mappings
    id = naming.id_of(form.name, field.name)
    title = f"{form.title}: {field.name}"
    made = naming.head(mappings, "ValueSet", id, title=title, purpose=field.meaning)
    systems: dict[str, list[dict[str, Any]]] = {}
    for word, system, code, display in choices(contents, form, field):
        concept: dict[str, Any] = {"code": code} | ({"display": display} if display else {})
        if word != display:
            concept["designation"] = [{"language": "en", "value": word}]
        systems.setdefault(system, []).append(concept)
    include = [{"system": system, "concept": systems[system]} for system in systems]
    return made | {"compose": {"include": include}}


def choices(contents: Contents, form: Form, field: Field) -> Iterator[tuple[str, str, str, str]]:
    """Word, system, code and display of each choice; the word itself where none is written."""
    codes = written.codes(contents.mappings, form.name, field)
    for word in field.choices:
        line = codes.get(word)
        if line is None:
            yield word, naming.words_url(contents.mappings), word, word
        else:
            yield word, line.system, line.code, line.display


def concept_maps(contents: Contents) -> Iterator[dict[str, Any]]:
    for name, entries in contents.walks.items():
        yield _concept_map(contents, name, entries)


def _concept_map(contents: Contents, name: str, entries: tuple[Entry, ...]) -> dict[str, Any]:
    mappings = contents.mappings
    title = f"Crosswalk {name}"
    purpose = "Codes to words of the study; equivalent: the code is written for the word, too"
    made = naming.head(mappings, "ConceptMap", naming.id_of(name), title=title, purpose=purpose)
    systems: dict[str, list[Entry]] = {}
    for entry in entries:
        systems.setdefault(entry.line.system, []).append(entry)
    target = naming.words_url(mappings)
    groups = [
        {
            "source": system,
            "target": target,
            "element": [_element(e) for e in sorted(systems[system], key=lambda e: e.line.code)],
        }
        for system in sorted(systems)
    ]
    return made | ({"group": groups} if groups else {})


def _element(entry: Entry) -> dict[str, Any]:
    line = entry.line
    target: dict[str, Any] = {"code": line.target, "display": line.target} if line.target else {}
    target["equivalence"] = EQUIVALENCES[line.relationship]
    comment = ". ".join(part.rstrip(".") for part in _comments(entry) if part)
    if comment:
        target["comment"] = comment
    made = {"code": line.code} | ({"display": line.display} if line.display else {})
    return made | {"target": [target]}


def _comments(entry: Entry) -> Iterator[str]:
    line = entry.line
    if "+" in line.code:
        yield f"All of {' and '.join(line.code.split('+'))} must be given"
    if line.relationship == "deprecated":
        yield "The code is withdrawn"
    if line.relationship in ("narrower", "inexact") and not line.note:
        yield "A person decides"  # R4 cmd-1 asks for words here
    yield line.note
    yield "A code of the site" if entry.of_site else ""
