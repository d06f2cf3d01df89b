"""Review: a person accepts or refuses a proposal that waits; the record keeps who and why."""

from __future__ import annotations

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue, failed
from fhirbridge.registry.proposals import Proposal
from fhirbridge.registry.records import Record as Stored
from fhirbridge.registry.unit import Unit
from fhirbridge.study import records
from fhirbridge.study.records import Record
from fhirbridge.sync.project import project

_DECIDED = frozenset({"conflict", "review"})  # what of a quarantined part a decision settles


def refuse(unit: Unit, proposal_id: str, *, by: str, reason: str) -> Proposal:
    """The record stays as it is; the proposal keeps who refused it, and why."""
    proposal = _waiting(unit, proposal_id)
    unit.proposals.set_status(proposal.id, "refused", by=by, reason=reason)
    _settle(unit, proposal)
    _tell(unit, proposal, f"person:{by}", "refused")
    return proposal


def accept(unit: Unit, mappings: MappingSet, proposal_id: str, *, by: str, reason: str) -> Stored:
    """The record after it took the proposed value, as a revision by this person.

    Raises `BridgeError` where the record would then not be what the study definition allows.
    """
    proposal = _waiting(unit, proposal_id)
    record = unit.records.get(proposal.record_id)
    if record and unit.hold([record.subject_id]):
        proposal = _waiting(unit, proposal_id)
        record = unit.records.get(proposal.record_id)
    subject = unit.subjects.by_id(record.subject_id) if record else None
    assert record is not None
    assert subject is not None
    after = {**record.fields, proposal.field: proposal.value}
    values = {name: records.value_from_json(raw) for name, raw in after.items()}
    wrong = records.check(mappings.study, Record(subject.study_id, record.form, values))
    if failed(wrong):
        raise BridgeError(*wrong)
    before = unit.proposals.accepted(record.id).get(proposal.field)
    if before is not None:
        unit.proposals.set_status(before.id, "superseded")
    unit.proposals.set_status(proposal.id, "accepted", by=by, reason=reason)
    stored = unit.records.save(
        record.id,
        subject_id=record.subject_id,
        form=record.form,
        key=record.key,
        fields=after,
        mapping_version=mappings.version,
        actor=f"person:{by}",
        reason=reason,
        message_id=proposal.message_id,
    )
    project(unit, mappings, stored, subject)
    _settle(unit, proposal)
    _tell(unit, proposal, f"person:{by}", "accepted")
    return stored


def _tell(unit: Unit, proposal: Proposal, actor: str, decision: str) -> None:
    named = {"proposal": proposal.id, "record": proposal.record_id, "decision": decision}
    unit.audit.note("U", "review", actor=actor, entities=named)


def _waiting(unit: Unit, proposal_id: str) -> Proposal:
    proposal = unit.proposals.get(proposal_id)
    if proposal is None or proposal.status != "waiting":
        cause = "there is no waiting proposal with this id"
        raise BridgeError(Issue("not-found", cause, "see 'fhirbridge proposal list'"))
    return proposal


def _settle(unit: Unit, proposal: Proposal) -> None:
    """Release the part of the message that waited for this decision, when it was the last."""
    if proposal.message_id is None or proposal.position is None:
        return
    entry = (proposal.message_id, proposal.position)
    others = unit.proposals.waiting(proposal.record_id)
    if any((other.message_id, other.position) == entry for other in others):
        return
    receipt = unit.receipts.of_message(proposal.message_id)
    parts = {
        told.part + 1  # what waits of the line about this record
        for told in (receipt.entries if receipt else ())
        if (told.position, told.record_id) == (proposal.position, proposal.record_id)
    }
    for held in unit.quarantine.of_message(proposal.message_id):
        settled = all(issue.category in _DECIDED for issue in held.issues)
        if held.position == proposal.position and held.part in parts and settled:
            unit.quarantine.release(held.message_id, held.position, held.part)
