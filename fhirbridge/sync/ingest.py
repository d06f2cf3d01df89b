"""The one door in: whatever arrives is kept, judged, read, and becomes records or waits with a
reason.

Each entry ends as applied, unchanged, superseded, quarantined or refused, and the receipt says
which and why, of each of its facts. The caller commits: message, records, revisions, resources and
receipt are one transaction.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.messages import ERASED, KEPT, REDACTED, Message
from fhirbridge.registry.receipts import Receipt, ReceiptEntry
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import kinds, same
from fhirbridge.sync.consent import Gate
from fhirbridge.sync.entries import Work
from fhirbridge.sync.redact import withhold, withhold_refused
from fhirbridge.sync.whose import Whose

FATES = ("applied", "unchanged", "superseded", "quarantined", "refused")


@dataclass(frozen=True, slots=True)
class Incoming:
    """Bytes of a source. `key` tells a repetition; where it is empty, the message's own names or
    its hash do (`sync.same`). `base` is the server that a pulled page came from.

    `kind` names one of `sync.kinds`. In FHIR it is `push/<type>` or `put/<type>`: a Bundle, or a
    resource of the type that the sender's URL promised; `message/Bundle`; or `page`: a page of a
    pull. `ndjson` are lines of a bulk export. `asked` is the request for a single resource, with
    the members of Bundle.entry.request.
    """

    source: str
    kind: str
    key: str
    body: bytes
    base: str = ""
    asked: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ingested:
    """`fresh` is False where the same message had come before and its receipt is told again;
    `made` is what the bytes say, empty where they are none of their kind; `leaning` are the
    positions whose reading hung on other records."""

    receipt: Receipt
    fresh: bool
    made: Mapping[str, Any]
    leaning: frozenset[int] = frozenset()


def ingest(unit: Unit, mappings: MappingSet, incoming: Incoming) -> Ingested:
    """Keep the message and work it off, or find the receipt of the first time. What was refused as
    a whole, and what of it was withheld, is read again: it changed nothing.

    Raises `BridgeError` (business-rule) where the key came before with other bytes.
    """
    made = _parsed(incoming.kind, incoming.body)
    sha256 = hashlib.sha256(incoming.body).hexdigest()
    key = incoming.key or _key(unit, incoming, made) or _hash(incoming)
    message, fresh = unit.messages.keep(incoming.source, incoming.kind, key, incoming.body)
    if message.sha256 != sha256:
        cause = "this idempotency key came before with another body"
        raise BridgeError(Issue("business-rule", cause, "use a new key for a new message"))
    receipt, leaning = None if fresh else unit.receipts.of_message(message.id), frozenset[int]()
    partly = message.state in (REDACTED, ERASED)
    refused = receipt is not None and receipt.state == "refused"
    # Its sender has it still: where consent is given by now, it is kept as it came. What was
    # refused may have been sent to a wrong URL, and comes to the right one now.
    if partly or (refused and message.kind != incoming.kind):
        message = replace(message, body=incoming.body, kind=incoming.kind, state=KEPT)
        unit.messages.rewrite(message)
    if receipt is None or refused or partly:
        fresh = True
        opening = _Opening(
            message, made, incoming.base, incoming.asked, again=partly, first=receipt is None
        )
        receipt, leaning = _work_off(unit, mappings, opening)
    event = "pull" if message.kind in ("page", "ndjson") else "push"
    _tell(unit, message, receipt, event if fresh else "repeat")
    unit.flush()
    return Ingested(receipt, fresh, {} if isinstance(made, BridgeError) else made, leaning)


def preview(unit: Unit, mappings: MappingSet, incoming: Incoming) -> Receipt:
    """What `ingest` would answer to a new message; the caller does not commit."""
    return ingest(unit, mappings, replace(incoming, key=f"preview:{unit.new_id()}")).receipt


def replay(
    unit: Unit, mappings: MappingSet, message: Message, *, actor: str, base: str = ""
) -> Receipt:
    """The message's receipt after it was read again."""
    receipt = work_off(unit, mappings, message, base=base)
    _tell(unit, message, receipt, "replay", actor=actor)
    return receipt


def _tell(unit: Unit, message: Message, receipt: Receipt, event: str, *, actor: str = "") -> None:
    """One event of the audit trail for the whole message."""
    subjects = {entry.subject_id for entry in receipt.entries if entry.subject_id}
    unit.audit.note(
        "R" if event == "repeat" else "U",
        event,
        actor=actor or message.source,
        outcome="refused" if receipt.state == "refused" else "done",
        entities={"message": message.id, "receipt": receipt.id, "subjects": sorted(subjects)},
    )


def work_off(unit: Unit, mappings: MappingSet, message: Message, *, base: str = "") -> Receipt:
    """The message's receipt after a replay, which reads only what still waits: what was taken may
    have been corrected since by a later message, and what was sent again counts as that says.
    """
    if message.state == ERASED and (before := unit.receipts.of_message(message.id)):
        return before
    opening = _Opening(message, _parsed(message.kind, message.body), base)
    return _work_off(unit, mappings, opening)[0]


def _key(unit: Unit, incoming: Incoming, made: Mapping[str, Any] | BridgeError) -> str:
    """A PUT says how things are now: the same bytes may mean to undo what came in between."""
    if incoming.kind.startswith("put/"):
        return unit.new_id()
    return same.key(unit.messages, incoming.source, made)


def _hash(incoming: Incoming) -> str:
    """Of the bytes, and of the condition that came beside them."""
    condition = incoming.asked.get("ifNoneExist", "").encode()
    return hashlib.sha256(incoming.body + (b"\0" + condition if condition else b"")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Opening:
    """`again`: the message was sent once more, and is kept as it came then; `first`: it was never
    read before."""

    message: Message
    made: Mapping[str, Any] | BridgeError
    base: str
    asked: Mapping[str, str] = field(default_factory=dict)
    again: bool = False
    first: bool = False


def _parsed(kind: str, body: bytes) -> Mapping[str, Any] | BridgeError:
    """What is none of its kind is kept, too."""
    try:
        return kinds.of(kind).parse(body)
    except BridgeError as fault:
        return fault


def _work_off(
    unit: Unit, mappings: MappingSet, opening: _Opening
) -> tuple[Receipt, frozenset[int]]:
    """The receipt, and the positions whose reading hung on other records."""
    issues: tuple[Issue, ...] = ()
    message = opening.message
    before = None if opening.first else unit.receipts.of_message(message.id)
    work = Work(unit, mappings, message, opening.base, before, again=opening.again)
    try:
        if isinstance(opening.made, BridgeError):
            raise opening.made
        kind = kinds.of(message.kind)
        opened = kind.open_message(
            opening.made, kind=message.kind, asked=opening.asked, mappings=mappings
        )
        work.look_at(opened)
    except BridgeError as fault:
        if fault.policy.status >= 500:  # not of the message
            raise
        issues = fault.issues
        told = [ReceiptEntry(0, 0, "refused", issues=issues)]
        withhold_refused(unit, message, Gate(Whose(unit, mappings, message.source, opening.base)))
    else:
        told = work.run(opened)
        withhold(unit, message, told)
    counts = Counter(entry.fate for entry in told if entry.part == 0)  # an entry once
    receipt = Receipt(
        id=unit.new_id(),
        message_id=message.id,
        state="refused" if issues else "done",
        counts={"received": counts.total(), **{fate: counts[fate] for fate in FATES}},
        issues=issues,
        created_at=unit.now(),
        entries=tuple(told),
    )
    stored = unit.receipts.save(receipt) if before else unit.receipts.first(receipt)
    return stored, frozenset(work.reader.leaning)
