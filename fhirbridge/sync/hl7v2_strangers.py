"""A feed of a whole hospital: of whom nobody enrolled nothing is kept but that a message came."""

from __future__ import annotations

from dataclasses import replace

from fhirbridge.outcome import Issue
from fhirbridge.registry.messages import ERASED
from fhirbridge.registry.receipts import Receipt, ReceiptEntry
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.hl7v2_people import NO_AUTHORITY, NO_NUMBER

_NOBODY = Issue(
    "unknown-subject",
    "nobody enrolled here is meant, and nothing of it is kept",
    severity="information",
)


def discarded(unit: Unit, source: str, receipt: Receipt) -> Receipt:
    """The receipt, without all that it tells where its message is of a stranger; the caller
    commits. What waits because the number has no authority is kept: a site's file may be wrong."""
    if not receipt.entries or not all(_of_stranger(entry) for entry in receipt.entries):
        return receipt
    message = unit.messages.get(receipt.message_id)
    if message is None:
        return receipt
    for entry in receipt.entries:
        unit.quarantine.forget(message.id, entry.position)
        if entry.resource_type and entry.source_id:
            unit.origins.forget(source, entry.resource_type, entry.source_id)
    unit.messages.rewrite(replace(message, body=b"", state=ERASED))
    told = tuple(
        ReceiptEntry(e.position, e.part, "refused", issues=(_NOBODY,)) for e in receipt.entries
    )
    counts = dict.fromkeys(receipt.counts, 0) | {"received": receipt.counts["received"]}
    counts["refused"] = counts["received"]
    return unit.receipts.save(replace(receipt, counts=counts, entries=told))


def _of_stranger(entry: ReceiptEntry) -> bool:
    """Waits for an enrolment alone, or is read by no rule."""
    if entry.subject_id is not None:
        return False
    if entry.fate == "refused":
        return True
    wrong = [issue for issue in entry.issues if issue.category == "unknown-subject"]
    return entry.fate == "quarantined" and any(
        not issue.cause.startswith((NO_NUMBER, NO_AUTHORITY)) for issue in wrong
    )
