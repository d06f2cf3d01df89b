"""Resources of files to records: one by one, or what a file says of one record together.

Whose record it is, a file says for itself: a Patient of one file is nobody in another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhirbridge.commands.inputs import Body
from fhirbridge.fhir import bundle
from fhirbridge.fhir.bundle import Entry
from fhirbridge.formats import judged_json
from fhirbridge.mapping.compile_source import quick
from fhirbridge.mapping.decode import Decoded
from fhirbridge.mapping.decode import decode as decode_resource
from fhirbridge.mapping.losses import losses
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue, Severity, failed
from fhirbridge.study import records
from fhirbridge.study.records import Record

_record = quick(Record)
_ENTRY = re.compile(r"Bundle\.entry\[\d+\]")

_LOST = "no row reads this element"
_TAKE_BACK = "take back what was read of it before"
_MAP_IT = "map it, if the study wants it"

Batch = tuple[list[Record], list[Issue]]


@dataclass(slots=True)
class Read:
    """What one body says. The subject of a record is a patient's reference where the body does not
    say the study id beside it; `patients` are the study ids by reference."""

    issues: list[Issue]
    records: list[Record] = field(default_factory=list)
    patients: dict[str, str] = field(default_factory=dict)


def read_body(mappings: MappingSet, body: Body, *, losing: bool = False) -> Read:
    """The records of a resource or Bundle; what is no valid R4 is told and left out. `losing`: also
    every element that no row reads."""
    read = Read([body.placed(issue) for issue in body.issues] if body.issues else [])
    if not body.raw:
        return read
    try:
        made, wrong = judged_json.judge(body.raw)
    except BridgeError as fault:
        read.issues += [body.placed(issue) for issue in fault.issues]
        return read
    if not wrong and made["resourceType"] != "Bundle":  # the usual line of a large file
        place = body.place
        identity = _identity(made, place)
        plain = _is_unmodified(body.raw)
        facts = decode_resource(mappings, made, source=identity, unmodified=plain)
        for fact in facts:
            if losing or fact.issues or fact.fate != "record":
                break
        else:
            for fact in facts:
                _add(mappings, read, fact, identity, place)
            return read
    read.issues += [body.placed(issue) for issue in wrong]
    places = [_ENTRY.match(issue.expression) for issue in wrong if failed([issue])]
    if all(places):  # else not an entry is wrong but the whole
        invalid = {place[0] for place in places if place}
        found = [e for e in bundle.entries(_without(made, invalid)) if e.resource is not None]
        for entry, decoded in _decoded(mappings, sorted(found, key=_after_patients), body.place):
            identity = _of_entry(entry, body.place)
            _take(mappings, read, identity, entry.full_url, decoded, body)
            if losing:
                read.issues += _lost(mappings, entry, body)
    return read


def _is_unmodified(raw: bytes) -> bool:
    """Surely no modifierExtension: one letter is found in no time, and a name that is written with
    escapes may be any name."""
    return (b"E" not in raw or b"modifierExtension" not in raw) and b"\\" not in raw


def _lost(mappings: MappingSet, entry: Entry, body: Body) -> Iterator[Issue]:
    assert entry.resource is not None
    for at in losses(mappings, entry.resource, root=entry.root):
        yield body.placed(Issue("business-rule", _LOST, _MAP_IT, at, severity="information"))


def _decoded(
    mappings: MappingSet, found: list[Entry], place: str
) -> Iterator[tuple[Entry, list[Decoded]]]:
    """Each entry's facts; what refers to another entry is read once these are known."""
    known: dict[str, dict[str, str]] = {}
    made = [(entry, _decode(mappings, entry, known, place)) for entry in found]
    for entry, facts in made:
        keys = {fact.form: fact.key for fact in facts if fact.key}
        resource = entry.resource or {}
        name = f"{resource.get('resourceType')}/{resource.get('id', '')}"
        known |= {at: keys for at in (entry.full_url, name) if at and keys}
    for entry, facts in made:
        missed = any(issue.category == "not-found" for fact in facts for issue in fact.issues)
        yield entry, _decode(mappings, entry, known, place) if missed and known else facts


def _decode(
    mappings: MappingSet, entry: Entry, known: Mapping[str, Mapping[str, str]], place: str
) -> list[Decoded]:
    assert entry.resource is not None

    def refer(reference: str) -> Mapping[str, str] | None:
        return known.get(reference)

    source = _of_entry(entry, place)
    return decode_resource(mappings, entry.resource, source=source, root=entry.root, refer=refer)


