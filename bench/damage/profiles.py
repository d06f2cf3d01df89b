"""Damage that only a profile forbids: mCODE 4.0.0, US Core 6.1.0, and R4's vital signs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.damage.edits import GONE, put, put_all
from bench.damage.extensions import KNOWN
from bench.damage.mutant import Harm, Kind, Pool, removed
from bench.damage.source import Place, Source
from bench.damage.structure import doubled, item_removed, retyped

_LOINC = "http://loinc.org"
_SNOMED = "http://snomed.info/sct"
_CORE = "http://hl7.org/fhir/StructureDefinition/"
# Codes by which R4 takes an Observation for a vital sign, whether it claims the profile or not.
VITAL_SIGNS: Mapping[str, str] = {
    "85353-1": "vital signs panel",
    "9279-1": "respiratory rate",
    "8867-4": "heart rate",
    "2708-6": "oxygen saturation",
    "8310-5": "body temperature",
    "8302-2": "body height",
    "9843-4": "head circumference",
    "29463-7": "body weight",
    "39156-5": "body mass index",
    "85354-9": "blood pressure",
    "8480-6": "systolic pressure",
    "8287-5": "head circumference by tape",
    "3141-9": "body weight, measured",
    "59408-5": "oxygen saturation by pulse oximetry",
}
_UNITS = (
    {"value": 3, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    {"value": 3, "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"},
    {"value": 3, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    {"value": 3, "unit": "x", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
    {"value": 3, "unit": "kg"},
    {"value": 3, "unit": "kg", "system": "http://example.org", "code": "kg"},
)
_VITAL = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "vital-signs",
        }
    ]
}
_OF_CORE: Mapping[str, tuple[str, ...]] = {
    "Observation": ("vitalsigns", "bodyweight", "bp", "heartrate", "bmi"),
}
_US_CORE: Mapping[str, tuple[str, ...]] = {
    "Patient": ("us-core-patient",),
    "Condition": (
        "us-core-condition-problems-health-concerns",
        "us-core-condition-encounter-diagnosis",
    ),
    "Observation": (
        "us-core-observation-lab",
        "us-core-observation-clinical-result",
        "us-core-simple-observation",
        "us-core-blood-pressure",
        "us-core-body-weight",
        "us-core-smokingstatus",
    ),
    "Procedure": ("us-core-procedure",),
    "MedicationRequest": ("us-core-medicationrequest",),
    "DiagnosticReport": ("us-core-diagnosticreport-lab", "us-core-diagnosticreport-note"),
    "Encounter": ("us-core-encounter",),
    "CarePlan": ("us-core-careplan",),
    "CareTeam": ("us-core-careteam",),
    "Provenance": ("us-core-provenance",),
    "ServiceRequest": ("us-core-servicerequest",),
    "Specimen": ("us-core-specimen",),
    "QuestionnaireResponse": ("us-core-questionnaireresponse",),
    "Medication": ("us-core-medication",),
}


def _claimed(source: Source) -> bool:
    return bool(source.profiles)


def _if_claimed(
    harm: Callable[[Source, Pool], Iterator[Harm]],
) -> Callable[[Source, Pool], Iterator[Harm]]:
    return lambda source, pool: harm(source, pool) if _claimed(source) else iter(())


def _code_changed(source: Source, _: Pool) -> Iterator[Harm]:
    for place in source.items:
        if place.type == "Coding":
            yield place.path, put(source.resource, (*place.path, "code"), "138875005")
            swapped = {"system": _LOINC, "code": "1-8"}
            yield place.path, put(source.resource, place.path, swapped)


def _coding_gone(source: Source, _: Pool) -> Iterator[Harm]:
    for place in source.items:
        if place.type == "CodeableConcept" and "coding" in place.value:
            yield place.path, put(source.resource, place.path, {"text": "only a text"})


def _coding_beside(source: Source, _: Pool) -> Iterator[Harm]:
    """A coding before the right one: a pattern is content with either order."""
    for place in source.items:
        if place.type == "CodeableConcept" and "coding" in place.value:
            new = [{"system": _SNOMED, "code": "138875005"}, *place.value["coding"]]
            yield place.path, put(source.resource, (*place.path, "coding"), new)


def _target_of_base(source: Source, _: Pool) -> Iterator[Harm]:
    """A target that R4 allows and a profile may not."""
    for place in source.items:
        if place.type == "Reference":
            for name in sorted(place.element.targets or {"Group", "Device", "Media"}):
                at = (*place.path, "reference")
                yield at, put(source.resource, at, f"{name}/1")


def _logical(source: Source, _: Pool) -> Iterator[Harm]:
    for place in source.items:
        if place.type == "Reference" and "reference" in place.value:
            named = {"identifier": {"system": "http://example.org/mrn", "value": "1"}}
            yield place.path, put(source.resource, place.path, named)
            yield place.path, put(source.resource, place.path, {"display": "somebody"})


def _absent(source: Source, _: Pool) -> Iterator[Harm]:
    reason = {"extension": [dict(KNOWN[0])]}
    for place in source.slots:
        if place.value and place.element.min and isinstance(place.value, dict):
            yield place.path, put(source.resource, place.path, reason)
        elif isinstance(place.value, str) and place.type not in ("id", "xhtml"):
            beside = ((*place.path[:-1], f"_{place.path[-1]}"), reason)
            yield place.path, put_all(source.resource, (place.path, GONE), beside)
        elif isinstance(place.value, list) and isinstance(place.value[0], dict):
            yield place.path, put(source.resource, place.path, [reason])


def _own(source: Source, pool: Pool) -> Iterator[str]:
    yield from pool.profiles.get(source.type, ())
    for name in _OF_CORE.get(source.type, ()):
        yield _CORE + name
    for name in _US_CORE.get(source.type, ()):
        yield "http://hl7.org/fhir/us/core/StructureDefinition/" + name


def _other_claimed(source: Source, pool: Pool) -> Iterator[Harm]:
    at = ("meta", "profile")
    for url in _own(source, pool):
        if url not in source.profiles:
            yield at, put(source.resource, at, [url])


def _foreign_claimed(source: Source, pool: Pool) -> Iterator[Harm]:
    at = ("meta", "profile")
    for name, urls in sorted(pool.profiles.items()):
        if name != source.type:
            yield at, put(source.resource, at, [urls[0]])


def _unknown_claimed(source: Source, _: Pool) -> Iterator[Harm]:
    at = ("meta", "profile")
    for url in (
        "http://example.org/fhir/StructureDefinition/nowhere",
        _CORE + "nowhere",
        _CORE + source.type,
    ):
        yield at, put(source.resource, at, [url])
    for url in source.profiles:
        yield at, put(source.resource, at, [url + "x"])
        yield at, put(source.resource, at, [url + "|99"])


def _made_vital(source: Source, _: Pool) -> Iterator[Harm]:
    if source.type != "Observation":
        return
    for code, name in VITAL_SIGNS.items():
        coded = {"coding": [{"system": _LOINC, "code": code}], "text": name}
        yield ("code",), put(source.resource, ("code",), coded)
        beside = [*source.resource["code"].get("coding", []), *coded["coding"]]
        yield ("code", "coding"), put(source.resource, ("code", "coding"), beside)


def _is_vital(source: Source) -> bool:
    return any(
        coding.get("code") in VITAL_SIGNS and coding.get("system") == _LOINC
        for coding in source.resource.get("code", {}).get("coding", ())
    )


def _vital_harmed(source: Source, _: Pool) -> Iterator[Harm]:
    """A vital sign that no longer says that it is one, and its values and units."""
    if source.type != "Observation" or not _is_vital(source):
        return
    bare = put(source.resource, ("meta",), GONE)
    for name in ("category", "effectiveDateTime", "subject", "valueQuantity", "component"):
        if name in bare:
            yield (name,), put(bare, (name,), GONE)
    for at in _quantities(source):
        for new in _UNITS:
            yield at, put(bare, at, new)
        for name in ("code", "system", "unit", "value"):
            yield (*at, name), put(bare, (*at, name), GONE)
    two = [*source.resource.get("category", []), _VITAL]
    yield ("category",), put(bare, ("category",), two)
    text = {"text": "vital signs"}
    yield ("category",), put(bare, ("category",), [text])
    string = put_all(bare, (("valueQuantity",), GONE), (("valueString",), "70 kg"))
    yield ("valueString",), string


def _quantities(source: Source) -> Iterator[tuple[Any, ...]]:
    for place in source.items:
        if place.type == "Quantity" and place.path[-1] == "valueQuantity":
            yield place.path


def _in_bundle(source: Source, _: Pool) -> Iterator[Harm]:
    """A resource that others in the Bundle refer to loses its claim, or changes its type."""
    for index, entry in enumerate(source.resource.get("entry", ())):
        one = entry.get("resource", {})
        if one.get("meta", {}).get("profile"):
            at = ("entry", index, "resource", "meta")
            yield at, put(source.resource, at, GONE)
            other = ("entry", index, "resource", "meta", "profile")
            url = _CORE + "nowhere"
            yield other, put(source.resource, other, [url])
        for name in ("code", "name", "identifier", "status", "subject"):
            if name in one:
                at = ("entry", index, "resource", name)
                yield at, put(source.resource, at, GONE)


def _has_profile(_: Place, source: Source) -> bool:
    return _claimed(source)


KINDS: tuple[Kind, ...] = (
    removed("profile: property removed", "profile", _has_profile),
    Kind("profile: item removed", "profile", _if_claimed(item_removed)),
    Kind("profile: item doubled", "profile", _if_claimed(doubled)),
    Kind("profile: other type of a choice", "profile", _if_claimed(retyped)),
    Kind("profile: code changed", "profile", _if_claimed(_code_changed)),
    Kind("profile: coding removed", "profile", _if_claimed(_coding_gone)),
    Kind("profile: coding added before", "profile", _if_claimed(_coding_beside)),
    Kind("profile: other target of the base", "profile", _if_claimed(_target_of_base)),
    Kind("profile: reference without literal", "profile", _if_claimed(_logical)),
    Kind("profile: data-absent-reason", "profile", _if_claimed(_absent)),
    Kind("profile: another of the type claimed", "profile", _other_claimed),
    Kind("profile: one for another type claimed", "profile", _foreign_claimed),
    Kind("profile: unknown claimed", "profile", _unknown_claimed),
    Kind("profile: made a vital sign", "profile", _made_vital),
    Kind("profile: vital sign harmed, unclaimed", "profile", _vital_harmed),
    Kind("profile: resource of a Bundle harmed", "profile", _in_bundle),
    Kind("item doubled", "structural",
         lambda s, p: iter(()) if _claimed(s) else doubled(s, p)),
    Kind("item removed", "structural",
         lambda s, p: iter(()) if _claimed(s) else item_removed(s, p)),
    Kind("other type of a choice", "structural",
         lambda s, p: iter(()) if _claimed(s) else retyped(s, p)),
)  # fmt: skip
