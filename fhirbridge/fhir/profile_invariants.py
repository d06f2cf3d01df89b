"""The invariants of mCODE, US Core and R4's own profiles, as a table: key -> rule of one item.

Each rule is the FHIRPath expression that stands with its key in profiles.json, judged as written:
no answer is a failure. Gets items of right JSON shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from fhirbridge.fhir import packages
from fhirbridge.fhir.datatype_rules import UCUM, chosen, has
from fhirbridge.fhir.items import Item
from fhirbridge.fhir.surroundings import Surroundings

Rule = Callable[[Item, Surroundings], bool]

SNOMED = "http://snomed.info/sct"
_MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition/"
_MODALITY = f"{_MCODE}mcode-radiotherapy-modality"
_TECHNIQUE = f"{_MCODE}mcode-radiotherapy-technique"
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_NULL_FLAVOR = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
_CODES = re.compile(r"code\s*=\s*'([^']*)'")
_ISSUED = frozenset(("partial", "preliminary", "final", "amended", "corrected", "appended"))
_ORDERS = frozenset(("order", "original-order", "reflex-order", "filler-order", "instance-order"))


def _value(item: Item) -> Mapping[str, Any]:
    return item.value if isinstance(item.value, dict) else {}


def _some(*names: str) -> Rule:
    """One of the elements is there; `value` of a choice in any of its types."""
    return lambda item, _: any(has(_value(item), n) or chosen(_value(item), n) for n in names)


def _only_if(name: str, values: frozenset[str], *needed: str) -> Rule:
    """If `name` has one of the values, one of the needed is there."""
    some = _some(*needed)
    return lambda item, around: _value(item).get(name) not in values or some(item, around)


def _text_matches(name: str, pattern: str) -> Rule:
    """FHIRPath's matches(), which has no answer where there is no text."""
    wanted = re.compile(pattern, re.ASCII)
    return lambda item, _: wanted.search(str(_value(item).get(name, ""))) is not None


def _length(least: int) -> Rule:
    """Of a dateTime, so many characters at least: none without a value; of other types nothing."""

    def holds(item: Item, _: Surroundings) -> bool:
        told = item.value is not None and len(item.value) >= least
        return told or item.type != "dateTime"

    return holds


def _answered(item: Item, _: Surroundings) -> bool:
    value = _value(item)
    if has(value, "component", "hasMember"):
        return True
    return has(value, "dataAbsentReason") or chosen(value, "value")


def _focus_or_specimen(item: Item, _: Surroundings) -> bool:
    return has(_value(item), "focus") != has(_value(item), "specimen")


def _named(item: Item, _: Surroundings) -> bool:
    absent = any(e.get("url") == _ABSENT for e in _value(item).get("extension", ()))
    return has(_value(item), "family", "given") != absent


def _npi(item: Item, _: Surroundings) -> bool:
    """The Luhn digit of a National Provider Identifier, which counts a prefix 80840."""
    text = str(_value(item).get("value", ""))
    if not re.match(r"[0-9]{10}", text):
        return False
    digits = [int(digit) for digit in text[:10]]
    doubled = sum(digit * 2 if digit < 5 else digit * 2 - 9 for digit in digits[0:9:2])
    return (doubled + sum(digits[1:10:2]) + 24) % 10 == 0


def _member_number(item: Item, _: Surroundings) -> bool:
    system = "http://terminology.hl7.org/CodeSystem/v2-0203"
    types = (one.get("type", {}) for one in _value(item).get("identifier", ()))
    marked = any(_coded(told, system, ("MB",)) for told in types)
    return marked or has(_value(item), "subscriberId")


def _on_behalf(item: Item, around: Surroundings) -> bool:
    target = around.resolve(_value(item).get("who", {}).get("reference", ""))
    kind = target.resource.get("resourceType") if target else ""
    return kind not in ("Practitioner", "Device") or has(_value(item), "onBehalfOf")


def _distinct_answers(item: Item, _: Surroundings) -> bool:
    """Within each item or answer, the items with answers have different linkIds."""
    return all(len(links) == len(set(links)) for links in map(_linked, _nested(_value(item))))


