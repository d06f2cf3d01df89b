"""Damage to extensions: https://hl7.org/fhir/R4/extensibility.html."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.damage.edits import GONE, Path, got, put, put_all
from bench.damage.mutant import Harm, Kind, Pool
from bench.damage.source import Place, Source
from bench.damage.structure import SAMPLES

_CORE = "http://hl7.org/fhir/StructureDefinition/"
_US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
_MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition/"
_RACE = "urn:oid:2.16.840.1.113883.6.238"
_SNOMED = "http://snomed.info/sct"
# Known extensions, right in themselves, wherever they may stand.
KNOWN: tuple[Mapping[str, Any], ...] = (
    {"url": _CORE + "data-absent-reason", "valueCode": "unknown"},
    {"url": _CORE + "patient-birthTime", "valueDateTime": "1970-02-03T10:00:00Z"},
    {"url": _CORE + "patient-birthPlace", "valueAddress": {"city": "Testville"}},
    {"url": _CORE + "patient-genderIdentity", "valueCodeableConcept": {"text": "a text"}},
    {"url": _CORE + "patient-mothersMaidenName", "valueString": "Test"},
    {"url": _CORE + "patient-religion", "valueCodeableConcept": {"text": "a text"}},
    {"url": _CORE + "iso21090-EN-qualifier", "valueCode": "LS"},
    {"url": _CORE + "condition-dueTo", "valueCodeableConcept": {"text": "a text"}},
    {"url": _CORE + "condition-assertedDate", "valueDateTime": "2021-02-03"},
    {"url": _CORE + "observation-bodyPosition", "valueCodeableConcept": {"text": "lying"}},
    {"url": _CORE + "procedure-approachBodyStructure", "valueReference": {"display": "x"}},
    {"url": _CORE + "bodySite", "valueReference": {"reference": "BodyStructure/1"}},
    {"url": _CORE + "rendering-style", "valueString": "color: red"},
    {"url": _CORE + "ordinalValue", "valueDecimal": 3},
    {"url": _CORE + "geolocation", "extension": [
        {"url": "latitude", "valueDecimal": 50}, {"url": "longitude", "valueDecimal": 8}]},
    {"url": _CORE + "patient-citizenship", "extension": [
        {"url": "code", "valueCodeableConcept": {"text": "DK"}}]},
    {"url": _US_CORE + "us-core-birthsex", "valueCode": "F"},
    {"url": _US_CORE + "us-core-race", "extension": [
        {"url": "ombCategory", "valueCoding": {"system": _RACE, "code": "2106-3"}},
        {"url": "text", "valueString": "White"}]},
    {"url": _US_CORE + "us-core-ethnicity", "extension": [
        {"url": "ombCategory", "valueCoding": {"system": _RACE, "code": "2186-5"}},
        {"url": "text", "valueString": "Not Hispanic"}]},
    {"url": _MCODE + "mcode-histology-morphology-behavior", "valueCodeableConcept": {
        "coding": [{"system": _SNOMED, "code": "35917007"}]}},
    {"url": _MCODE + "mcode-laterality-qualifier", "valueCodeableConcept": {
        "coding": [{"system": _SNOMED, "code": "7771000"}]}},
    {"url": _MCODE + "mcode-procedure-intent", "valueCodeableConcept": {
        "coding": [{"system": _SNOMED, "code": "373808002"}]}},
)  # fmt: skip
_VALUES: Mapping[str, Any] = {
    "valueString": "x",
    "valueInteger": 3,
    "valueBoolean": True,
    "valueCode": "x",
    "valueDateTime": "2021-02-03",
    "valueCodeableConcept": {"text": "x"},
    "valueQuantity": {"value": 3},
    "valueReference": {"display": "x"},
    "valueCoding": {"system": _SNOMED, "code": "1"},
    "valuePeriod": SAMPLES["Period"],
}


def _extensions(source: Source) -> Iterator[Place]:
    return (p for p in source.items if p.type == "Extension")


def _outer(source: Source) -> Iterator[Place]:
    """Extensions that are no part of another."""
    return (p for p in _extensions(source) if p.owner != "Extension")


def _value(place: Place) -> str | None:
    return next((name for name in place.value if name.startswith("value")), None)


def _nothing(source: Source, _: Pool) -> Iterator[Harm]:
    for place in _extensions(source):
        yield place.path, put(source.resource, place.path, {"url": place.value.get("url", "x")})


def _both(source: Source, _: Pool) -> Iterator[Harm]:
    for place in _extensions(source):
        if _value(place):
            part = [{"url": "http://example.org/x", "valueBoolean": True}]
            yield place.path, put(source.resource, (*place.path, "extension"), part)
        elif "extension" in place.value:
            yield place.path, put(source.resource, (*place.path, "valueString"), "x")


def _other_type(source: Source, _: Pool) -> Iterator[Harm]:
    for place in _extensions(source):
        has = _value(place)
        for name, value in _VALUES.items() if has else ():
            if has and name != has:
                bare = put(source.resource, (*place.path, has), GONE)
                yield (*place.path, name), put(bare, (*place.path, name), value)


def _url(*new: Any) -> Callable[[Source, Pool], Iterator[Harm]]:
    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        for place in _outer(source):
            for one in new:
                at = (*place.path, "url")
                url = one(place.value["url"]) if callable(one) else one
                yield at, put(source.resource, at, url)

    return harm


def _parts_harmed(source: Source, _: Pool) -> Iterator[Harm]:
    """A part unknown, missing, doubled, or of another's name."""
    for place in _extensions(source):
        parts = place.value.get("extension", [])
        if not parts or place.owner == "Extension":
            continue
        at = (*place.path, "extension")
        yield at, put(source.resource, (*at, len(parts)), {"url": "nope", "valueString": "x"})
        for index, part in enumerate(parts):
            if len(parts) > 1:
                yield (*at, index), put(source.resource, (*at, index), GONE)
            yield (*at, index), put(source.resource, (*at, len(parts)), part)
            yield (*at, index), put(source.resource, (*at, index, "url"), "nope")


