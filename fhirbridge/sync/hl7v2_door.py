"""The door for HL7 v2: a message in, and what its sender is told.

Kept and answered as every message is (`sync.ingest`); the answer is made of the receipt, so that
the same message gets the same one again.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from fhirbridge.formats import hl7v2, hl7v2_ack
from fhirbridge.formats.hl7v2_ack import Told
from fhirbridge.mapping.feed import Feed as Rules
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue
from fhirbridge.registry.receipts import Receipt
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.hl7v2_messages import BEFORE
from fhirbridge.sync.hl7v2_strangers import discarded
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
    begins, named = key(body)
    before = unit.messages.key_beginning(source, begins) if begins else None
    asked = {}
    if before is not None and before != named:
        earlier = unit.messages.by_key(source, before)
        asked = {BEFORE: f"{earlier.received_at:%Y-%m-%d}"} if earlier else {}
    done = ingest(unit, mappings, Incoming(source, KIND, named, body, asked=asked))
    rules, receipt = mappings.shapes.feed, done.receipt
    if done.fresh and rules.unknown_patient == "discard":
        receipt = discarded(unit, source, receipt)
        unit.flush()
    return Taken(receipt, done.fresh, rules)


def key(body: bytes) -> tuple[str, str]:
    """What the key begins with, and the key; nothing where there is no header."""
    sha256 = hashlib.sha256(body).hexdigest()
    try:
        header = hl7v2.header(body)
    except ValueError:
        return "", f"hl7v2:{sha256}"
    told = "|".join(header.text(n)[:200] for n in (3, 4, 10))
    begins = f"hl7v2:{told}|"
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


def answers(body: bytes, taken: Taken, *, at: str, id: str) -> list[bytes]:
    """What its sender is told: stored is AA or CA, whatever waits of it; a feed with `ack: applied`
    gets AE where anything waits."""
    wrong = waiting(taken.receipt)
    refused = taken.receipt.state == "refused"
    good = not refused and not (wrong and taken.rules.ack == "applied")
    errors = [_told(issue, good=good) for issue in wrong]
    return hl7v2_ack.answers(body, at=at, id=id, good=good, stored=not refused, errors=errors)


def busy(body: bytes, *, at: str, id: str) -> list[bytes]:
    """AR, for a sender that asks for it instead of silence (`busy: AR`): send it again later."""
    error = Told("", "207", "E", "nothing was stored; send it again")
    return hl7v2_ack.answers(
        body, at=at, id=id, good=False, stored=False, errors=[error], busy=True
    )


_CODES = {
    "required": "101",
    "value": "102",
    "structure": "100",
    "unknown-code": "103",
    "unknown-subject": "204",
    "duplicate": "205",
    "not-supported": "202",
    "too-long": "207",
}
_TABLES = re.compile(r"PID\[\d+\]-(8|30)")  # their values are codes of a table
_TEXTS = {
    "101": "a field that is needed is empty",
    "102": "the value is not read",
    "205": "the numbers are no pair to be merged",
    "204": "nobody enrolled is known by it",
}


def _told(issue: Issue, *, good: bool) -> Told:
    merge = issue.place.startswith("MRG")
    code = "205" if merge else _CODES.get(issue.category, "102")
    if issue.place == "MSH-18" or (code == "202" and issue.place != "MSH-11"):
        code = "102"  # 202 is of the processing id alone
    if _TABLES.fullmatch(issue.place):
        code = "103"
    # A cause may hold a value of a person; of codes and of what the header lacks none does.
    told = issue.category in ("unknown-code", "not-supported") or issue.place.startswith("MSH")
    text = issue.cause if told else _TEXTS.get(code, "it waits, and the receipt says why")
    return Told(issue.place, code, "W" if good else "E", text)
