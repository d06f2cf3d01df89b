"""The same work as `bench/mapping.py` measures, as one would write it without a mapping: for four
shapes of one study alone. Read beside a generated function, it says what the mapping costs.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date
from typing import Any

STUDY = "https://fhirbridge.example.org/fhir"
SPACE = uuid.uuid5(uuid.NAMESPACE_URL, STUDY)
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
CONDITION = "http://terminology.hl7.org/CodeSystem/condition"
SCT = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
Codes = Mapping[str, tuple[str, str, str]]
"""Word to system, code and display."""


def derived(block: str, site: str, subject: str, key: str) -> str:
    return str(uuid.uuid5(SPACE, "\n".join((block, site, subject, key))))


def concept(codes: Codes, word: str) -> dict[str, Any]:
    system, code, display = codes[word]
    return {"coding": [{"system": system, "code": code, "display": display}]}


def pain(record: Any, site: str, patient: str) -> dict[str, Any]:
    """A score out."""
    fields = record.fields
    day = fields["assessed_on"]
    id = derived("assessment.pain_rest", site, record.subject, day)
    survey = {"system": CATEGORY, "code": "survey", "display": "Survey"}
    code = {
        "system": f"{STUDY}/CodeSystem/mbd-study",
        "code": "pain-nrs-rest",
        "display": "Pain at rest 0-10",
    }
    return {
        "resourceType": "Observation",
        "meta": {"profile": [f"{US_CORE}/us-core-observation-screening-assessment"]},
        "identifier": [{"system": f"{STUDY}/sid/record", "value": id}],
        "category": [{"coding": [survey]}],
        "status": "final",
        "code": {"coding": [code]},
        "subject": {"reference": patient},
        "effectiveDateTime": day,
        "valueInteger": fields["pain_rest"],
    }


def lesion(record: Any, site: str, patient: str, codes: Mapping[str, Codes]) -> dict[str, Any]:
    """A metastasis out, with the fields that it may have."""
    fields = record.fields
    id = derived("lesion", site, record.subject, fields["lesion_id"])
    made: dict[str, Any] = {
        "resourceType": "Condition",
        "meta": {"profile": [f"{MCODE}/mcode-secondary-cancer-condition"]},
        "identifier": [
            {"system": f"{STUDY}/sid/record", "value": id},
            {"system": f"{STUDY}/sid/lesion", "value": fields["lesion_id"]},
        ],
        "category": [concept(codes["category"], "problem")],
        "code": concept(codes["code"], "bone-metastasis"),
        "subject": {"reference": patient},
    }
    bone = concept(codes["bone"], fields["bone"]) if "bone" in fields else {}
    if bone:
        made["bodySite"] = [bone]
    if "clinical_status" in fields:
        made["clinicalStatus"] = concept(codes["clinical_status"], fields["clinical_status"])
    if "verification" in fields:
        made["verificationStatus"] = concept(codes["verification"], fields["verification"])
    beside = []
    if "diagnosed_on" in fields:
        url = "http://hl7.org/fhir/StructureDefinition/condition-assertedDate"
        beside.append({"url": url, "valueDateTime": fields["diagnosed_on"]})
    if "primary" in fields:
        url = "http://hl7.org/fhir/StructureDefinition/condition-related"
        key = {"system": f"{STUDY}/sid/primary-cancer", "value": fields["primary"]}
        beside.append({"url": url, "valueReference": {"type": "Condition", "identifier": key}})
    if beside:
        made["extension"] = beside
    if "laterality" in fields:
        side = concept(codes["laterality"], fields["laterality"])
        url = f"{MCODE}/mcode-laterality-qualifier"
        bone.setdefault("extension", []).append({"url": url, "valueCodeableConcept": side})
        made.setdefault("bodySite", [bone])
    return made


# -- and in


def day_of(text: str) -> str:
    date.fromisoformat(text[:10] if len(text) >= 10 else f"{text}-01-01"[:10])
    return text


def word(concept: Mapping[str, Any], words: Mapping[tuple[str, str], str]) -> str:
    for coding in concept["coding"]:
        told = words.get((coding["system"], coding["code"]))
        if told is not None:
            return told
    raise ValueError("no code that is known")


def read_score(
    made: Mapping[str, Any],
    scores: Mapping[tuple[str, str], str],
    ranges: Mapping[str, tuple[int, int]],
) -> tuple[dict[str, Any], Any]:
    """Its two fields and the patient."""
    if made["status"] not in ("final", "amended", "corrected") or "modifierExtension" in made:
        raise ValueError(made["status"])
    name, value = word(made["code"], scores), made["valueInteger"]
    low, high = ranges[name]
    if type(value) is not int or not low <= value <= high:
        raise ValueError(value)
    return {"assessed_on": day_of(made["effectiveDateTime"]), name: value}, made["subject"]


def own_key(made: Mapping[str, Any], system: str) -> str:
    return str(next(i["value"] for i in made["identifier"] if i["system"] == system))


def read_lesion(
    made: Mapping[str, Any], words: Mapping[str, Mapping[tuple[str, str], str]]
) -> tuple[dict[str, Any], Any]:
    if "modifierExtension" in made:
        raise ValueError("its meaning may be turned round")
    word(made["code"], words["code"])
    fields: dict[str, Any] = {"lesion_id": own_key(made, f"{STUDY}/sid/lesion")}
    for site in made.get("bodySite", ()):
        fields["bone"] = word(site, words["bone"])
        for one in site.get("extension", ()):
            if one["url"] == f"{MCODE}/mcode-laterality-qualifier":
                fields["laterality"] = word(one["valueCodeableConcept"], words["laterality"])
    status = made.get("verificationStatus")
    if status is not None:
        fields["verification"] = word(status, words["verification"])
    if "clinicalStatus" in made:
        fields["clinical_status"] = word(made["clinicalStatus"], words["clinical_status"])
    for one in made.get("extension", ()):
        if one["url"] == "http://hl7.org/fhir/StructureDefinition/condition-assertedDate":
            fields["diagnosed_on"] = day_of(one["valueDateTime"])
        elif one["url"] == "http://hl7.org/fhir/StructureDefinition/condition-related":
            fields["primary"] = one["valueReference"]["identifier"]["value"]
    return fields, made["subject"]


def quantity(given: Mapping[str, Any], unit: str) -> int:
    if given["code"] != unit or type(given["value"]) is not int:
        raise ValueError(given)
    return int(given["value"])


def read_surgery(
    made: Mapping[str, Any], words: Mapping[str, Mapping[tuple[str, str], str]]
) -> tuple[dict[str, Any], Any]:
    if made["status"] != "completed" or "modifierExtension" in made:
        raise ValueError(made["status"])
    fields: dict[str, Any] = {
        "surgery_id": own_key(made, f"{STUDY}/sid/surgery"),
        "performed_on": day_of(made["performedDateTime"]),
        "procedure": word(made["code"], words["procedure"]),
        "lesions": tuple(r["identifier"]["value"] for r in made.get("reasonReference", ())),
    }
    for site in made.get("bodySite", ()):
        fields["bone"] = word(site, words["bone"])
        for one in site.get("extension", ()):
            if one["url"] == f"{MCODE}/mcode-laterality-qualifier":
                fields["laterality"] = word(one["valueCodeableConcept"], words["laterality"])
    beside = {one["url"]: one for one in made.get("extension", ())}
    own = f"{STUDY}/StructureDefinition"
    if f"{own}/index-operation" in beside:
        fields["index"] = beside[f"{own}/index-operation"]["valueBoolean"]
    if f"{own}/cement" in beside:
        fields["cement"] = beside[f"{own}/cement"]["valueBoolean"]
    for name, url in (("purpose", "fixation-purpose"), ("implant", "implant")):
        if f"{own}/{url}" in beside:
            told = beside[f"{own}/{url}"]["valueCodeableConcept"]
            fields[name] = word(told, words[name])
    if f"{own}/asa-class" in beside:
        fields["asa_class"] = beside[f"{own}/asa-class"]["valueInteger"]
    for name, url, unit in (
        ("blood_loss_ml", "blood-loss", "mL"),
        ("duration_min", "duration", "min"),
    ):
        if f"{own}/{url}" in beside:
            fields[name] = quantity(beside[f"{own}/{url}"]["valueQuantity"], unit)
    return fields, made["subject"]
