"""What the sender is told of each entry: an HTTP status, and where the resource is served
(https://hl7.org/fhir/R4/http.html#transaction-response). Kept with the receipt, so that who sends
again is told the same.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import groupby

from fhirbridge.outcome import Issue, failed
from fhirbridge.registry.receipts import ReceiptEntry
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.accept import Context

Facts = tuple[ReceiptEntry, ...]
"""The lines of a receipt that are about one entry, the one that stands for it first."""

_TAKEN = ("applied", "unchanged")


@dataclass(frozen=True, slots=True)
class Answer:
    """`location` is `Type/id/_history/version`, and empty where nothing is served of the entry."""

    status: int
    location: str = ""
    last_modified: str = ""

    @classmethod
    def read(cls, text: str | None) -> Answer:
        """As it was kept; receipts of earlier releases have none, and their entries were taken."""
        status, location, moment = (text or "200||").split("|")
        return cls(int(status), location, moment)

    def __str__(self) -> str:
        return f"{self.status}|{self.location}|{self.last_modified}"

    @property
    def line(self) -> str:
        return f"{self.status} {HTTPStatus(self.status).phrase}"

    @property
    def etag(self) -> str:
        return f'W/"{self.location.rpartition("/")[2]}"' if self.location else ""


def by_entry(lines: Sequence[ReceiptEntry]) -> list[Facts]:
    return [tuple(some) for _, some in groupby(lines, key=lambda line: line.position)]


def issues_of(facts: Facts) -> list[Issue]:
    return list(dict.fromkeys(issue for line in facts for issue in line.issues))


def answered(
    unit: Unit, lines: Sequence[ReceiptEntry], context: Context, *, invalid: Set[int]
) -> list[ReceiptEntry]:
    """The lines, each entry's first with its answer; one that was told before is not told anew."""
    rows = _rows(unit, [facts[0] for facts in by_entry(lines)], context)
    told: list[ReceiptEntry] = []
    for first, *others in by_entry(lines):
        if first.answer is not None:
            told += [first, *others]
            continue
        row = _row_of(first, rows.get(first.record_id or "", []))
        status = 400 if first.position in invalid else _status((first, *others), row)
        told += [replace(first, answer=str(_answer(status, row))), *others]
    return told


def _rows(
    unit: Unit, told: Sequence[ReceiptEntry], context: Context
) -> dict[str, list[ResourceRow]]:
    """The resources of the entries' records, deleted ones included; by record."""
    made = {(row.record_id, row.block) for rows in context.projected.values() for row in rows}
    # Of a row of a table the rule is its form: an assessment has no block of that name, and reading
    # the resources of each again took a fifth of an import.
    known = {block.name for file in context.mappings.files.values() for block in file.blocks}
    asked = {
        one.record_id
        for one in told
        if (one.record_id, one.rule) not in made and (not one.rule or one.rule in known)
    }
    rows = {id: list(some) for id, some in context.projected.items() if id not in asked}
    for row in unit.resources.of_records([id for id in asked if id]):
        rows.setdefault(row.record_id, []).append(row)
    return rows


def _answer(status: int, row: ResourceRow | None) -> Answer:
    if row is None:
        return Answer(status)
    moment = row.last_updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Answer(status, f"{row.type}/{row.fhir_id}/_history/{row.version}", moment)


def _row_of(entry: ReceiptEntry, rows: Sequence[ResourceRow]) -> ResourceRow | None:
    """The resource that the entry became: of the record's, the one of the entry's block."""
    same = [row for row in rows if row.block == entry.rule]
    return next(iter(same or [r for r in rows if r.type == entry.resource_type]), None)


def _status(facts: Facts, row: ResourceRow | None) -> int:
    """202 where the entry, or a part of it, waits for a person."""
    first = facts[0]
    if first.fate == "refused":
        faults = [issue for issue in first.issues if issue.severity == "error"]
        return faults[0].policy.status if faults else 422
    if any(f.fate == "quarantined" or (f.fate in _TAKEN and failed(f.issues)) for f in facts):
        return 202
    return 201 if row is not None and first.fate == "applied" and row.version == 1 else 200
