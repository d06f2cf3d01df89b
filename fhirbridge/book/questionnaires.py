"""A Questionnaire for each form (https://hl7.org/fhir/R4/questionnaire.html).

It asks what the fields mean; the wording of a copyrighted instrument is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fhirbridge.book import naming, terminology, written
from fhirbridge.book.contents import Contents
from fhirbridge.mapping.codecs import UCUM
from fhirbridge.study.definition import NUMBERS, Field, Form

_EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
TYPES: Mapping[str, str] = MappingProxyType(
    {
        "text": "string",
        "integer": "integer",
        "decimal": "decimal",
        "date": "date",
        "datetime": "dateTime",
        "choice": "choice",
        "boolean": "boolean",
        "reference": "string",
        "ids": "string",
        "codes": "open-choice",
    }
)
"""Type of an item by the type of the field."""
_LISTS = frozenset({"ids", "codes"})


def questionnaire(contents: Contents, form: Form) -> dict[str, Any]:
    mappings = contents.mappings
    purpose = f"What the form {form.name} asks; the link id of an item is the name of its field"
    made = naming.head(
        mappings, "Questionnaire", naming.id_of(form.name), title=form.title, purpose=purpose
    )
    owned = sorted({f.instrument for f in form.fields.values() if f.instrument})
    known = (mappings.study.instruments[name] for name in owned)
    licences = [f"{one.title}: {one.licence}" for one in known if one.licence]
    if licences:
        made["copyright"] = ". ".join(licences)
    if any(
        patient.text == "subject" for m in mappings.of_form(form.name) for patient in m.patients
    ):
        made["subjectType"] = ["Patient"]
    return made | {"item": [_item(contents, form, field) for field in form.fields.values()]}


def _item(contents: Contents, form: Form, field: Field) -> dict[str, Any]:
    extensions = _extensions(field)
    model = naming.model_url(contents.mappings, form.name)
    return {
        **({"extension": extensions} if extensions else {}),
        "linkId": field.name,
        "definition": f"{model}#{form.name}.{field.name}",
        **_codes(contents, form, field),
        "text": field.meaning or field.name,
        "type": TYPES[field.type],
        "required": field.required,
        "repeats": field.many or field.type in _LISTS,
        **_options(contents, form, field),
    }


def _codes(contents: Contents, form: Form, field: Field) -> dict[str, Any]:
    """What the Observation of the field is coded with, or its component."""
    found: list[dict[str, Any]] = []
    for place in written.places(contents.mappings, form.name, field.name):
        code = written.block_code(place.mapping, place.block)
        if place.block.main == field.name and code is not None and "system" in code:
            found.append({n: code[n] for n in ("system", "code", "display") if n in code})
    return {"code": found} if found else {}


def _extensions(field: Field) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    if field.type in NUMBERS and field.unit:
        unit = {"system": UCUM, "code": field.unit, "display": field.unit}
        made.append({"url": f"{_EXTENSION}questionnaire-unit", "valueCoding": unit})
    if field.range is not None:
        whole = field.type == "integer"
        for word, number in zip(("minValue", "maxValue"), field.range, strict=True):
            value = {"valueInteger": int(number)} if whole else {"valueDecimal": number}
            made.append({"url": f"{_EXTENSION}{word}", **value})
    if field.pattern:
        made.append({"url": f"{_EXTENSION}regex", "valueString": field.pattern})
    return made


def _options(contents: Contents, form: Form, field: Field) -> dict[str, Any]:
    made = []
    for _, system, code, display in terminology.choices(contents, form, field):
        coding = {"system": system, "code": code} | ({"display": display} if display else {})
        made.append({"valueCoding": coding})
    return {"answerOption": made} if made else {}
