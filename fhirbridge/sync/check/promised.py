"""Steps about what the CapabilityStatement promises: whole charts, Bulk export, writing.

Nothing is written to find out. https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from collections.abc import Iterator

from fhirbridge.outcome import BridgeError
from fhirbridge.sync.check.step import Examination, Step, objects, operations, resource

_EXPORTS = {"export": "system", "Patient.export": "patients", "Group.export": "a group"}


def everything(seen: Examination) -> Iterator[Step]:
    if seen.patient:
        yield _asked_for_everything(seen)
    elif "Patient.everything" in operations(seen.statement):
        yield Step("$everything", "ok", "offered")
    else:
        yield Step("$everything", "unknown", "not listed; a pull searches type by type instead")


def _asked_for_everything(seen: Examination) -> Step:
    try:
        answer = seen.server.get(f"Patient/{seen.patient}/$everything", {"_count": "1"})
    except BridgeError as fault:
        return Step.of("$everything", fault, "unknown")
    if answer.status == 200 and (answer.body or {}).get("resourceType") == "Bundle":
        return Step("$everything", "ok", "answered for the named Patient")
    return Step("$everything", "unknown", f"answered {answer.status}; a pull searches type by type")


def export(seen: Examination) -> Iterator[Step]:
    there = operations(seen.statement)
    kinds = [told for name, told in _EXPORTS.items() if name in there]
    if kinds:
        yield Step("$export", "ok", f"listed: of {', of '.join(kinds)}")
    else:
        yield Step("$export", "unknown", "not listed; a pull asks patient by patient instead")


def writing(seen: Examination) -> Iterator[Step]:
    """What a delivery needs of each type that it sends."""
    for name in seen.sent:
        told = resource(seen.statement, name)
        if not told:
            yield Step(
                f"write {name}", "unknown", "the statement does not list the type", _ask(name)
            )
            continue
        can = {str(one.get("code")) for one in objects(told.get("interaction"))}
        lacking = [code for code in ("read", "create", "update") if code not in can]
        lacking += [] if told.get("conditionalCreate") else ["conditional create"]
        if lacking:
            words = f"not listed: {', '.join(lacking)}"
            yield Step(f"write {name}", "warning", words, _ask(name))
        else:
            yield Step(f"write {name}", "ok", "create, conditional create and update are listed")


def _ask(name: str) -> str:
    return f"ask whether our client may create and update {name}; deliveries need it"
