"""Requests that a machine thinks of: to the JSON API by its own document, to the FHIR door by HL7's.

A few of each by default; more by the option `--examples N`.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as drawn
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fhirbridge.app import create_app
from tests import databases
from tests.hapi import fhir_packages
from tests.web.sender import LESION, Sender, concept, lesion, score

CONFORMS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SURVIVES = [schemathesis.checks.not_a_server_error]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    """Something of every noun, and no limit on the number of requests."""
    data = tmp_path_factory.mktemp("data")
    app = create_app(databases.settings(data, kept=True, rate="", login_rate=""))
    door = Sender.at(app, "alpha")
    door.enrol("S-1", "4711")
    door.push(lesion(), score(3, id="o1"), score(code=concept("urn:local", "NRS-1"), id="o9"))
    door.push(score(6, id="o2"))
    yield door
    door.service.registry.close()


def asking(door: Sender) -> dict[str, str]:
    """Schemathesis unpacks no answer that comes from an application in its own process."""
    return {"Authorization": f"Bearer {door.key}", "Accept-Encoding": "identity"}


def ask_everything(schema: BaseSchema, door: Sender, *, checks: list[Any], most: int) -> int:
    """Every operation of the document, `most` times each; the number of requests."""
    headers = asking(door)
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @drawn(
            max_examples=most,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=[*HealthCheck],
        )
        def ask(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(headers=headers, checks=checks)

        ask()
    return asked


def test_the_json_api_answers_as_its_document_says(
    furnished: Sender, pytestconfig: pytest.Config
) -> None:
    most = pytestconfig.getoption("--examples")
    headers = asking(furnished)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", furnished.app, headers=headers)
    assert ask_everything(schema, furnished, checks=CONFORMS, most=most) > 15


def test_the_json_api_answers_for_what_is_there_as_its_document_says(furnished: Sender) -> None:
    """The ids that a machine thinks of are of nothing; these are not."""
    headers = asking(furnished)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", furnished.app, headers=headers)
    paths, asked = schema.raw_schema["paths"], 0
    for noun in ("receipts", "messages", "quarantine", "records", "proposals", "subjects"):
        page = schema[f"/api/v1/{noun}"]["GET"].Case(query={"limit": 1})
        item = page.call_and_validate(headers=headers, checks=CONFORMS).json()["items"][0]
        name = "study_id" if noun == "subjects" else "id"
        for below in ("", "/body", "/history"):
            path = f"/api/v1/{noun}/{{{name}}}{below}"
            if path in paths:
                case = schema[path]["GET"].Case(path_parameters={name: item[name]})
                answer = case.call_and_validate(headers=headers, checks=CONFORMS)
                assert answer.status_code == 200
                asked += 1
    assert asked == 8
    found = schema["/api/v1/receipts"]["GET"].Case(query={"identifier": f"{LESION}|L-1"})
    assert found.call_and_validate(headers=headers, checks=CONFORMS).json()["items"]


def alone(part: Any) -> Any:
    """Without the schemas that stand on other servers: no test asks a network for them."""
    if isinstance(part, dict):
        foreign = str(part.get("$ref", "")).startswith("http")
        return {"type": "object"} if foreign else {name: alone(one) for name, one in part.items()}
    return [alone(one) for one in part] if isinstance(part, list) else part


def mcode_documents() -> dict[str, dict[str, Any]]:
    """HL7's OpenAPI documents of mCODE, with our base as their server."""
    made = {}
    with tarfile.open(fhir_packages.mcode()) as archive:
        for name in sorted(archive.getnames()):
            file = archive.extractfile(name) if name.startswith("package/openapi/") else None
            if file is not None and name.endswith(".json"):
                document = alone(json.loads(file.read().decode("utf-8-sig")))
                if "paths" in document:  # those of receivers name none
                    made[Path(name).name] = {**document, "servers": [{"url": "/fhir"}]}
    return made


@pytest.mark.npm
def test_mcodes_openapi_documents_find_no_server_error(
    furnished: Sender, pytestconfig: pytest.Config
) -> None:
    most = pytestconfig.getoption("--examples")
    documents = mcode_documents()
    asked = 0
    for document in documents.values():
        schema = schemathesis.openapi.from_dict(document)
        schema.app = furnished.app
        asked += ask_everything(schema, furnished, checks=SURVIVES, most=most)
    assert len(documents) == 5
    assert asked > 14
