"""The charts of a hospital while they are written: its resources, what a reader can learn from
them, what must wait, and what must not become a record, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.sandbox.dialects.tables import Resource
from fhirbridge.sandbox.truth import Fact, Person


@dataclass
class Told:
    """One record of the truth as this hospital tells it. `fields` are what its resources say,
    `sources` those resources; `waits`: why a person must look before it is a record."""

    subject: str
    form: str
    name: str
    fields: dict[str, Any] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    waits: str = ""

    def to_json(self) -> Resource:
        told: Resource = {"subject": self.subject, "form": self.form, "name": self.name}
        told |= {"sources": self.sources, "fields": self.fields}
        return {**told, "waits": self.waits} if self.waits else told


@dataclass(frozen=True, slots=True)
class Decoy:
    """A resource that must not become a record, or must not become more of one."""

    source: str
    why: str


@dataclass
class Chart:
    """One person's. `references` are of the truth's names (`lesion/L1`) to the hospital's."""

    person: Person
    patient: str
    resources: list[Resource] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    decoys: list[Decoy] = field(default_factory=list)
    references: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def add(self, resource: Resource, *, id: str) -> str:
        """The resource of this patient, and its reference."""
        kind = resource["resourceType"]
        whose = {} if kind == "Patient" else {"subject": {"reference": f"Patient/{self.patient}"}}
        own = {name: value for name, value in resource.items() if name != "resourceType"}
        made = {"resourceType": kind, "id": id, **whose, **own}
        self.resources.append(made)
        return f"{kind}/{id}"

    def of(self, fact: Fact) -> Told:
        """What is told of the fact, begun where it is not yet."""
        for one in self.told:
            if (one.form, one.name) == (fact.form, fact.name):
                return one
        made = Told(self.person.study_id, fact.form, fact.name)
        self.told.append(made)
        return made

    def tell(self, fact: Fact, source: str, says: Mapping[str, Any], *, waits: str = "") -> None:
        told = self.of(fact)
        told.fields |= {name: value for name, value in says.items() if value is not None}
        if source not in told.sources:
            told.sources.append(source)
        told.waits = waits or told.waits
        self.references.setdefault(f"{fact.form}/{fact.name}", source)

    def decoy(self, source: str, why: str) -> None:
        self.decoys.append(Decoy(source, why))

    def reference(self, form: str, name: str) -> Resource | None:
        found = self.references.get(f"{form}/{name}")
        return {"reference": found} if found else None


@dataclass(frozen=True, slots=True)
class Written:
    """A whole hospital with its truth."""

    dialect: str
    seed: int
    day: int
    charts: list[Chart]

    def resources(self) -> list[Resource]:
        """Patients first, so that every reference leads backwards."""
        every = [resource for chart in self.charts for resource in chart.resources]
        return sorted(every, key=lambda one: _ORDER.get(one["resourceType"], 3))

    def truth(self, enrolled: int | None = None) -> Resource:
        """What must be in the registry after a pull, and what must not; of those enrolled."""
        charts = self.charts[:enrolled] if enrolled is not None else self.charts
        return {
            "hospital": {"dialect": self.dialect, "seed": self.seed, "day": self.day},
            "subjects": [{"subject": c.person.study_id, "number": c.person.mrn} for c in charts],
            "records": [told.to_json() for chart in charts for told in chart.told],
            "decoys": [
                {"source": decoy.source, "why": decoy.why} for c in charts for decoy in c.decoys
            ],
        }


_ORDER = {"Patient": 0, "Medication": 1, "Condition": 1, "Procedure": 2}
