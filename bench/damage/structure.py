"""Damage to structure: unknown, missing and doubled properties, types of choices, narrative."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from bench.damage.edits import GONE, got, put, put_all, renamed
from bench.damage.mutant import Harm, Kind, Pool, removed, replaced
from bench.damage.source import Source
from bench.damage.values import of
from fhirbridge.fhir import definitions

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
# A value of each type that is right where the type is allowed.
SAMPLES: Mapping[str, Any] = {
    "Age": {"value": 3, "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"},
    "boolean": True,
    "CodeableConcept": {"text": "a concept"},
    "date": "2021-02-03",
    "dateTime": "2021-02-03T10:00:00Z",
    "decimal": Decimal("1.5"),
    "instant": "2021-02-03T10:00:00Z",
    "integer": 3,
    "Period": {"start": "2021-02-03"},
    "Quantity": {"value": 3},
    "Range": {"low": {"value": 3}},
    "Ratio": {"numerator": {"value": 3}, "denominator": {"value": 4}},
    "Reference": {"display": "a thing"},
    "SampledData": {"origin": {"value": 0}, "period": 10, "dimensions": 1, "data": "1 2"},
    "string": "a text",
    "time": "10:00:00",
    "Timing": {"event": ["2021-02-03"]},
    "uri": "http://example.org/x",
}
# Properties that came with R5: https://hl7.org/fhir/R5/diff.html.
_R5: Mapping[str, tuple[tuple[str, Any], ...]] = {
    "Patient": (("maritalStatusCode", "M"),),
    "Condition": (("participant", [{"actor": {"display": "x"}}]),),
    "Procedure": (
        ("recorded", "2021-02-03"),
        ("reportedBoolean", True),
        ("occurrenceDateTime", "2021-02-03"),
    ),
    "Observation": (("triggeredBy", []), ("bodyStructure", {"display": "x"})),
    "DiagnosticReport": (("note", [{"text": "x"}]),),
    "Encounter": (("actualPeriod", {"start": "2021"}), ("subjectStatus", {"text": "x"})),
    "MedicationRequest": (("medication", {"concept": {"text": "x"}}),),
    "MedicationStatement": (("adherence", {"code": {"text": "x"}}),),
    "Consent": (("subject", {"display": "x"}), ("decision", "permit")),
    "ServiceRequest": (("reason", [{"concept": {"text": "x"}}]),),
    "CarePlan": (("custodian", {"display": "x"}),),
    "ResearchStudy": (("name", "x"), ("label", [{"value": "x"}])),
    "Specimen": (("combined", "grouped"), ("role", [{"text": "x"}])),
    "BodyStructure": (("includedStructure", [{"structure": {"text": "x"}}]),),
    "Bundle": (("issues", {"resourceType": "OperationOutcome"}),),
}


def _unknown(source: Source, _: Pool) -> Iterator[Harm]:
    for thing in source.things:
        yield thing.path, put(source.resource, (*thing.path, "colour"), "red")


def _misspelt(source: Source, _: Pool) -> Iterator[Harm]:
    for place in source.slots:
        name, above = str(place.path[-1]), place.path[:-1]
        for new in (name[:-1], name.capitalize()):
            owner = renamed(got(source.resource, above), name, new)
            yield place.path, put(source.resource, above, owner)


def _r5(source: Source, _: Pool) -> Iterator[Harm]:
    for name, value in _R5.get(source.type, ()):
        yield (name,), put(source.resource, (name,), value)


def _second_choice(source: Source, _: Pool) -> Iterator[Harm]:
    for place in source.slots:
        if place.element.choice:
            for name, value in _others(place.owner, place.element.choice, place.type):
                yield place.path, put(source.resource, (*place.path[:-1], name), value)


def _no_choice_of_it(source: Source, _: Pool) -> Iterator[Harm]:
    for place in source.slots:
        if place.element.choice:
            wrong = ((*place.path[:-1], place.element.choice + "Oid"), "urn:oid:1.3.6")
            bare = ((*place.path[:-1], place.element.choice), place.value)
            if place.owner != "Extension":
                yield place.path, put_all(source.resource, (place.path, GONE), wrong)
            yield place.path, put_all(source.resource, (place.path, GONE), bare)


def _others(owner: str, choice: str, but: str) -> Iterator[tuple[str, Any]]:
    shape = definitions.shape(owner)
    for name, element in sorted(shape.properties.items() if shape else ()):
        if element.choice == choice and element.type != but and element.type in SAMPLES:
            yield name, SAMPLES[element.type]


def retyped(source: Source, _: Pool) -> Iterator[Harm]:
    """Another type of the choice, with a value that is right in itself."""
    for place in source.slots:
        if place.element.choice and place.owner != "Extension":
            for name, value in _others(place.owner, place.element.choice, place.type):
                new = ((*place.path[:-1], name), value)
                yield place.path, put_all(source.resource, (place.path, GONE), new)


def doubled(source: Source, _: Pool) -> Iterator[Harm]:
    """Each item of each list once more."""
    for place in source.items:
        if place.in_list:
            above = got(source.resource, place.path[:-1])
            yield place.path, put(source.resource, (*place.path[:-1], len(above)), place.value)


def item_removed(source: Source, _: Pool) -> Iterator[Harm]:
    for place in source.items:
        if place.in_list and len(got(source.resource, place.path[:-1])) > 1:
            yield place.path, put(source.resource, place.path, GONE)


def _type(source: Source, _: Pool) -> Iterator[Harm]:
    for thing in source.things:
        if "resourceType" in thing.value:
            at = (*thing.path, "resourceType")
            for new in (GONE, "Patiant", source.type.lower(), 5, "DomainResource", "Quantity"):
                yield at, put(source.resource, at, new)


_BAD_SHADOWS: tuple[Any, ...] = ("x", {}, {"value": 1}, {"id": 5}, {"extension": []})


def _shadow(source: Source, _: Pool) -> Iterator[Harm]:
    """Wrong shapes of the property beside a primitive, and one beside a complex value."""
    for place in source.slots:
        beside = (*place.path[:-1], f"_{place.path[-1]}")
        if f"_{place.path[-1]}" in got(source.resource, place.path[:-1]):
            continue
        if definitions.primitive(place.type):
            for new in _BAD_SHADOWS:
                wrapped = [new] if place.element.is_list else new
                yield beside, put(source.resource, beside, wrapped)
            yield beside, put(source.resource, beside, {"id": "a"} if place.in_list else [None])
        elif place.owner in definitions.resource_types():
            yield beside, put(source.resource, beside, {"id": "x"})


_BAD_DIVS = (
    DIV.format("<p>a</p><script>x</script>"),
    DIV.format('<p onclick="x">a</p>'),
    DIV.format("<form><p>a</p></form>"),
    DIV.format("<iframe>a</iframe>"),
    DIV.format('<p><a href="javascript:x()">a</a></p>'),
    DIV.format("<p>a &nbsp; b</p>"),
    DIV.format("<p>a &unknown; b</p>"),
    DIV.format('<object data="x">a</object>'),
    DIV.format('<p lang2="x">a</p>'),
    DIV.format("<b><p>a</b></p>"),
    DIV.format("<o:p>a</o:p>"),
    DIV.format("<font>a</font>"),
    DIV.format("<u>a</u>"),
    DIV.format('<p style="color:red">a</p>'),
    DIV.format("<!-- a comment --><p>a</p>"),
    DIV.format("<p><![CDATA[a]]></p>"),
    "<div><p>a</p></div>",
    '<div xmlns="http://www.w3.org/1999/html"><p>a</p></div>',
    '<p xmlns="http://www.w3.org/1999/xhtml">a</p>',
    DIV.format("<p>a</p>")[:-1],
    DIV.format("<p>a</p>") + DIV.format("b"),
    '<!DOCTYPE div [<!ENTITY a "b">]>' + DIV.format("a"),
    '<?xml version="1.0"?>' + DIV.format("a"),
    "a text",
)
_EMPTY_DIVS = (
    DIV.format(""),
    DIV.format("  "),
    DIV.format("<p> </p>"),
    DIV.format("<br/>"),
    DIV.format("<!-- a -->"),
    DIV.format('<img src="#x"/>'),
    DIV.format('<img src="#x" alt="a picture"/>'),
    DIV.format("&#160;"),
)

KINDS: tuple[Kind, ...] = (
    Kind("property unknown", "structural", _unknown),
    Kind("property misspelt", "structural", _misspelt),
    Kind("property of R5", "structural", _r5),
    Kind("second type of a choice", "structural", _second_choice),
    Kind("choice of a type that it has not", "structural", _no_choice_of_it),
    Kind("resource type wrong", "structural", _type),
    Kind("wrong shape beside a primitive", "structural", _shadow),
    removed("property removed", "structural", lambda _, source: not source.profiles),
    replaced("narrative not allowed (txt-1)", "structural", of("xhtml"), *_BAD_DIVS),
    replaced("narrative without content (txt-2)", "structural", of("xhtml"), *_EMPTY_DIVS),
)
