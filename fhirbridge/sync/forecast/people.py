"""Whom a sample speaks of: people whom nobody enrolled yet are enrolled for its rehearsal alone, so
that it shows what could be read once they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from fhirbridge.fhir.bundle import Entry
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import kinds
from fhirbridge.sync.accept import Context
from fhirbridge.sync.enrol import enrol
from fhirbridge.sync.ingest import Incoming
from fhirbridge.sync.mentions import mentions

Number = tuple[str, str]


@dataclass
class Strangers:
    """`count` is how many were enrolled for the rehearsal."""

    unit: Unit
    mappings: MappingSet
    count: int = 0

    def meet(self, incoming: Incoming) -> None:
        """Enrol whoever the message speaks of by a number, Patients with all of theirs first. What
        cannot be opened speaks of nobody: its rehearsal says why."""
        kind = kinds.of(incoming.kind)
        try:
            opened = kind.open_message(
                kind.parse(incoming.body),
                kind=incoming.kind,
                asked=incoming.asked,
                mappings=self.mappings,
            )
        except BridgeError:
            return
        entries = [entry for entry, _ in opened.entries]
        for entry in sorted(entries, key=lambda one: not _is_person(one)):
            numbers = [(m[1], m[2]) for m in mentions(entry) if m[0] == "identity"]
            if _is_person(entry):
                self._enrol(numbers)
            else:
                for number in numbers:
                    self._enrol([number])

    def _enrol(self, numbers: list[Number]) -> None:
        known = {one.study_id for number in numbers if (one := self._known(number))}
        if not numbers or len(known) > 1:
            return  # two people in one: the rehearsal says so
        own = [value for system, value in numbers if system == self._study_ids]
        others = [number for number in numbers if number[0] != self._study_ids]
        new = [number for number in others if self._known(number) is None]
        if known and not new:
            return
        self.count += not known
        study_id = next(iter(known), own[0] if own else f"forecast-{self.count}")
        enrol(Context(self.unit, self.mappings, "", "forecast"), study_id, new)

    def _known(self, number: Number) -> Subject | None:
        if number[0] == self._study_ids:
            return self.unit.subjects.by_study_id(number[1])
        return self.unit.subjects.by_identity(*number)

    @property
    def _study_ids(self) -> str | None:
        return self.mappings.names.get("study-id")


def _is_person(entry: Entry) -> bool:
    resource = entry.resource if isinstance(entry.resource, dict) else {}
    return resource.get("resourceType") == "Patient"
