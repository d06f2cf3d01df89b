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


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.1/fhir",
        "http://0177.0.0.1/fhir",
        "http://2130706433/fhir",
        "http://[64:ff9b::a9fe:a9fe]/fhir",
        "file:///etc/passwd",
        "https://good@evil/fhir",
        "http://10.20.0.5/fhir",
    ],
)
def test_x01_no_spelling_of_an_inner_address_is_kept(url: str) -> None:
    said = typed("connection", "add", "inner", url, "--site", "north")
    assert said.code != 0
    assert "inner" not in typed("connection", "list", "--site", "north").out


def test_x02_a_private_network_is_named_on_the_command_line() -> None:
    url = "http://10.20.0.5/fhir"
    refused = typed("connection", "add", "vpn", url, "--site", "north", "--network", "10.21.0.0/16")
    assert "a private address" in refused.err
    assert "--network 10.20.0.0/16" in refused.err
    added = typed("connection", "add", "vpn", url, "--site", "north", "--network", "10.20.0.0/16")
    assert added.code == 0
    assert "networks=10.20.0.0/16" in typed("connection", "list", "--site", "north").out
    wrong = typed("connection", "set", "vpn", "networks=everything", "--site", "north")
    assert "holds no network" in wrong.err
    metadata = "http://169.254.169.254/fhir"
    every = ("--site", "north", "--network", "0.0.0.0/0")
    assert "metadata" in typed("connection", "add", "cloud", metadata, *every).err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--auth", "bearer"), "its secret"),
        (("--auth", "smart"), "--client-id"),
        (("--auth", "oauth2", "--secret", "s"), "--client-id"),
        (("--auth", "smart", "--client-id", "us", "--secret", "s"), "has no secret"),
    ],
)
def test_a_login_that_is_not_whole_is_refused(words: tuple[str, ...], told: str) -> None:
    said = typed("connection", "add", "x", "http://127.0.0.1:9/fhir", "--site", "north", *words)
    assert (said.code != 0, told in said.err) == (True, True)
