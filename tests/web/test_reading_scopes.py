"""What a token does not allow is not told beside what it allows, either."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhirbridge.settings import Settings
from tests import databases
from tests.web.sender import Sender, score
from tests.web.signing import BASE, Signing


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return databases.settings(tmp_path / "data", base_url=BASE)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Observation", 200),
        ("Observation?_include=Observation:subject", 403),
        ("Observation?_revinclude=Provenance:target", 403),
        ("Provenance?target=Observation/1", 403),
        ("Provenance/Observation.1.1", 403),
        ("Condition/1/_history", 403),
        ("Condition/1/_history/1", 403),
        ("Observation/1/_history/1", 404),
    ],
)
def test_a_token_for_one_type_reads_that_type(door: Sender, path: str, status: int) -> None:
    door.push(score())
    reader = Signing.at(door).bearing("system/Observation.rs")
    assert reader("GET", f"/fhir/{path}").status_code == status


def test_a_token_with_the_other_types_gets_them_beside(door: Sender) -> None:
    door.push(score())
    scope = "system/Observation.s system/Patient.r system/Provenance.r"
    reader = Signing.at(door).bearing(scope)
    asked = "_include=Observation:subject&_revinclude=Provenance:target"
    told = reader("GET", f"/fhir/Observation?{asked}").get_json()
    types = [entry["resource"]["resourceType"] for entry in told["entry"]]
    assert types == ["Observation", "Patient", "Provenance"]
