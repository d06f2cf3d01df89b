from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.app import create_app
from fhirbridge.mapping.encode import encode
from fhirbridge.settings import Settings
from fhirbridge.study.records import Record
from tests import databases
from tests.mapping.files import mappings
from tests.web.sender import LESION, MRN, SCT, Sender, concept, lesion, person, score, whose

OPERATION = {
    "resourceType": "Procedure",
    "status": "completed",
    "code": concept(SCT, "89344001"),
    "subject": {"identifier": {"system": MRN, "value": "4711"}},
    "performedDateTime": "2026-02-10",
    "reasonReference": [{"identifier": {"system": LESION, "value": "L-1"}}],
}


# A record of each form that the resources beside are not of.
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("subject", {"study_id": "S-1", "sex": "female", "status": "on_study"}),
    ("consent", {"consent_id": "C-1", "scope": "study_data", "status": "active"}),
    ("imaging", {"imaging_id": "I-1", "modality": "xray"}),
    ("medication", {"medication_id": "M-1", "agent": "denosumab"}),
    ("assessment", {"assessed_on": "2026-03-09", "mode": "paper"}),
    ("follow_up", {"seen_on": "2026-03-10"}),
    ("care_team", {"member_id": "T-1", "role": "medical_oncology"}),
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return databases.settings(tmp_path / "data", max_body=200_000, rate="")


def opened(settings: Settings) -> Sender:
    """A client of the site alpha; subject S-1 is enrolled there under the number 4711."""
    sender = Sender.at(create_app(settings), "alpha")
    sender.enrol("S-1", "4711")
    return sender


@pytest.fixture
def door(settings: Settings) -> Iterator[Sender]:
    sender = opened(settings)
    yield sender
    sender.service.registry.close()


@pytest.fixture
def whole(full: Sender) -> Sender:
    """And a resource of every type that the study writes of a subject."""
    for form, fields in OTHERS:
        made = encode(mappings(), Record("S-1", form, fields), patient=whose())
        answer = full.push(*(one.resource for one in made))
        assert "applied" in full.fates(answer), full.receipt(answer)
    return full


@pytest.fixture
def full(door: Sender) -> Sender:
    return furnished(door)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    """As `full`, for tests that only read."""
    folder = tmp_path_factory.mktemp("still")
    sender = furnished(
        opened(databases.settings(folder / "data", kept=True, max_body=200_000, rate=""))
    )
    yield sender
    sender.service.registry.close()


def furnished(door: Sender) -> Sender:
    """Five days of pain scores, a lesion and an operation of S-1; a lesion of S-2."""
    door.enrol("S-2", "4712")
    other = {"identifier": {"system": MRN, "value": "4712"}}
    scores = [score(day, effectiveDateTime=f"2026-03-0{day}") for day in range(1, 6)]
    theirs = lesion(subject=other, identifier=[], bodySite=[concept(SCT, "12611008")])
    theirs.pop("identifier")
    answer = door.push(
        person(gender="female", birthDate="1950"), *scores, lesion(), OPERATION, theirs
    )
    assert door.fates(answer) == ["applied"] * 9
    return door