def _nested(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield value
    for name in ("item", "answer"):
        for one in value.get(name, ()):
            yield from _nested(one)


def _linked(value: Mapping[str, Any]) -> list[str]:
    told = [one for one in value.get("item", ()) if _has_value(one.get("answer", ()))]
    return [one.get("linkId", "") for one in told]


def _has_value(answers: Any) -> bool:
    return any(chosen(answer, "value") for answer in answers)


# -- codes that the expression itself lists


@cache
def listed_codes(key: str) -> tuple[str, ...]:
    """The codes in the expression of the package: they are not written here a second time."""
    return tuple(_CODES.findall(packages.invariant(key)["expression"]))


def _coded(concept: Mapping[str, Any], system: str, codes: Any) -> bool:
    codings = concept.get("coding", ())
    return any(c.get("code") in codes and system in ("", c.get("system")) for c in codings)


def _ended_only_if_stopped(item: Item, _: Surroundings) -> bool:
    codes = listed_codes("termination-reason-invariant")
    ended = any(_coded(reason, SNOMED, codes) for reason in _reasons(item))
    return not ended or _value(item).get("status") == "stopped"


def _stopped_for_a_reason(item: Item, _: Surroundings) -> bool:
    codes = listed_codes("termination-reason-code-invariant")
    coded = [reason for reason in _reasons(item) if "coding" in reason]
    if not coded or _value(item).get("status") != "stopped":
        return True
    return any(_coded(reason, SNOMED, codes) for reason in coded)


def _reasons(item: Item) -> list[Mapping[str, Any]]:
    """statusReason, which is a list in MedicationAdministration only."""
    told = _value(item).get("statusReason", [])
    return told if isinstance(told, list) else [told]


def _part(item: Item, url: str) -> list[Mapping[str, Any]]:
    parts = _value(item).get("extension", ())
    return [p["valueCodeableConcept"] for p in parts if _is_concept(p, url)]


def _is_concept(part: Mapping[str, Any], url: str) -> bool:
    return part.get("url") == url and "valueCodeableConcept" in part


def _technique(key: str, item: Item, _: Surroundings) -> bool:
    """A modality asks for one of its techniques."""
    modality, *techniques = listed_codes(key)
    if not any(_coded(one, SNOMED, (modality,)) for one in _part(item, _MODALITY)):
        return True
    return any(_coded(one, "", techniques) for one in _part(item, _TECHNIQUE))


def _worded(url: str) -> Rule:
    """A concept coded as unencoded (UNC) has a text."""

    def holds(item: Item, _: Surroundings) -> bool:
        told = _part(item, url)
        coded = any(_coded(one, _NULL_FLAVOR, ("UNC",)) for one in told)
        return not coded or any(has(one, "text") for one in told)

    return holds


def _unit(system: str) -> Rule:
    def holds(item: Item, _: Surroundings) -> bool:
        value = _value(item)
        coded = has(value, "code") or not has(value, "value")
        return coded and (not has(value, "system") or value.get("system") == system)

    return holds


def _count(item: Item, around: Surroundings) -> bool:
    value = _value(item)
    whole = "." not in str(value.get("value", ""))
    one = not has(value, "code") or value.get("code") == "1"
    return _unit(UCUM)(item, around) and one and whole


def _parts(name: str, needed: str) -> Rule:
    def holds(item: Item, _: Surroundings) -> bool:
        urls = {part.get("url") for part in _value(item).get("extension", ())}
        return name not in urls or needed in urls

    return holds


def _phone(item: Item, _: Surroundings) -> bool:
    return _value(item).get("system") == "phone"


def _no_comparator(item: Item, _: Surroundings) -> bool:
    return not has(_value(item), "comparator")


def _variable_name(item: Item, _: Surroundings) -> bool:
    return has(_value(item).get("valueExpression", {}), "name")


_TECHNIQUES = (
    "CarbonIonBeamModality",
    "ElectronBeamModality",
    "HighDoseRate",
    "HighDoseRateElectronic",
    "InternalRadiotherapyPermanentSeeds",
    "LowDoseRateUsingTempRadSource",
    "NeutronBeamModality",
    "PhotonBeamModality",
    "ProtonBeamModality",
    "PulsedDoseRate",
    "RadioPharmaceutical",
)


def modality(key: str) -> str:
    """The code that asks for one of its techniques; none of another rule."""
    return listed_codes(key)[0] if key.startswith("TechniquesFor") else ""


RULES: Mapping[str, Rule] = {
    "ModalityTextRequiredForOther": _worded(_MODALITY),
    "TechniqueTextRequiredForOther": _worded(_TECHNIQUE),
    "clb-1": _phone,
    "cnt-3": _count,
    "der-1": _parts("length", "offset"),
    "mcode-description-or-id-required": _some("description", "identifier"),
    "mcode-reason-required": _some("reasonCode", "reasonReference"),
    "mqty-1": _unit("urn:iso:std:iso:4217"),
    "must-have-focus-or-specimen-invariant": _focus_or_specimen,
    "pd-1": _some("telecom", "endpoint"),
    "provenance-1": _on_behalf,
    "sdcqr-1": _some("subject"),
    "sdcqr-2": _distinct_answers,
    "sqty-1": _no_comparator,
    "termination-reason-code-invariant": _stopped_for_a_reason,
    "termination-reason-invariant": _ended_only_if_stopped,
    "us-core-1": _length(10),
    "us-core-10": _only_if("status", _ISSUED, "effective"),
    "us-core-13": _some("practitioner", "organization", "healthcareService", "location"),
    "us-core-14": _some("name", "relationship"),
    "us-core-15": _member_number,
    "us-core-16": _text_matches("value", r"\A[0-9]{10}\Z"),
    "us-core-17": _npi,
    "us-core-18": _text_matches("value", r"\A[0-9]{2}D[0-9]{7}\Z"),
    "us-core-19": _text_matches("value", r"\A[0-9]{5}\Z"),
    "us-core-2": _answered,
    "us-core-20": _only_if("status", frozenset(("completed",)), "whenHandedOver"),
    "us-core-21": _only_if("intent", _ORDERS, "requester"),
    "us-core-6": _some("url", "data"),
    "us-core-6#2": _named,
    "us-core-7": _only_if("status", frozenset(("completed", "in-progress")), "performed"),
    "us-core-8": _only_if("status", _ISSUED, "effective"),
    "us-core-9": _only_if("status", _ISSUED, "issued"),
    "var-1": _variable_name,
    "vs-1": _length(8),
    "vs-1#2": _length(10),
    "vs-2": _answered,
    "vs-3": _some("value", "dataAbsentReason"),
    **{f"TechniquesFor{name}": partial(_technique, f"TechniquesFor{name}") for name in _TECHNIQUES},
}
"""us-core-3 and us-core-4 ask below the value for a value and always hold; us-core-5 is advice."""

ALWAYS_HOLD = frozenset(("us-core-3", "us-core-4", "us-core-5"))
"""Their expressions look below the value for another value, and are satisfied by its absence."""

NOT_JUDGED = frozenset(("alrtdet-1", "rid-1", "rin-1"))
"""Invariants of extensions on definitions and devices, whose %resource the study never gets."""
