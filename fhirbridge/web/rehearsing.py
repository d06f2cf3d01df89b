"""Rehearsal keys: what is sent with one is worked off by the same code as ever, answered in full,
and thrown away. It opens the doors in, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from flask import Response, g

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.receipts import Receipt, ReceiptEntry
from fhirbridge.sync import rehearsed
from fhirbridge.sync.answers import Answer, by_entry
from fhirbridge.web import served

_DOORS = "fhir_push."
_UPLOAD = "api-imports.take"


def must_be_a_door(endpoint: str | None) -> None:
    """Raises `BridgeError` (forbidden) where the request of a rehearsal key is no push or upload.
    A URL that is no route is told as such."""
    if not g.caller.rehearsal or endpoint is None:
        return
    if not endpoint.startswith(_DOORS) and endpoint != _UPLOAD:
        cause = "a rehearsal key reads and decides nothing"
        raise BridgeError(Issue("forbidden", cause, "push to /fhir, or upload a table with it"))


def mark(response: Response) -> None:
    """So that an answer to a rehearsal is never taken for a real one."""
    caller = g.get("caller")
    if caller is not None and caller.rehearsal:
        response.headers["X-Rehearsal"] = "true"


def note(kind: str, counts: Mapping[str, int], subjects: Iterable[str]) -> None:
    """The one thing that is kept."""
    rehearsed.note(
        served.service().registry,
        g.caller.site_id,
        actor=g.caller.source,
        kind=kind,
        counts=counts,
        subjects=subjects,
        request_id=g.request_id,
    )


def note_of(kind: str, receipt: Receipt) -> None:
    note(kind, receipt.counts, [one.subject_id for one in receipt.entries if one.subject_id])


def told(facts: Sequence[ReceiptEntry]) -> list[Issue]:
    """The receipt's lines of one entry as issues: the fate of each fact, and why not more."""
    return list(dict.fromkeys(issue for line in facts for issue in _of(line, facts[0])))


def of_receipt(receipt: Receipt) -> list[Issue]:
    """The whole receipt as issues, its counts first."""
    counts = ", ".join(f"{number} {fate}" for fate, number in receipt.counts.items())
    first = Issue("business-rule", f"rehearsed, nothing is kept: {counts}", severity="information")
    lines = [issue for facts in by_entry(receipt.entries) for issue in told(facts)]
    return [first, *receipt.issues, *lines]


def _of(line: ReceiptEntry, first: ReceiptEntry) -> Iterator[Issue]:
    status = f" ({Answer.read(first.answer).line})" if line is first else ""
    named = {
        "rule": line.rule,
        "identifier": line.identifier,
        "record": line.record_id,
        "mapping": line.mapping_version,
    }
    beside = "".join(f", {name} {value}" for name, value in named.items() if value)
    what = line.resource_type or "nothing known"
    cause = f"rehearsed: entry {line.position} part {line.part} ({what}): {line.fate}{status}"
    yield Issue("business-rule", f"{cause}{beside}", severity="information")
    yield from line.issues
