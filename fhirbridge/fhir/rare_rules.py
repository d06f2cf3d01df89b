"""R4's short invariants of resources that the study neither receives nor sends: they come in a
Bundle, or to a site that asks for a verdict only (https://hl7.org/fhir/R4/goal.html and so on).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fhirbridge.fhir.datatype_rules import UCUM, Rule, Value, chosen, has, number

Holds = Callable[[Value], bool]
_UNDATED = frozenset(("proposed", "cancelled", "waitlist"))
_CANCELLED = frozenset(("no-show", "cancelled"))
_SEQUENCES = ("genomeBuild", "referenceSeqId", "referenceSeqPointer", "referenceSeqString")


def _some(*names: str) -> Holds:
    return lambda value: has(value, *names)


def _one_of_two(name: str, other: str) -> Holds:
    return lambda value: has(value, name) != has(value, other)


def _both_or_none(name: str, other: str) -> Holds:
    return lambda value: has(value, name) == has(value, other)


def _in_list(mode: str, name: str) -> Holds:
    """In a List of another mode no entry has it."""

    def holds(value: Value) -> bool:
        return value.get("mode") == mode or not any(has(e, name) for e in value.get("entry", ()))

    return holds


def _dated(value: Value) -> bool:
    return (has(value, "start") and has(value, "end")) or value.get("status") in _UNDATED


def _cancelled(value: Value) -> bool:
    return not has(value, "cancelationReason") or value.get("status") in _CANCELLED


def _percentages(value: Value) -> bool:
    range_ = value.get("probabilityRange", {})
    bounds = [range_[name] for name in ("low", "high") if name in range_]
    return all(one.get("code") == "%" and one.get("system") == UCUM for one in bounds)


def _at_most_100(value: Value) -> bool:
    told = number(value.get("probabilityDecimal"))
    return told is None or told <= 100


def _one_sequence(value: Value) -> bool:
    return sum(has(value, name) for name in _SEQUENCES) == 1


def _triggered(value: Value) -> bool:
    kind = str(value.get("type", ""))
    if kind == "named-event":
        return has(value, "name")
    if kind == "periodic":
        return chosen(value, "timing")
    return not kind.startswith("data-") or has(value, "data")


RARE_RULES: Mapping[str, tuple[Rule, ...]] = {
    "Appointment": (
        Rule("app-2", _both_or_none("start", "end"), "start or end alone", "give both, or neither"),
        Rule("app-3", _dated, "it has no start and end", "add them, or correct status"),
        Rule(
            "app-4",
            _cancelled,
            "a reason why it is cancelled, and it is not",
            "leave cancelationReason out, or correct status",
        ),
    ),
    "Appointment.participant": (
        Rule("app-1", _some("type", "actor"), "neither type nor actor", "add one of them"),
    ),
    "AppointmentResponse": (
        Rule("apr-1", _some("participantType", "actor"), "nobody takes part", "add actor"),
    ),
    "AuditEvent.entity": (
        Rule(
            "sev-1",
            lambda value: not (has(value, "name") and has(value, "query")),
            "name and query",
            "keep one of them",
        ),
    ),
    "DataRequirement.codeFilter": (
        Rule("drq-1", _one_of_two("path", "searchParam"), "not one of the two", "give path alone"),
    ),
    "DataRequirement.dateFilter": (
        Rule("drq-2", _one_of_two("path", "searchParam"), "not one of the two", "give path alone"),
    ),
    "Goal.target": (
        Rule(
            "gol-1",
            lambda value: not chosen(value, "detail") or has(value, "measure"),
            "detail without measure",
            "add measure",
        ),
    ),
    "Group": (
        Rule(
            "grp-1",
            lambda value: not has(value, "member") or value.get("actual") is True,
            "a group that is not actual has members",
            "correct actual, or leave member out",
        ),
    ),
    "Immunization.education": (
        Rule("imm-1", _some("documentType", "reference"), "it names no document", "add reference"),
    ),
    "InsurancePlan": (
        Rule("ipn-1", _some("identifier", "name"), "no identifier, no name", "add one of them"),
    ),
    "Linkage": (
        Rule("lnk-1", lambda value: len(value.get("item", ())) > 1, "one item", "add another"),
    ),
    "List": (
        Rule(
            "lst-2", _in_list("changes", "deleted"), "deleted, in no list of changes", "remove it"
        ),
        Rule("lst-3", _in_list("working", "date"), "an entry's date, not working", "remove it"),
    ),
    "MolecularSequence": (
        Rule(
            "msq-3",
            lambda value: value.get("coordinateSystem") in (0, 1),
            "coordinates start with 0 or 1",
            "write 0 or 1",
        ),
    ),
    "MolecularSequence.referenceSeq": (
        Rule("msq-5", _both_or_none("chromosome", "genomeBuild"), "one of two", "give both"),
        Rule("msq-6", _one_sequence, "no sequence, or several", "name one"),
    ),
    "RequestGroup.action": (
        Rule("rqg-1", _one_of_two("resource", "action"), "not one of the two", "give one of them"),
    ),
    "RiskAssessment.prediction": (
        Rule("ras-1", _percentages, "the range is not of percentages", f"write % of {UCUM}"),
        Rule("ras-2", _at_most_100, "a probability above 100", "write a percentage"),
    ),
    "TriggerDefinition": (
        Rule(
            "trd-1",
            lambda value: not (has(value, "data") and chosen(value, "timing")),
            "timing and data",
            "keep one of them",
        ),
        Rule(
            "trd-2",
            lambda value: not has(value, "condition") or has(value, "data"),
            "a condition without data",
            "add data",
        ),
        Rule("trd-3", _triggered, "the trigger lacks what its type needs", "add it"),
    ),
}
