"""R4's invariants of resources and their parts, as a table: type or backbone path -> rules.

Covers what the study receives and sends, and the short rules of what may come with it in a Bundle
(https://hl7.org/fhir/R4/condition.html and so on). Rules across resources stand in other files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fhirbridge.fhir import temporal
from fhirbridge.fhir.datatype_rules import DATATYPE_RULES, Rule, Value, chosen, has
from fhirbridge.fhir.questionnaire_rules import QUESTIONNAIRE_RULES
from fhirbridge.fhir.rare_rules import RARE_RULES

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_CLINICAL = _TERMINOLOGY + "condition-clinical"
_VERIFICATION = _TERMINOLOGY + "condition-ver-status"
_ALLERGY_VERIFICATION = _TERMINOLOGY + "allergyintolerance-verification"
_OVER = frozenset(("resolved", "remission", "inactive"))
_IN_ERROR = frozenset(("entered-in-error",))


def _codings(concept: Mapping[str, Any]) -> list[Any]:
    codings: list[Any] = concept.get("coding", [])
    return codings


def _coded(value: Value, name: str, *, system: str, codes: frozenset[str]) -> bool:
    codings = _codings(value.get(name, {}))
    return any(c.get("system") == system and c.get("code") in codes for c in codings)


def _con_4(value: Value) -> bool:
    over = _coded(value, "clinicalStatus", system=_CLINICAL, codes=_OVER)
    return over or not chosen(value, "abatement")


def _con_5(value: Value) -> bool:
    wrong = _coded(value, "verificationStatus", system=_VERIFICATION, codes=_IN_ERROR)
    return not wrong or not has(value, "clinicalStatus")


def _allergy_in_error(value: Value) -> bool:
    return _coded(value, "verificationStatus", system=_ALLERGY_VERIFICATION, codes=_IN_ERROR)


def _obs_6(value: Value) -> bool:
    return not has(value, "dataAbsentReason") or not chosen(value, "value")


def _obs_7(value: Value) -> bool:
    """Codings are compared whole, as FHIRPath's intersect does."""
    own = {_whole(coding) for coding in _codings(value.get("code", {}))}
    if not own or not chosen(value, "value"):
        return True
    return not any(_whole(coding) in own for coding in _component_codings(value))


def _whole(value: Any) -> Any:
    """Of a JSON value one that can stand in a set, so that many are compared in little time."""
    if isinstance(value, dict):
        return frozenset((name, _whole(one)) for name, one in value.items())
    return tuple(map(_whole, value)) if isinstance(value, list) else value


def _component_codings(value: Value) -> Iterator[Any]:
    for component in value.get("component", ()):
        yield from _codings(component.get("code", {}))


def _no_home(*names: str) -> Callable[[Value], bool]:
    return lambda value: all(e.get("use") != "home" for name in names for e in value.get(name, ()))


def _some(*names: str) -> Callable[[Value], bool]:
    return lambda value: has(value, *names)


def _not_both(name: str, other: str) -> Callable[[Value], bool]:
    return lambda value: not (has(value, name) and has(value, other))


def _needs(name: str, other: str) -> Callable[[Value], bool]:
    return lambda value: not has(value, name) or has(value, other)


def _mdd_1(value: Value) -> bool:
    prepared, handed = value.get("whenPrepared"), value.get("whenHandedOver")
    if prepared is None or handed is None:
        return True
    return temporal.in_order(prepared, handed) is True


RESOURCE_RULES: Mapping[str, tuple[Rule, ...]] = {
    "AllergyIntolerance": (
        Rule(
            "ait-1",
            lambda value: has(value, "clinicalStatus") or _allergy_in_error(value),
            "clinicalStatus is missing",
            "add it, unless the record is entered-in-error",
        ),
        Rule(
            "ait-2",
            lambda value: not (has(value, "clinicalStatus") and _allergy_in_error(value)),
            "a record entered in error has a clinicalStatus",
            "leave it out",
        ),
    ),
    "CarePlan.activity": (
        Rule("cpl-3", _not_both("detail", "reference"), "detail and reference", "keep one of them"),
    ),
    "Composition.section": (
        Rule("cmp-1", _some("text", "entry", "section"), "the section is empty", "add content"),
        Rule("cmp-2", _not_both("emptyReason", "entry"), "emptyReason and entry", "keep one"),
    ),
    "Condition": (
        Rule(
            "con-4",
            _con_4,
            "an abated condition is not inactive, resolved or in remission",
            "correct clinicalStatus, or leave out abatement",
        ),
        Rule(
            "con-5",
            _con_5,
            "a condition entered in error has a clinicalStatus",
            "leave clinicalStatus out",
        ),
    ),
    "Condition.evidence": (
        Rule("con-2", _some("code", "detail"), "evidence has neither code nor detail", "add one"),
    ),
    "Condition.stage": (
        Rule("con-1", _some("summary", "assessment"), "no summary, no assessment", "add one"),
    ),
    "Consent": (
        Rule("ppc-1", _some("policy", "policyRule"), "no policy, no policyRule", "add one of them"),
    ),
    "FamilyMemberHistory": (
        Rule(
            "fhs-1",
            lambda value: not (chosen(value, "age") and chosen(value, "born")),
            "age and born are both given",
            "keep one of them",
        ),
        Rule(
            "fhs-2",
            lambda value: chosen(value, "age") or not has(value, "estimatedAge"),
            "estimatedAge without age",
            "add age",
        ),
    ),
    "List": (
        Rule("lst-1", _not_both("emptyReason", "entry"), "emptyReason and entry", "keep one"),
    ),
    "MedicationAdministration.dosage": (
        Rule(
            "mad-1",
            lambda value: has(value, "dose") or chosen(value, "rate"),
            "neither dose nor rate is given",
            "add one of them",
        ),
    ),
    "MedicationDispense": (
        Rule("mdd-1", _mdd_1, "handed over before it was prepared", "exchange the two"),
    ),
    "Observation": (
        Rule(
            "obs-6",
            _obs_6,
            "there is a value and a reason why it is absent",
            "leave out dataAbsentReason",
        ),
        Rule(
            "obs-7",
            _obs_7,
            "a component has the code of the whole, which has a value",
            "move the component's value up, or correct its code",
        ),
    ),
    "Observation.referenceRange": (
        Rule("obs-3", _some("low", "high", "text"), "the range says nothing", "add low or high"),
    ),
    "Organization": (
        Rule("org-1", _some("identifier", "name"), "no identifier, no name", "add one of them"),
        Rule("org-2", _no_home("address"), "an organization has no home address", "correct use"),
        Rule("org-3", _no_home("telecom"), "an organization has no home contact", "correct use"),
    ),
    "Patient.contact": (
        Rule(
            "pat-1",
            _some("name", "telecom", "address", "organization"),
            "the contact says nothing of who or where",
            "add name, telecom, address or organization",
        ),
    ),
    "QuestionnaireResponse.item": (
        Rule("qrs-1", _not_both("answer", "item"), "an item has answer and item", "keep one"),
    ),
    "ServiceRequest": (
        Rule("prr-1", _needs("orderDetail", "code"), "orderDetail without code", "add code"),
    ),
}

_TABLES = (DATATYPE_RULES, RESOURCE_RULES, QUESTIONNAIRE_RULES, RARE_RULES)

INVARIANTS: Mapping[str, tuple[Rule, ...]] = {
    at: tuple(rule for table in _TABLES for rule in table.get(at, ()))
    for at in dict.fromkeys(name for table in _TABLES for name in table)
}
