"""A connection that signs, from onboarding to its check, over real sockets. All data are synthetic."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.app import create_app
from fhirbridge.formats import fhir_json
from fhirbridge.sandbox.patients import hospital_resources
from fhirbridge.sandbox.server import Hospital
from fhirbridge.sandbox.smart import Smart
from fhirbridge.settings import Settings
from tests import databases
from tests.commands.typed import Said, typed

SITE = ("--site", "north")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("FHIRBRIDGE_DATA", str(folder))
    monkeypatch.setenv("FHIRBRIDGE_DATABASE", databases.setting(folder))
    typed("site", "add", "north")
    return folder


class There:
    """A hospital that knows us by the keys that we show it."""

    def __init__(self, **more: Any) -> None:
        self.jwks = b'{"keys":[]}'
        self.smart = Smart("us", lambda: self.jwks, **more)
        self.hospital = Hospital(hospital_resources(2), smart=self.smart)
        self.base = self.hospital.start()

    def add(self, name: str, *words: str) -> Said:
        login = ("--auth", "smart", "--client-id", "us")
        return typed("connection", "add", name, self.base, *SITE, *login, *words)

    def register(self, name: str) -> dict[str, Any]:
        """As the hospital's IT does with what `key show` prints."""
        self.jwks = typed("connection", "key", "show", name, *SITE).out.encode()
        return fhir_json.parse(self.jwks)

    def asked(self) -> list[str]:
        return [r.path for r in self.hospital.requests]


@pytest.fixture
def there() -> Iterator[There]:
    made = There()
    yield made
    made.hospital.stop()


def steps(name: str, *words: str) -> tuple[int, dict[str, dict[str, str]], dict[str, Any]]:
    said = typed("connection", "check", name, *SITE, "--json", *words)
    told = json.loads(said.out)
    return said.code, {step["name"]: step for step in told["steps"]}, told


def test_a06_each_connection_has_its_own_keys_and_shows_public_parts(
    there: There, data: Path
) -> None:
    added = there.add("ward")
    assert f"tokens come from {there.base.replace('/fhir', '/oauth/token')}" in added.out
    there.add("clinic")
    kids = {name: there.register(name)["keys"] for name in ("ward", "clinic")}
    assert {len(keys) for keys in kids.values()} == {1}
    assert kids["ward"][0]["kid"] != kids["clinic"][0]["kid"]
    app = create_app(Settings(data=data, database=databases.setting(data)))
    url = re.search(r"/connections/[0-9a-f-]{36}/jwks.json", added.err)
    assert url is not None
    with app.test_client() as web:
        shown = web.get(url[0])  # without any key of ours
        assert shown.get_json() == {"keys": kids["ward"]}
        assert {*shown.get_json()["keys"][0]} == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert shown.headers["Cache-Control"] == "public, max-age=3600"
        rotated = typed("connection", "key", "rotate", "ward", *SITE)
        both = web.get(url[0]).get_json()
        strangers = [web.get(f"/connections/{id}/jwks.json") for id in ("x", "0" * 36)]
    app.extensions["fhirbridge"].registry.close()
    assert both["keys"][0]["kid"] == kids["ward"][0]["kid"]
    assert (len(both["keys"]), json.loads(rotated.out)) == (2, both)
    assert [answer.status_code for answer in strangers] == [404, 404]
    assert "waits for its turn" in typed("connection", "key", "rotate", "ward", *SITE).err


def test_the_private_key_is_sealed(there: There, data: Path) -> None:
    there.add("ward")
    if not databases.on_postgresql():
        assert b'"d":' not in (data / "registry.db").read_bytes()


def test_a_check_of_a_hospital_that_has_registered_us_is_well(there: There) -> None:
    there.add("ward")
    early = steps("ward")[1]  # not registered yet
    assert (early["metadata"]["state"], early["login"]["state"]) == ("ok", "failed")
    assert "the rest" in early
    there.register("ward")
    code, told, whole = steps("ward")
    assert code == 0
    assert told["login"]["told"].startswith("a token came, with all that was asked")
    assert {one["why_not"] for one in whole["coverage"]} == {""}
    assert there.smart.granted[-1] == (
        "system/Condition.rs system/Consent.rs system/DiagnosticReport.rs system/Encounter.rs"
        " system/ImagingStudy.rs system/MedicationAdministration.rs system/MedicationRequest.rs"
        " system/Observation.crus system/Patient.rs system/Procedure.rs"
        " system/QuestionnaireResponse.rs"
    )


def test_a02_what_is_not_granted_is_told_with_what_it_costs() -> None:
    there = There(most="system/Patient.rs system/Observation.rs")
    there.add("ward")
    there.register("ward")
    code, told, whole = steps("ward")
    there.hospital.stop()
    assert code == 0
    assert told["login"]["state"] == "warning"
    assert "not granted: reading Condition" in told["login"]["told"]
    assert "not granted: writing Observation" in told["login"]["told"]
    lost = {f"{c['form']}.{c['field']}": c["why_not"] for c in whole["coverage"] if c["why_not"]}
    assert "Procedure: our scopes do not open it" in lost["surgery.performed_on"]
    assert "assessment.ecog" not in lost
    assert [r.status for r in there.hospital.requests if r.status == 403] == []


def test_a05_a_moved_token_url_fails_the_check_and_is_not_asked(there: There) -> None:
    there.add("ward")
    there.register("ward")
    evil = There()
    there.smart.endpoint = f"{evil.base}/token"
    code, told, _ = steps("ward")
    evil.hospital.stop()
    assert code == 1
    assert "names another token URL" in told["token URL"]["told"]
    assert told["login"]["state"] == "ok"  # the pinned one
    assert evil.asked() == []


def test_x09_a_server_that_names_anothers_token_url_is_not_added(there: There) -> None:
    other = There(endpoint=f"{there.base}/token")
    said = other.add("ward")
    other.hospital.stop()
    assert "at another origin" in said.err
    assert typed("connection", "list", *SITE).out == ""


def test_a_server_without_a_configuration_needs_the_token_url() -> None:
    hospital = Hospital()
    with hospital.running() as base:
        login = ("--auth", "oauth2", "--client-id", "us", "--secret", "s")
        said = typed("connection", "add", "ward", base, *SITE, *login)
        assert "--token-url" in said.err
        given = ("--token-url", base.replace("/fhir", "/token"))
        assert typed("connection", "add", "ward", base, *SITE, *login, *given).code == 0
