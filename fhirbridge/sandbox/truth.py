"""One clinical truth of synthetic patients: their courses as study records, whatever hospital
writes them down.

The same for the same seed, of nobody, and coherent: dates in order, sides that agree, pain that
falls after the operation, nothing after death.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from fhirbridge.sandbox.synthetic import mrn, study_id

HERE = Path(__file__).parent
FIRST_OPERATION = date(2026, 1, 12)
VISITS = (-3, 42, 91)
"""Days of the assessments from the operation."""
_SITES = ("breast", "lung", "prostate", "kidney", "thyroid", "gastrointestinal")
_SEXES = {"breast": "female", "prostate": "male"}
_HARDWARE = ("intramedullary_nail", "endoprosthesis", "spine_stabilisation")
_COMPLICATIONS = ("thrombosis", "mechanical_failure", "wound", "infection")


@dataclass(frozen=True, slots=True)
class Fact:
    """One filled form. `name` tells it from others of the person and form; references hold such
    names. Values are as in a record's JSON, a date at most to the day.
    """

    form: str
    name: str
    fields: Mapping[str, Any]

    def __getitem__(self, field: str) -> Any:
        return self.fields.get(field)


@dataclass(frozen=True, slots=True)
class Person:
    """`number` is that of the study's pseudonym and of the hospital's record number."""

    number: int
    facts: tuple[Fact, ...]

    @property
    def study_id(self) -> str:
        return study_id(self.number)

    @property
    def mrn(self) -> str:
        return mrn(self.number)

    def of(self, form: str) -> list[Fact]:
        return [fact for fact in self.facts if fact.form == form]


def places() -> list[dict[str, str]]:
    """Where metastases sit here, and how they are operated."""
    with (HERE / "places.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def people(count: int, seed: int = 1) -> list[Person]:
    known = places()
    return [_person(number, random.Random(f"{seed}/{number}"), known) for number in _to(count)]


def _to(count: int) -> range:
    return range(1, count + 1)


def _person(number: int, dice: random.Random, known: list[dict[str, str]]) -> Person:
    course = _Course(number, dice, known)
    return Person(number, tuple(course.facts()))


class _Course:
    """One person's course around the operation of one metastasis."""

    def __init__(self, number: int, dice: random.Random, known: list[dict[str, str]]) -> None:
        self.dice, self.known = dice, known
        self.place = known[(number + dice.randrange(3)) % len(known)]
        self.day = FIRST_OPERATION + timedelta(days=3 * number)
        self.site = dice.choice(_SITES)
        self.sex = _SEXES.get(self.site) or dice.choice(("female", "male"))
        self.side = dice.choice(self.place["sides"].split())
        self.broken = dice.choice(("impending", "actual"))
        self.operation = dice.choice(self.place["operations"].split())
        self.death = self.on(dice.randint(50, 85)) if dice.random() < 0.15 else None

    def on(self, days: int) -> str:
        return (self.day + timedelta(days=days)).isoformat()

    def facts(self) -> Iterator[Fact]:
        yield Fact("subject", "", self.subject())
        yield Fact("primary_cancer", "P1", self.primary())
        yield Fact("lesion", "L1", self.lesion())
        if self.dice.random() < 0.4:
            yield Fact("lesion", "L2", self.second_lesion())
        yield Fact("imaging", "I1", self.imaging())
        yield from self.risk()
        yield Fact("surgery", "S1", self.surgery())
        if self.dice.random() < 0.6:
            yield Fact("radiotherapy", "R1", self.radiotherapy())
        yield Fact("medication", "M1", self.agent())
        if self.dice.random() < 0.3:
            yield Fact("complication", "C1", self.complication())
        for number, days in enumerate(VISITS):
            if self.death is None or self.on(days) < self.death:
                yield Fact("assessment", f"A{number}", self.scores(number, days))
                if days > 0:
                    yield Fact("follow_up", f"F{number}", self.seen(days))

    def subject(self) -> dict[str, Any]:
        born = date(
            self.dice.randint(1942, 1972), self.dice.randint(1, 12), self.dice.randint(1, 28)
        )
        told: dict[str, Any] = {"sex": self.sex, "birth_date": born.isoformat()}
        if self.death:
            told |= {"vital_status": "dead", "death_date": self.death}
        return told

    def primary(self) -> dict[str, Any]:
        found = self.on(-self.dice.randint(400, 2200))
        return {"site": self.site, "diagnosed_on": found, "clinical_status": "active"}

    def lesion(self) -> dict[str, Any]:
        return {
            **_where(self.place, self.side),
            "diagnosed_on": self.on(-self.dice.randint(10, 60)),
            "clinical_status": "active",
            "verification": "confirmed",
            "primary": "P1",
            "fracture_status": self.broken,
            "lesion_type": self.dice.choice(("lytic", "blastic", "mixed")),
            "size_mm": Decimal(self.dice.randint(18, 74)),
        }

    def second_lesion(self) -> dict[str, Any]:
        other = [one for one in self.known if one["bone"] != self.place["bone"]]
        place = self.dice.choice(other)
        return {
            **_where(place, self.dice.choice(place["sides"].split())),
            "diagnosed_on": self.on(-self.dice.randint(10, 200)),
            "clinical_status": "active",
            "verification": self.dice.choice(("confirmed", "provisional")),
            "primary": "P1",
        }

    def imaging(self) -> dict[str, Any]:
        modality = self.dice.choice(("xray", "bone_scan", "mri", "ct"))
        told = {"modality": modality, "performed_on": self.on(-8), "lesions": ["L1"]}
        return {**told, "region": self.place["image"], "finding": "synthetic finding"}

    def risk(self) -> Iterator[Fact]:
        if "spine" in self.place["bone"]:
            parts = {"location": 1, "pain": 3, "lesion": 2, "alignment": 0, "collapse": 1}
            told = {f"sins_{name}": value for name, value in parts.items()}
            told |= {"sins_posterolateral": self.dice.choice((0, 1, 3))}
            told |= {"sins_total": sum(told.values())}
        elif self.place["bone"] in ("femur", "humerus", "tibia"):
            told = {f"mirels_{name}": self.dice.randint(2, 3) for name in ("pain", "type", "size")}
            told |= {"mirels_site": _mirels_site(self.place)}
            told |= {"mirels_total": sum(told.values())}
        else:
            return
        yield Fact("fracture_risk", "K1", {"lesion": "L1", "assessed_on": self.on(-5), **told})

    def surgery(self) -> dict[str, Any]:
        prophylactic = self.broken == "impending"
        told: dict[str, Any] = {
            **_where(self.place, self.side),
            "performed_on": self.on(0),
            "procedure": self.operation,
            "intent": "palliative",
            "lesions": ["L1"],
        }
        if self.operation in _HARDWARE:
            told["purpose"] = "prophylactic" if prophylactic else "fracture_fixation"
        return told

    def radiotherapy(self) -> dict[str, Any]:
        dose, fractions = self.dice.choice(((800, 1), (2000, 5), (3000, 10)))
        begun = self.dice.randint(14, 30)
        return {
            "started_on": self.on(begun),
            "ended_on": self.on(begun + fractions),
            "modality": "photon",
            "technique": self.dice.choice(("three_dimensional", "imrt", "vmat")),
            "total_dose_cgy": Decimal(dose),
            "fractions": fractions,
            "bone": self.place["bone"],
            **({"laterality": self.side} if self.side != "midline" else {}),
            "relation": "post_operative",
            "status": "completed",
            "intent": "palliative",
        }

    def agent(self) -> dict[str, Any]:
        agent = self.dice.choice(("zoledronic_acid", "denosumab"))
        dose = Decimal(4 if agent == "zoledronic_acid" else 120)
        return {"agent": agent, "started_on": self.on(20), "dose": dose, "dose_unit": "mg"}

    def complication(self) -> dict[str, Any]:
        kind = self.dice.choice(_COMPLICATIONS)
        return {"kind": kind, "started_on": self.on(self.dice.randint(3, 40)), "surgery": "S1"}

    def scores(self, number: int, days: int) -> dict[str, Any]:
        activity = max(0, 8 - 3 * number + self.dice.randint(-1, 1))
        function = Decimal("29.10") + 5 * number + Decimal(self.dice.randint(0, 40)) / 10
        ecog = self.dice.randint(0, 3)
        return {
            "assessed_on": self.on(days),
            "pain_rest": max(0, activity - 4),
            "pain_activity": activity,
            "promis_pf_t": function,
            "promis_pf_version": self.dice.choice(("v2_0", "v1_2", "promis_29")),
            "promis_pi_t": Decimal("68.40") - 4 * number,
            "promis_pi_version": "v1_0",
            "ecog": ecog,
            "karnofsky": 100 - 20 * ecog,
            "eq5d_vas": 35 + 15 * number + self.dice.randint(0, 9),
        }

    def seen(self, days: int) -> dict[str, Any]:
        status = self.dice.choice(("improved", "stable", "worsened", "undetermined"))
        return {"seen_on": self.on(days), "disease_status": status}


def _where(place: Mapping[str, str], side: str) -> dict[str, Any]:
    told = {name: place[name] for name in ("bone", "bone_region", "vertebral_level") if place[name]}
    return told if side == "midline" else {**told, "laterality": side}


def _mirels_site(place: Mapping[str, str]) -> int:
    if place["bone"] == "humerus":
        return 1
    return 3 if (place["bone"], place["bone_region"]) == ("femur", "proximal") else 2