def _code_in_it(source: Source, _: Pool) -> Iterator[Harm]:
    for place in _extensions(source):
        if "valueCode" in place.value:
            at = (*place.path, "valueCode")
            yield at, put(source.resource, at, "banana")
        if "valueCoding" in place.value:
            at = (*place.path, "valueCoding", "code")
            yield at, put(source.resource, at, "banana")
        for coding in range(len(place.value.get("valueCodeableConcept", {}).get("coding", ()))):
            at = (*place.path, "valueCodeableConcept", "coding", coding, "code")
            yield at, put(source.resource, at, "banana")


def _added(resource: dict[str, Any], at: Path, one: Mapping[str, Any]) -> Any:
    there = got(resource, at).get("extension", [])
    return put(resource, (*at, "extension"), [*there, dict(one)])


def _misplaced(source: Source, pool: Pool) -> Iterator[Harm]:
    """Known extensions on the resource and on its parts: some may stand there."""
    for thing in source.things:
        is_part = thing.at != "Extension" and "resourceType" not in thing.value
        if is_part or (not thing.path and source.type != "Bundle"):
            for one in _mixed(pool):
                yield (*thing.path, "extension"), _added(source.resource, thing.path, one)


def _misplaced_on_primitives(source: Source, pool: Pool) -> Iterator[Harm]:
    for place in source.slots:
        name = place.path[-1]
        if isinstance(place.value, (str, bool, int)) and name not in ("id", "url"):
            owner = got(source.resource, place.path[:-1])
            if place.type in ("xhtml", "id") or f"_{name}" in owner:
                continue
            at = (*place.path[:-1], f"_{name}")
            for one in _mixed(pool):
                yield at, put(source.resource, at, {"extension": [dict(one)]})


def _mixed(pool: Pool) -> tuple[Mapping[str, Any], ...]:
    return (*KNOWN, *pool.extensions)


def _modifier(source: Source, _: Pool) -> Iterator[Harm]:
    one = [{"url": "http://example.org/negates", "valueBoolean": True}]
    for thing in source.things:
        if thing.at == source.type or "." in thing.at:
            at = (*thing.path, "modifierExtension")
            yield at, put(source.resource, at, one)


def _modifier_misplaced(source: Source, _: Pool) -> Iterator[Harm]:
    for place in _outer(source):
        if place.path[-2:-1] == ("extension",):
            at = (*place.path[:-2], "modifierExtension")
            yield at, put(source.resource, at, [place.value])
    for thing in source.things:
        if thing.at in ("CodeableConcept", "Reference", "Quantity", "Identifier", "Period"):
            one = [{"url": "http://example.org/negates", "valueBoolean": True}]
            at = (*thing.path, "modifierExtension")
            yield at, put(source.resource, at, one)


def _unknown_added(source: Source, _: Pool) -> Iterator[Harm]:
    one = {"url": "http://example.org/unknown", "valueString": "x"}
    for thing in source.things:
        if thing.at not in ("Extension", "Bundle"):
            yield thing.path, _added(source.resource, thing.path, one)


def _absent(source: Source, _: Pool) -> Iterator[Harm]:
    """A value that is not there, with the reason beside it."""
    reason = {"extension": [dict(KNOWN[0])]}
    for place in source.slots:
        name, above = place.path[-1], place.path[:-1]
        if isinstance(place.value, dict) and place.type not in ("Resource", "Extension"):
            yield place.path, put(source.resource, place.path, reason)
        elif not isinstance(place.value, (dict, list)) and place.type not in ("id", "xhtml"):
            beside = ((*above, f"_{name}"), reason)
            yield place.path, put_all(source.resource, (place.path, GONE), beside)


KINDS: tuple[Kind, ...] = (
    Kind("extension with nothing in it (ext-1)", "structural", _nothing),
    Kind("extension with value and parts (ext-1)", "structural", _both),
    Kind("extension's url relative", "structural", _url("birthsex", "a/b")),
    Kind("extension's url missing or empty", "structural", _url(GONE, "", 5)),
    Kind("extension's url unknown", "extension",
         _url("http://example.org/unknown", lambda old: old + "x")),
    Kind("extension's value of another type", "extension", _other_type),
    Kind("extension's parts harmed", "extension", _parts_harmed),
    Kind("extension's code wrong", "extension", _code_in_it),
    Kind("known extension planted on an object", "extension", _misplaced),
    Kind("known extension planted on a primitive", "extension", _misplaced_on_primitives),
    Kind("unknown extension added", "extension", _unknown_added),
    Kind("unknown modifier extension", "extension", _modifier),
    Kind("modifier extension where none may be", "extension", _modifier_misplaced),
    Kind("data-absent-reason in place of a value", "extension", _absent),
)  # fmt: skip
