"""What the journeys share: the synthetic study as Bundles, and the truth that must come out again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fhirbridge.commands.mapping_commands import bundles
from fhirbridge.formats import fhir_json
from fhirbridge.library import Library
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.sandbox import synthetic
from fhirbridge.study import records
from fhirbridge.study.records import Record
from tests.journeys.bridge import SITE

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"


def mappings() -> MappingSet:
    return Library(MAPPINGS).of_site(SITE)


def bundles_of(made: Iterable[Record]) -> list[bytes]:
    """One transaction Bundle a subject."""
    return [fhir_json.dump(bundle) for _, bundle in bundles(mappings(), list(made))]


def truth(subjects: int) -> dict[tuple[str, str, str], dict[str, Any]]:
    """(subject, form, key) -> fields as JSON, without what the vault keeps."""
    study = mappings().study
    made = {}
    for record in synthetic.records(subjects):
        plain = {n: records.value_to_json(v) for n, v in record.fields.items()}
        plain.pop("hospital_ids", None)
        made[record.subject, record.form, record.key(study.form(record.form))] = plain
    return made


def told(exported: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The same shape of `record export`; a record that is there twice fails."""
    study = mappings().study
    made: dict[tuple[str, str, str], dict[str, Any]] = {}
    for record in exported:
        key = study.form(record["form"]).key_of(record["fields"])
        place = (record["subject"], record["form"], key)
        assert place not in made, f"doubled: {place}"
        made[place] = record["fields"]
    return made


def enrolment(subjects: Iterable[int]) -> str:
    rows = [f"{synthetic.study_id(n)},{synthetic.MRN}|{synthetic.mrn(n)}" for n in subjects]
    return "\n".join(["study_id,hospital_ids", *rows, ""])
