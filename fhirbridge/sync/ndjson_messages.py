"""Messages in NDJSON: some lines of a bulk export's file, each a resource that stands for itself.

Kept byte for byte; an entry's position is its line, counted from 0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from fhirbridge.fhir import verdict
from fhirbridge.fhir.bundle import Entry
from fhirbridge.fhir.door import door
from fhirbridge.formats import fhir_json, judged_json
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.messages import REDACTED, Message
from fhirbridge.sync.judge import Opened

_EMPTY = fhir_json.dump({"resourceType": "Parameters"})  # valid R4, and of nobody


def parse(body: bytes) -> Mapping[str, Any]:
    """A line that cannot be read stands in its place as the fault that it is. Raises `BridgeError`
    where the bytes hold what no database takes."""
    if fhir_json.holds_nul(body):
        cause = "a string holds the character U+0000, which cannot be stored"
        raise BridgeError(Issue("value", cause, "send the lines without it"))
    return {"lines": [_line(line) for line in body.split(b"\n") if line]}


def _line(raw: bytes) -> Mapping[str, Any] | BridgeError:
    try:
        return judged_json.parse(raw)
    except BridgeError as fault:
        return fault


def read(body: bytes) -> Any:
    return {"lines": [fhir_json.read(line) for line in body.split(b"\n") if line]}


def open_message(
    made: Mapping[str, Any], *, kind: str, asked: Mapping[str, str], mappings: MappingSet
) -> Opened:
    pairs: list[tuple[Entry, list[Issue]]] = []
    invalid = set()
    for entry, line in zip(entries(made), made["lines"], strict=True):
        wrong = [*line.issues] if isinstance(line, BridgeError) else _wrong(line)
        if wrong:
            invalid.add(entry.position)
        issues = [*wrong, *([] if wrong else door(line))]
        at = f"line {entry.position + 1}"
        pairs.append((entry, [replace(one, place=one.place or at) for one in issues]))
    return Opened("rows", pairs, frozenset(invalid))


def _wrong(resource: Mapping[str, Any]) -> list[Issue]:
    return [one for one in verdict.judge(resource) if one.severity in ("fatal", "error")]


def entries(made: Any) -> list[Entry]:
    given = made.get("lines", []) if isinstance(made, Mapping) else []
    return [
        Entry(at, one if isinstance(one, Mapping) else None, _root(one))
        for at, one in enumerate(given)
    ]


def _root(resource: Any) -> str:
    kind = resource.get("resourceType") if isinstance(resource, Mapping) else None
    return kind if isinstance(kind, str) else ""


def cover(made: Any) -> bytes:
    """Nothing stands around the lines."""
    return b""


def without(message: Message, positions: Collection[int], *, bare: bool) -> Message:
    if not positions:
        return message
    lines = [line for line in message.body.split(b"\n") if line]
    kept = [_EMPTY if at in positions else line for at, line in enumerate(lines)]
    return replace(message, body=b"\n".join(kept), state=REDACTED)
