"""Options of the whole test suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--variation-cases",
        metavar="FILE",
        help="another file of variation cases, of the form of tests/mapping/variation-cases.json",
    )
