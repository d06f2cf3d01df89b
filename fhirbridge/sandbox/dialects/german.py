"""A German university hospital: the core data set and the oncology module of the Medical
Informatics Initiative. ICD-10-GM with the side and the certainty in the coding, oBDS code lists,
gray instead of centigray, the ward's scores under codes of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhirbridge.sandbox.dialects.base import ASSERTED, HL7, PART, concept, extension
from fhirbridge.sandbox.dialects.mcode import OPEN, MCode
from fhirbridge.sandbox.dialects.tables import Resource, Word, systems
from fhirbridge.sandbox.truth import Fact

MII = "https://www.medizininformatik-initiative.de/fhir/ext/modul-onko/StructureDefinition"
SIDE = "http://fhir.de/StructureDefinition/seitenlokalisation"
SURE = "http://fhir.de/StructureDefinition/icd-10-gm-diagnosesicherheit"
_SURENESS = "https://fhir.kbv.de/CodeSystem/KBV_CS_SFHIR_ICD_DIAGNOSESICHERHEIT"
GM = "http://fhir.de/CodeSystem/bfarm/icd-10-gm"


class German(MCode):
    name = "german"
    numbers = "https://klinik.example.org/fhir/sid/patienten-id"
    alias = 0.15
    lacks = frozenset({"fracture_risk"})

    def id(self, kind: str, name: str) -> str:
        return f"kis-{kind}-{name}"

    def dated(self, condition: Resource, day: str) -> str:
        """The Feststellungsdatum is the asserted date; when it was written down is later."""
        condition["extension"] = [extension(ASSERTED, day, "DateTime")]
        condition["recordedDate"] = self.at(day, 17)
        return day

    def coded(self, word: Word, fact: Fact | None = None, *, sure: str = "G") -> list[Resource]:
        """A coding of ICD-10-GM with its certainty and, of a paired organ, its side."""
        (coding,) = self.voice.coding(word)
        more = [extension(SURE, {"system": _SURENESS, "code": sure}, "Coding")]
        side = self.voice.find("side-kbv", fact.fields) if fact else None
        if side:
            more.append(extension(SIDE, self.voice.coding(side)[0], "Coding"))
        return [{"extension": more, **coding, "version": "2026"}]

    def primary_cancer(self, fact: Fact) -> None:
        made, says = self.condition(fact)
        day = self.dated(made, fact["diagnosed_on"])
        word = self.word("primary-icd", fact.fields)
        made |= {"code": {"coding": self.coded(word), "text": "Tumordiagnose"}}
        del made["category"]
        says.pop("verification", None)
        self.add(made, fact, {**says, **word.says, "diagnosed_on": day})

    def lesion(self, fact: Fact) -> None:
        made, says = self.condition(fact)
        day = self.dated(made, fact["diagnosed_on"])
        del made["category"]
        word = self.word("metastasis-icd", {})
        given = self.coded(word, fact)
        if self.dice.random() < 0.4:
            given += self.voice.coding(self.word("metastasis", {}))
        where, place = self.site(fact)
        place |= {"laterality": fact["laterality"]} if fact["laterality"] else {}
        made |= {"code": {"coding": given, "text": "Knochenmetastase"}, "bodySite": [where]}
        self.add(made, fact, {**says, **place, "diagnosed_on": day})

    def site(self, fact: Fact) -> tuple[Resource, dict[str, Any]]:
        """The side is a coding beside the site's, as oBDS has it of primary tumours."""
        where, says = super().site(fact)
        kept = [one for one in where.pop("extension", ()) if one["url"] == PART]
        if kept:
            where = {"extension": kept, **where}
        if fact["laterality"]:
            where["coding"] += self.voice.coding(self.word("side-mii", fact.fields))
        return where, says

    def side(self, fact: Fact, says: dict[str, Any]) -> Resource:
        says["laterality"] = fact["laterality"]
        return extension(
            f"{MII}/mii-ex-onko-strahlentherapie-bestrahlung-seitenlokalisation",
            self.voice.concept(self.voice.find("side-mii", fact.fields)),
        )

    def surgery(self, fact: Fact) -> None:
        """By a local catalogue beside SNOMED CT: the catalogue's code alone tells nobody."""
        word = self.word("operation", fact.fields)
        where, place = self.site(fact)
        begun = self.at(fact["performed_on"], 8)
        own = {"system": systems()["ward"][0], "code": "OP-1", "display": "Operation am Knochen"}
        intent = self.voice.concept(self.word("intent-mii", fact.fields))
        made = {
            "resourceType": "Procedure",
            "extension": [extension(f"{MII}/mii-ex-onko-operation-intention", intent)],
            "status": "completed",
            "category": concept("http://snomed.info/sct", "387713003"),
            "code": {"coding": [own, *self.voice.coding(word)], "text": "Operation"},
            "performedDateTime": begun,
            "bodySite": [where],
            "reasonReference": [self.chart.reference("lesion", "L1")],
        }
        says = {**word.says, **place, "performed_on": begun, "intent": fact["intent"]}
        if word.code == "426243004":
            says["purpose"] = "fracture_fixation"
        self.add(made, fact, {**says, "lesions": ["L1"]})

    def radiotherapy(self, fact: Fact) -> None:
        dose = {"value": fact["total_dose_cgy"] / 100, "unit": "Gy"}
        name = f"{MII}/mii-ex-onko-strahlentherapie"
        order = self.voice.concept(self.word("rt-order", fact.fields))
        intent = self.voice.concept(self.word("intent-mii", fact.fields))
        made: Resource = {
            "resourceType": "Procedure",
            "extension": [
                extension(f"{name}-intention", intent),
                extension(f"{name}-stellungzurop", order),
                extension(f"{name}-bestrahlung-gesamtdosis", dose, "Quantity"),
            ],
            "status": "completed",
            "code": self.voice.concept(self.word("radiotherapy-ops", {})),
            "performedPeriod": {"start": fact["started_on"], "end": fact["ended_on"]},
            "usedCode": [self.voice.concept(self.word("rt-ray", fact.fields))],
        }
        says = {n: v for n, v in fact.fields.items() if n not in _NOT_IRRADIATED}
        target = self.voice.find("rt-target", fact.fields)
        if target:
            where = self.voice.concept(target)
            if fact["laterality"]:
                where = {"extension": [self.side(fact, says)], **where}
            made["bodySite"] = [where]
            says |= target.says
        self.add(made, fact, says)

    def ecog(self, fact: Fact) -> None:
        when, moment = self.effective(fact["assessed_on"], 9)
        word = self.word("ecog", {})
        grade = self.voice.concept(self.word("ecog-grade", fact.fields))
        value = (
            {"valueCodeableConcept": grade}
            if word.system == "sct"
            else {"valueInteger": fact["ecog"]}
        )
        made = self.observation(word, **when, **value)
        self.add(made, fact, {"assessed_on": moment, "ecog": fact["ecog"]}, suffix="ecog")

    def medication(self, fact: Fact) -> None:
        word = self.word("agent", fact.fields)
        begun = self.at(fact["started_on"], 10)
        dose = {"value": fact["dose"], "unit": "mg"}
        made: Resource = {
            "resourceType": "MedicationAdministration",
            "status": "completed",
            "medicationCodeableConcept": self.voice.concept(word),
            "effectiveDateTime": begun,
            "dosage": {"dose": dose},
        }
        if self.dice.random() < 0.4:
            given = [{"doseAndRate": [{"doseQuantity": dose}]}]
            made |= {"resourceType": "MedicationStatement", "dosage": given}
        self.add(made, fact, {**fact.fields, "started_on": begun})

    def complication(self, fact: Fact) -> None:
        made, _ = self.condition(fact, onsetDateTime=fact["started_on"])
        word = self.word("complication", fact.fields)
        made |= {"code": self.voice.concept(word, text="Komplikation")}
        says = {n: v for n, v in fact.fields.items() if n != "surgery"}
        unsure = "that it follows the operation is not said" if word.code in OPEN else ""
        self.add(made, fact, says, waits=unsure)

    def follow_up(self, fact: Fact) -> None:
        moment = self.moment(fact["seen_on"], 15)
        trend = self.voice.concept(self.word("trend", fact.fields))
        made = {
            "resourceType": "Observation",
            "status": "final",
            "code": concept("http://snomed.info/sct", "396432002"),
            "effectiveDateTime": moment,
            "valueCodeableConcept": trend,
        }
        self.add(made, fact, {"seen_on": moment, "disease_status": fact["disease_status"]})

    def decoys(self) -> Iterator[tuple[Resource, str]]:
        yield from super().decoys()
        word = self.word("metastasis-icd", {})
        for sure, why in (("A", "excluded"), ("Z", "a state after it"), ("V", "a suspicion alone")):
            code = {"coding": self.coded(word, sure=sure)}
            status = concept(f"{HL7}/condition-clinical", "active")
            made = {"resourceType": "Condition", "clinicalStatus": status, "code": code}
            yield {**made, "recordedDate": "2025-12-01"}, f"the metastasis is {why}"
        brain = concept(GM, "C79.3")
        yield {"resourceType": "Condition", "code": brain, "onsetDateTime": "2025"}, "of the brain"
        local = concept(systems()["ward"][0], "NRS-VAS100")
        vas = {"resourceType": "Observation", "status": "final", "code": local, "valueInteger": 60}
        yield {**vas, "effectiveDateTime": "2026-01-08"}, "a pain score of another scale"


_NOT_IRRADIATED = ("modality", "technique", "fractions", "bone", "laterality")
