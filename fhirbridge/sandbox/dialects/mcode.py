"""A cancer centre that speaks mCODE 4.0.0 and US Core: one resource a fact, codes where the
profiles want them, and the study's own codes for what no standard has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhirbridge.sandbox.dialects.base import (
    ASSERTED,
    DUE_TO,
    HL7,
    MCODE,
    RELATED,
    Dialect,
    concept,
    extension,
    quantity,
)
from fhirbridge.sandbox.dialects.tables import Resource
from fhirbridge.sandbox.truth import Fact

SCT, LOINC = "http://snomed.info/sct", "http://loinc.org"
STUDY = "https://fhirbridge.example.org/fhir/CodeSystem/mbd-study"
_INSTRUMENTS = {
    "promis_pf_t": ("score", False, ("promis_pf_version",)),
    "promis_pi_t": ("pi", False, ("promis_pi_version",)),
    "pain_rest": ("pain_rest", True, ()),
    "pain_activity": ("pain_activity", True, ()),
    "karnofsky": ("karnofsky", True, ()),
    "eq5d_vas": ("vas", True, ()),
}
"""Of each score the use of its code, whether it is whole, and what else its code says."""


class MCode(Dialect):
    name = "mcode"
    numbers = "https://cancer-centre.example.org/mrn"
    zone = "-05:00"

    def primary_cancer(self, fact: Fact) -> None:
        made, says = self.condition(fact)
        word = self.word("primary", fact.fields)
        day = self.dated(made, fact["diagnosed_on"])
        made |= {"code": self.voice.concept(word)}
        says.pop("verification", None)
        self.add(made, fact, {**says, **word.says, "diagnosed_on": day})

    def dated(self, condition: Resource, day: str) -> str:
        """Asserted, or begun, on that day, month or year."""
        told = day[:7] if self.dice.random() < 0.2 else day
        if self.dice.random() < 0.5:
            condition["extension"] = [extension(ASSERTED, told, "DateTime")]
        else:
            condition["onsetDateTime"] = told
        return told

    def lesion(self, fact: Fact) -> None:
        made, says = self.condition(fact)
        day = self.dated(made, fact["diagnosed_on"])
        primary = self.chart.reference("primary_cancer", "P1")
        made.setdefault("extension", []).append(extension(RELATED, primary, "Reference"))
        where, place = self.site(fact)
        word = self.word("metastasis", fact.fields)
        made |= {"code": self.voice.concept(word), "bodySite": [where]}
        says |= {**word.says, **place, "diagnosed_on": day, "primary": "P1"}
        source = self.add(made, fact, says)
        if fact["size_mm"]:
            self.findings(fact, source)

    def findings(self, fact: Fact, lesion: str) -> None:
        """What is found about it, each an Observation with it as its focus."""
        here = {"focus": [{"reference": lesion}]}
        size = quantity(fact["size_mm"], "mm")
        if self.dice.random() < 0.5:
            size = quantity(fact["size_mm"] / 10, "cm")
        part = {"code": concept(LOINC, "33728-7"), "valueQuantity": size}
        made: Resource = {"resourceType": "Observation", "status": "final", **here}
        made |= {"code": concept(LOINC, "21889-1"), "component": [part]}
        self.add(made, fact, {"size_mm": fact["size_mm"]}, suffix="size")
        kind = self.voice.concept(self.voice.find("kind", fact.fields))
        made = {"resourceType": "Observation", "status": "final", **here}
        made |= {"code": concept(STUDY, "lesion-type"), "valueCodeableConcept": kind}
        self.add(made, fact, {"lesion_type": fact["lesion_type"]}, suffix="kind")
        made = {"resourceType": "Observation", "status": "final", **here}
        broken = concept(STUDY, f"fracture-{fact['fracture_status']}")
        made |= {"code": concept(STUDY, "fracture-status"), "valueCodeableConcept": broken}
        self.add(made, fact, {"fracture_status": fact["fracture_status"]}, suffix="broken")

    def fracture_risk(self, fact: Fact) -> None:
        family = "sins" if fact["sins_total"] is not None else "mirels"
        parts = [n for n in fact.fields if n.startswith(family) and not n.endswith("total")]
        made = {
            "resourceType": "Observation",
            "status": "final",
            "focus": [self.chart.reference("lesion", "L1")],
            "code": concept(STUDY, f"{family}-total"),
            **self.effective(fact["assessed_on"], 14)[0],
            "valueInteger": fact[f"{family}_total"],
            "component": [
                {"code": concept(STUDY, name.replace("_", "-")), "valueInteger": fact[name]}
                for name in parts
            ],
        }
        self.add(made, fact, fact.fields)

    def imaging(self, fact: Fact) -> None:
        word = self.word("imaging", fact.fields)
        moment = self.moment(fact["performed_on"], 11)
        made = {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "category": [concept(f"{HL7}/v2-0074", "RAD")],
            "code": self.voice.concept(word),
            "effectiveDateTime": moment,
            "conclusion": fact["finding"],
        }
        says = {**word.says, "performed_on": moment, "finding": fact["finding"]}
        self.add(made, fact, says)

    def surgery(self, fact: Fact) -> None:
        word = self.word("operation", fact.fields)
        where, place = self.site(fact)
        begun = self.at(fact["performed_on"], 8)
        made: Resource = {
            "resourceType": "Procedure",
            "extension": [
                extension(
                    f"{MCODE}/mcode-procedure-intent",
                    self.voice.concept(self.word("intent", fact.fields)),
                )
            ],
            "status": "completed",
            "code": self.voice.concept(word),
            "bodySite": [where],
            "reasonReference": [self.chart.reference("lesion", "L1")],
        }
        if self.dice.random() < 0.5:
            made["performedPeriod"] = {"start": begun, "end": self.at(fact["performed_on"], 11)}
        else:
            made["performedDateTime"] = begun = self.dice.choice((begun, fact["performed_on"]))
        says = {**word.says, **place, "performed_on": begun, "intent": fact["intent"]}
        self.add(made, fact, {**says, "lesions": ["L1"], **_broken(word.code)})

    def radiotherapy(self, fact: Fact) -> None:
        method = [
            extension(
                f"{MCODE}/mcode-radiotherapy-modality",
                self.voice.concept(self.word("rt-modality", fact.fields)),
            ),
            extension(
                f"{MCODE}/mcode-radiotherapy-technique",
                self.voice.concept(self.word("rt-technique", fact.fields)),
            ),
        ]
        dose = [
            extension("volume", {"display": "the bone"}, "Reference"),
            extension("totalDoseDelivered", quantity(fact["total_dose_cgy"], "cGy"), "Quantity"),
            extension("fractionsDelivered", fact["fractions"], "UnsignedInt"),
        ]
        where, place = self.site(fact)
        place.pop("bone_region", None)
        intent = self.voice.concept(self.word("intent", fact.fields))
        made = {
            "resourceType": "Procedure",
            "extension": [
                extension(f"{MCODE}/mcode-procedure-intent", intent),
                {"url": f"{MCODE}/mcode-radiotherapy-modality-and-technique", "extension": method},
                {"url": f"{MCODE}/mcode-radiotherapy-dose-delivered-to-volume", "extension": dose},
            ],
            "status": "completed",
            "code": self.voice.concept(self.word("radiotherapy", {})),
            "performedPeriod": {"start": fact["started_on"], "end": fact["ended_on"]},
            "bodySite": [where],
        }
        says = {n: v for n, v in fact.fields.items() if n not in ("relation", "bone", "laterality")}
        self.add(made, fact, {**says, **place})

    def medication(self, fact: Fact) -> None:
        word = self.word("agent", fact.fields)
        times = {"repeat": {"boundsPeriod": {"start": fact["started_on"]}}}
        dose = {"doseQuantity": quantity(fact["dose"], "mg")}
        made = {
            "resourceType": "MedicationRequest",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": self.voice.concept(word),
            "dosageInstruction": [{"timing": times, "doseAndRate": [dose]}],
        }
        self.add(made, fact, fact.fields)

    def assessment(self, fact: Fact) -> None:
        for name, (use, whole, more) in _INSTRUMENTS.items():
            if fact[name] is None:
                continue
            when, moment = self.effective(fact["assessed_on"], 9)
            value = self.score(fact[name], whole=whole)
            made = self.observation(self.word(use, fact.fields), **when, **value)
            says = {"assessed_on": moment, **{n: fact[n] for n in (name, *more)}}
            self.add(made, fact, says, suffix=name.replace("_", ""))
        if fact["ecog"] is not None:
            self.ecog(fact)

    def ecog(self, fact: Fact) -> None:
        when, moment = self.effective(fact["assessed_on"], 9)
        answer = self.voice.concept(self.word("ecog-answer", fact.fields))
        more: Resource = {"valueInteger": fact["ecog"], "interpretation": [answer]}
        made = self.observation(self.word("ecog", {}), **when, **more)
        self.add(made, fact, {"assessed_on": moment, "ecog": fact["ecog"]}, suffix="ecog")

    def complication(self, fact: Fact) -> None:
        made, _ = self.condition(fact, onsetDateTime=fact["started_on"])
        word = self.word("complication", fact.fields)
        due = extension(DUE_TO, self.chart.reference("surgery", "S1"), "Reference")
        made |= {"code": self.voice.concept(word), "extension": [due]}
        unsure = "the code alone may come without an operation" if word.code in OPEN else ""
        self.add(made, fact, fact.fields, waits=unsure)

    def follow_up(self, fact: Fact) -> None:
        begun = self.at(fact["seen_on"], 10)
        made: Resource = {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"system": f"{HL7}/v3-ActCode", "code": "AMB"},
            "type": [self.voice.concept(self.word("visit", {}))],
            "period": {"start": begun},
        }
        self.add(made, fact, {"seen_on": begun})
        moment = self.moment(fact["seen_on"], 15)
        trend = self.voice.concept(self.word("trend", fact.fields))
        made = {
            "resourceType": "Observation",
            "status": "final",
            "code": concept(LOINC, "97509-4"),
            "effectiveDateTime": moment,
            "valueCodeableConcept": trend,
        }
        says = {"seen_on": moment, "disease_status": fact["disease_status"]}
        self.add(made, fact, says, suffix="trend")

    def decoys(self) -> Iterator[tuple[Resource, str]]:
        refuted = {"verificationStatus": concept(f"{HL7}/condition-ver-status", "refuted")}
        bone = {"code": concept(SCT, "94222008")}
        yield _plain("Condition", refuted, bone), "a metastasis that was refuted"
        gone = {"verificationStatus": concept(f"{HL7}/condition-ver-status", "entered-in-error")}
        yield _plain("Condition", gone, bone), "entered in error"
        yield _plain("Condition", {"code": concept(SCT, "94225005")}), "a metastasis of the brain"
        inverse = {"code": concept(SCT, "314990009")}
        yield _plain("Condition", inverse), "the metastasis of a bone tumour, not in a bone"
        osteoporosis = {"code": concept(SCT, "443165006")}
        yield _plain("Condition", osteoporosis), "a fracture by osteoporosis"
        nail = {"code": concept(SCT, "89344001"), "performedDateTime": "2026-01-09"}
        yield _plain("Procedure", nail, {"status": "not-done"}), "an operation that was not done"
        yield _plain("Procedure", nail, {"status": "preparation"}), "an operation that is planned"
        early = {**_ecog(4), "status": "preliminary"}
        yield early, "a preliminary result"
        yield {**_ecog(4), "status": "entered-in-error"}, "entered in error"
        yield {**_ecog(4), "status": "cancelled"}, "cancelled"
        axis_free = self.observation(self.word("vas", {}), valueInteger=9)
        axis_free |= {"code": concept(LOINC, "72514-3"), "effectiveDateTime": "2026-01-08"}
        yield axis_free, "a pain score, neither at rest nor with activity"


OPEN = frozenset({"225553008", "128053003", "I82.411"})
"""Codes of what may follow an operation, or come by itself."""


def _broken(code: str) -> dict[str, Any]:
    """Kyphoplasty of a fracture says what for: the fracture was fixed."""
    return {"purpose": "fracture_fixation"} if code == "426243004" else {}


def _plain(kind: str, *parts: Resource) -> Resource:
    made: Resource = {"resourceType": kind}
    for part in parts:
        made |= part
    if kind == "Condition":
        made.setdefault("onsetDateTime", "2025-12-01")
    return made


def _ecog(value: int) -> Resource:
    made = {"resourceType": "Observation", "status": "final", "code": concept(LOINC, "89247-1")}
    return {**made, "effectiveDateTime": "2026-01-08", "valueInteger": value}
