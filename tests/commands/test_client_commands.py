"""`fhirbridge client`: API keys, and clients that sign."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fhirbridge.app import create_app
from fhirbridge.settings import Settings
from tests import databases
from tests.commands.typed import Said, typed
from tests.web.sender import Sender
from tests.web.signing import BASE, Signing, ec, jwks, rsa


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("FHIRBRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FHIRBRIDGE_DATABASE", databases.setting(tmp_path / "data"))
    monkeypatch.setenv("FHIRBRIDGE_BASE_URL", BASE)
    assert typed("site", "add", "north").code == 0
    return Settings.from_environment()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    file.write_bytes(jwks(ec(), rsa()))
    return file


def client(command: str, *words: str | Path) -> Said:
    return typed("client", command, "lab", "--site", "north", *words)


def signing(settings: Settings, id: str) -> Signing:
    app = create_app(settings)
    return Signing(app, id, Sender(app, "north", "", ""))


def test_a_client_that_signs_is_added_used_and_revoked(settings: Settings, keys: Path) -> None:
    said = client("add", "--jwks", keys, "--scope", "system/Observation.rs system/Patient.read")
    assert said.code == 0
    assert said.lines[1].endswith(
        "the keys ec-0 (ES384), rsa-0 (RS384) and the scopes "
        "system/Observation.rs system/Patient.rs"
    )
    lab = signing(settings, said.out.strip())
    told = lab.ask(scope="system/*.rs").get_json()
    assert told["scope"] == "system/Observation.rs system/Patient.rs"
    bearing = lab.bearing("system/Patient.rs")
    assert bearing("GET", "/fhir/Patient").status_code == 200
    assert client("revoke").code == 0
    assert bearing("GET", "/fhir/Patient").status_code == 401
    assert lab.ask().status_code == 401
    lab.site.service.registry.close()


def test_a_client_that_publishes_its_keys_is_added_by_their_url(settings: Settings) -> None:
    said = client("add", "--jwks-url", "https://lab.example.org/jwks", "--scope", "system/*.rs")
    assert said.code == 0
    assert (
        "the keys that https://lab.example.org/jwks will say and the scopes system/*.rs" in said.err
    )
    registry = create_app(settings).extensions["fhirbridge"].registry
    with registry.read() as unit:
        kept = unit.signers.published(said.out.strip())
    assert (kept.url, kept.tried_at, kept.fresh_until) == (
        "https://lab.example.org/jwks",
        None,
        None,
    )
    registry.close()


def test_without_scopes_it_has_those_of_an_api_key(settings: Settings, keys: Path) -> None:
    assert client("add", "--jwks", keys).err.endswith("the scopes system/*.cruds\n")


def test_other_keys_take_the_place_of_the_old(
    settings: Settings, keys: Path, tmp_path: Path
) -> None:
    lab = signing(settings, client("add", "--jwks", keys).out.strip())
    bearing = lab.bearing()
    (tmp_path / "new.json").write_bytes(jwks(ec(1)))
    said = client("keys", "--jwks", tmp_path / "new.json")
    assert (said.code, said.out) == (0, "client lab has the keys ec-1 (ES384)\n")
    assert bearing("GET", "/fhir/Patient").status_code == 401
    assert lab.ask().status_code == 401
    lab.key = ec(1)
    assert lab.ask().status_code == 200
    lab.site.service.registry.close()


def test_an_api_key_is_as_it_was(settings: Settings) -> None:
    key = client("add").out.strip()
    app = create_app(settings)
    sender = Sender(app, "north", "", key)
    assert sender("GET", "/fhir/Patient").status_code == 200
    said = client("keys", "--jwks", Path(__file__))
    assert (said.code, said.out) == (1, "")
    assert client("revoke").code == 0
    assert sender("GET", "/fhir/Patient").status_code == 401
    sender.service.registry.close()


def test_without_our_own_url_it_is_said_that_no_tokens_are_given(
    settings: Settings, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FHIRBRIDGE_BASE_URL")
    assert "set FHIRBRIDGE_BASE_URL" in client("add", "--jwks", keys).err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--scope", "system/*.rs"), "an API key has every scope -> give --jwks too"),
        (
            ("--jwks", "KEYS", "--scope", "patient/*.rs"),
            "scope patient/*.rs: it is no system scope",
        ),
        (("--jwks", "KEYS", "--scope", "system/Observaton.rs"), "R4 has no resource type"),
        (("--jwks", "KEYS", "--jwks-url", "https://lab.example.org/k"), "give one of --jwks and"),
        (("--jwks-url", "http://lab.example.org/k"), "is not https -> give an https URL, or name"),
        (("--jwks-url", "https://a:b@lab.example.org/k"), "holds a user name or password"),
        (("--jwks", "PRIVATE"), "keys[0]: it holds private or secret parts: d -> make a new key"),
    ],
)
def test_what_is_refused(
    settings: Settings, keys: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    private = json.dumps({"keys": [ec(2).as_dict(private=True)]})
    (tmp_path / "private.json").write_text(private, encoding="utf-8")
    files = {"KEYS": str(keys), "PRIVATE": str(tmp_path / "private.json")}
    said = client("add", *(files.get(word, word) for word in words))
    assert (said.code, said.out) == (1, "")
    assert told in said.err
    assert str(ec(2).as_dict(private=True)["d"]) not in said.err


def test_sites_and_clients_are_listed_without_a_secret(settings: Settings, keys: Path) -> None:
    key = typed("client", "add", "engine", "--site", "north").out.strip()
    client("add", "--jwks", keys, "--scope", "system/*.rs")
    client("revoke")
    said = typed("client", "list", "--site", "north").out
    prefix, secret = key.split("_")[1:]
    assert f"engine: fb_{prefix}_..." in said
    assert secret not in said
    assert "system/*.rs; revoked" in said
    told = typed("site", "list").out
    assert told == "north: unmatched hold, consent by enrolment; 0 enrolled, 0 waiting\n"
