"""HL7's own examples of the study's types, from the R4 and the mCODE package."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.damage.source import Source
from bench.reference import packages
from fhirbridge.formats import fhir_json

TYPES = frozenset((
    "BodyStructure", "Bundle", "CarePlan", "CareTeam", "Condition", "Consent", "DiagnosticReport",
    "Encounter", "ImagingStudy", "Medication", "MedicationAdministration", "MedicationRequest",
    "MedicationStatement", "Observation", "Patient", "Procedure", "Provenance", "Questionnaire",
    "QuestionnaireResponse", "ResearchStudy", "ResearchSubject", "ServiceRequest", "Specimen",
))  # fmt: skip
# Bundles that publish R4 itself: megabytes, and nothing of a patient.
_PUBLISHED = frozenset((
    "CodeSystem", "ConceptMap", "DataElement", "SearchParameter", "StructureDefinition", "ValueSet",
))  # fmt: skip
# mCODE 4.0.0 was made with genomics-reporting 2.0.0, and npm has 3.0.0 alone: no verdict on these.
NOT_JUDGED = (
    "mcode/Bundle-gx-genomic-bundle-adam-anyperson",
    "mcode/Bundle-mcode-patient-bundle-jenny-m",
    "mcode/Observation-gx-genomic-diagnostic-implication-bap1",
    "mcode/Observation-gx-genomic-diagnostic-implication-pof1b",
    "mcode/Observation-gx-genomic-diagnostic-implication-polrmt",
    "mcode/Observation-gx-genomic-therapeutic-implication-alectinib",
    "mcode/Observation-gx-genomic-therapeutic-implication-brigatinib",
    "mcode/Observation-gx-genomic-therapeutic-implication-ceritinib",
    "mcode/Observation-gx-genomic-therapeutic-implication-crizotinib",
    "mcode/Observation-gx-genomic-therapeutic-implication-lorlatinib",
)


def load() -> list[Source]:
    """Every example that can be judged, by package and file name, in a stable order."""
    r4, mcode = packages.archive(packages.R4), packages.archive(packages.MCODE)
    found = [*_of(r4, "package/", "r4"), *_of(mcode, "package/example/", "mcode")]
    judged = (source for source in found if source.id not in NOT_JUDGED)
    return sorted(judged, key=lambda source: source.id)


def _of(file: Path, folder: str, origin: str) -> Iterator[Source]:
    for name, raw in packages.contents(file, folder):
        if name.split("-")[0] in TYPES and json.loads(raw).get("resourceType") in TYPES:
            resource = fhir_json.parse(raw)
            if not _publishes(resource):
                yield Source(f"{origin}/{name.removesuffix('.json')}", resource)


def _publishes(resource: Mapping[str, Any]) -> bool:
    entries = resource.get("entry", ())
    return any(entry.get("resource", {}).get("resourceType") in _PUBLISHED for entry in entries)
