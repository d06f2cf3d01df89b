"""Paths, codecs, ranges and code systems in plain words, for the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from fhirbridge.book import written
from fhirbridge.fhir import definitions
from fhirbridge.mapping import codecs
from fhirbridge.mapping.codecs import Codec
from fhirbridge.mapping.coded import Grade
from fhirbridge.mapping.path import Path, Step
from fhirbridge.mapping.referring import Reference
from fhirbridge.study.definition import Field

SYSTEMS: Mapping[str, str] = MappingProxyType(
    {
        "http://snomed.info/sct": "SNOMED CT",
        "http://loinc.org": "LOINC",
        "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
        "http://hl7.org/fhir/sid/icd-10": "ICD-10",
        "http://fhir.de/CodeSystem/bfarm/icd-10-gm": "ICD-10-GM",
        "http://fhir.de/CodeSystem/bfarm/ops": "OPS",
        "http://www.cms.gov/Medicare/Coding/ICD10": "ICD-10-PCS",
        "http://www.ama-assn.org/go/cpt": "CPT",
        "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
        "http://dicom.nema.org/resources/ontology/DCM": "DICOM",
        "http://unitsofmeasure.org": "UCUM",
        "urn:oid:2.16.840.1.113883.6.238": "CDC race and ethnicity",
        "http://terminology.hl7.org/CodeSystem/icd-o-3": "ICD-O-3",
    }
)
"""Usual names of code systems; any other is called by the end of its URL."""

_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "text": "text",
        "integer": "whole number",
        "decimal": "number",
        "date": "date, as precise as it is known",
        "datetime": "date or time, as precise as it is known",
        "choice": "one of",
        "boolean": "yes or no",
        "reference": "reference",
        "ids": "identifiers of the person",
        "codes": "codes, as their source gave them",
    }
)
_SHAPES: Mapping[str, str] = MappingProxyType(
    {
        "CodeableConcept": "a coded concept",
        "Coding": "a coding",
        "Quantity": "a quantity",
        "integer": "a whole number",
        "unsignedInt": "a whole number",
        "decimal": "a number",
        "string": "a text",
        "dateTime": "a date",
        "date": "a date",
        "instant": "a moment",
        "boolean": "yes or no",
        "Reference": "a reference",
        "code": "a code",
    }
)


def system(url: str) -> str:
    """The short name of a code system or identifier system."""
    return SYSTEMS.get(url) or url.rstrip("/").rpartition("/")[2]


def kind(field: Field) -> str:
    told = _TYPES[field.type]
    if field.choices and field.many:
        return "one or several of"
    if field.to:
        told = f"reference to a record of {field.to}"
    return f"{told}, several" if field.many else told


def path(path: Path, resource: str) -> str:
    """The way to the element, step by step: `bodySite > extension laterality > value`; from a
    resource type or a backbone."""
    told, here = [], resource
    for step in path.steps:
        element = definitions.element(here, step.name)
        name = element.choice if element and element.choice else step.name
        told.append(_step(name, step))
        inside = step.selector is not None and step.selector.key == "resourceType"
        here = step.selector.value if inside and step.selector else element.path if element else ""
    shape = _SHAPES.get(path.type, path.type)
    return f"{' › '.join(told)} ({shape})" if shape else " › ".join(told)


def _step(name: str, step: Step) -> str:
    selector = step.selector
    if selector is None:
        return name
    if selector.system is not None:
        return f"{name} with {selector.key} {system(selector.system)} {selector.value}"
    if selector.key == "url":
        return f"{name} {selector.value.rpartition('/')[2]}"
    if selector.key == "resourceType":
        return f"{name} {selector.value}"
    return f"{name} with {selector.key} {selector.value.rpartition('/')[2]}"


def codec(codec: Codec) -> str:
    """How the value changes its form; a crosswalk's name is told beside it."""
    if isinstance(codec, Grade):
        return "a coded grade"
    if written.code_of(codec) is not None:
        return "a code"
    if isinstance(codec, codecs.Quantity):
        return f"a quantity in {units(codec)}"
    if isinstance(codec, codecs.NumberWord):
        words = ", or a word that says why there is none" if codec.reasons else ""
        return f"one number in a text, no range{words}"
    if isinstance(codec, codecs.YesNo):
        return f"true for {codec.yes}, false for {codec.no}"
    if isinstance(codec, codecs.There):
        return f"that it is there says {codec.word}"
    if isinstance(codec, Reference):
        return f"a reference to the {codec.resource} of a record of {codec.form}"
    return next(told for known, told in _PLAIN if isinstance(codec, known))


_PLAIN: tuple[tuple[type, str], ...] = (
    (codecs.Text, "the text as it stands"),
    (codecs.Date, "the date as it stands"),
    (codecs.Number, "the number as it stands"),
    (codecs.Boolean, "true or false"),
    (codecs.Ids, "each identifier that is none of ours"),
    (codecs.Codings, "each coding that its sender chose"),
)


def units(codec: codecs.Quantity) -> str:
    """The unit, and those that are taken for it or converted."""
    same = sorted(codec.same)
    if codec.unit == "1" or codec.unit.startswith("{"):
        same += ["1", "no unit"]
    other = [
        f"{given} (× {factor})"
        for (given, to), factor in codecs.CONVERSIONS.items()
        if to == codec.unit
    ]
    told = f"; also taken: {', '.join(same)}" if same else ""
    return f"{codec.unit}{told}{f'; converted: {listed(other)}' if other else ''}"


def values(field: Field) -> list[str]:
    """Unit, range and what else limits a value, a line each."""
    told = []
    if field.range is not None:
        unit = f" {field.unit}" if field.unit and not field.unit.startswith("{") else ""
        told.append(f"{field.range[0]} to {field.range[1]}{unit if unit != ' 1' else ''}")
    if field.only:
        told.append(f"only {listed(map(str, field.only))}")
    if field.step is not None:
        told.append(f"in steps of {field.step}")
    if field.unit:
        told.append(f"unit {field.unit} (UCUM)")
    if field.pattern:
        told.append(f"of the form {field.pattern}")
    if field.precision:
        told.append(f"known to the {field.precision}")
    if field.after:
        told.append(f"not before {field.after}")
    return [*told, *_needs(field)]


def _needs(field: Field) -> list[str]:
    told = []
    words = dict(field.with_words)
    for name in field.with_:
        which = f" ({' or '.join(words[name])})" if name in words else ""
        told.append(f"only with {name}{which}")
    for name, lists in field.among:
        told += [f"with {name} {word}: {listed(possible)}" for word, possible in lists]
    if field.total is not None:
        alone = "; may stand without its parts" if field.total.alone else ""
        sums = [(f" where {field.total.by} is {w}", parts) for w, parts in field.total.lists]
        for where, parts in sums or [("", field.total.of)]:
            told.append(f"the sum of {listed(parts)}{where}{alone}")
    return told


def listed(words: Iterable[str]) -> str:
    return ", ".join(words)
