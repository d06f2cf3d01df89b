"""Erasure: everything of a person leaves the store, in one transaction, and a tombstone stays by
which the person is known again and refused.

What others have is not reached: what was delivered to hospitals is listed for who must ask there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from fhirbridge.fhir.bundle import Entry
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.messages import ERASED, Message
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.tombstones import Sign
from fhirbridge.registry.traces import Delivered
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import kinds
from fhirbridge.sync.mentions import Mention, mentions, stands_in
from fhirbridge.sync.project import patient_id
from fhirbridge.sync.source import resource_type

_ERASED = Issue("consent", "its subject was erased", severity="information")


@dataclass(frozen=True, slots=True)
class Erased:
    """Rows by table, messages of which a part or all is gone, and what is still elsewhere."""

    rows: Mapping[str, int]
    redacted: int
    emptied: int
    delivered: tuple[Delivered, ...]


@dataclass(frozen=True, slots=True)
class _Person:
    """By what signs a message is seen to speak of the person."""

    identities: frozenset[tuple[str, str]]
    patients: frozenset[tuple[str, str]]  # source and id
    own: str  # the Patient's id in our own view
    bases: Mapping[str, str]  # of sources that are servers

    def meant(self, mention: Mention, source: str) -> bool:
        if mention[0] == "identity":
            return mention[1:] in self.identities
        if mention[0] == "value":  # such an entry is refused from now on, too
            return any(value == mention[1] for _, value in self.identities)
        text, base = mention[1], self.bases.get(source, "")
        id = text.removeprefix(f"{base}/" if base else "").removeprefix("Patient/")
        id = id.partition("/_history/")[0]
        return (source, id) in self.patients or id == self.own

    def in_bytes(self, body: bytes) -> bool:
        """Whether a value stands there as a word of its own: of bytes that nobody can read more is
        not known."""
        values = {value for _, value in self.identities} | {id for _, id in self.patients}
        return stands_in(body, values)


def erase(unit: Unit, mappings: MappingSet, subject: Subject, *, actor: str) -> Erased:
    """All of it or nothing: the caller commits, and compacts the store. The trail keeps the ids."""
    records = [one.id for one in unit.records.all(subject_id=subject.id)]
    origins = unit.traces.origins(subject.id, records)
    person = _person(unit, mappings, subject, origins)
    resources = unit.traces.resources(records)
    delivered = unit.traces.delivered(resources)
    refused = unit.traces.refused()
    known: dict[str, set[int]] = {}
    for one in unit.traces.entries(subject.id, records):
        known.setdefault(one.message_id, set()).add(one.position)
    changed = [
        made
        for message in unit.traces.messages()
        if (
            made := _without(
                person,
                message,
                known.setdefault(message.id, set()),
                refused=message.id in refused,
            )
        )
    ]
    places = [(id, position) for id, positions in known.items() for position in positions]
    origins += unit.traces.unread(unit.traces.entries_at(places))
    for message in changed:
        unit.messages.rewrite(replace(message, key=f"erased:{message.id}"))
        if message.id in refused:
            unit.erasures.blank_whole(message.id, _ERASED)
    for id, positions in known.items():
        unit.erasures.blank(id, positions, _ERASED)
    for upload in unit.uploads.all():
        if upload.body and (_hidden(upload.body) or person.in_bytes(upload.body)):
            unit.uploads.forget(upload.id)
    unit.erasures.forget_runs(subject.study_id, [id for _, id in person.patients])
    unit.tombstones.raise_for(_signs(mappings, subject, person))
    ids = [row.id for row in resources]
    rows = unit.erasures.take(subject.id, records=records, resources=ids, origins=origins)
    emptied = sum(message.state == ERASED for message in changed)
    unit.audit.note("D", "erase", actor=actor, entities={"subjects": [subject.id]})
    return Erased(rows, len(changed) - emptied, emptied, tuple(delivered))


def _person(
    unit: Unit, mappings: MappingSet, subject: Subject, origins: Collection[str]
) -> _Person:
    pairs = {*unit.subjects.identities(subject.id)}
    study = mappings.names.get("study-id")
    return _Person(
        frozenset({*pairs, (study or "", subject.study_id)}),
        frozenset(unit.traces.patients(origins)),
        patient_id(mappings, subject),
        {f"connection:{c.name}": c.base_url.rstrip("/") for c in unit.connections.all()},
    )


def _hidden(body: bytes) -> bool:
    """Whether the bytes themselves do not show who is in them: packed, or in another encoding."""
    try:
        return body.startswith(b"PK") or "\0" in body.decode()
    except UnicodeDecodeError:
        return True


def _signs(mappings: MappingSet, subject: Subject, person: _Person) -> Iterator[Sign]:
    yield "study-id", subject.study_id
    study = mappings.names.get("study-id") or ""
    yield from (("identity", *pair) for pair in person.identities if pair[0] != study)
    yield from (("source", *pair) for pair in person.patients)
    yield from (("value", value) for _, value in (*person.identities, *person.patients))


def _without(
    person: _Person, message: Message, positions: set[int], *, refused: bool
) -> Message | None:
    """The message without the person, None where it says nothing of them. `positions` are known
    ones, and get those that are found."""
    gone = replace(message, body=b"", state=ERASED)
    kind = kinds.of(message.kind)
    try:
        made = kind.read(message.body)
    except BridgeError:
        made = None
    entries = kind.entries(made)
    positions |= _about(person, message.source, entries)
    if made is None or refused:
        if not positions and not person.in_bytes(message.body):
            return None
        positions.add(0)
        return gone
    if not positions and not person.in_bytes(kind.cover(made)):
        return None
    if len(positions) >= len(entries):
        return gone
    return kind.without(message, positions, bare=True)


def _about(person: _Person, source: str, entries: list[Entry]) -> set[int]:
    """The positions of what speaks of the person, by what the message itself calls them, too."""
    names: set[str] = set()
    for entry in entries:
        if resource_type(entry) == "Patient" and _speaks(person, source, entry, names):
            names |= {entry.full_url, f"Patient/{(entry.resource or {}).get('id', '')}"}
    return {e.position for e in entries if _speaks(person, source, e, names - {"", "Patient/"})}


def _speaks(person: _Person, source: str, entry: Entry, names: set[str]) -> bool:
    return any(
        person.meant(mention, source) or (mention[0] == "reference" and mention[1] in names)
        for mention in mentions(entry)
    )
