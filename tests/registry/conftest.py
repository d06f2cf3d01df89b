"""A registry in a file, a clock that ticks and ids that count; all values are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from fhirbridge.registry import Registry
from tests import databases

KEY = bytes(range(32))


def ticking() -> Callable[[], datetime]:
    """Each look at the clock is a second later than the one before."""
    seconds = count()
    return lambda: datetime(2024, 5, 1, tzinfo=UTC) + timedelta(seconds=next(seconds))


def counting() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"id-{next(numbers):04}"


@pytest.fixture
def key() -> bytes:
    return KEY


@pytest.fixture
def url(tmp_path: Path) -> str:
    return databases.url(tmp_path / "store")


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    opened = Registry.open(url, key=KEY, clock=ticking(), ids=counting())
    yield opened
    opened.close()


def add_site(registry: Registry, name: str) -> str:
    with registry.unit() as unit:
        site = unit.sites.add(name)
        unit.commit()
    return site.id


@pytest.fixture
def alpha(registry: Registry) -> str:
    return add_site(registry, "Alpha")


@pytest.fixture
def beta(registry: Registry) -> str:
    return add_site(registry, "Beta")
