"""Probes: each breaks one rule of a small valid resource, by the key of the rule.

Keys as in R4, US Core 6.1.0 and mCODE 4.0.0. A row that a rule does not forbid is a probe too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.damage.edits import GONE, Path, put_all, told
from bench.damage.mutant import Mutant
from bench.damage.probe_bases import ABSENT, BASES, LOINC, SNOMED, THO, coded, quantity
from fhirbridge.formats import fhir_json

_FLAG = {"url": "http://example.org/x", "valueBoolean": True}
_LOCAL = {"resourceType": "Organization", "id": "o", "name": "Synthetic Hospital"}
_PATIENT = {"resourceType": "Patient", "id": "2"}
_FIRST = {"resourceType": "Patient", "id": "1"}
_NPI = "identifier.0.value"
_REPEAT = "dosageInstruction.0.timing.repeat"
_DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
_REFUTED = coded(THO + "condition-ver-status", "entered-in-error")


def _over(word: str) -> dict[str, Any]:
    return coded(THO + "condition-clinical", word)


def _narrated(content: str) -> dict[str, Any]:
    return {"status": "generated", "div": _DIV.format(content)}


# fmt: off
_ROWS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    # -- every element
    ("ele-1", "Patient", {"maritalStatus": {"id": "x"}}),
    ("ele-1", "Patient", {"gender": GONE, "_gender": {"id": "x"}}),
    ("ele-1", "Patient", {"name.0": {"id": "x"}}),
    ("ele-1", "Patient", {"contact.0": {"id": "x"}}),
    ("ext-1", "Patient", {"extension": [{"url": "http://example.org/x"}]}),
    ("ext-1", "Patient", {"extension": [{**_FLAG, "extension": [_FLAG]}]}),
    ("ext-1", "Patient", {"extension": [{**_FLAG, "_valueBoolean": {"extension": [ABSENT]}}]}),
    ("ext-1", "Patient", {"modifierExtension": [{"url": "http://example.org/x"}]}),
    ("dom-2", "Patient", {"contained": [{**_LOCAL, "contained": [_LOCAL]}],
                          "managingOrganization": {"reference": "#o"}}),
    ("dom-3", "Patient", {"contained": [_LOCAL]}),
    ("dom-3", "Patient", {"contained": [{**_LOCAL, "partOf": {"reference": "#"}}]}),
    ("dom-3", "Patient", {"contained": [{**_LOCAL, "partOf": {"reference": "#o"}}]}),
    ("dom-4", "Patient", {"contained": [{**_LOCAL, "meta": {"versionId": "1"}}],
                          "managingOrganization": {"reference": "#o"}}),
    ("dom-4", "Patient", {"contained": [
        {**_LOCAL, "meta": {"lastUpdated": "2021-02-03T10:00:00Z"}}],
                          "managingOrganization": {"reference": "#o"}}),
    ("dom-5", "Patient", {"contained": [{**_LOCAL, "meta": {"security": [{"code": "R"}]}}],
                          "managingOrganization": {"reference": "#o"}}),
    ("ref-1", "Patient", {"managingOrganization": {"reference": "#o"}}),
    ("ref-1", "Patient", {"generalPractitioner": [{"reference": "#o"}], "contained": [_LOCAL]}),
    ("txt-1", "Patient", {"text": _narrated("<script>x</script>a")}),
    ("txt-1", "Patient", {"text": _narrated('<p onmouseover="x">a</p>')}),
    ("txt-1", "Patient", {"text": _narrated("<input/>a")}),
    ("txt-2", "Patient", {"text": _narrated("")}),
    ("txt-2", "Patient", {"text": _narrated("<p/>")}),
    ("att-1", "Patient", {"photo.0.contentType": GONE}),
    ("att-1", "Patient", {"photo.0": {"data": "aGVsbG8=", "title": "x"}}),
    ("cpt-2", "Patient", {"telecom.0.system": GONE}),
    ("per-1", "Patient", {"name.0.period.end": "1999"}),
    ("per-1", "Patient", {"name.0.period": {"start": "2021-01-05", "end": "2021-01"}}),
    ("per-1", "Patient", {"name.0.period": {"start": "2021-01-05", "end": "2021"}}),
    ("per-1", "Patient", {"name.0.period": {"start": "2021-02-03T10:00:00Z",
                                            "end": "2021-02-03T11:00:00+02:00"}}),
    ("per-1", "Patient", {"name.0.period": {"start": "2021-02-03T10:00:00Z",
                                            "end": "2021-02-03T12:00:00+02:00"}}),
    ("per-1", "Patient", {"name.0.period": {"start": "2021-02-03T10:00:00.5Z",
                                            "end": "2021-02-03T10:00:00.4Z"}}),
    ("qty-3", "Observation", {"valueQuantity.system": GONE}),
    ("qty-3", "Panel", {"component.0.valueString": GONE,
                        "component.0.valueQuantity": {"value": 1, "code": "mg"}}),
    ("rng-2", "Observation", {"valueQuantity": GONE, "valueRange": {
        "low": quantity(5, "mg"), "high": quantity(3, "mg")}}),
    ("rng-2", "MedicationRequest", {"dosageInstruction.0.doseAndRate.0.doseRange.high":
                                    quantity(0, "mg")}),
    ("rng-2", "Observation", {"valueQuantity": GONE, "valueRange": {
        "low": quantity(3, "mg"), "high": quantity(3, "mg")}}),
    ("rat-1", "Panel", {"component.1.valueRatio.denominator": GONE}),
    ("rat-1", "Panel", {"component.1.valueRatio.numerator": GONE}),
    ("rat-1", "Panel", {"component.1.valueRatio": {"extension": [_FLAG]}}),
    ("sqty-1", "MedicationAdministration", {"dosage.dose.comparator": "<"}),
    ("sqty-1", "Observation", {"referenceRange.0.low.comparator": ">"}),
    ("age-1", "Condition", {"onsetAge.value": 0}),
    ("age-1", "Condition", {"onsetAge.value": -3}),
    ("age-1", "Condition", {"onsetAge.code": GONE}),
    ("age-1", "Condition", {"onsetAge.system": "http://example.org/units"}),
    ("age-1", "Condition", {"onsetAge": quantity(3, "kg")}),
    ("drt-1", "MedicationRequest", {"dispenseRequest": {"expectedSupplyDuration":
                                                        {"code": "d", "value": 3}}}),
    ("drt-1", "MedicationRequest", {"dispenseRequest": {"expectedSupplyDuration":
        {"code": "d", "system": "http://unitsofmeasure.org"}}}),
    ("tim-1", "MedicationRequest", {_REPEAT: {"duration": 3}}),
    ("tim-2", "MedicationRequest", {_REPEAT: {"period": 3}}),
    ("tim-4", "MedicationRequest", {_REPEAT: {"duration": -3, "durationUnit": "h"}}),
    ("tim-5", "MedicationRequest", {_REPEAT: {"period": -3, "periodUnit": "h"}}),
    ("tim-6", "MedicationRequest", {_REPEAT: {"periodMax": 3}}),
    ("tim-7", "MedicationRequest", {_REPEAT: {"durationMax": 3}}),
    ("tim-8", "MedicationRequest", {_REPEAT: {"countMax": 3}}),
    ("tim-9", "MedicationRequest", {_REPEAT: {"offset": 30}}),
    ("tim-9", "MedicationRequest", {_REPEAT: {"offset": 30, "when": ["C"]}}),
    ("tim-9", "MedicationRequest", {_REPEAT: {"offset": 30, "when": ["HS"]}}),
    ("tim-10", "MedicationRequest", {_REPEAT: {"timeOfDay": ["10:00:00"], "when": ["HS"]}}),
    # -- resources
    ("pat-1", "Patient", {"contact.0": {"gender": "male"}}),
    ("pat-1", "Patient", {"contact.0": {"relationship": [{"text": "x"}]}}),
    ("con-1", "Condition", {"stage.0": {"type": {"text": "x"}}}),
    ("con-2", "Condition", {"evidence.0": {"extension": [_FLAG]}}),
    ("con-3", "Problem", {"clinicalStatus": GONE}),
    ("con-4", "Condition", {"abatementDateTime": "2021"}),
    ("con-4", "Condition", {"abatementString": "long ago"}),
    ("con-4", "Condition", {"abatementDateTime": "2021", "clinicalStatus": _over("relapse")}),
    ("con-4", "Condition", {"abatementDateTime": "2021", "clinicalStatus": _over("resolved")}),
    ("con-4", "Condition", {"abatementDateTime": "2021", "clinicalStatus": GONE}),
    ("con-5", "Condition", {"verificationStatus": _REFUTED}),
    ("con-5", "Condition", {"verificationStatus": _REFUTED, "clinicalStatus": GONE}),
    ("obs-3", "Observation", {"referenceRange.0": {"type": {"text": "x"}}}),
    ("obs-6", "Observation", {"dataAbsentReason": {"text": "x"}}),
    ("obs-6", "Panel", {"component.0.dataAbsentReason": {"text": "x"}}),
    ("obs-7", "Panel", {"valueString": "x", "component.0.code": coded(LOINC, "2-6")}),
    ("obs-7", "Panel", {"component.0.code": coded(LOINC, "2-6")}),
    ("no value", "Observation", {"valueQuantity": GONE}),
    ("vs-1", "Weight", {"effectiveDateTime": "2021"}),
    ("vs-1", "Weight", {"effectiveDateTime": "2021-02"}),
    ("vs-2", "Weight", {"valueQuantity": GONE}),
    ("vs-2", "Weight", {"valueQuantity": GONE, "dataAbsentReason": {"text": "x"}}),
    ("vs-2", "Pressure", {"component": GONE}),
    ("vs-3", "Pressure", {"component.0.valueQuantity": GONE}),
    ("vital sign's unit", "Weight", {"valueQuantity.code": "mg"}),
    ("vital sign's unit", "Weight", {"valueQuantity.unit": GONE}),
    ("vital sign's unit", "Pressure", {"component.0.valueQuantity": quantity(16, "kPa")}),
    ("vital sign's category", "Weight", {"category": GONE}),
    ("vital sign's category", "Weight", {"category.0.coding.0.code": "laboratory"}),
    ("vital sign's value", "Weight", {"valueQuantity": GONE, "valueString": "70 kg"}),
    ("vital sign's components", "Pressure", {"component.1": GONE}),
    ("ppc-1", "Consent", {"policy": GONE}),
    ("ppc-1", "Consent", {"policy": GONE, "policyRule": {"text": "x"}}),
    ("prr-1", "ServiceRequest", {"code": GONE}),
    ("cpl-3", "CarePlan", {"activity.0.reference": {"display": "x"}}),
    ("ctm-1", "CareTeam", {"participant.1.onBehalfOf": {"reference": "Organization/1"}}),
    ("mad-1", "MedicationAdministration", {"dosage.dose": GONE}),
    ("que-1", "Questionnaire", {"item.0.item": GONE}),
    ("que-1", "Questionnaire", {"item.1.item": [{"linkId": "2.1", "type": "string"}]}),
    ("que-2", "Questionnaire", {"item.0.item.0.linkId": "1"}),
    ("que-2", "Questionnaire", {"item.1.linkId": "1.2"}),
    ("que-3", "Questionnaire", {"item.1.code": [{"system": LOINC, "code": "1-8"}]}),
    ("que-4", "Questionnaire", {"item.2.answerValueSet": "http://example.org/vs"}),
    ("que-5", "Questionnaire", {"item.0.item.0.answerOption": [{"valueString": "a"}]}),
    ("que-6", "Questionnaire", {"item.1.required": True}),
    ("que-6", "Questionnaire", {"item.1.repeats": False}),
    ("que-7", "Questionnaire", {"item.0.item.1.enableWhen.0": {
        "question": "1.1", "operator": "exists", "answerString": "x"}}),
    ("que-8", "Questionnaire", {"item.1.initial": [{"valueString": "x"}]}),
    ("que-9", "Questionnaire", {"item.1.readOnly": True}),
    ("que-10", "Questionnaire", {"item.2.maxLength": 3}),
    ("que-11", "Questionnaire", {"item.2.initial": [{"valueString": "a"}]}),
    ("que-12", "Questionnaire", {"item.0.item.1.enableWhen": [
        {"question": "1.1", "operator": "exists", "answerBoolean": True}] * 3}),
    ("que-13", "Questionnaire", {"item.3.initial": [{"valueInteger": 1}, {"valueInteger": 2}]}),
    ("enableWhen's question", "Questionnaire", {"item.0.item.1.enableWhen.0.question": "nowhere"}),
    ("qrs-1", "QuestionnaireResponse", {"item.0.answer": [{"valueBoolean": True}]}),
    # -- Bundles
    ("bdl-1", "collection", {"total": 1}),
    ("bdl-1", "transaction", {"total": 1}),
    ("bdl-2", "collection", {"entry.0.search": {"mode": "match"}}),
    ("bdl-3", "transaction", {"entry.0.request": GONE}),
    ("bdl-3", "collection", {"entry.0.request": {"method": "GET", "url": "Patient/1"}}),
    ("bdl-3", "history", {"entry.0.request": GONE}),
    ("bdl-4", "response", {"entry.0": {"resource": _PATIENT}}),
    ("bdl-4", "collection", {"entry.0.response": {"status": "200"}}),
    ("bdl-4", "history", {"entry.0.response": GONE}),
    ("bdl-5", "collection", {"entry.0": {"fullUrl": "http://example.org/fhir/Patient/1"}}),
    ("bdl-7", "collection", {"entry.1": {"fullUrl": "http://example.org/fhir/Patient/1",
                                         "resource": _FIRST}}),
    ("bdl-7", "history", {"entry.1": {
        "fullUrl": "http://example.org/fhir/Patient/1", "resource": _FIRST,
        "request": {"method": "PUT", "url": "Patient/1"}, "response": {"status": "200"}}}),
    ("bdl-8", "collection", {"entry.0.fullUrl": "http://example.org/fhir/Patient/1/_history/1"}),
    ("bdl-9", "document", {"identifier": GONE}),
    ("bdl-9", "document", {"identifier.system": GONE}),
    ("bdl-9", "document", {"identifier.value": GONE}),
    ("bdl-10", "document", {"timestamp": GONE}),
    ("bdl-11", "document", {"entry.0": {"fullUrl": "http://example.org/fhir/Patient/2",
                                        "resource": _PATIENT}}),
    ("bdl-11", "document", {"entry": GONE}),
    ("bdl-12", "message", {"entry.0": {"fullUrl": "http://example.org/fhir/Patient/2",
                                       "resource": _PATIENT}}),
    ("fullUrl", "collection", {"entry.0.fullUrl": GONE}),
    ("fullUrl", "searchset", {"entry.0.fullUrl": GONE}),
    ("fullUrl", "transaction", {"entry.0.fullUrl": GONE}),
    ("fullUrl", "collection", {"entry.0.fullUrl": "http://example.org/fhir/Patient/2"}),
    ("fullUrl", "collection", {"entry.0.fullUrl": "Patient/1"}),
    ("target in the Bundle", "collection", {"entry.1": {
        "fullUrl": "http://example.org/fhir/Condition/1", "resource": {
            "resourceType": "Condition", "id": "1", "subject": {"reference": "Patient/2"}}}}),
    ("target in the Bundle", "collection", {"entry.1": {
        "fullUrl": "http://elsewhere.example.org/fhir/Condition/1", "resource": {
            "resourceType": "Condition", "id": "1", "subject": {"reference": "Patient/1"}}}}),
    ("target in the Bundle", "transaction", {"entry.1": {
        "fullUrl": "urn:uuid:0b5f4ba1-6d37-4c2b-9f5a-0d7a3a1c2e4f", "resource": {
            "resourceType": "Condition", "subject": {"reference": "Patient/1"}},
        "request": {"method": "POST", "url": "Condition"}}}),
    ("target in the Bundle", "transaction", {"entry.1": {
        "fullUrl": "urn:uuid:0b5f4ba1-6d37-4c2b-9f5a-0d7a3a1c2e4f", "resource": {
            "resourceType": "Condition", "subject":
                {"reference": "urn:uuid:0b5f4ba1-6d37-4c2b-9f5a-0d7a3a1c2e4f"}},
        "request": {"method": "POST", "url": "Condition"}}}),
    # -- US Core
    ("us-core-1", "US Core Observation", {"effectiveDateTime": "2021"}),
    ("us-core-1", "US Core Observation", {"effectiveDateTime": "2021-02"}),
    ("us-core-2", "US Core Observation", {"valueQuantity": GONE}),
    ("us-core-2", "US Core Observation", {"valueQuantity": GONE,
                                          "dataAbsentReason": {"text": "x"}}),
    ("us-core-3", "US Core Observation", {"valueQuantity.system": "http://example.org/units"}),
    ("us-core-6", "US Core Patient", {"name.0": {"text": "Ada Test"}}),
    ("us-core-6", "US Core Patient", {"name.0.extension": [ABSENT]}),
    ("us-core-6", "US Core Patient", {"name.0": {"extension": [ABSENT]}}),
    ("us-core-7", "US Core Procedure", {"performedDateTime": GONE}),
    ("us-core-7", "US Core Procedure", {"performedDateTime": GONE, "status": "in-progress"}),
    ("us-core-7", "US Core Procedure", {"performedDateTime": GONE, "status": "preparation"}),
    ("us-core-8", "US Core Report", {"effectiveDateTime": GONE}),
    ("us-core-9", "US Core Report", {"issued": GONE}),
    ("us-core-9", "US Core Report", {"issued": GONE, "status": "registered"}),
    ("us-core-10", "US Core Note", {"effectiveDateTime": GONE}),
    ("us-core-16", "US Core Practitioner", {_NPI: "123456789"}),
    ("us-core-16", "US Core Practitioner", {_NPI: "12345678x3"}),
    ("us-core-16", "US Core Organization", {_NPI: "12345"}),
    ("us-core-17", "US Core Practitioner", {_NPI: "1234567890"}),
    ("us-core-17", "US Core Practitioner", {_NPI: "2234567893"}),
    ("us-core-17", "US Core Organization", {_NPI: "1234567894"}),
    ("us-core-18", "US Core Organization", {"identifier.0": {
        "system": "urn:oid:2.16.840.1.113883.4.7", "value": "12X3456789"}}),
    ("us-core-19", "US Core Organization", {"identifier.0": {
        "system": "urn:oid:2.16.840.1.113883.6.300", "value": "123"}}),
    ("us-core-21", "US Core Medication", {"requester": GONE}),
    ("us-core-21", "US Core Medication", {"requester": GONE, "intent": "plan"}),
    ("us-core minimum", "US Core Patient", {"identifier": GONE}),
    ("us-core minimum", "US Core Patient", {"gender": GONE}),
    ("us-core minimum", "US Core Observation", {"category": GONE}),
    # -- mCODE
    ("must-have-focus-or-specimen", "mCODE tumour size", {"focus": GONE}),
    ("must-have-focus-or-specimen", "mCODE tumour size",
     {"specimen": {"reference": "Specimen/1"}}),
    ("must-have-focus-or-specimen", "mCODE tumour size",
     {"focus": GONE, "specimen": {"reference": "Specimen/1"}}),
    ("termination-reason", "mCODE medication", {"status": "active"}),
    ("termination-reason", "mCODE medication", {"statusReason": coded(SNOMED, "1")}),
    ("termination-reason", "mCODE medication", {"statusReason": {"text": "x"}}),
    ("termination-reason", "mCODE medication", {"statusReason": GONE}),
    ("description-or-id", "mCODE volume", {"description": GONE}),
    ("description-or-id", "mCODE volume", {"description": GONE, "identifier": [
        {"system": "http://example.org/volumes", "value": "1"}]}),
    ("reason-required", "mCODE surgery", {"reasonCode": GONE}),
    ("technique of the modality", "mCODE radiotherapy",
     {"extension.0.extension.0.valueCodeableConcept": coded(SNOMED, "1156505006")}),
    ("technique of the modality", "mCODE radiotherapy",
     {"extension.0.extension.0.valueCodeableConcept": coded(SNOMED, "1156528004")}),
    ("technique of the modality", "mCODE radiotherapy",
     {"extension.0.extension.0.valueCodeableConcept": coded(SNOMED, "440252007")}),
    ("technique of the modality", "mCODE radiotherapy",
     {"extension.0.extension.1.valueCodeableConcept": coded(SNOMED, "1162782007")}),
    ("text for another modality", "mCODE radiotherapy",
     {"extension.0.extension.0.valueCodeableConcept": coded(SNOMED, "74964007")}),
    ("text for another technique", "mCODE radiotherapy",
     {"extension.0.extension.1.valueCodeableConcept": coded(SNOMED, "74964007")}),
)
# fmt: on
UNHARMED = "probe: unharmed"  # the kind of the bases themselves
KEYS = frozenset(key for key, _, _ in _ROWS)


def mutants() -> Iterator[Mutant]:
    """Every base unharmed, then every probe."""
    for name, base in BASES.items():
        yield _made(name, UNHARMED, name, base["resourceType"], base)
    for number, (key, name, changes) in enumerate(_ROWS):
        paths = {_path(at): new for at, new in changes.items()}
        made = put_all(BASES[name], *paths.items())
        at = told(BASES[name]["resourceType"], next(iter(paths)))
        yield _made(f"{number}", f"probe: {key}", name, at, made)


def _made(number: str, kind: str, base: str, place: str, resource: dict[str, Any]) -> Mutant:
    raw = fhir_json.dump(resource)
    return Mutant(f"{kind}/{base}/{number}", kind, "probe", f"probe/{base}", place, raw)


def _path(dotted: str) -> Path:
    return tuple(int(step) if step.isdigit() else step for step in dotted.split("."))
