"""The entries of one message: each to its origin, subject and record, or into quarantine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from fhirbridge.fhir.bundle import Entry
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue, failed
from fhirbridge.registry.messages import Message
from fhirbridge.registry.receipts import Receipt, ReceiptEntry
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import answers, source
from fhirbridge.sync.accept import Context
from fhirbridge.sync.beside import medications
from fhirbridge.sync.conditions import Conditions
from fhirbridge.sync.consent import Gate
from fhirbridge.sync.facts import Line, numbered
from fhirbridge.sync.judge import Opened
from fhirbridge.sync.origins import Origins
from fhirbridge.sync.reader import Reader, is_person
from fhirbridge.sync.redact import withheld
from fhirbridge.sync.references import targets_first
from fhirbridge.sync.whose import Whose

_ORDER = {"Patient": 0, "Consent": 1, "Condition": 2, "Procedure": 3, "Observation": 4}


@dataclass
class Work:
    """The working off of one message. `again`: it was sent once more, so what consent kept out of
    it is looked at again.
    """

    unit: Unit
    mappings: MappingSet
    message: Message
    base: str
    before: Receipt | None  # of the last time
    again: bool = False
    whose: Whose = field(init=False)
    gate: Gate = field(init=False)
    context: Context = field(init=False)
    conditions: Conditions = field(init=False)
    origins: Origins = field(init=False)
    settled: dict[int, list[ReceiptEntry]] = field(init=False)  # of a replay, by position
    waiting: dict[int, set[int]] = field(init=False)  # of a replay, parts by position
    reader: Reader = field(init=False)

    def __post_init__(self) -> None:
        unit, message = self.unit, self.message
        self.whose = Whose(unit, self.mappings, message.source, self.base)
        self.gate = Gate(self.whose)
        self.context = Context(unit, self.mappings, message.id, message.source)
        self.reader = Reader(
            unit, self.mappings, message.source, self.base, self.whose, self.context
        )
        self.conditions = Conditions(unit, self.whose, message.source, self.reader.source_id)
        self.reader.updates = self.conditions.updates
        self.origins = Origins(unit, self.mappings, message.source)
        before = self.before
        done = before.entries if before and before.state == "done" else ()
        held = unit.quarantine.of_message(message.id) if before else []
        self.waiting, self.settled = {}, {}
        for one in held:
            if one.state == "waiting":
                self.waiting.setdefault(one.position, set()).add(one.part)
        for told in done:
            read_again = self.again and withheld([told])
            if told.position not in self.waiting and not read_again:
                self.settled.setdefault(told.position, []).append(told)

    def look_at(self, opened: Opened) -> None:
        """Who is in the message, and what its requests ask; nothing is written yet.

        Raises `BridgeError` where a request that must be done whole cannot be.
        """
        found = opened.entries
        people = (e.resource for e, i in found if source.resource_type(e) == "Patient" and not i)
        self.whose.count(person for person in people if person)
        self.unit.hold(self.reader.spoken_of(found))
        for entry, _ in found:
            self.reader.targets.remember(
                entry, (source.resource_type(entry), self.reader.source_id(entry))
            )
        self.reader.given = opened.facts
        self.reader.medications = medications(entry for entry, issues in found if not issues)
        self.context.partial = opened.partial
        if not opened.asks or self.settled or self.waiting:
            return  # pages ask for nothing, and a replay was asked before
        sound = [entry for entry, _ in found if entry.position not in opened.invalid]
        self.conditions.look_at(sound, whole=opened.whole)
        for entry in sound:  # what may not be kept is refused for that, and alone
            if entry.position in self.conditions.faults and self.gate.about(entry).withheld:
                del self.conditions.faults[entry.position]
        if self.conditions.faults and opened.kind != "batch":
            raise BridgeError(*self.conditions.faults.values())

    def run(self, opened: Opened) -> list[ReceiptEntry]:
        """In the order of what depends on what, told in the order in which they came."""
        ranked = sorted(opened.entries, key=lambda pair: _rank(pair[0]))
        data = next((n for n, pair in enumerate(ranked) if _rank(pair[0]) > 1), len(ranked))
        told: list[ReceiptEntry] = []
        unsettled = (
            e for e, issues in ranked if not failed(issues) and e.position not in self.settled
        )
        self.reader.foresee(unsettled)
        literals = self.whose.literals
        first, then = (targets_first(some, literals) for some in (ranked[:data], ranked[data:]))
        for entry, issues in [*first, *then]:
            if entry.position in self.settled:
                told += self.as_told(entry, self.settled[entry.position])
            elif opened.kind == "batch":
                told += self.apart(entry, issues)
            else:
                told += self.settle(entry.position, self.lines(entry, issues))
        self.context.project()
        in_order = sorted(told, key=lambda one: (one.position, one.part))
        return answers.answered(self.unit, in_order, self.context, invalid=opened.invalid)

    def apart(self, entry: Entry, issues: list[Issue]) -> list[ReceiptEntry]:
        """An entry of a batch: what goes wrong with it undoes it alone."""
        try:
            with self.unit.attempt():
                told = self.settle(entry.position, self.lines(entry, issues))
                self.context.project()
                return told
        except BridgeError as fault:
            if fault.policy.status >= 500:
                raise
            self.context.touched.clear()
            told = [replace(self.told(entry), fate="refused", issues=fault.issues)]
            return told

    def as_told(self, entry: Entry, told: list[ReceiptEntry]) -> list[ReceiptEntry]:
        """An entry of a replay that does not wait: as it was told, for the others to refer to."""
        if is_person(entry) and entry.resource:
            found = self.whose.of_patient(entry.resource, entry.root)
            if isinstance(found, Subject):
                self.reader.remember(entry, entry.resource, found)
        return [
            replace(one, fate="superseded", answer=None) if one.fate == "quarantined" else one
            for one in told
        ]

    def settle(self, position: int, lines: list[Line]) -> list[ReceiptEntry]:
        """Numbered lines of a receipt. What of the entry waits is held, and nothing else of it."""
        waits: set[int] = set()
        made = numbered(lines)
        for line in made:
            told = line.entry
            if line.waits:
                part = told.part if told.fate == "quarantined" else told.part + 1
                waits.add(part)
                self.unit.quarantine.hold(
                    self.message.id,
                    position=position,
                    part=part,
                    resource_type=told.resource_type,
                    source_id=told.source_id,
                    issues=line.waits,
                )
        for part in self.waiting.get(position, set()) - waits:
            self.unit.quarantine.release(self.message.id, position, part)
        return [line.entry for line in made]

    def told(self, entry: Entry, subject_id: str | None = None) -> ReceiptEntry:
        return ReceiptEntry(
            entry.position,
            0,
            "refused",
            resource_type=source.resource_type(entry) or None,
            source_id=self.reader.source_id(entry),
            identifier=None if is_person(entry) else source.identifier(entry.resource),
            mapping_version=self.mappings.version,
            subject_id=subject_id,
        )

    def lines(self, entry: Entry, issues: list[Issue]) -> list[Line]:
        if source.resource_type(entry) == "OperationOutcome":  # valid or not, it is no data
            told = self.told(entry)
            text = "; ".join(source.remarks(entry.resource or {})) or "no text"
            issue = Issue("remote", f"the server remarks: {text}", severity="warning")
            return [Line(replace(told, issues=(issue,)))]
        about = self.gate.about(entry)
        told = self.told(entry, about.subject_id)
        if about.withheld:
            nobody = replace(
                told, subject_id=None, source_id=None, identifier=None, mapping_version=None
            )
            return [Line(replace(nobody, issues=(about.withheld,)))]
        fault = self.conditions.faults.get(entry.position)
        if fault is not None:
            return [Line(replace(told, issues=(fault,)))]
        if failed(issues) or entry.resource is None:
            why = tuple(issues) or (_no_resource(entry),)
            return [Line(replace(told, fate="quarantined", issues=why), why)]
        existing = self.conditions.exists.get(entry.position)
        if existing is not None:
            told = replace(told, record_id=existing.record_id, rule=existing.block)
            return [Line(replace(told, fate="unchanged"))]
        origin = self.origins.of(
            entry.resource,
            self.reader.source_id(entry),
            self.conditions.updates.get(entry.position),
        )
        if origin is None:
            return [Line(replace(told, fate="superseded", issues=(_overtaken(entry),)))]
        if (
            origin.source_id != told.source_id
            or (told.resource_type, told.source_id) in self.reader.waits
        ):
            self.unit.quarantine.supersede(
                origin.source, origin.resource_type, origin.source_id, by=self.message.id
            )
        return self.reader.read(told, entry, entry.resource, origin)


def _rank(entry: Entry) -> int:
    return _ORDER.get(source.resource_type(entry), 9)


def _overtaken(entry: Entry) -> Issue:
    cause = "a newer version of it was read before"
    return Issue("conflict", cause, "nothing to do", entry.root, severity="information")


def _no_resource(entry: Entry) -> Issue:
    return Issue("required", "the entry holds no resource", "send one", entry.root)
