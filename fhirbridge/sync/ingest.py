"""The one door in: whatever arrives is kept, judged, read, and becomes records or waits with a
reason.

Each entry ends as applied, unchanged, superseded, quarantined or refused, and the receipt says
which and why, of each of its facts. The caller commits: message, records, revisions, resources and
receipt are one transaction.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.messages import Message, Receipt, ReceiptEntry
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.entries import Work
from fhirbridge.sync.judge import judge

FATES = ("applied", "unchanged", "superseded", "quarantined", "refused")


@dataclass(frozen=True, slots=True)
class Incoming:
    """Bytes of a source. `key` tells a repetition; `base` is the server that a pulled page came
    from.

    `kind` is `push/<type>`: a transaction Bundle or a resource of the type that the sender's URL
    promised, all or nothing; or `page`: a page of a pull, of which each entry stands for itself.
    """

    source: str
    kind: str
    key: str
    body: bytes
    base: str = ""


@dataclass(frozen=True, slots=True)
class Ingested:
    """`fresh` is False where the same message had come before and its receipt is told again."""

    receipt: Receipt
    fresh: bool


def ingest(unit: Unit, mappings: MappingSet, incoming: Incoming) -> Ingested:
    """Keep the message and work it off, or find the receipt of the first time.

    Raises `BridgeError` (business-rule) where the key came before with other bytes.
    """
    message, fresh = unit.messages.keep(incoming.source, incoming.kind, incoming.key, incoming.body)
    if fresh:
        return Ingested(work_off(unit, mappings, message, base=incoming.base), True)
    if message.sha256 != hashlib.sha256(incoming.body).hexdigest():
        cause = "this idempotency key came before with another body"
        raise BridgeError(Issue("business-rule", cause, "use a new key for a new message"))
    receipt = unit.receipts.of_message(message.id)
    assert receipt is not None, "message and receipt are written in one transaction"
    return Ingested(receipt, False)


def work_off(unit: Unit, mappings: MappingSet, message: Message, *, base: str = "") -> Receipt:
    """The message's receipt after reading it: the first time and every replay.

    A replay reads only what still waits: what was taken may have been corrected since by a later
    message, and what was sent again counts as that says.
    """
    told: list[ReceiptEntry] = []
    issues: tuple[Issue, ...] = ()
    try:
        found = judge(message.body, kind=message.kind)
    except BridgeError as fault:
        issues = fault.issues
        told = [ReceiptEntry(0, 0, "refused", issues=issues)]
    else:
        told = Work(unit, mappings, message, base).entries(found)
    counts = Counter(entry.fate for entry in told if entry.part == 0)  # an entry once
    return unit.receipts.save(
        Receipt(
            id=unit.new_id(),
            message_id=message.id,
            state="refused" if issues else "done",
            counts={"received": counts.total(), **{fate: counts[fate] for fate in FATES}},
            issues=issues,
            created_at=unit.now(),
            entries=tuple(told),
        )
    )
