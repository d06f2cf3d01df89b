"""Verification: does the registry hold what it promises? Reads everything and changes nothing.

The ledger ties, the audit trail is unbroken, and every resource is what the mapping makes of its
record. It finds what was changed past the program, and defects of the program itself.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from fhirbridge.formats import fhir_json
from fhirbridge.mapping.encode import Encoded
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError
from fhirbridge.registry.ledger import Counted, Projected, Whole
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.ingest import FATES
from fhirbridge.sync.project import blocks, marks

MOST = 20  # faults of a kind that are told one by one


@dataclass
class Finding:
    """What one look found: a line that tells what was looked at, and faults, the first of them."""

    name: str
    told: str = ""
    faults: list[str] = field(default_factory=list)
    number: int = 0

    def fault(self, text: str) -> None:
        self.number += 1
        if len(self.faults) < MOST:
            self.faults.append(text)


def verify(unit: Unit, mappings: MappingSet) -> list[Finding]:
    """Of one site, whose unit may only read."""
    return [ledger(unit), audit(unit), projection(unit, mappings)]


def ledger(unit: Unit) -> Finding:
    """Each message has a receipt, whose counts tie and are those of its entries."""
    finding, sums, messages = Finding("ledger"), Counter[str](), 0
    after = ""
    while page := unit.ledger.messages(after=after):
        for one in page:
            for fault in _untied(one):
                finding.fault(fault)
            sums.update(one.counts)
        messages, after = messages + len(page), page[-1].message_id
    tied = " + ".join(f"{sums[fate]} {fate}" for fate in FATES)
    finding.told = f"{messages} messages; {sums['received']} received = {tied}"
    return finding


def _untied(one: Counted) -> Iterator[str]:
    if one.receipt_id is None:
        yield f"message {one.message_id} has no receipt"
        return
    fates = {fate: one.counts.get(fate, 0) for fate in FATES}
    if one.counts.get("received") != sum(fates.values()):
        yield f"the counts of receipt {one.receipt_id} do not tie"
    if {fate: one.entries.get(fate, 0) for fate in FATES} != fates:
        yield f"the counts of receipt {one.receipt_id} are not those of its entries"


def audit(unit: Unit) -> Finding:
    """The head is for whoever keeps it elsewhere: it shows whether the end was cut off."""
    chain = unit.trail.chain()
    finding = Finding("audit", f"{chain.length} events; head {chain.head or 'none'}")
    if chain.fault:
        finding.fault(chain.fault)
    return finding


def projection(unit: Unit, mappings: MappingSet) -> Finding:
    """Each record projected again in memory, beside its resources and search index.

    What another version of the mapping made may differ from what today's makes: that is counted,
    and no fault.
    """
    finding, numbers, after = Finding("projection"), Counter[str](), ""
    subjects = {subject.id: subject for subject in unit.subjects.all()}
    while page := unit.ledger.records(after=after):
        for one in page:
            faults = [*_changed(one)]
            differing = [*_differing(one, mappings, subjects[one.record.subject_id])]
            if one.record.mapping_version == mappings.version:
                faults += differing
            elif differing:
                numbers["older"] += 1
            for fault in faults:
                finding.fault(fault)
            numbers["resources"] += sum(not each.row.deleted for each in one.resources)
        numbers["records"], after = numbers["records"] + len(page), page[-1].record.id
    older = f"; {numbers['older']} of another version of the mapping" if numbers["older"] else ""
    finding.told = f"{numbers['records']} records, {numbers['resources']} resources{older}"
    return finding


def _changed(one: Whole) -> Iterator[str]:
    """What the stored rows tell against each other."""
    for each in one.resources:
        row, name = each.row, _name(each)
        if hashlib.sha256(fhir_json.canonical(row.body)).hexdigest() != row.sha256:
            yield f"{name} is not what its hash says"
        if one.record.status == "withdrawn" and not row.deleted:
            yield f"{name} is there, though its record was withdrawn"
        if row.deleted and (each.tokens or each.dates):
            yield f"{name} is deleted, and searches find it"


def _name(each: Projected) -> str:
    return f"{each.row.type}/{each.row.fhir_id}"


def _differing(one: Whole, mappings: MappingSet, subject: Subject) -> Iterator[str]:
    """Where the resources of an active record are not what the mapping makes of it."""
    if one.record.status != "active":
        return
    try:
        made = blocks(mappings, one.record, subject)
    except BridgeError:
        yield f"record {one.record.id} is not what the study definition allows"
        return
    there = {each.row.block: each for each in one.resources if not each.row.deleted}
    for name in sorted({*made, *there}):
        if name not in there:
            yield f"record {one.record.id} has no resource '{name}'"
        elif name not in made or _other(made[name], there[name]):
            yield f"{_name(there[name])} is not what the mapping makes of its record"
        elif marks(made[name]) != (there[name].tokens, there[name].dates):
            yield f"{_name(there[name])} is not found by what it says: its search index differs"


def _other(made: Encoded, there: Projected) -> bool:
    hashed = hashlib.sha256(fhir_json.canonical(made.resource)).hexdigest()
    return (made.id, hashed) != (there.row.fhir_id, there.row.sha256)
