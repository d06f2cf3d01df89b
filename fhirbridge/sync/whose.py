"""Whose is it: from a Patient resource or a reference to one, the subject who was enrolled as that
person.

Matches by identifier only, never by name or birth date; who is not found is never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fhirbridge.fhir.bundle import Entry
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue
from fhirbridge.registry.sites import Site
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.mentions import Mention, literals, mentions, searched


@dataclass
class Whose:
    """The look-ups of one message. `base` is the server that its relative references mean."""

    unit: Unit
    mappings: MappingSet
    source: str
    base: str = ""
    known: dict[str, Subject] = field(default_factory=dict)  # by fullUrl and by Patient/id
    claimed: Counter[str] = field(default_factory=Counter)  # subjects, by Patients that claim them
    looked_up: dict[Mention, Subject | None] = field(default_factory=dict)
    spoken_of: dict[int, tuple[Mention, ...]] = field(default_factory=dict)  # by position
    referred_to: dict[int, list[str]] = field(default_factory=dict)  # by position

    def mentions(self, entry: Entry) -> tuple[Mention, ...]:
        """The persons of whom an entry of the message speaks."""
        if entry.position not in self.spoken_of:
            self.spoken_of[entry.position] = tuple(mentions(entry))
        return self.spoken_of[entry.position]

    def literals(self, entry: Entry) -> list[str]:
        """The references of an entry of the message."""
        if entry.position not in self.referred_to:
            self.referred_to[entry.position] = literals(entry.resource)
        return self.referred_to[entry.position]

    @cached_property
    def site(self) -> Site | None:
        return self.unit.sites.by_id(self.unit.site_id or "")

    def count(self, patients: Iterable[Mapping[str, Any]]) -> None:
        """Look through a message's Patients first: two of them for one subject are a riddle."""
        lasting = (one for one in patients if not _replaced(one))
        found = [self.of_patient(patient, "") for patient in lasting]
        self.claimed.update(one.id for one in found if isinstance(one, Subject))

    @property
    def study_ids(self) -> str | None:
        """The identifier system of the study's pseudonyms."""
        return self.mappings.names.get("study-id")

    def by_identifier(self, system: str, value: str) -> Subject | None:
        return self.who(("identity", system, value))

    def who(self, mention: Mention) -> Subject | None:
        """The subject, looked up once a message."""
        if mention not in self.looked_up:
            self.looked_up[mention] = self._look_up(mention)
        return self.looked_up[mention]

    def _look_up(self, mention: Mention) -> Subject | None:
        if mention[0] == "reference":
            return self._of_text(mention[1])
        if mention[0] == "value":
            return None
        _, system, value = mention
        if system == self.study_ids:
            return self.unit.subjects.by_study_id(value)
        return self.unit.subjects.by_identity(system, value)

    def of_patient(self, patient: Mapping[str, Any], at: str) -> Subject | Issue:
        """The subject whose identifiers the Patient carries; two subjects in one Patient are
        none.
        """
        found: dict[str, Subject] = {}
        for identifier in patient.get("identifier", ()):
            if "system" in identifier and "value" in identifier:
                subject = self.by_identifier(identifier["system"], identifier["value"])
                if subject is not None:
                    found[subject.id] = subject
        if len(found) == 1:
            return self._sole(found.popitem()[1], f"{at}.identifier")
        if found:
            cause = f"its identifiers belong to {len(found)} subjects"
            return Issue("conflict", cause, "have the identifiers corrected", f"{at}.identifier")
        return _unknown(f"{at}.identifier")

    def _sole(self, subject: Subject, at: str) -> Subject | Issue:
        """HL7's own examples have two persons with one number: neither is then taken."""
        if self.claimed[subject.id] < 2:
            return subject
        cause = f"{self.claimed[subject.id]} Patients carry an identifier of one subject"
        remedy = "have the hospital say which of them it is, and enrol that one's own identifier"
        return Issue("conflict", cause, remedy, at)

    def remember(self, subject: Subject, *names: str) -> None:
        self.known.update((name, subject) for name in names if name)
        self.looked_up.clear()  # the subject may be new

    def of_reference(self, reference: Mapping[str, Any] | None, at: str) -> Subject | Issue:
        """The subject whom a Reference means."""
        if reference is None:
            return Issue("required", "it says not whose it is", "send the patient's reference", at)
        text = str(reference.get("reference", ""))
        subject = self.who(("reference", text)) if text else None
        identifier = reference.get("identifier", {})
        named = None
        if "system" in identifier and "value" in identifier:
            named = self.by_identifier(identifier["system"], identifier["value"])
        if subject and named and subject.id != named.id:
            cause = "its reference means one subject, and the identifier beside it another"
            return Issue("conflict", cause, "have the reference corrected", at)
        return subject or named or _unknown(at)

    def _of_text(self, text: str) -> Subject | None:
        if text in self.known:
            return self.known[text]
        identity = searched(text)
        if identity is not None:
            return self.by_identifier(*identity)
        id = self.patient_id(text)
        return (self.known.get(f"Patient/{id}") or self._of_id(id)) if id else None

    def patient_id(self, text: str) -> str:
        """The id in `Patient/<id>`, relative to the source's server; else nothing."""
        if self.base and text.startswith(f"{self.base}/"):
            text = text[len(self.base) + 1 :]
        parts = text.split("/")
        return parts[1] if len(parts) > 1 and parts[0] == "Patient" else ""

    def _of_id(self, id: str) -> Subject | None:
        """A Patient that the source showed us before, or one of our own view."""
        origin = self.unit.origins.find(self.source, "Patient", id)
        if origin is not None and origin.subject_id is not None:
            return self.unit.subjects.by_id(origin.subject_id)
        own = self.unit.resources.get("Patient", id) if not self.base else None
        return self.of_record(own.record_id) if own else None

    def of_record(self, record_id: str) -> Subject | None:
        record = self.unit.records.get(record_id)
        return self.unit.subjects.by_id(record.subject_id) if record else None


def _replaced(patient: Mapping[str, Any]) -> bool:
    """Inactive, and merged into another: no riddle beside the one that took its place."""
    links = patient.get("link", ())
    return patient.get("active") is False and any(one.get("type") == "replaced-by" for one in links)


def _unknown(at: str) -> Issue:
    remedy = "enrol the person with this identifier, then replay the message"
    return Issue("unknown-subject", "nobody enrolled here has this identifier", remedy, at)
