"""The entries of one message: each to its origin, subject and record, or into quarantine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from fhirbridge.fhir.bundle import Entry
from fhirbridge.mapping.decode import Decoded, decode
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue, failed
from fhirbridge.registry.messages import Message, ReceiptEntry
from fhirbridge.registry.proposals import Origin
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import source
from fhirbridge.sync.accept import Accepted, Context, accept, take_back, withdraw
from fhirbridge.sync.whose import Whose

_ORDER = {"Patient": 0, "Condition": 1, "Procedure": 2, "Observation": 3}


@dataclass
class Work:
    """The working off of one message."""

    unit: Unit
    mappings: MappingSet
    message: Message
    base: str
    whose: Whose = field(init=False)
    context: Context = field(init=False)
    settled: dict[int, ReceiptEntry] = field(init=False)  # of a replay, by position
    replayed: bool = field(init=False)
    waited: bool = field(init=False)  # something of the site waits: it may be about to be released

    def __post_init__(self) -> None:
        unit, message = self.unit, self.message
        self.whose = Whose(unit, self.mappings, message.source, self.base)
        self.context = Context(unit, self.mappings, message.id, message.source)
        before = unit.receipts.of_message(message.id)
        self.replayed, self.waited = before is not None, unit.quarantine.count_waiting() > 0
        done = before.entries if before and before.state == "done" else ()
        held = unit.quarantine.of_message(message.id) if done else []
        waiting = {one.position for one in held if one.state == "waiting"}
        self.settled = {one.position: one for one in done if one.position not in waiting}

    def entries(self, found: list[tuple[Entry, list[Issue]]]) -> list[ReceiptEntry]:
        """In the order of what depends on what, told in the order in which they came."""
        people = (e.resource for e, i in found if source.resource_type(e) == "Patient" and not i)
        self.whose.count(person for person in people if person)
        ordered = sorted(found, key=lambda pair: _ORDER.get(source.resource_type(pair[0]), 9))
        told = [
            self.again(entry, self.settled[entry.position])
            if entry.position in self.settled
            else self.entry(entry, issues)
            for entry, issues in ordered
        ]
        self.context.project()
        return sorted(told, key=lambda one: one.position)

    def again(self, entry: Entry, told: ReceiptEntry) -> ReceiptEntry:
        """An entry of a replay that does not wait: as it was told, for the others to refer to."""
        if told.resource_type == "Patient" and entry.resource:
            found = self.whose.of_patient(entry.resource, entry.root)
            if isinstance(found, Subject):
                self.remember(entry, entry.resource, found)
        return replace(told, fate="superseded") if told.fate == "quarantined" else told

    def entry(self, entry: Entry, issues: list[Issue]) -> ReceiptEntry:
        told = ReceiptEntry(
            entry.position,
            0,
            "refused",
            resource_type=source.resource_type(entry) or None,
            source_id=self.source_id(entry),
            identifier=None if _is_person(entry) else source.identifier(entry.resource),
            mapping_version=self.mappings.version,
        )
        if told.resource_type == "OperationOutcome":  # valid or not, it is no data
            text = "; ".join(source.remarks(entry.resource or {})) or "no text"
            issue = Issue("remote", f"the server remarks: {text}", severity="warning")
            return replace(told, issues=(issue,))
        if failed(issues) or entry.resource is None:
            return self.hold(told, tuple(issues) or (_no_resource(entry),))
        if entry.method == "DELETE":
            cause, remedy = "deletions are not taken", "send the resource as entered-in-error"
            return replace(told, issues=(Issue("not-supported", cause, remedy, entry.root),))
        existing = self.existing(entry)
        if existing is not None:
            return self.free(replace(told, fate="unchanged", record_id=existing))
        origin = self.origin(entry)
        if isinstance(origin, Issue):
            return self.free(replace(told, fate="superseded", issues=(origin,)))
        if self.waited:
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

    def free(self, told: ReceiptEntry) -> ReceiptEntry:
        """Nothing of the entry waits (any more)."""
        for part in (0, 1) if self.replayed else ():
            self.unit.quarantine.release(self.message.id, told.position, part)
        return told

    def hold(self, told: ReceiptEntry, issues: tuple[Issue, ...]) -> ReceiptEntry:
        """Into quarantine, unless the whole message was refused before it came so far."""
        self.unit.quarantine.hold(
            self.message.id,
            position=told.position,
            part=told.part,
            resource_type=told.resource_type,
            source_id=told.source_id,
            issues=issues,
        )
        return replace(told, fate="quarantined", issues=issues)

    def existing(self, entry: Entry) -> str | None:
        """The record behind `ifNoneExist`, where one of our resources carries that identifier."""
        name, _, token = entry.if_none_exist.partition("=")
        system, divided, value = unquote(token).partition("|")
        if name != "identifier" or not divided:
            return None
        found = self.unit.resources.search(
            source.resource_type(entry), tokens=[("identifier", [(system, value)])], count=1
        )
        return found[0].record_id if found else None

    def origin(self, entry: Entry) -> Origin | Issue:
        """The source resource in this version; an older version than the one seen is superseded."""
        resource = entry.resource or {}
        meta = resource.get("meta", {})
        stamped = source.instant(meta.get("lastUpdated"))
        source_id = self.source_id(entry)
        seen = self.unit.origins.find(self.message.source, resource["resourceType"], source_id)
        if seen and seen.last_updated and stamped and stamped < seen.last_updated:
            cause = "a newer version of it was read before"
            return Issue("conflict", cause, "nothing to do", entry.root, severity="information")
        return self.unit.origins.put(
            self.message.source,
            resource["resourceType"],
            source_id,
            version_id=meta.get("versionId"),
            last_updated=stamped,
            sha256=source.content_hash(resource),
        )

    def read(
        self, told: ReceiptEntry, entry: Entry, resource: Mapping[str, Any], origin: Origin
    ) -> ReceiptEntry:
        decoded = decode(
            self.mappings, resource, source=self.identity(entry, resource), root=entry.root
        )[0]
        told = replace(told, issues=decoded.issues, rule=decoded.block or None)
        if decoded.fate == "refuse":
            return self.free(self.refused(told, origin))
        if decoded.fate == "hold":
            return self.hold(told, (*decoded.issues, *_stays(origin, entry)))
        if decoded.fate == "withdraw":
            return self.taken(told, withdraw(self.context, origin), decoded)
        subject = self.subject(entry, resource, decoded)
        if isinstance(subject, Issue):
            issues = (subject, *decoded.issues, *_stays(origin, entry))
            if self.unmatched == "refuse" and not origin.record_id:
                return self.free(replace(told, issues=issues))
            return self.hold(told, issues)
        if decoded.form == "subject":
            decoded = self.enrolled(decoded, subject)
        return self.taken(
            told, accept(self.context, decoded, subject, origin, position=told.position), decoded
        )

    def refused(self, told: ReceiptEntry, origin: Origin) -> ReceiptEntry:
        """Not for the study, or not any more: then what an earlier version gave is taken back."""
        stored = take_back(self.context, origin, reason="corrected by its source")
        if stored is None:
            return told
        cause = "an earlier version of it was taken, and is taken back"
        told = replace(told, fate="applied", record_id=stored.id)
        return replace(
            told, issues=(*told.issues, Issue("conflict", cause, severity="information"))
        )

    def taken(self, told: ReceiptEntry, result: Accepted, decoded: Decoded) -> ReceiptEntry:
        record_id = result.record.id if result.record else None
        told = replace(told, fate=result.fate, record_id=record_id)
        if result.fate == "quarantined":
            return self.hold(told, (*result.issues, *decoded.issues))
        self.free(told)
        waiting = (*(i for i in decoded.issues if i.severity == "error"), *result.conflicts)
        if waiting:  # the record lives, a part of the entry waits
            self.hold(replace(told, part=1), waiting)
        return replace(told, issues=(*decoded.issues, *result.issues, *result.conflicts))

    def subject(
        self, entry: Entry, resource: Mapping[str, Any], decoded: Decoded
    ) -> Subject | Issue:
        if decoded.form != "subject":
            return self.whose.of_reference(decoded.patient, f"{entry.root}.subject")
        found = self.whose.of_patient(resource, entry.root)
        study_id = decoded.fields.get("study_id")
        unknown = isinstance(found, Issue) and found.category == "unknown-subject"
        if unknown and self.unmatched == "enrol" and isinstance(study_id, str):
            ids = decoded.fields.get("hospital_ids", ())
            pairs = [(i.system, i.value) for i in ids] if isinstance(ids, tuple) else []
            found = self.unit.subjects.enrol(study_id, pairs)
        if isinstance(found, Subject):
            self.remember(entry, resource, found)
        return found

    def remember(self, entry: Entry, resource: Mapping[str, Any], subject: Subject) -> None:
        id = resource.get("id", "")
        self.whose.remember(subject, entry.full_url, f"Patient/{id}" if id else "")

    def enrolled(self, decoded: Decoded, subject: Subject) -> Decoded:
        """A Patient's fields for the record: its identifiers stay in the vault."""
        kept = {n: v for n, v in decoded.fields.items() if n != "hospital_ids"}
        return replace(decoded, fields=kept)

    @property
    def unmatched(self) -> str:
        site = self.unit.sites.by_id(self.unit.site_id or "")
        return site.unmatched if site else "hold"

    def identity(self, entry: Entry, resource: Mapping[str, Any]) -> str:
        """What the source resource is called wherever it comes from: its identifier before its
        id.
        """
        where = self.base or self.message.source
        name = f"{source.resource_type(entry)}/{source.source_id(entry)}"
        return source.identifier(resource) or f"{where}|{name}"


def _is_person(entry: Entry) -> bool:
    return source.resource_type(entry) == "Patient"


def _no_resource(entry: Entry) -> Issue:
    return Issue("required", "the entry holds no resource", "send one", entry.root)


def _stays(origin: Origin, entry: Entry) -> tuple[Issue, ...]:
    """What waits was a record's before: the record keeps that until this is settled."""
    if origin.record_id is None:
        return ()
    cause = "an earlier version of it was taken, and the record still says what that said"
    remedy = "look at the record, too"
    return (Issue("conflict", cause, remedy, entry.root, severity="warning"),)
