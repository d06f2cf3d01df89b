"""Connections by hand: what is set of them is kept, shown and refused with what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import databases
from tests.commands.typed import typed


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIRBRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FHIRBRIDGE_DATABASE", databases.setting(tmp_path / "data"))
    typed("site", "add", "north")
    typed("connection", "add", "h", "http://127.0.0.1:9/fhir", "--site", "north")


def test_what_is_set_is_kept_and_listed() -> None:
    assert (
        typed("connection", "set", "h", "page_size=50", "--site", "north").out == "page_size=50\n"
    )
    listed = typed("connection", "list", "--site", "north").out
    assert listed == "h: http://127.0.0.1:9/fhir login none page_size=50\n"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("page_size", "write it as OPTION=VALUE"),
        ("page_size=many", "give a number"),
        ("pages=1", "use one of page_size"),
    ],
)
def test_what_is_no_option_is_refused_with_what_would_be(given: str, told: str) -> None:
    said = typed("connection", "set", "h", given, "--site", "north")
    assert (said.code != 0, told in said.err) == (True, True)
