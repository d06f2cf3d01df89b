"""Reads one entry of a message: whose it is, what it says, and to which record that goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhirbridge.fhir.bundle import Entry
from fhirbridge.mapping.decode import Decoded, decode
from fhirbridge.mapping.path import Path
from fhirbridge.mapping.referring import Refer
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue
from fhirbridge.registry.origins import Origin
from fhirbridge.registry.receipts import ReceiptEntry
from fhirbridge.registry.records import Name
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.study.records import Identifier
from fhirbridge.sync import source
from fhirbridge.sync.accept import Context
from fhirbridge.sync.beside import inlined
from fhirbridge.sync.facts import Facts, Line
from fhirbridge.sync.judge import Asked, Tell
from fhirbridge.sync.numbers import checked
from fhirbridge.sync.references import Targets
from fhirbridge.sync.said import Said
from fhirbridge.sync.whose import Whose


@dataclass
class Reader:
    """Of one message of `source`. `base` is the server that its relative references mean;
    `updates` are the resources of ours that its requests name, by position."""

    unit: Unit
    mappings: MappingSet
    source: str
    base: str
    whose: Whose
    context: Context
    updates: Mapping[int, ResourceRow] = field(default_factory=dict)
    given: Mapping[int, list[Decoded]] = field(init=False, default_factory=dict)
    """Facts that the message's format told itself, by position."""
    tells: Mapping[int, Tell] = field(init=False, default_factory=dict)
    medications: Mapping[str, Mapping[str, Any]] = field(init=False, default_factory=dict)
    """Those of the message, by the names that references use."""
    targets: Targets = field(init=False)
    ahead: dict[int, list[Decoded]] = field(init=False, default_factory=dict)  # by position
    named: dict[int, str] = field(init=False, default_factory=dict)  # by position
    waits: set[tuple[str | None, str | None]] = field(init=False, default_factory=set)
    """Types and ids of what waits, of any source."""

    def __post_init__(self) -> None:
        self.targets = Targets(self.unit, self.mappings, self.source, self.base)

    def read(
        self, told: ReceiptEntry, entry: Entry, resource: Mapping[str, Any], origin: Origin
    ) -> list[Line]:
        def refer(reference: str) -> Mapping[str, str] | None:
            subject = self.holder(entry, resource)
            return self.targets.records(reference, subject) if subject else None

        given = self.given.get(entry.position)
        if given is not None:
            given = [checked(self.whose, fact) for fact in given]
        decoded = given or self.ahead.pop(entry.position, None) or self.told(entry, resource, refer)
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

    def told(self, entry: Entry, resource: Mapping[str, Any], refer: Refer) -> list[Decoded]:
        source = self.identity(entry, resource)
        tell = self.tells.get(entry.position)
        if tell is None:
            whole = inlined(resource, self.medications)
            return decode(self.mappings, whole, source=source, root=entry.root, refer=refer)
        return tell(Asked(resource, self.unit, self.holder(entry, resource), source, refer))

    def source_id(self, entry: Entry) -> str:
        """A person's number stands in the vault alone: where only it names them, its pseudonym."""
        name = self.named.get(entry.position)
        if name is None:
            name = self.named[entry.position] = self._source_id(entry)
        return name

    def _source_id(self, entry: Entry) -> str:
        if entry.position in self.tells and not is_person(entry):
            return f"{self.owner(entry)}|{source.source_id(entry)}"
        named = source.identifier(entry.resource)
        if not is_person(entry) or named is None or (entry.resource or {}).get("id"):
            return source.source_id(entry)
        system, _, value = named.partition("|")
        return self.unit.subjects.pseudonym(system, value)

    def owner(self, entry: Entry) -> str:
        """Whose it is, as a part of its name: a sender's own numbers need not be unique beyond a
        person (accession 123456 in every message: reportstream 7677)."""
        resource = entry.resource or {}
        subject = self.holder(entry, resource)
        if subject is not None:
            return subject.id
        named = resource.get("subject", {}).get("identifier")
        return self.unit.subjects.pseudonym(named["system"], named["value"]) if named else ""

    def spoken_of(self, found: Iterable[tuple[Entry, Any]]) -> Iterator[str]:
        for entry, _ in found:
            for mention in self.whose.mentions(entry):
                subject = self.whose.who(mention)
                if subject is not None:
                    yield subject.id

    def foresee(self, entries: Iterable[Entry]) -> None:
        """Look up together what these entries will ask for one by one. A hint and no more: what is
        not seen here is looked up when it is asked for."""
        wanted: dict[Name, str] = {}
        names: list[tuple[str, str]] = []
        for entry in entries:
            resource = entry.resource
            if resource is None:
                continue
            names.append((source.resource_type(entry), self.source_id(entry)))
            person = is_person(entry)
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
        self.unit.origins.know(self.source, names)
        self.unit.foresee(wanted)

    def decoded_ahead(self, entry: Entry, resource: Mapping[str, Any]) -> list[Decoded]:
        """Its facts that are records; nothing of what depends on other resources."""
        if entry.position in self.tells:
            return []
        if entry.position in self.given:
            return [fact for fact in self.given[entry.position] if fact.fate == "record"]
        asked: list[str] = []

        def refer(reference: str) -> None:
            asked.append(reference)

        found = decode(
            self.mappings,
            inlined(resource, self.medications),
            source=self.identity(entry, resource),
            root=entry.root,
            refer=refer,
        )
        if asked:
            return []
        self.ahead[entry.position] = found
        return [fact for fact in found if fact.fate == "record"]

    def holder(self, entry: Entry, resource: Mapping[str, Any]) -> Subject | None:
        """Whose the resource is, before its facts are known: only theirs can its targets be."""
        for fact in self.given.get(entry.position, ()):
            known = self.whose.of_reference(fact.patient, entry.root)
            return known if isinstance(known, Subject) else None
        if entry.position in self.tells and isinstance(resource.get("subject"), Mapping):
            named = self.whose.of_reference(resource["subject"], entry.root)
            return named if isinstance(named, Subject) else None
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
        if entry.position in self.given:
            return self.whose.of_reference(said.patient, entry.root)
        if not is_person(entry):
            at = next((path.text for path in self.patients(entry)), "subject")
            return self.whose.of_reference(said.patient, f"{entry.root}.{at}")
        found = self.whose.of_patient(resource, entry.root)
        named = self.updates.get(entry.position)
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
        where = self.base or self.source
        name = f"{source.resource_type(entry)}/{source.source_id(entry)}"
        return source.identifier(resource) or f"{where}|{name}"


def is_person(entry: Entry) -> bool:
    return source.resource_type(entry) == "Patient"


def _numbers(fact: Decoded) -> list[tuple[str, str]]:
    """The identifiers by which hospitals know a person."""
    ids = fact.fields.get("hospital_ids", ())
    given = ids if isinstance(ids, tuple) else ()
    return [(i.system, i.value) for i in given if isinstance(i, Identifier)]


def _without_numbers(fact: Decoded) -> Decoded:
    """A Patient's fields for the record: its identifiers stay in the vault."""
    if "hospital_ids" not in fact.fields:
        return fact
    return replace(fact, fields={n: v for n, v in fact.fields.items() if n != "hospital_ids"})
