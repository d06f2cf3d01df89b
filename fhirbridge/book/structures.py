"""StructureDefinitions: a logical model for each form, and the study's own extensions.

Follows https://hl7.org/fhir/R4/structuredefinition.html. They have a differential and no snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fhirbridge.book import fhirpath, naming, written
from fhirbridge.fhir import definitions
from fhirbridge.mapping.path import Path
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.study.definition import Field, Form

_BASE = "http://hl7.org/fhir/StructureDefinition/"
TYPES: Mapping[str, str] = MappingProxyType(
    {
        "text": "string",
        "integer": "integer",
        "decimal": "decimal",
        "date": "date",
        "datetime": "dateTime",
        "choice": "Coding",
        "boolean": "boolean",
        "reference": "string",
        "ids": "Identifier",
        "codes": "Coding",
    }
)
"""FHIR's type of an element of the logical model, by the type of the field."""
_LISTS = frozenset({"ids", "codes"})


def models(mappings: MappingSet) -> Iterator[dict[str, Any]]:
    for form in mappings.study.forms.values():
        yield _model(mappings, form)


def _model(mappings: MappingSet, form: Form) -> dict[str, Any]:
    id = naming.id_of("form", form.name)
    purpose = f"The form {form.name} in the study's own words"
    made = naming.head(mappings, "StructureDefinition", id, title=form.title, purpose=purpose)
    key = " and ".join(form.key)
    identified = f"Identified within the subject by {key}" if key else "Once for each subject"
    root = {
        "id": form.name,
        "path": form.name,
        "short": form.title,
        "definition": identified,
        "min": 0,
        "max": "*",
    }
    elements = [root, *(_element(mappings, form, field) for field in form.fields.values())]
    return made | {
        "fhirVersion": naming.FHIR_VERSION,
        "mapping": [{"identity": "fhir", "uri": "http://hl7.org/fhir", "name": "FHIR R4"}],
        "kind": "logical",
        "abstract": False,
        "type": form.name,
        "baseDefinition": f"{_BASE}Element",
        "derivation": "specialization",
        "differential": {"element": elements},
    }


def _element(mappings: MappingSet, form: Form, field: Field) -> dict[str, Any]:
    at = f"{form.name}.{field.name}"
    several = field.many or field.type in _LISTS
    made: dict[str, Any] = {
        "id": at,
        "path": at,
        "short": field.meaning or field.name,
        "definition": field.meaning or field.name,
        **_comment(field),
        "min": 1 if field.required and not field.absent else 0,
        "max": "*" if several else "1",
        "type": [{"code": TYPES[field.type]}],
    }
    if field.range is not None:
        kind = "Integer" if field.type == "integer" else "Decimal"
        low, high = (int(n) if kind == "Integer" else n for n in field.range)
        made |= {f"minValue{kind}": low, f"maxValue{kind}": high}
    if field.choices:
        url = naming.value_set_url(mappings, form.name, field.name)
        made["binding"] = {"strength": "required", "valueSet": url}
    maps = sorted({_place(place) for place in written.places(mappings, form.name, field.name)})
    made["mapping"] = [{"identity": "fhir", "map": told} for told in maps]
    return made


def _comment(field: Field) -> dict[str, str]:
    told = [f"Unit: {field.unit}"] if field.unit else []
    told += [f"The key of a record of the form {field.to}"] if field.to else []
    told += ["A value or a reason of its absence"] if field.required and field.absent else []
    told += [field.source] if field.source else []
    return {"comment": ". ".join(told)} if told else {}


def _place(place: written.Place) -> str:
    resource = place.mapping.resource
    return f"{resource}.{fhirpath.expression(place.row.first.path, resource)}"


@dataclass
class _Extension:
    """What is seen of one extension: where it stands, what it holds, which field it carries."""

    contexts: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    fields: dict[str, Field] = field(default_factory=dict)  # by form.field


def extensions(mappings: MappingSet) -> Iterator[dict[str, Any]]:
    """One for each extension under the study's own URL that a path leads through."""
    found: dict[str, _Extension] = {}
    for mapping in mappings.files.values():
        for block in mapping.blocks:
            for row in block.rows:
                for reading in row.readings:
                    name = f"{mapping.form.name}.{row.field.name}"
                    _see(found, mappings, mapping.resource, reading.path, {name: row.field})
            for fixed in block.fixed:
                _see(found, mappings, mapping.resource, fixed.path, {})
    for url in sorted(found):
        yield _extension(mappings, url, found[url])


def _see(
    found: dict[str, _Extension],
    mappings: MappingSet,
    resource: str,
    path: Path,
    carried: Mapping[str, Field],
) -> None:
    here = at = resource
    for number, step in enumerate(path.steps):
        selector = step.selector
        element = definitions.element(here, step.name)
        assert element is not None, f"{path.text} was checked when it was loaded"
        if selector is not None and selector.key == "resourceType":
            here = at = selector.value
            continue
        if step.name == "extension" and selector is not None:
            if selector.value.startswith(f"{mappings.study.canonical}/"):
                seen = found.setdefault(selector.value, _Extension())
                seen.contexts.add(at)
                seen.fields |= carried
                held = definitions.walk("Extension", [s.name for s in path.steps[number + 1 :]][:1])
                seen.types |= {held.type} if held is not None else set()
            at = selector.value
        else:
            at = f"{at}.{element.choice}[x]" if element.choice else f"{at}.{step.name}"
        here = element.path


def _extension(mappings: MappingSet, url: str, seen: _Extension) -> dict[str, Any]:
    id = url.rpartition("/")[2]
    told = sorted({field.meaning for field in seen.fields.values() if field.meaning})
    purpose = "; ".join(told) or "An extension of the study"
    made = naming.head(mappings, "StructureDefinition", id, title=id, purpose=purpose)
    value: dict[str, Any] = {
        "id": "Extension.value[x]",
        "path": "Extension.value[x]",
        "type": [{"code": code} for code in sorted(seen.types)],
    }
    bound = [name for name, field in sorted(seen.fields.items()) if field.choices]
    if bound:
        form, _, name = bound[0].partition(".")
        url_of_set = naming.value_set_url(mappings, form, name)
        value["binding"] = {"strength": "preferred", "valueSet": url_of_set}
    contexts = [{"type": _kind(at), "expression": at} for at in sorted(seen.contexts)]
    return made | {
        "url": url,
        "fhirVersion": naming.FHIR_VERSION,
        "kind": "complex-type",
        "abstract": False,
        "context": contexts,
        "type": "Extension",
        "baseDefinition": f"{_BASE}Extension",
        "derivation": "constraint",
        "differential": {"element": [*_frame(url, purpose), value]},
    }


def _kind(context: str) -> str:
    return "extension" if "://" in context else "element"


def _frame(url: str, purpose: str) -> Iterator[dict[str, Any]]:
    """The elements that every simple extension has."""
    yield {"id": "Extension", "path": "Extension", "short": purpose, "definition": purpose}
    yield {"id": "Extension.extension", "path": "Extension.extension", "max": "0"}
    yield {"id": "Extension.url", "path": "Extension.url", "fixedUri": url}
