"""A plugin of pytest: the option that names another file of variation cases.

Installed as an entry point, because pytest knows an option's value from a path only if it knew the
option before it looks for tests.
"""

from __future__ import annotations

from typing import Any

OPTION = "--variation-cases"
CSV = "--csv-cases"


def pytest_addoption(parser: Any) -> None:
    parser.addoption(
        OPTION,
        metavar="FILE",
        help="another file of variation cases, of the form of tests/mapping/variation-cases.json",
    )
    parser.addoption(
        CSV,
        metavar="FILE",
        help="another file of cases of tables, of the form of tests/formats/csv-cases/cases.json,"
        " with its files beside it",
    )
    parser.addoption(
        "--hl7v2-cases",
        metavar="FILE",
        help="another file of HL7 v2 cases, of the form of tests/hl7v2/cases.json",
    )
