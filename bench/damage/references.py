"""Damage to references and to contained resources: https://hl7.org/fhir/R4/references.html."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench.damage.edits import GONE, put, put_all
from bench.damage.mutant import Harm, Kind, Pool, replaced
from bench.damage.source import Place, Source
from bench.damage.values import of

_STRANGERS = ("Medication", "Bundle", "Slot", "Observation", "Patient")
_LOCAL = {"resourceType": "Organization", "id": "planted", "name": "Synthetic Hospital"}


def _references(source: Source) -> Iterator[Place]:
    return (place for place in source.items if place.type == "Reference")


def _literal(source: Source) -> Iterator[Place]:
    return (p for p in _references(source) if "reference" in p.value)


def _strangers(place: Place) -> list[str]:
    targets = place.element.targets
    return [name for name in _STRANGERS if targets and name not in targets]


def _wrong_target(form: str) -> Callable[[Source, Pool], Iterator[Harm]]:
    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        for place in _references(source):
            for stranger in _strangers(place):
                at = (*place.path, "reference")
                plain = put(source.resource, (*place.path, "type"), GONE)
                yield at, put(plain, at, form.format(stranger))

    return harm


def _unknown_target(source: Source, _: Pool) -> Iterator[Harm]:
    for place in _literal(source):
        at = (*place.path, "reference")
        for new in ("Patiant/1", "patient/1", "http://example.org/fhir/Foo/1"):
            yield at, put(source.resource, at, new)


def _type_contradicts(source: Source, _: Pool) -> Iterator[Harm]:
    for place in _references(source):
        at = (*place.path, "type")
        for new in (*_strangers(place)[:2], "Patiant", "http://hl7.org/fhir/Patient"):
            yield at, put(source.resource, at, new)


def _other_target(source: Source, _: Pool) -> Iterator[Harm]:
    """Reference.type names a target that is allowed, but not the one of the literal."""
    for place in _literal(source):
        named = place.value["reference"].split("/")[0]
        others = sorted(t for t in place.element.targets if t != named)
        if others and named[:1].isupper():
            at = (*place.path, "type")
            yield at, put(source.resource, at, others[0])


def _dangling(source: Source, _: Pool) -> Iterator[Harm]:
    for place in _references(source):
        at = (*place.path, "reference")
        for new in ("#nowhere", "#"):
            yield at, put(source.resource, at, new)


def _strange(source: Source, _: Pool) -> Iterator[Harm]:
    for place in _literal(source):
        at = (*place.path, "reference")
        for new in (
            "Patient?identifier=1",
            "just words",
            "Patient/",
            "/Patient/1",
            "Patient/1/2",
            "Patient/a_b",
            "urn:uuid:1",
            "urn:uuid:0b5f4ba1-6d37-4c2b-9f5a-0d7a3a1c2e4f",
        ):
            yield at, put(source.resource, at, new)


def _with_contained(source: Source, one: dict[str, Any]) -> dict[str, Any]:
    kept = source.resource.get("contained", [])
    return put(source.resource, ("contained",), [*kept, one])  # type: ignore[no-any-return]


def _may_contain(source: Source) -> bool:
    return source.type != "Bundle"


def _orphan(source: Source, _: Pool) -> Iterator[Harm]:
    if _may_contain(source):
        yield ("contained",), _with_contained(source, _LOCAL)
    for place in _literal(source):
        if place.value["reference"].startswith("#"):
            literal = (*place.path, "reference")
            yield literal, put(source.resource, literal, "Organization/1")
            yield place.path, put(source.resource, place.path, {"display": "was contained"})


def _contained(*changes: tuple[str, Any]) -> Callable[[Source, Pool], Iterator[Harm]]:
    """A contained resource that is referred to, with something wrong in it."""

    def harm(source: Source, _: Pool) -> Iterator[Harm]:
        for index in range(len(source.resource.get("contained", ()))):
            for name, new in changes:
                at = ("contained", index, name)
                yield at, put(source.resource, at, new)
        for place in _referring_to_organization(source):
            literal = (*place.path, "reference")
            for name, new in changes:
                made = _with_contained(source, put(_LOCAL, (name,), new))
                yield ("contained", name), put(made, literal, "#planted")

    return harm


def _referring_to_organization(source: Source) -> Iterator[Place]:
    if _may_contain(source):
        yield from (p for p in _references(source) if "Organization" in p.element.targets)


def _contained_of_wrong_type(source: Source, _: Pool) -> Iterator[Harm]:
    if not _may_contain(source):
        return
    for place in _references(source):
        for stranger in _strangers(place)[:2]:
            wrong = {"resourceType": stranger, "id": "planted"}
            at = (*place.path, "reference")
            yield at, put(_with_contained(source, wrong), at, "#planted")


def _contained_id_removed(source: Source, _: Pool) -> Iterator[Harm]:
    for index in range(len(source.resource.get("contained", ()))):
        at = ("contained", index, "id")
        yield at, put(source.resource, at, GONE)
    if _may_contain(source):
        yield ("contained",), _with_contained(source, put(_LOCAL, ("id",), GONE))


def _twice(source: Source, _: Pool) -> Iterator[Harm]:
    for place in _referring_to_organization(source):
        made = put_all(
            source.resource,
            ((*place.path, "reference"), "#planted"),
            (("contained",), [*source.resource.get("contained", []), _LOCAL, _LOCAL]),
        )
        yield ("contained",), made


KINDS: tuple[Kind, ...] = (
    Kind("reference to a wrong type", "structural", _wrong_target("{}/1")),
    Kind(
        "absolute reference to a wrong type",
        "structural",
        _wrong_target("http://example.org/fhir/{}/1"),
    ),
    Kind(
        "versioned reference to a wrong type", "structural", _wrong_target("{}/1/_history/2")
    ),
    Kind("reference to an unknown type", "structural", _unknown_target),
    Kind("Reference.type contradicts the targets", "structural", _type_contradicts),
    Kind("Reference.type contradicts the literal", "structural", _other_target),
    Kind("reference to nothing contained (ref-1)", "structural", _dangling),
    Kind("reference of a strange form", "structural", _strange),
    replaced(
        "reference without content", "structural", of("Reference"), {"type": "Patient"},
        {"identifier": {}},
    ),
    Kind("contained that nothing refers to (dom-3)", "structural", _orphan),
    Kind(
        "contained that contains (dom-2)",
        "structural",
        _contained(("contained", [{**_LOCAL, "id": "inner"}])),
    ),
    Kind(
        "contained with a version (dom-4)",
        "structural",
        _contained(("meta", {"versionId": "1"}), ("meta", {"lastUpdated": "2021-02-03T10:00:00Z"})),
    ),
    Kind(
        "contained with a label (dom-5)",
        "structural",
        _contained(("meta", {"security": [{"code": "R"}]})),
    ),
    Kind("contained of an unknown type", "structural", _contained(("resourceType", "Foo"))),
    Kind("contained with an unknown property", "structural", _contained(("colour", "red"))),
    Kind("contained of a type that is no target", "structural", _contained_of_wrong_type),
    Kind("contained without id", "structural", _contained_id_removed),
    Kind("contained id given twice", "structural", _twice),
)  # fmt: skip
