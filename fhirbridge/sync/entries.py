"""The entries of one message: each to its origin, subject and record, or into quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhirbridge.fhir.bundle import Entry
from fhirbridge.mapping.decode import Decoded, decode
from fhirbridge.mapping.path import Path
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue, failed
from fhirbridge.registry.messages import Message
from fhirbridge.registry.proposals import Origin
from fhirbridge.registry.receipts import Receipt, ReceiptEntry
from fhirbridge.registry.records import Name
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.study.records import Identifier
from fhirbridge.sync import answers, source
from fhirbridge.sync.accept import Context
from fhirbridge.sync.conditions import Conditions
from fhirbridge.sync.consent import Gate
from fhirbridge.sync.facts import Facts, Line, numbered
from fhirbridge.sync.judge import Opened
from fhirbridge.sync.mentions import mentions
from fhirbridge.sync.origins import Origins
from fhirbridge.sync.redact import withheld
from fhirbridge.sync.references import Targets, targets_first
from fhirbridge.sync.said import Said
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
    targets: Targets = field(init=False)
    context: Context = field(init=False)
    conditions: Conditions = field(init=False)
    origins: Origins = field(init=False)
    settled: dict[int, list[ReceiptEntry]] = field(init=False)  # of a replay, by position
    waiting: dict[int, set[int]] = field(init=False)  # of a replay, parts by position
    ahead: dict[int, list[Decoded]] = field(init=False, default_factory=dict)  # by position
    waits: set[tuple[str | None, str | None]] = field(init=False)  # types and ids, of any source

    def __post_init__(self) -> None:
        unit, message = self.unit, self.message
        self.whose = Whose(unit, self.mappings, message.source, self.base)
        self.gate = Gate(self.whose)
        self.targets = Targets(unit, self.mappings, message.source, self.base)
        self.context = Context(unit, self.mappings, message.id, message.source)
        self.conditions = Conditions(unit, self.whose, message.source, self.source_id)
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
        self.unit.hold(self.spoken_of(found))
        for entry, _ in found:
            self.targets.remember(entry, (source.resource_type(entry), self.source_id(entry)))
        if opened.kind == "page" or self.settled or self.waiting:
            return  # pages ask for nothing, and a replay was asked before
        sound = [entry for entry, _ in found if entry.position not in opened.invalid]
        self.conditions.look_at(sound, whole=opened.whole)
        for entry in sound:  # what may not be kept is refused for that, and alone
            if entry.position in self.conditions.faults and self.gate.about(entry).withheld:
                del self.conditions.faults[entry.position]
        if self.conditions.faults and opened.kind != "batch":
            raise BridgeError(*self.conditions.faults.values())

    def spoken_of(self, found: Iterable[tuple[Entry, Any]]) -> Iterator[str]:
        for entry, _ in found:
            for mention in mentions(entry):
                subject = self.whose.who(mention)
                if subject is not None:
                    yield subject.id

    def run(self, opened: Opened) -> list[ReceiptEntry]:
        """In the order of what depends on what, told in the order in which they came."""
        ranked = sorted(opened.entries, key=lambda pair: _rank(pair[0]))
        data = next((n for n, pair in enumerate(ranked) if _rank(pair[0]) > 1), len(ranked))
        told: list[ReceiptEntry] = []
        self.foresee(entry for entry, issues in ranked if not failed(issues))
        for entry, issues in [*targets_first(ranked[:data]), *targets_first(ranked[data:])]:
            if entry.position in self.settled:
                told += self.as_told(entry, self.settled[entry.position])
            elif opened.kind == "batch":
                told += self.apart(entry, issues)
            else:
                told += self.settle(entry.position, self.lines(entry, issues))
        self.context.project()
        in_order = sorted(told, key=lambda one: (one.position, one.part))
        return answers.answered(self.unit, in_order, self.context, invalid=opened.invalid)

    def foresee(self, entries: Iterable[Entry]) -> None:
        """Look up together what the entries will ask for one by one. A hint and no more: what is
        not seen here is looked up when it is asked for."""
        wanted: dict[Name, str] = {}
        names: list[tuple[str, str]] = []
        for entry in entries:
            resource = entry.resource
            if resource is None or entry.position in self.settled:
                continue
            names.append((source.resource_type(entry), self.source_id(entry)))
            person = _is_person(entry)
            subject = (
                self.whose.of_patient(resource, entry.root)
                if person
                else self.holder(entry, resource)
            )
            if not isinstance(subject, Subject):
                continue
            for fact in self.decoded_ahead(entry, resource):
                name = Name(subject.id, fact.form, fact.key)
                wanted[name] = self.mappings.derived_id(fact.form, subject.study_id, fact.key)
        self.waits = self.unit.quarantine.among({id for _, id in names})
        self.unit.origins.know(self.message.source, names)
        self.unit.foresee(wanted)

    def decoded_ahead(self, entry: Entry, resource: Mapping[str, Any]) -> list[Decoded]:
        """Its facts that are records; nothing of what depends on other resources."""
        asked: list[str] = []

        def refer(reference: str) -> None:
            asked.append(reference)

        found = decode(
            self.mappings,
            resource,
            source=self.identity(entry, resource),
            root=entry.root,
            refer=refer,
        )
        if asked:
            return []
        self.ahead[entry.position] = found
        return [fact for fact in found if fact.fate == "record"]

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
        if _is_person(entry) and entry.resource:
            found = self.whose.of_patient(entry.resource, entry.root)
            if isinstance(found, Subject):
                self.remember(entry, entry.resource, found)
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

    def told(self, entry: Entry) -> ReceiptEntry:
        return ReceiptEntry(
            entry.position,
            0,
            "refused",
            resource_type=source.resource_type(entry) or None,
            source_id=self.source_id(entry),
            identifier=None if _is_person(entry) else source.identifier(entry.resource),
            mapping_version=self.mappings.version,
        )

    def lines(self, entry: Entry, issues: list[Issue]) -> list[Line]:
        told = self.told(entry)
        if told.resource_type == "OperationOutcome":  # valid or not, it is no data
            text = "; ".join(source.remarks(entry.resource or {})) or "no text"
            issue = Issue("remote", f"the server remarks: {text}", severity="warning")
            return [Line(replace(told, issues=(issue,)))]
        about = self.gate.about(entry)
        if about.withheld:
            nobody = replace(told, source_id=None, identifier=None, mapping_version=None)
            return [Line(replace(nobody, issues=(about.withheld,)))]
        told = replace(told, subject_id=about.subject_id)
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
            entry.resource, self.source_id(entry), self.conditions.updates.get(entry.position)
        )
        if origin is None:
            return [Line(replace(told, fate="superseded", issues=(_overtaken(entry),)))]
        if origin.source_id != told.source_id or (told.resource_type, told.source_id) in self.waits:
            self.unit.quarantine.supersede(
                origin.source, origin.resource_type, origin.source_id, by=self.message.id
            )
        return self.read(told, entry, entry.resource, origin)

    def source_id(self, entry: Entry) -> str:
        """A person's number stands in the vault alone: where only it names them, its pseudonym."""
        named = source.identifier(entry.resource)
        if not _is_person(entry) or named is None or (entry.resource or {}).get("id"):
            return source.source_id(entry)
        system, _, value = named.partition("|")
        return self.unit.subjects.pseudonym(system, value)

    def read(
        self, told: ReceiptEntry, entry: Entry, resource: Mapping[str, Any], origin: Origin
    ) -> list[Line]:
        def refer(reference: str) -> Mapping[str, str] | None:
            subject = self.holder(entry, resource)
            return self.targets.records(reference, subject) if subject else None

        decoded = self.ahead.pop(entry.position, None) or decode(
            self.mappings,
            resource,
            source=self.identity(entry, resource),
            root=entry.root,
            refer=refer,
        )
        numbers = [one for fact in decoded for one in _numbers(fact)]
        return Facts(
            self.context,
            told,
            origin,
            [_without_numbers(fact) for fact in decoded],
            whose=lambda said: self.subject(entry, resource, said, numbers),
            turned_away=self.unmatched == "refuse",
            root=entry.root,
        ).lines()

    def holder(self, entry: Entry, resource: Mapping[str, Any]) -> Subject | None:
        """Whose the resource is, before its facts are known: only theirs can its targets be."""
        for path in self.patients(entry):
            found = next(path.read(resource, root=entry.root), None)
            if found is not None and isinstance(found.value, Mapping):
                subject = self.whose.of_reference(found.value, found.expression)
                return subject if isinstance(subject, Subject) else None
        return None

    def patients(self, entry: Entry) -> Iterator[Path]:
        kind = source.resource_type(entry)
        yield from (m.patient for m in self.mappings.of_resource(kind) if m.patient)
        yield from (inside.patient for _, inside in self.mappings.inside_of(kind))

    def subject(
        self,
        entry: Entry,
        resource: Mapping[str, Any],
        said: Said,
        numbers: list[tuple[str, str]],
    ) -> Subject | Issue:
        if not _is_person(entry):
            at = next((path.text for path in self.patients(entry)), "subject")
            return self.whose.of_reference(said.patient, f"{entry.root}.{at}")
        found = self.whose.of_patient(resource, entry.root)
        named = self.conditions.updates.get(entry.position)
        if isinstance(found, Issue) and found.category == "unknown-subject" and named:
            found = self.whose.of_record(named.record_id) or found
        study_id = said.fields.get("study_id")
        unknown = isinstance(found, Issue) and found.category == "unknown-subject"
        if unknown and self.unmatched == "enrol" and isinstance(study_id, str):
            found = self.unit.subjects.enrol(study_id, numbers)
        if isinstance(found, Subject):
            self.remember(entry, resource, found)
        return found

    def remember(self, entry: Entry, resource: Mapping[str, Any], subject: Subject) -> None:
        id = resource.get("id", "")
        self.whose.remember(subject, entry.full_url, f"Patient/{id}" if id else "")

    @property
    def unmatched(self) -> str:
        return self.whose.site.unmatched if self.whose.site else "hold"

    def identity(self, entry: Entry, resource: Mapping[str, Any]) -> str:
        """What the source resource is called wherever it comes from: its identifier before its
        id.
        """
        where = self.base or self.message.source
        name = f"{source.resource_type(entry)}/{source.source_id(entry)}"
        return source.identifier(resource) or f"{where}|{name}"


def _rank(entry: Entry) -> int:
    return _ORDER.get(source.resource_type(entry), 9)


def _is_person(entry: Entry) -> bool:
    return source.resource_type(entry) == "Patient"


def _overtaken(entry: Entry) -> Issue:
    cause = "a newer version of it was read before"
    return Issue("conflict", cause, "nothing to do", entry.root, severity="information")


def _no_resource(entry: Entry) -> Issue:
    return Issue("required", "the entry holds no resource", "send one", entry.root)


def _numbers(fact: Decoded) -> list[tuple[str, str]]:
    """The identifiers by which hospitals know a person."""
    ids = fact.fields.get("hospital_ids", ())
    given = ids if isinstance(ids, tuple) else ()
    return [(i.system, i.value) for i in given if isinstance(i, Identifier)]


def _without_numbers(fact: Decoded) -> Decoded:
    """A Patient's fields for the record: its identifiers stay in the vault."""
    return replace(fact, fields={n: v for n, v in fact.fields.items() if n != "hospital_ids"})
