"""What the core data set and the oncology module of the Medical Informatics Initiative say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhirbridge.library import Library
from fhirbridge.mapping.decode import Decoded, decode, interpret
from tests.web.sender import concept

MAPPINGS = Library(Path(__file__).resolve().parents[2] / "mappings").of_site("north")
GM = "http://fhir.de/CodeSystem/bfarm/icd-10-gm"
SURE = "http://fhir.de/StructureDefinition/icd-10-gm-diagnosesicherheit"
SIDE = "http://fhir.de/StructureDefinition/seitenlokalisation"
ONKO = "https://www.medizininformatik-initiative.de/fhir/ext/modul-onko"
OPS = "http://fhir.de/CodeSystem/bfarm/ops"
KBV = "https://fhir.kbv.de/CodeSystem/KBV_CS_SFHIR_ICD"


def _diagnosis(code: str, *, sure: str = "", side: str = "") -> dict[str, Any]:
    more = []
    if sure:
        more.append(
            {"url": SURE, "valueCoding": {"system": f"{KBV}_DIAGNOSESICHERHEIT", "code": sure}}
        )
    if side:
        more.append(
            {"url": SIDE, "valueCoding": {"system": f"{KBV}_SEITENLOKALISATION", "code": side}}
        )
    coding = {"system": GM, "code": code, **({"extension": more} if more else {})}
    return {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [coding]},
        "onsetDateTime": "2025-12-01",
    }


def _read(resource: dict[str, Any]) -> Decoded:
    """As generated code reads it, which is as the interpreter does."""
    (told,) = decode(MAPPINGS, resource, source="a|Condition/c1")
    assert interpret(MAPPINGS, resource, source="a|Condition/c1") == [told]
    return told


@pytest.mark.parametrize(
    ("sure", "fate"),
    [("", "record"), ("G", "record"), ("V", "hold"), ("Z", "hold"), ("A", "refuse")],
)
@pytest.mark.parametrize("code", ["C79.5", "C50.4", "T84.6"])
def test_a_diagnosis_counts_as_certain_as_it_is(code: str, sure: str, fate: str) -> None:
    assert _read(_diagnosis(code, sure=sure)).fate == fate


@pytest.mark.parametrize(
    ("code", "form", "fields"),
    [
        ("C90.00", "primary_cancer", {"site": "myeloma"}),  # C90.0 in WHO's ICD-10
        ("T84.15", "complication", {"kind": "mechanical_failure"}),
    ],
)
def test_a_fifth_character_divides_the_category_that_is_listed(
    code: str, form: str, fields: dict[str, str]
) -> None:
    told = _read(_diagnosis(code))
    assert (told.fate, told.form) == ("record", form)
    assert fields.items() <= told.fields.items()


def test_a_sixth_character_is_none() -> None:
    assert _read(_diagnosis("C90.000")).fate == "refuse"


def test_how_a_diagnosis_was_confirmed_stands_beside_that_it_is() -> None:
    """As the module's own example says it (mii-exa-onko-diagnose): confirmed, by histology."""
    status = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    how = f"{ONKO}/CodeSystem/mii-cs-onko-primaertumor-diagnosesicherung"
    codings = [{"system": status, "code": "confirmed"}, {"system": how, "code": "7"}]
    given = _diagnosis("C50.4") | {"verificationStatus": {"coding": codings}}
    assert _read(given).fate == "record"
    codings[0]["code"] = "refuted"
    assert _read(given).fate == "withdraw"
    assert _read(given | {"verificationStatus": {"coding": codings[1:]}}).fate == "hold"


def test_an_irradiation_is_a_part_of_its_course() -> None:
    whole = {
        "resourceType": "Procedure",
        "id": "r1",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": OPS, "code": "8-52"}]},
        "performedPeriod": {"start": "2026-02-01", "end": "2026-02-05"},
    }
    part = whole | {"id": "r2", "partOf": [{"reference": "Procedure/r1"}]}

    known = {"Procedure/r1": {"radiotherapy": "the course"}}
    (told,) = decode(MAPPINGS, part, source="a|Procedure/r2", refer=known.get)
    assert told.fields["radiotherapy_id"] == "the course"


def test_the_side_stands_in_the_coding() -> None:
    assert _read(_diagnosis("C79.5", sure="G", side="L")).fields["laterality"] == "left"


@pytest.mark.parametrize(
    ("code", "site"),
    [
        ("C50.4", "breast"),
        ("C61", "prostate"),
        ("C64", "kidney"),
        ("C34.1", "lung"),
        ("C80.0", "unknown_primary"),
    ],
)
def test_primary_cancers_of_icd_10_gm(code: str, site: str) -> None:
    assert _read(_diagnosis(code)).fields["site"] == site


def test_an_operation_of_ops_waits_and_is_not_refused() -> None:
    operation = {
        "resourceType": "Procedure",
        "id": "s1",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "code": concept("http://fhir.de/CodeSystem/bfarm/ops", "5-870"),
        "performedDateTime": "2026-01-12",
    }
    (told,) = decode(MAPPINGS, operation, source="a|Procedure/s1")
    assert told.fate == "hold"
