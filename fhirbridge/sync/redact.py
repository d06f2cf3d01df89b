"""Takes out of a kept message what may not be kept, and leaves the others' entries where they were.

A message of which nothing is taken stays byte for byte. Of a changed one the hash stays that of the
bytes that came, so that the same message is known again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from fhirbridge.outcome import BridgeError
from fhirbridge.registry.messages import ERASED, Message
from fhirbridge.registry.receipts import ReceiptEntry
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import kinds
from fhirbridge.sync.consent import Gate


def withheld(told: Collection[ReceiptEntry]) -> set[int]:
    """The positions of the entries that consent keeps out."""
    return {e.position for e in told if any(issue.category == "consent" for issue in e.issues)}


def withhold(unit: Unit, message: Message, told: Collection[ReceiptEntry]) -> None:
    """Keep nothing of the entries that were refused for want of consent, also of a replay."""
    positions = withheld(told)
    if not positions or message.state == ERASED:
        return
    for held in unit.quarantine.of_message(message.id):
        if held.position in positions:
            unit.quarantine.forget(message.id, held.position)
            if held.resource_type and held.source_id:
                unit.origins.forget(message.source, held.resource_type, held.source_id)
    made = kinds.of(message.kind).without(message, positions, bare=False)
    if made != message:
        unit.messages.rewrite(made)


def withhold_refused(unit: Unit, message: Message, gate: Gate) -> None:
    """A message that was refused as a whole is not kept where somebody is in it of whom nothing
    may be."""
    try:
        barred = gate.bars(kinds.of(message.kind).read(message.body))
    except BridgeError:
        barred = gate.bars_bytes(message.body)
    if barred:
        unit.messages.rewrite(replace(message, body=b"", state=ERASED))
