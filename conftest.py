"""Options of the whole test suite; beside `tests`, so that pytest finds them wherever it starts."""

from __future__ import annotations

import os
import signal
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import pytest

from fhirbridge import pytest_options
from fhirbridge.registry import Registry
from tests import databases, postgres

_SERVING = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    if not pluginmanager.is_registered(pytest_options):  # the package is not installed
        pytest_options.pytest_addoption(parser)
    parser.addoption(
        "--examples",
        type=int,
        default=5,
        metavar="N",
        help="requests of each operation that tests/web/test_schemathesis.py thinks of",
    )
    parser.addoption(
        "--schedules",
        type=int,
        default=3,
        metavar="N",
        help="random schedules of jobs that tests/jobs/test_random_schedules.py tries",
    )
    parser.addoption(
        "--schedule-seed",
        type=int,
        default=None,
        metavar="S",
        help="the seed of a run of them that failed",
    )
    parser.addoption(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="what the registry's tests run on; a PostgreSQL is started and ended for them",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start the server, once: processes of xdist inherit where it is."""
    os.environ.setdefault("FHIRBRIDGE_NETWORKS", "127.0.0.1/32")  # where the tests' hospitals are
    config.stash[_SERVING] = ExitStack()
    if config.getoption("--database") == "postgresql" and not databases.on_postgresql():
        # Told to end, as by `timeout`, pytest ends as by Ctrl-C: it takes the server with it.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        url = config.stash[_SERVING].enter_context(postgres.running())
        os.environ[databases.SERVER] = url.render_as_string()
        config.stash[_SERVING].callback(os.environ.pop, databases.SERVER)


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_SERVING].close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What SQLite has no word for is left out there; what is SQLite's own is told as skipped."""
    if not databases.on_postgresql():
        foreign = [item for item in items if item.get_closest_marker("postgresql_only")]
        config.hook.pytest_deselected(items=foreign)
        items[:] = [item for item in items if item not in foreign]


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("sqlite_only")
    if marker and databases.on_postgresql():
        pytest.skip(f"SQLite only: {marker.kwargs['reason']}")


@pytest.fixture(scope="session")
def opened() -> Iterator[weakref.WeakSet[Registry]]:
    """Every registry that was opened and still lives."""
    made: weakref.WeakSet[Registry] = weakref.WeakSet()
    begin = Registry.__init__

    def remembered(self: Registry, *args: Any, **more: Any) -> None:
        begin(self, *args, **more)
        made.add(self)

    with patch.object(Registry, "__init__", remembered):
        yield made


@pytest.fixture(autouse=True)
def only_the_chosen_database(
    request: pytest.FixtureRequest, opened: weakref.WeakSet[Registry]
) -> Iterator[None]:
    """On PostgreSQL nothing of a test is left, and none that forgot to ask runs on SQLite."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if databases.on_postgresql():
        for registry in [*opened]:
            registry.close()  # one that is used again connects again
        databases.drop_mine()
        assert folder is None or [*folder.rglob("registry.db")] == [], "it ran on SQLite"
