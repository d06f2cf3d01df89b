from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from fhirbridge.sandbox.server import Hospital
from tests.sandbox.speaker import Speaker


class Clock:
    """Moves only when told to."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **units: float) -> None:
        self.moment += timedelta(**units)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hospital(clock: Clock) -> Hospital:
    """A hospital with one synthetic patient."""
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": "urn:mrn", "value": "1001"}],
    }
    return Hospital([patient], clock=clock, page_size=3)


@pytest.fixture
def speak(hospital: Hospital) -> Iterator[Speaker]:
    with hospital.running() as base:
        yield Speaker(base)
