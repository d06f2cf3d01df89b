"""Options of the whole test suite; beside `tests`, so that pytest finds them wherever it starts."""

from __future__ import annotations

import pytest

from fhirbridge import pytest_options


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    if not pluginmanager.is_registered(pytest_options):  # the package is not installed
        pytest_options.pytest_addoption(parser)
