"""The judge is there, and it judges: a real HAPI FHIR server with mCODE and US Core."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.hapi.fhir_packages import mcode_examples

pytestmark = pytest.mark.hapi

ECOG = "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-ecog-performance-status"


@pytest.fixture(scope="module")
def ecog() -> dict[str, Any]:
    """One of mCODE's own ECOG observations (synthetic)."""
    return next(o for o in mcode_examples(["Observation"]) if ECOG in o["meta"]["profile"])


def errors(base: str, resource: dict[str, Any]) -> list[str]:
    answer = requests.post(
        f"{base}/Observation/$validate",
        params={"profile": ECOG},
        json=resource,
        headers={"Content-Type": "application/fhir+json"},
        timeout=120,
    )
    assert answer.status_code == 200
    issues = answer.json()["issue"]
    return [i["diagnostics"] for i in issues if i["severity"] in ("error", "fatal")]


def test_the_server_speaks_r4(hapi_server: str) -> None:
    statement = requests.get(f"{hapi_server}/metadata", timeout=60).json()
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["software"]["name"] == "HAPI FHIR Server"


def test_validate_finds_nothing_in_a_right_observation(
    hapi_server: str, ecog: dict[str, Any]
) -> None:
    assert errors(hapi_server, ecog) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"code": {"coding": [{"system": "http://loinc.org", "code": "1-8"}]}}, "89247-1"),
        ({"subject": None}, "subject"),
        ({"valueInteger": None, "valueString": "0"}, "type string"),
    ],
)
def test_validate_finds_what_is_wrong(
    hapi_server: str, ecog: dict[str, Any], changed: dict[str, Any], told: str
) -> None:
    wrong = {name: part for name, part in {**ecog, **changed}.items() if part is not None}
    found = errors(hapi_server, wrong)
    assert any(told in text for text in found), found
