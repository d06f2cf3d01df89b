"""The world of the cases, its mappings read once a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.formats import fhir_json
from fhirbridge.library import Library
from tests.hl7v2 import world

Open = Callable[..., AbstractContextManager[world.World]]


@pytest.fixture(scope="session")
def libraries() -> dict[bytes, Library]:
    return {}


@pytest.fixture
def play(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    libraries: dict[bytes, Library],
) -> Open:
    """A site in the world of the cases, with what is changed of that."""

    def opened(own: dict[str, Any] | None = None) -> AbstractContextManager[world.World]:
        told = world.merged(world.read(world.WORLD), own or {})
        name = fhir_json.canonical(
            told["connection"] | {"crosswalks": told["crosswalk_observations"]}
        )
        if name not in libraries:
            libraries[name] = world.library(tmp_path_factory.mktemp("site"), told)
        return world.opened(tmp_path, told, libraries[name])

    return opened


@pytest.fixture
def here(play: Open) -> Iterator[world.World]:
    with play() as made:
        yield made
