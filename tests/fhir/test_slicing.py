"""Slicing on nodes made up for the test: rules that no profile of the study has all of."""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.fhir import slicing
from fhirbridge.fhir.items import Item
from fhirbridge.fhir.surroundings import Surroundings


def _slice(name: str, *match: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "match": list(match), **more}


def _phone(use: str) -> Item:
    return Item({"use": use}, {}, "ContactPoint", "ContactPoint", f"Patient.telecom({use})")


def _told(node: dict[str, Any], *uses: str) -> list[str]:
    found = [_phone(use) for use in uses]
    slicer = slicing.Slicer(Surroundings({}), lambda item, urls, around: "Yes" in urls)
    placed = slicer.sort(node, found)
    return [i.category for i in slicing.check(node, placed, path="Patient.telecom", by="Made up")]


_WORK = _slice("work", {"path": ["use"], "fixed": "work"}, min=1, max=1)
_HOME = _slice("home", {"path": ["use"], "fixed": "home"})


@pytest.mark.parametrize(
    ("rules", "ordered", "uses", "told"),
    [
        ("open", False, ("work", "mobile"), []),
        ("open", False, ("home",), ["required"]),
        ("open", False, ("work", "work"), ["structure"]),
        ("closed", False, ("work", "home"), []),
        ("closed", False, ("work", "mobile"), ["value"]),
        ("open", True, ("work", "home"), []),
        ("open", True, ("home", "work"), ["structure"]),
    ],
)
def test_slices_are_counted(
    rules: str, ordered: bool, uses: tuple[str, ...], told: list[str]
) -> None:
    slices = {"by": [["value", "use"]], "rules": rules, "ordered": ordered}
    assert _told({"slicing": slices, "slices": [_WORK, _HOME]}, *uses) == told


@pytest.mark.parametrize(
    ("test", "fits"),
    [
        ({"path": ["use"], "fixed": "work"}, True),
        ({"path": [], "pattern": {"use": "work"}}, True),
        ({"path": [], "pattern": {"use": "work", "rank": 1}}, False),
        ({"path": [], "types": ["ContactPoint"]}, True),
        ({"path": [], "types": ["Address"]}, False),
        ({"path": ["rank"], "exists": False}, True),
        ({"path": ["use"], "exists": False}, False),
        ({"path": [], "profiles": ["Yes"]}, True),
        ({"path": [], "profiles": ["No"]}, False),
        ({"path": ["use"], "valueSet": "http://hl7.org/fhir/ValueSet/contact-point-use"}, True),
        ({"path": ["use"], "valueSet": "http://hl7.org/fhir/ValueSet/address-use"}, True),
        ({"path": ["use"], "valueSet": "http://hl7.org/fhir/ValueSet/name-use"}, False),
        ({"path": ["resolve()"], "exists": True}, False),
    ],
)
def test_each_kind_of_discriminator(test: dict[str, Any], fits: bool) -> None:
    slicer = slicing.Slicer(Surroundings({}), lambda item, urls, around: "Yes" in urls)
    assert slicer.fits(_phone("work"), [test]) is fits


def test_a_slice_that_nothing_is_told_of_holds_nothing() -> None:
    slicer = slicing.Slicer(Surroundings({}), lambda item, urls, around: True)
    assert not slicer.fits(_phone("work"), [])
