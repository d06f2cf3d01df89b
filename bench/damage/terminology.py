"""Damage to codes: https://hl7.org/fhir/R4/terminologies.html."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench.damage.edits import GONE, put, put_all
from bench.damage.mutant import Harm, Kind, Pool
from bench.damage.source import Place, Source

_HL7 = ("http://terminology.hl7.org/", "http://hl7.org/fhir/")
_SNOMED = "http://snomed.info/sct"
_UCUM = "http://unitsofmeasure.org"
Change = Callable[[str], str | None]


def _codings(source: Source) -> Iterator[Place]:
    return (p for p in source.items if p.type == "Coding" and "code" in p.value)


def _of_hl7(source: Source) -> Iterator[Place]:
    return (p for p in _codings(source) if str(p.value.get("system", "")).startswith(_HL7))


def _foreign(source: Source) -> Iterator[Place]:
    return (p for p in _codings(source) if not str(p.value.get("system", "")).startswith(_HL7))


def _bound_concepts(source: Source) -> Iterator[Place]:
    return (p for p in source.items if p.type == "CodeableConcept" and p.element.binding)


def _bound_code(*changes: Any) -> Callable[[Source, Pool], Iterator[Harm]]:
    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        for place in source.items:
            if place.type == "code" and place.element.binding:
                for change in changes:
                    new = change(place.value) if callable(change) else change
                    if new != place.value:
                        yield place.path, put(source.resource, place.path, new)

    return harm


def _in_coding(
    name: str, which: Callable[[Source], Iterator[Place]], *changes: Any
) -> Callable[[Source, Pool], Iterator[Harm]]:
    """A property of a Coding set or removed; a function gets the old value."""

    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        for place in which(source):
            for change in changes:
                new = change(place.value.get(name, "x")) if callable(change) else change
                if new is not None and new != place.value.get(name, GONE):
                    at = (*place.path, name)
                    yield at, put(source.resource, at, new)

    return harm


def _cased(old: str) -> str:
    return old.lower() if old != old.lower() else old.upper()


def _other_system(source: Source, pool: Pool) -> Iterator[Harm]:
    for place in _of_hl7(source):
        for other in pool.codings[:6]:
            if other["system"] != place.value["system"]:
                at = (*place.path, "system")
                yield at, put(source.resource, at, other["system"])


def _other_coding(source: Source, pool: Pool) -> Iterator[Harm]:
    """A right coding of another system in place of this one."""
    for place in _codings(source):
        for other in pool.codings[:8]:
            if other["system"] != place.value.get("system"):
                yield place.path, put(source.resource, place.path, dict(other))


def _value_set_as_system(source: Source, _: Pool) -> Iterator[Harm]:
    for place in _codings(source):
        at = (*place.path, "system")
        for name in ("condition-clinical", "observation-status", "administrative-gender"):
            yield at, put(source.resource, at, f"http://hl7.org/fhir/ValueSet/{name}")


def _concept(*changes: Any) -> Callable[[Source, Pool], Iterator[Harm]]:
    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        for place in _bound_concepts(source):
            for new in changes:
                yield place.path, put(source.resource, place.path, new)

    return harm


def _coding_added(source: Source, _: Pool) -> Iterator[Harm]:
    """A second coding: welcome beside one of the required set."""
    for place in source.items:
        if place.type == "CodeableConcept":
            codings = place.value.get("coding", [])
            for new in (
                {"system": _SNOMED, "code": "1"},
                {"system": "http://example.org/local", "code": "x", "display": "y"},
                {"code": "x"},
                {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical"},
                {"system": "http://terminology.hl7.org/CodeSystem/nowhere", "code": "x"},
            ):
                at = (*place.path, "coding")
                yield at, put(source.resource, at, [*codings, new])


def _unit(*changes: tuple[str, Any]) -> Callable[[Source, Pool], Iterator[Harm]]:
    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        for place in source.items:
            if place.type in ("Quantity", "Age", "Duration") and place.value.get("system") == _UCUM:
                pairs = (((*place.path, name), new) for name, new in changes)
                yield place.path, put_all(source.resource, *pairs)

    return harm


def _media_type(source: Source, _: Pool) -> Iterator[Harm]:
    for place in source.items:
        if place.type == "code" and place.path[-1] == "contentType":
            for new in ("nonsense", "text", "text/", "application/x-unknown"):
                yield place.path, put(source.resource, place.path, new)


def _language(source: Source, _: Pool) -> Iterator[Harm]:
    for new in ("xx-nowhere", "english", "de_DE", "tlh", "en-US"):
        yield ("language",), put(source.resource, ("language",), new)


KINDS: tuple[Kind, ...] = (
    Kind("code outside its required set", "structural", _bound_code("banana")),
    Kind("code of other case", "structural", _bound_code(_cased)),
    Kind("code of another required set", "structural", _bound_code("final", "active", "male")),
    Kind("required concept without coding", "terminology", _concept({"text": "only a text"})),
    Kind("required concept of another set", "terminology",
         _concept({"coding": [{"system": _SNOMED, "code": "1"}]},
                  {"coding": [{"system": "http://example.org/local", "code": "x"}]},
                  {"coding": [{"code": "active"}]},
                  {"coding": [{"display": "Active"}]})),
    Kind("unknown code of an HL7 system", "terminology",
         _in_coding("code", _of_hl7, "xx", lambda old: old + "x", lambda old: old[:-1] or None)),
    Kind("HL7 code of other case", "terminology", _in_coding("code", _of_hl7, _cased)),
    Kind("HL7 code with a blank", "terminology",
         _in_coding("code", _of_hl7, lambda old: " " + old, lambda old: old + " ")),
    Kind("HL7 code without its system", "terminology", _in_coding("system", _of_hl7, GONE)),
    Kind("HL7 system without a code", "terminology", _in_coding("code", _of_hl7, GONE)),
    Kind("HL7 system misspelt", "terminology",
         _in_coding("system", _of_hl7, lambda old: old + "/",
                    lambda old: old.replace("http:", "https:"), lambda old: old + "s")),
    Kind("HL7 code of another system", "terminology", _other_system),
    Kind("display wrong", "terminology",
         _in_coding("display", _of_hl7, "Something else", "x")),
    Kind("display of other case or spacing", "terminology",
         _in_coding("display", _of_hl7, lambda old: old.upper() if old != "x" else None,
                    lambda old: old.replace(" ", "  ") if " " in old else None)),
    Kind("version of a system", "terminology",
         _in_coding("version", _of_hl7, "1", "4.0.1", "nonsense")),
    Kind("coding of another system", "terminology", _other_coding),
    Kind("coding added", "terminology", _coding_added),
    Kind("value set as a system", "terminology", _value_set_as_system),
    Kind("foreign code changed", "terminology",
         _in_coding("code", _foreign, "xx", lambda old: old + "x", GONE)),
    Kind("foreign code's display changed", "terminology",
         _in_coding("display", _foreign, "Something else")),
    Kind("foreign code without its system", "terminology", _in_coding("system", _foreign, GONE)),
    Kind("foreign system changed", "terminology",
         _in_coding("system", _foreign, "http://example.org/local", lambda old: old + "/",
                    "urn:oid:2.16.840.1.113883.6.96")),
    Kind("UCUM unit by other words", "terminology", _unit(("unit", "something"))),
    Kind("UCUM code unknown to the lists", "terminology", _unit(("code", "mg/dL"), ("unit", "x"))),
    Kind("UCUM grammar broken", "terminology", _unit(("code", "furlong"))),
    Kind("UCUM annotation unlike the unit", "terminology",
         _unit(("code", "{score}"), ("unit", "points"))),
    Kind("media type unknown", "terminology", _media_type),
    Kind("language unknown", "terminology", _language),
)  # fmt: skip
