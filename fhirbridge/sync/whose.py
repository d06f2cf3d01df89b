"""Whose is it: from a Patient resource or a reference to one, the subject who was enrolled as that
person.

Matches by identifier only, never by name or birth date; who is not found is never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import Issue
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit


@dataclass
class Whose:
    """The look-ups of one message. `base` is the server that its relative references mean."""

    unit: Unit
    mappings: MappingSet
    source: str
    base: str = ""
    known: dict[str, Subject] = field(default_factory=dict)  # by fullUrl and by Patient/id
    claimed: Counter[str] = field(default_factory=Counter)  # subjects, by Patients that claim them

    def count(self, patients: Iterable[Mapping[str, Any]]) -> None:
        """Look through a message's Patients first: two of them for one subject are a riddle."""
        found = [self.of_patient(patient, "") for patient in patients]
        self.claimed.update(one.id for one in found if isinstance(one, Subject))

    def by_identifier(self, system: str, value: str) -> Subject | None:
        if system == self.mappings.names.get("study-id"):
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

    def of_reference(self, reference: Mapping[str, Any] | None, at: str) -> Subject | Issue:
        """The subject whom a Reference means."""
        if reference is None:
            return Issue("required", "it says not whose it is", "send the patient's reference", at)
        subject = self._of_text(str(reference.get("reference", "")))
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
        if self.base and text.startswith(f"{self.base}/"):
            text = text[len(self.base) + 1 :]
        if text.startswith("Patient?"):
            return self._of_search(text)
        parts = text.split("/")
        if len(parts) < 2 or parts[0] != "Patient":
            return None
        return self.known.get(f"Patient/{parts[1]}") or self._of_id(parts[1])

    def _of_search(self, text: str) -> Subject | None:
        """A conditional reference, `Patient?identifier=system|value`."""
        asked = parse_qs(urlsplit(text).query).get("identifier", [])
        system, divided, value = (
            unquote(asked[0]).partition("|") if len(asked) == 1 else ("", "", "")
        )
        return self.by_identifier(system, value) if divided else None

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


def _unknown(at: str) -> Issue:
    remedy = "enrol the person with this identifier, then replay the message"
    return Issue("unknown-subject", "nobody enrolled here has this identifier", remedy, at)
