from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirbridge.app import create_app
from fhirbridge.settings import Settings
from tests import databases
from tests.web.sender import Sender


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return databases.settings(tmp_path / "data", max_body=200_000)


@pytest.fixture
def door(settings: Settings) -> Iterator[Sender]:
    """A client of the site alpha; subject S-1 is enrolled there under the number 4711."""
    app = create_app(settings)
    sender = Sender.at(app, "alpha")
    sender.enrol("S-1", "4711")
    yield sender
    sender.service.registry.close()
