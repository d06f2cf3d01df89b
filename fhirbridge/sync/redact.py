"""Takes out of a kept message what may not be kept, and leaves the others' entries where they were.

A message of which nothing is taken stays byte for byte. Of a changed one the hash stays that of the
bytes that came, so that the same message is known again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError
from fhirbridge.registry.messages import Message
from fhirbridge.registry.receipts import ReceiptEntry
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.consent import Gate

REDACTED = "redacted"  # a part of it is gone; the rest can be replayed
ERASED = "erased"  # all of it is gone
_EMPTY = {"resourceType": "Parameters"}  # valid R4, and of nobody
_COVER = ("resourceType", "type", "entry")
Json = dict[str, Any]


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
    made = redacted(message, positions)
    if made != message:
        unit.messages.rewrite(made)


def withhold_refused(unit: Unit, message: Message, gate: Gate) -> None:
    """A message that was refused as a whole is not kept where somebody is in it of whom nothing
    may be."""
    try:
        barred = gate.bars(fhir_json.read(message.body))
    except BridgeError:
        barred = gate.bars_bytes(message.body)
    if barred:
        unit.messages.rewrite(replace(message, body=b"", state=ERASED))


def redacted(message: Message, positions: Collection[int], *, bare: bool = False) -> Message:
    """The message without what stands at these positions; `bare`: without what stands around the
    entries, too."""
    made = fhir_json.parse(message.body)
    if made.get("resourceType") != "Bundle":
        body: Json = dict(_EMPTY)
        way, divided, _ = message.kind.partition("/")
        kind = f"{way}/Parameters" if divided else message.kind
        return _changed(message, made, body, kind)
    return _changed(message, made, _bundle(made, positions, bare), message.kind)


def _changed(message: Message, before: Json, after: Json, kind: str) -> Message:
    if before == after:
        return message
    return replace(message, body=fhir_json.dump(after), kind=kind, state=REDACTED)


def _bundle(made: Mapping[str, Any], positions: Collection[int], bare: bool) -> Json:
    given = made.get("entry")
    entries = list(given) if isinstance(given, list) else []
    kept = [one for number, one in enumerate(entries) if number not in positions]
    bare = bare or not kept
    others = fhir_json.dump(kept).decode()
    after = [
        _placeholder(one, others, number) if number in positions else one
        for number, one in enumerate(entries)
    ]
    # A page's links hold what was searched for: a person.
    cover = {n: v for n, v in made.items() if (not bare and n != "link") or n in _COVER}
    return {**cover, "entry": after}


def _placeholder(entry: Any, others: str, number: int) -> Json:
    """In the shape that the Bundle's type asks for. Its name stays where what is kept refers to it,
    and only if it is one that was made for this Bundle."""
    given = entry if isinstance(entry, Mapping) else {}
    made: Json = {"resource": dict(_EMPTY)}
    name = given.get("fullUrl")
    if isinstance(name, str) and name.startswith("urn:uuid:") and f'"{name}"' in others:
        made["fullUrl"] = name
    elif name and "request" not in given:  # there each entry must have a name
        made["fullUrl"] = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
    if "request" in given:
        made["request"] = {"method": "POST", "url": "Parameters"}
    if "search" in given:
        made["search"] = {"mode": "match"}
    if "response" in given:
        made["response"] = {"status": "200"}
    return made
