"""The door for HL7 v2: a message in, and what its sender is told.

Kept and answered as every message is (`sync.ingest`); the answer is made of the receipt, so that
the same message gets the same one again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from fhirbridge.formats import hl7v2
from fhirbridge.mapping.feed import Feed as Rules
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue
from fhirbridge.registry.receipts import Receipt
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.hl7v2_messages import BEFORE
from fhirbridge.sync.ingest import Incoming, ingest

KIND = "hl7v2"


@dataclass(frozen=True, slots=True)
class Taken:
    """`fresh` is False where the message had come before."""

    receipt: Receipt
    fresh: bool
    rules: Rules

    @property
    def fate(self) -> str:
        return fate(self.receipt, fresh=self.fresh)


def take(unit: Unit, mappings: MappingSet, source: str, body: bytes) -> Taken:
    """Ingest one message; the caller commits. The key is the sender's own names for it and its
    bytes: counters start again with their engine."""
    begins, key = _key(body)
    before = unit.messages.key_beginning(source, begins) if begins else None
    asked = {}
    if before is not None and before != key:
        earlier = unit.messages.by_key(source, before)
        asked = {BEFORE: f"{earlier.received_at:%Y-%m-%d}"} if earlier else {}
    done = ingest(unit, mappings, Incoming(source, KIND, key, body, asked=asked))
    return Taken(done.receipt, done.fresh, mappings.shapes.feed)


def _key(body: bytes) -> tuple[str, str]:
    """What the key begins with, and the key; nothing where there is no header."""
    sha256 = hashlib.sha256(body).hexdigest()
    try:
        header = hl7v2.header(body)
    except ValueError:
        return "", f"hl7v2:{sha256}"
    named = "|".join(header.text(n)[:200] for n in (3, 4, 10))
    begins = f"hl7v2:{named}|"
    return (begins if header.text(10) else ""), f"{begins}{sha256}"


_ORDER = ("applied", "quarantined", "superseded", "unchanged")


def fate(receipt: Receipt, *, fresh: bool = True) -> str:
    """Of the message as a whole: that of the entry of which most became. `ignored`: it has nothing
    that a rule reads."""
    if receipt.state == "refused":
        return "refused"
    fates = {entry.fate for entry in receipt.entries}
    found = next((one for one in _ORDER if one in fates), "ignored")
    return "unchanged" if found == "applied" and not fresh else found


def waiting(receipt: Receipt) -> list[Issue]:
    """What a sender can mend: why something waits, or was refused whole."""
    found = [*receipt.issues]
    for entry in receipt.entries:
        if entry.fate in ("quarantined", "applied", "unchanged"):
            found += [i for i in entry.issues if i.severity == "error" and i.category != "review"]
    return list(dict.fromkeys(found))
