"""Small valid resources that the probes break, one rule at a time. All people are invented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

THO = "http://terminology.hl7.org/CodeSystem/"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition/"
ABSENT = {
    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "valueCode": "unknown",
}
_SUBJECT = {"reference": "Patient/1"}


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def quantity(value: Any, code: str) -> dict[str, Any]:
    return {"value": value, "unit": code, "system": UCUM, "code": code}


def _claim(url: str) -> dict[str, Any]:
    return {"profile": [url]}


_FINAL = {"resourceType": "Observation", "status": "final", "subject": _SUBJECT}
_ENTRY = {
    "fullUrl": "http://example.org/fhir/Patient/1",
    "resource": {"resourceType": "Patient", "id": "1", "active": True},
}
_REQUEST = {"method": "PUT", "url": "Patient/1"}
_RESPONSE = {"status": "200 OK"}

# fmt: off
BASES: Mapping[str, dict[str, Any]] = {
    "Patient": {
        "resourceType": "Patient", "active": True, "birthDate": "1960-02-03",
        "name": [{"family": "Test", "period": {"start": "2000", "end": "2010"}}],
        "telecom": [{"system": "phone", "value": "1"}],
        "identifier": [{"system": "http://example.org/mrn", "value": "1"}],
        "contact": [{"name": {"text": "A contact"}}],
        "photo": [{"contentType": "text/plain", "data": "aGVsbG8="}],
    },
    "Condition": {
        "resourceType": "Condition", "subject": _SUBJECT,
        "clinicalStatus": coded(THO + "condition-clinical", "active"),
        "verificationStatus": coded(THO + "condition-ver-status", "confirmed"),
        "code": coded(SNOMED, "94222008"), "onsetAge": quantity(50, "a"),
        "stage": [{"summary": {"text": "II"}}], "evidence": [{"code": [{"text": "x"}]}],
    },
    "Problem": {
        "resourceType": "Condition", "subject": _SUBJECT, "code": {"text": "x"},
        "category": [coded(THO + "condition-category", "problem-list-item")],
        "clinicalStatus": coded(THO + "condition-clinical", "active"),
    },
    "Observation": {
        **_FINAL, "code": coded(LOINC, "1-8"), "valueQuantity": quantity(3, "mg"),
        "referenceRange": [{"low": quantity(1, "mg"), "high": quantity(5, "mg")}],
    },
    "Panel": {
        **_FINAL, "code": coded(LOINC, "2-6"),
        "component": [{"code": coded(LOINC, "3-4"), "valueString": "x"},
                      {"code": coded(LOINC, "4-2"), "valueRatio": {
                          "numerator": {"value": 1}, "denominator": {"value": 2}}}],
    },
    "Weight": {
        **_FINAL, "code": coded(LOINC, "29463-7"), "effectiveDateTime": "2021-02-03",
        "category": [coded(THO + "observation-category", "vital-signs")],
        "valueQuantity": quantity(70, "kg"),
    },
    "Pressure": {
        **_FINAL, "code": coded(LOINC, "85354-9"), "effectiveDateTime": "2021-02-03",
        "category": [coded(THO + "observation-category", "vital-signs")],
        "component": [{"code": coded(LOINC, "8480-6"), "valueQuantity": quantity(120, "mm[Hg]")},
                      {"code": coded(LOINC, "8462-4"), "valueQuantity": quantity(80, "mm[Hg]")}],
    },
    "Consent": {
        "resourceType": "Consent", "status": "active",
        "scope": coded(THO + "consentscope", "research"),
        "category": [coded(LOINC, "59284-0")], "patient": _SUBJECT,
        "policy": [{"uri": "http://example.org/policy"}],
    },
    "ServiceRequest": {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order",
        "subject": _SUBJECT, "code": {"text": "x"}, "orderDetail": [{"text": "y"}],
    },
    "CarePlan": {
        "resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": _SUBJECT,
        "activity": [{"detail": {"status": "completed"}}, {"reference": {"display": "x"}}],
    },
    "CareTeam": {
        "resourceType": "CareTeam", "subject": _SUBJECT,
        "contained": [{"resourceType": "Practitioner", "id": "a"},
                      {"resourceType": "Patient", "id": "b"}],
        "participant": [{"member": {"reference": "#a"},
                         "onBehalfOf": {"reference": "Organization/1"}},
                        {"member": {"reference": "#b"}}],
    },
    "MedicationAdministration": {
        "resourceType": "MedicationAdministration", "status": "completed", "subject": _SUBJECT,
        "medicationCodeableConcept": {"text": "x"}, "effectiveDateTime": "2021-02-03",
        "dosage": {"text": "one", "dose": quantity(3, "mg")},
    },
    "MedicationRequest": {
        "resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "subject": _SUBJECT, "medicationCodeableConcept": {"text": "x"},
        "dosageInstruction": [{
            "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
            "doseAndRate": [{"doseRange": {
                "low": quantity(1, "mg"), "high": quantity(5, "mg")}}]}],
    },
    "Questionnaire": {
        "resourceType": "Questionnaire", "status": "active", "name": "Test", "item": [
            {"linkId": "1", "type": "group", "text": "Group", "item": [
                {"linkId": "1.1", "type": "boolean", "text": "One"},
                {"linkId": "1.2", "type": "string", "text": "Two", "maxLength": 5,
                 "enableWhen": [{"question": "1.1", "operator": "=", "answerBoolean": True}]}]},
            {"linkId": "2", "type": "display", "text": "Shown"},
            {"linkId": "3", "type": "choice", "answerOption": [{"valueString": "a"}]},
            {"linkId": "4", "type": "integer", "initial": [{"valueInteger": 3}]},
        ],
    },
    "QuestionnaireResponse": {
        "resourceType": "QuestionnaireResponse", "status": "completed", "item": [
            {"linkId": "1", "item": [{"linkId": "1.1", "answer": [{"valueBoolean": True}]}]},
            {"linkId": "2", "answer": [{"valueString": "x", "item": [{"linkId": "2.1"}]}]}],
    },
    "collection": {"resourceType": "Bundle", "type": "collection", "entry": [_ENTRY]},
    "transaction": {"resourceType": "Bundle", "type": "transaction",
                    "entry": [{**_ENTRY, "request": _REQUEST}]},
    "response": {"resourceType": "Bundle", "type": "transaction-response",
                 "entry": [{"response": _RESPONSE}]},
    "searchset": {"resourceType": "Bundle", "type": "searchset", "total": 1,
                  "entry": [{**_ENTRY, "search": {"mode": "match"}}]},
    "history": {"resourceType": "Bundle", "type": "history", "total": 1,
                "entry": [{**_ENTRY, "request": _REQUEST, "response": _RESPONSE}]},
    "document": {
        "resourceType": "Bundle", "type": "document", "timestamp": "2021-02-03T10:00:00Z",
        "identifier": {"system": "http://example.org/documents", "value": "1"},
        "entry": [{"fullUrl": "http://example.org/fhir/Composition/1", "resource": {
            "resourceType": "Composition", "id": "1", "status": "final", "type": {"text": "x"},
            "date": "2021-02-03", "title": "x", "author": [{"display": "x"}]}}],
    },
    "message": {
        "resourceType": "Bundle", "type": "message",
        "entry": [{"fullUrl": "http://example.org/fhir/MessageHeader/1", "resource": {
            "resourceType": "MessageHeader", "id": "1", "eventUri": "http://example.org/event",
            "source": {"endpoint": "http://example.org/endpoint"}}}],
    },
    "US Core Patient": {
        "resourceType": "Patient", "meta": _claim(US_CORE + "us-core-patient"), "gender": "female",
        "name": [{"family": "Test", "given": ["Ada"]}],
        "identifier": [{"system": "http://example.org/mrn", "value": "1"}],
    },
    "US Core Observation": {
        **_FINAL, "meta": _claim(US_CORE + "us-core-observation-lab"), "code": coded(LOINC, "1-8"),
        "category": [coded(THO + "observation-category", "laboratory")],
        "effectiveDateTime": "2021-02-03", "valueQuantity": quantity(3, "mg"),
    },
    "US Core Procedure": {
        "resourceType": "Procedure", "meta": _claim(US_CORE + "us-core-procedure"),
        "status": "completed", "code": coded(SNOMED, "80146002"), "subject": _SUBJECT,
        "performedDateTime": "2021-02-03",
    },
    "US Core Report": {
        "resourceType": "DiagnosticReport", "status": "final", "subject": _SUBJECT,
        "meta": _claim(US_CORE + "us-core-diagnosticreport-lab"), "code": coded(LOINC, "58410-2"),
        "category": [coded(THO + "v2-0074", "LAB")], "effectiveDateTime": "2021-02-03",
        "issued": "2021-02-03T10:00:00Z",
    },
    "US Core Note": {
        "resourceType": "DiagnosticReport", "status": "final", "subject": _SUBJECT,
        "meta": _claim(US_CORE + "us-core-diagnosticreport-note"), "code": coded(LOINC, "18748-4"),
        "category": [coded(LOINC, "LP29684-5")], "effectiveDateTime": "2021-02-03",
    },
    "US Core Medication": {
        "resourceType": "MedicationRequest", "meta": _claim(US_CORE + "us-core-medicationrequest"),
        "status": "active", "intent": "order", "subject": _SUBJECT, "authoredOn": "2021-02-03",
        "medicationCodeableConcept": {"text": "x"}, "requester": {"reference": "Practitioner/1"},
    },
    "US Core Practitioner": {
        "resourceType": "Practitioner", "meta": _claim(US_CORE + "us-core-practitioner"),
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
        "name": [{"family": "Test"}],
    },
    "US Core Organization": {
        "resourceType": "Organization", "meta": _claim(US_CORE + "us-core-organization"),
        "active": True, "name": "Test",
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
    },
    "mCODE tumour size": {
        **_FINAL, "meta": _claim(MCODE + "mcode-tumor-size"), "code": coded(LOINC, "21889-1"),
        "effectiveDateTime": "2021-02-03", "focus": [{"reference": "BodyStructure/1"}],
        "category": [coded(THO + "observation-category", "laboratory")],
        "component": [{"code": coded(LOINC, "33728-7"), "valueQuantity": quantity(3, "mm")}],
    },
    "mCODE medication": {
        "resourceType": "MedicationRequest", "status": "stopped", "intent": "order",
        "meta": _claim(MCODE + "mcode-cancer-related-medication-request"), "subject": _SUBJECT,
        "medicationCodeableConcept": {"text": "x"}, "authoredOn": "2021-02-03",
        "requester": {"reference": "Practitioner/1"}, "reasonCode": [{"text": "x"}],
        "statusReason": coded(SNOMED, "182992009"),
    },
    "mCODE volume": {
        "resourceType": "BodyStructure", "meta": _claim(MCODE + "mcode-radiotherapy-volume"),
        "patient": _SUBJECT, "description": "A volume", "location": coded(SNOMED, "76752008"),
    },
    "mCODE surgery": {
        "resourceType": "Procedure",
        "meta": _claim(MCODE + "mcode-cancer-related-surgical-procedure"),
        "status": "completed", "code": coded(SNOMED, "392021009"), "subject": _SUBJECT,
        "performedDateTime": "2021-02-03", "reasonCode": [coded(SNOMED, "254837009")],
    },
    "mCODE radiotherapy": {
        "resourceType": "Procedure", "status": "completed", "subject": _SUBJECT,
        "meta": _claim(MCODE + "mcode-radiotherapy-course-summary"),
        "code": coded(SNOMED, "1217123003"), "performedPeriod": {"start": "2021-02-03"},
        "category": coded(SNOMED, "108290001"),
        "reasonCode": [coded(SNOMED, "254837009")],
        "extension": [{"url": MCODE + "mcode-radiotherapy-modality-and-technique", "extension": [
            {"url": MCODE + "mcode-radiotherapy-modality",
             "valueCodeableConcept": coded(SNOMED, "1156506007")},
            {"url": MCODE + "mcode-radiotherapy-technique",
             "valueCodeableConcept": coded(SNOMED, "441799006")}]}],
    },
}
# fmt: on
