"""An American hospital as Epic and Oracle Health export theirs: ICD-10-CM beside SNOMED CT, no body
sites on problems, operations billed in ICD-10-PCS, the ward's scores from flowsheets, medications
by reference, problems doubled as encounter diagnoses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhirbridge.sandbox.dialects.base import HL7, concept, extension
from fhirbridge.sandbox.dialects.mcode import LOINC, OPEN, SCT, MCode
from fhirbridge.sandbox.dialects.tables import Resource, systems
from fhirbridge.sandbox.truth import Fact

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
_QUESTIONS = "https://ehr.example.org/Questionnaire/pain"
_APPROACH = {"0": "open", "3": "percutaneous"}  # the fifth character of ICD-10-PCS
_RACES = (("2106-3", "white"), ("2054-5", "black_or_african_american"), ("2028-9", "asian"))


class American(MCode):
    name = "american"
    numbers = "urn:oid:1.2.840.114350.1.13.0.1.7.5.737384.14"
    zone = "-04:00"
    alias = 0.25
    lacks = frozenset({"fracture_risk"})

    def id(self, kind: str, name: str) -> str:
        return f"e{kind.capitalize()}.{name}X3"

    def person_more(self) -> Resource:
        self.race = self.dice.choice(_RACES)
        coding = {"system": "urn:oid:2.16.840.1.113883.6.238", "code": self.race[0]}
        told = [extension("ombCategory", coding, "Coding"), extension("text", "told", "String")]
        return {"extension": [{"url": f"{_CORE}/us-core-race", "extension": told}]}

    def person_says(self) -> dict[str, Any]:
        return {"race": [self.race[1]]}

    def dated(self, condition: Resource, day: str) -> str:
        """Neither asserted nor abated; when it was written down says nothing of when it began."""
        condition["recordedDate"] = self.at(day, 12)
        condition["onsetDateTime"] = day
        return day

    def primary_cancer(self, fact: Fact) -> None:
        made, says = self.condition(fact)
        day = self.dated(made, fact["diagnosed_on"])
        word, billed = self.word("primary", fact.fields), self.word("primary-icd", fact.fields)
        pair = [word, billed] if self.dice.random() < 0.5 else [billed, word]
        made |= {"code": self.voice.concept(*pair, text="Primary cancer")}
        says.pop("verification", None)
        self.add(made, fact, {**says, **word.says, "diagnosed_on": day})

    def lesion(self, fact: Fact) -> None:
        made, says = self.condition(fact)
        day = self.dated(made, fact["diagnosed_on"])
        word = self.voice.finest("metastasis", fact.fields)
        billed = self.word("metastasis-icd", {})
        broken = self.voice.find("broken", fact.fields)
        spoken = [one for one in (word, billed, broken) if one]
        self.dice.shuffle(spoken)
        made |= {"code": self.voice.concept(*spoken, text="Metastasis to bone")}
        for one in spoken:
            says |= one.says
        self.add(made, fact, {**says, "diagnosed_on": day})
        self.again(made, billed)

    def again(self, problem: Resource, billed: Any) -> None:
        """The same as the diagnosis of a visit: what the visit was about, and no second one."""
        kind = concept(f"{HL7}/condition-category", "encounter-diagnosis")
        made = {**problem, "category": [kind], "code": self.voice.concept(billed)}
        number = len(self.chart.decoys)
        source = self.chart.add(made, id=self.own_id("visitdx", suffix=f"{number}"))
        self.chart.decoy(
            source, "the diagnosis of a visit: what it was about, no second metastasis"
        )

    def surgery(self, fact: Fact) -> None:
        billed = self.voice.finest("operation-pcs", fact.fields)
        plain = self.voice.finest("operation", fact.fields)
        assert plain is not None
        begun = self.at(fact["performed_on"], 8)
        words = [billed, plain] if billed and self.dice.random() < 0.4 else [billed or plain]
        made: Resource = {
            "resourceType": "Procedure",
            "status": "completed",
            "code": self.voice.concept(*words, text="Operation"),
            "performedPeriod": {"start": begun, "end": self.at(fact["performed_on"], 12)},
            "reasonReference": [self.chart.reference("lesion", "L1")],
        }
        says: dict[str, Any] = {"performed_on": begun, "lesions": ["L1"]}
        for word in words:
            says |= word.says
        if billed and billed in words:
            says["approach"] = _APPROACH[billed.code[4]]
        if plain.code == "426243004" and plain in words:
            says["purpose"] = "fracture_fixation"
        if "bone" not in says:
            made["bodySite"], place = self.sided(fact)
            says |= place
        self.add(made, fact, says)

    def sided(self, fact: Fact) -> tuple[list[Resource], dict[str, Any]]:
        """The bone and the side as two body sites, or as one with the side as its extension."""
        where, place = self.site(fact)
        side = self.voice.find("side", fact.fields)
        if side and self.dice.random() < 0.3:
            kept = [
                e
                for e in where.get("extension", ())
                if not e["url"].endswith("laterality-qualifier")
            ]
            bone = {n: v for n, v in where.items() if n != "extension"}
            return [
                {**({"extension": kept} if kept else {}), **bone},
                self.voice.concept(side),
            ], place
        return [where], place

    def radiotherapy(self, fact: Fact) -> None:
        word = self.voice.finest("radiotherapy-pcs", fact.fields) or self.word(
            "radiotherapy-old", {}
        )
        made = {
            "resourceType": "Procedure",
            "status": "completed",
            "code": self.voice.concept(word),
            "performedPeriod": {"start": fact["started_on"], "end": fact["ended_on"]},
            "note": [{"text": "dose as planned"}],
        }
        says = {n: fact[n] for n in ("started_on", "ended_on", "status")}
        # The kind of radiation waits for its technique, without which mCODE does not hold it.
        says |= {n: v for n, v in word.says.items() if n != "modality"}
        self.add(made, fact, says)

    def medication(self, fact: Fact) -> None:
        """The medication is a resource of its own, or one inside the order."""
        code = self.voice.concept(self.word("agent", fact.fields))
        made: Resource = {
            "resourceType": "MedicationRequest",
            "status": "completed",
            "intent": "order",
            "authoredOn": self.at(fact["started_on"]),
        }
        way = self.dice.random()
        if way < 0.4:
            drug = self.own_id("drug", fact)
            self.chart.resources.append({"resourceType": "Medication", "id": drug, "code": code})
            made["medicationReference"] = {"reference": f"Medication/{drug}"}
        elif way < 0.6:
            made["contained"] = [{"resourceType": "Medication", "id": "drug", "code": code}]
            made["medicationReference"] = {"reference": "#drug"}
        else:
            made["medicationCodeableConcept"] = code
        times = {"repeat": {"boundsPeriod": {"start": fact["started_on"]}}}
        dose = {"doseQuantity": {"value": fact["dose"], "unit": "mg"}}
        made["dosageInstruction"] = [{"timing": times, "doseAndRate": [dose]}]
        self.add(made, fact, fact.fields)

    def assessment(self, fact: Fact) -> None:
        super().assessment(fact)
        if fact["pain_rest"] is not None and self.dice.random() < 0.5:
            self.asked(fact)

    def asked(self, fact: Fact) -> None:
        """The same scores as answers; those of a flowsheet by its row. One says nothing new."""
        answers: list[Resource] = [
            {"linkId": "pain-rest", "answer": [{"valueInteger": fact["pain_rest"]}]},
            {
                "linkId": "group",
                "item": [
                    {
                        "linkId": "pain-activity",
                        "answer": [{"valueDecimal": fact["pain_activity"]}],
                    },
                    {"linkId": "sleep", "text": "Do you sleep well?"},
                ],
            },
        ]
        made = {
            "resourceType": "QuestionnaireResponse",
            "questionnaire": f"{_QUESTIONS}|2.1",
            "status": "completed",
            "authored": self.at(fact["assessed_on"], 7),
            "item": answers,
        }
        self.add(made, fact, {n: fact[n] for n in ("pain_rest", "pain_activity")})

    def ecog(self, fact: Fact) -> None:
        """A panel around the score, or the score alone; a number, or the answer's code."""
        when, moment = self.effective(fact["assessed_on"], 9)
        answer = {"valueCodeableConcept": self.voice.concept(self.word("ecog-answer", fact.fields))}
        number = {"valueQuantity": {"value": fact["ecog"]}}
        value = self.dice.choice((answer, number, {"valueInteger": fact["ecog"]}))
        part = {"code": self.voice.concept(self.word("ecog", {})), **value}
        made: Resource = {"resourceType": "Observation", "status": "final", **part, **when}
        if self.dice.random() < 0.4:
            made = {"resourceType": "Observation", "status": "final", **when, "component": [part]}
            made["code"] = {
                "coding": [{"system": systems()["flowsheet"][0], "code": "88"}],
                "text": "Oncology flowsheet",
            }
        self.add(made, fact, {"assessed_on": moment, "ecog": fact["ecog"]}, suffix="ecog")

    def complication(self, fact: Fact) -> None:
        made, _ = self.condition(fact, onsetDateTime=fact["started_on"])
        word = self.word("complication", fact.fields)
        made |= {"code": self.voice.concept(word)}
        says = {n: v for n, v in fact.fields.items() if n != "surgery"}
        unsure = "that it follows the operation is not said" if word.code in OPEN else ""
        self.add(made, fact, says, waits=unsure)

    def decoys(self) -> Iterator[tuple[Resource, str]]:
        yield from super().decoys()
        soft = {
            "resourceType": "Condition",
            "code": concept(ICD, "C79.89"),
            "onsetDateTime": "2025",
        }
        yield soft, "a metastasis of soft tissue"
        other = {
            "resourceType": "Condition",
            "code": concept(ICD, "M84.48XA"),
            "onsetDateTime": "2025",
        }
        yield other, "a pathological fracture that is not neoplastic"
        pulse: Resource = {"resourceType": "Observation", "status": "final"}
        vital = concept(f"{HL7}/observation-category", "vital-signs")
        rate = {"value": 75, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}
        pulse |= {"code": concept(LOINC, "8867-4")}
        pulse |= {"category": [vital], "effectiveDateTime": "2026-01-08", "valueQuantity": rate}
        yield pulse, "a heart rate"
        gall = {
            "resourceType": "Procedure",
            "status": "completed",
            "code": concept(SCT, "38102005"),
        }
        yield {**gall, "performedDateTime": "2020-04-01"}, "the gallbladder was taken out"
