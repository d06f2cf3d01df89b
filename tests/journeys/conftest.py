from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hapi import server


@pytest.fixture(scope="session")
def hapi_server() -> Iterator[str]:
    """Base URL of a real HAPI FHIR server that knows mCODE and US Core; one for the session.

    It is not emptied between tests: use fresh identifiers.
    """
    with server.running() as base:
        yield base
