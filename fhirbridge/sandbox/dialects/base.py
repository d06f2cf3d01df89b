"""How a hospital writes a course: what all dialects have in common, and the habits that they do
not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from fhirbridge.sandbox.dialects.chart import Chart
from fhirbridge.sandbox.dialects.tables import Resource, Voice, Word
from fhirbridge.sandbox.truth import Fact, Person

MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition"
HL7 = "http://terminology.hl7.org/CodeSystem"
UCUM = "http://unitsofmeasure.org"
ASSERTED = "http://hl7.org/fhir/StructureDefinition/condition-assertedDate"
RELATED = "http://hl7.org/fhir/StructureDefinition/condition-related"
DUE_TO = "http://hl7.org/fhir/StructureDefinition/condition-dueTo"
LATERALITY = f"{MCODE}/mcode-laterality-qualifier"
PART = f"{MCODE}/mcode-body-location-qualifier"


def concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def extension(url: str, value: Any, kind: str = "CodeableConcept") -> Resource:
    return {"url": url, f"value{kind}": value}


def quantity(value: Any, unit: str) -> Resource:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


class Dialect:
    """Writes one person after the other; a chart is the same for the same seed and number."""

    name: ClassVar[str]
    numbers: ClassVar[str]  # the system of the hospital's patient numbers
    zone: ClassVar[str] = "+01:00"
    lacks: ClassVar[frozenset[str]] = frozenset()  # forms that it does not write
    alias: ClassVar[float] = 0.0

    def __init__(self, person: Person, seed: int) -> None:
        self.person, self.seed = person, seed
        self.dice, self.voice = self.thrown("")
        self.chart = Chart(person, self.id("patient", str(person.number)))

    def thrown(self, about: str) -> tuple[random.Random, Voice]:
        """Of each fact its own dice: what is changed about one changes no other."""
        dice = random.Random(f"{self.name}/{self.seed}/{self.person.number}/{about}")
        return dice, Voice(self.name, dice, alias=self.alias)

    # -- names and times

    def id(self, kind: str, name: str) -> str:
        return f"{kind}-{name}"

    def own_id(self, kind: str, fact: Fact | None = None, suffix: str = "") -> str:
        """The id of a resource about the fact: the same on every day."""
        name = f"{fact.form[:4]}{fact.name}" if fact else "x"
        return self.id(kind, f"{self.person.number}-{name}{suffix}")

    def at(self, day: str, hour: int = 8) -> str:
        return f"{day}T{hour:02}:{self.dice.randrange(60):02}:00{self.zone}"

    def moment(self, day: str, hour: int = 8) -> str:
        """As this hospital dates it: to the day or to the minute."""
        return day if self.dice.random() < 0.4 else self.at(day, hour)

    # -- the chart

    def write(self) -> Chart:
        self.patient()
        for fact in self.person.facts:
            if fact.form not in self.lacks and fact.form != "subject":
                self.dice, self.voice = self.thrown(f"{fact.form}/{fact.name}")
                getattr(self, fact.form)(fact)
        self.dice, self.voice = self.thrown("decoys")
        for number, (resource, why) in enumerate(self.decoys()):
            source = self.chart.add(resource, id=self.own_id("decoy", suffix=str(number)))
            self.chart.decoy(source, why)
        return self.chart

    def decoys(self) -> Iterator[tuple[Resource, str]]:
        raise NotImplementedError

    def add(self, resource: Resource, fact: Fact, says: Mapping[str, Any], **more: Any) -> str:
        """The resource, and what a reader can learn of the fact by it."""
        kind = resource["resourceType"].lower()
        id = self.own_id(kind[:5], fact, more.pop("suffix", ""))
        source = self.chart.add(resource, id=id)
        self.chart.tell(fact, source, says, **more)
        return source

    def patient(self) -> None:
        fact = self.person.of("subject")[0]
        made: Resource = {
            "resourceType": "Patient",
            "identifier": [{"system": self.numbers, "value": self.person.mrn}],
            "name": [{"family": f"Synthetic{self.person.number:03d}", "given": ["Nobody"]}],
            "gender": fact["sex"],
            "birthDate": fact["birth_date"],
        }
        if fact["death_date"]:
            made["deceasedDateTime"] = fact["death_date"]
        source = self.chart.add({**made, **self.person_more()}, id=self.chart.patient)
        self.chart.tell(fact, source, {**fact.fields, **self.person_says()})

    def person_more(self) -> Resource:
        return {}

    def person_says(self) -> dict[str, Any]:
        return {}

    # -- places

    def site(self, fact: Fact) -> tuple[Resource, dict[str, Any]]:
        """Where it is: by one code for the part, or by a code for the bone and a qualifier."""
        fine = self.dice.random() < 0.6
        word = self.voice.finest("site", fact.fields) if fine else None
        whole = {n: v for n, v in fact.fields.items() if n != "bone_region"}
        word = word or self.voice.finest(
            "site", {**whole, "vertebral_level": fact["vertebral_level"]}
        )
        assert word is not None, fact.fields
        says: dict[str, Any] = dict(word.says)
        made = self.voice.concept(word)
        more = []
        if fact["bone_region"] and "bone_region" not in says:
            more.append(extension(PART, self.plainly("part", fact)))
            says["bone_region"] = fact["bone_region"]
        if fact["laterality"]:
            more.append(self.side(fact, says))
        return ({"extension": more, **made} if more else made), says

    def side(self, fact: Fact, says: dict[str, Any]) -> Resource:
        says["laterality"] = fact["laterality"]
        return extension(LATERALITY, self.plainly("side", fact))

    def plainly(self, use: str, fact: Fact) -> Resource:
        """Where a profile wants a code of its list: by the system's own URL."""
        return replace(self.voice, alias=0.0).concept(self.word(use, fact.fields))

    # -- shapes

    def condition(self, fact: Fact, **more: Any) -> tuple[Resource, dict[str, Any]]:
        status = fact["clinical_status"] or "active"
        sure = fact["verification"] or "confirmed"
        made = {
            "resourceType": "Condition",
            "clinicalStatus": concept(f"{HL7}/condition-clinical", status),
            "verificationStatus": concept(f"{HL7}/condition-ver-status", sure),
            "category": [concept(f"{HL7}/condition-category", "problem-list-item")],
            **more,
        }
        says = {n: fact[n] for n in ("clinical_status", "verification") if fact[n]}
        return made, says

    def score(self, value: Any, *, whole: bool) -> Resource:
        """One of the ways in which servers hold a number."""
        ways: list[Resource] = [
            {"valueQuantity": quantity(value, "{score}")},
            {"valueQuantity": {"value": value}},
            {"valueQuantity": {"value": value, "unit": "score"}},
        ]
        if whole:
            ways += [{"valueInteger": value}, {"valueInteger": value}, {"valueString": str(value)}]
            ways += [{"valueQuantity": {**quantity(Decimal(f"{value}.0"), "{score}")}}]
        return self.dice.choice(ways)

    def effective(self, day: str, hour: int) -> tuple[Resource, str]:
        """When it was, and what of it is read."""
        moment = self.moment(day, hour)
        if len(moment) > 10 and self.dice.random() < 0.15:
            return {"effectivePeriod": {"start": moment, "end": moment}}, moment
        return {"effectiveDateTime": moment}, moment

    def observation(self, word: Word, **more: Any) -> Resource:
        kind = concept(f"{HL7}/observation-category", "survey")
        made = {"resourceType": "Observation", "status": "final", "category": [kind]}
        return {**made, "code": self.voice.concept(word), **more}

    def word(self, use: str, fields: Mapping[str, Any]) -> Word:
        found = self.voice.find(use, fields)
        assert found is not None, (use, dict(fields))
        return found