def _without(body: dict[str, Any], invalid: set[str]) -> dict[str, Any]:
    """The Bundle with nothing in the place of its invalid entries."""
    if not invalid:
        return body
    listed = enumerate(body["entry"])
    return {**body, "entry": [{} if f"Bundle.entry[{n}]" in invalid else e for n, e in listed]}


def _after_patients(entry: Entry) -> bool:
    return entry.resource is None or bool(entry.resource["resourceType"] != "Patient")


def _take(
    mappings: MappingSet,
    read: Read,
    identity: str,
    full_url: str,
    facts: list[Decoded],
    body: Body,
) -> None:
    for decoded in facts:
        # What is not for this study is told, and no fault of the file.
        for issue in decoded.issues:
            severity: Severity = "information" if decoded.fate == "refuse" else issue.severity
            read.issues.append(replace(body.placed(issue), severity=severity))
        if decoded.fate == "withdraw":
            cause = f"{identity} is withdrawn by its status"
            told = Issue("business-rule", cause, _TAKE_BACK, severity="information")
            read.issues.append(body.placed(told))
        if decoded.fate == "record":
            _add(mappings, read, decoded, identity, body.place)
            if decoded.patient is None and full_url:
                read.patients[full_url] = read.patients[identity]


def _add(mappings: MappingSet, read: Read, decoded: Decoded, identity: str, place: str) -> None:
    """A record of what was read; the subject is the study id where the resource says it, else the
    patient's reference as it stands."""
    patient = decoded.patient
    if patient is None:
        study_id = decoded.fields.get("study_id")
        subject = study_id if isinstance(study_id, str) and study_id else identity
        read.patients[identity] = subject
    else:
        told = patient.get("identifier")
        if told and told.get("system") == mappings.names["study-id"]:
            subject = str(told.get("value"))
        else:
            subject = patient.get("reference") or identity
    read.records.append(_record(subject, decoded.form, decoded.fields, place))


def _of_entry(entry: Entry, place: str) -> str:
    assert entry.resource is not None
    return _identity(entry.resource, entry.full_url or f"{place} {entry.root}")


def _identity(resource: Mapping[str, Any], place: str) -> str:
    """What makes it the same resource again; where it says nothing of that, its place alone."""
    for one in () if resource["resourceType"] == "Patient" else resource.get("identifier", ()):
        if "system" in one and "value" in one:
            return f"{one['system']}|{one['value']}"
    return f"{resource['resourceType']}/{resource['id']}" if "id" in resource else place


def one_by_one(mappings: MappingSet, given: Iterable[Read]) -> Iterator[Batch]:
    """A record a resource, in flat memory; whose it is, is looked for in its own body alone."""
    for read in given:
        known = read.patients
        yield [_owned(r, known) for r in read.records] if known else read.records, read.issues


def merged(mappings: MappingSet, given: Iterable[Read]) -> Iterator[Batch]:
    """What the resources of a file say of one record as one: its issues as they come, its records
    at its end. A record of which two say different things is told and left out."""
    parts: list[Record] = []
    patients: dict[str, str] = {}
    for read in given:
        parts += read.records
        patients |= read.patients
        yield [], read.issues
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for part in parts:
        record = _owned(part, patients)
        key = record.key(mappings.study.form(record.form))
        groups.setdefault((record.subject, record.form, key), []).append(record)
    for group in groups.values():
        try:
            made = [*records.merge(mappings.study, group)]
        except BridgeError as fault:
            yield [], [replace(issue, place=group[-1].source) for issue in fault.issues]
        else:
            yield made, [issue for record in made for issue in _unsaid(mappings, record)]


def _unsaid(mappings: MappingSet, record: Record) -> Iterator[Issue]:
    """What the study asks of such a record and nobody has said: without it, it is no whole one. A
    study id is given at enrolment, not by a hospital."""
    for issue in records.check(mappings.study, record):
        if issue.category == "required" and issue.expression != "study_id":
            at = f"{record.form}.{issue.expression}"
            yield replace(issue, severity="warning", expression=at, place=record.source)


def _owned(record: Record, patients: Mapping[str, str]) -> Record:
    known = patients.get(record.subject)
    return record if known is None else replace(record, subject=known)
