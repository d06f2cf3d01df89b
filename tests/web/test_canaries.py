"""X31: two hundred names and numbers that are nobody's, through every error path of HTTP; what others
may see shows none of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from fhirbridge.app import create_app
from fhirbridge.registry.faults import transient
from fhirbridge.web import logs
from tests import databases
from tests.web.sender import LOINC, MRN, Sender, bundle, concept, lesion, person, score, whose
from tests.web.signing import BASE, Signing

CANARIES = [f"Kanarienvogel{n:03d}x{n * 7919 % 9973:04d}" for n in range(200)]
_next = iter(CANARIES * 50)
_sent: set[str] = set()


def canary() -> str:
    one = next(_next)
    _sent.add(one)
    return one


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    limits = {"max_body": 300_000, "rate": "", "login_rate": ""}
    made = create_app(databases.settings(tmp_path / "data", base_url=BASE, **limits))  # type: ignore[arg-type]
    yield made
    made.extensions["fhirbridge"].registry.close()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler, root = logs.handler(stream), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


def named(**more: Any) -> dict[str, Any]:
    """A Patient with a canary in every place that has a text."""
    name = {"family": canary(), "given": [canary()], "text": canary()}
    return person(canary(), name=[name], address=[{"line": [canary()], "city": canary()}], **more)


def broken_bodies() -> Iterator[Any]:
    """Messages that end in every way in which a push can end but by success."""
    yield f'{{"resourceType": "{canary()}'.encode()
    yield f'{{"{canary()}": 1, "{canary()}": 2}}'.encode()
    twice = canary()
    yield f'{{"{twice}": 1, "{twice}": 2}}'.encode()
    yield {"resourceType": canary()}
    yield {"resourceType": "Bundle", "type": canary()}
    yield bundle(named(gender=canary()))
    yield bundle(named(birthDate=canary()))
    yield bundle(named(**{canary(): 1}))
    yield bundle(named(contact=[{canary(): canary()}]))
    yield bundle(score(valueString=canary(), status=canary()))
    yield bundle(
        score(subject=whose(canary())), lesion(subject={"reference": f"Patient/{canary()}"})
    )
    yield bundle(score(subject={"display": canary()}), score(code={"text": canary()}))
    yield bundle(score(code=concept("urn:local", canary())), score(code=concept(canary(), "1")))
    yield bundle(named(extension=[{"url": canary(), "valueString": canary()}]))
    yield bundle({**score(), "valueQuantity": {"value": 1, "unit": canary()}})
    yield bundle({**score(), "note": [{"text": canary()}], "id": canary()})
    yield bundle(
        score(code=concept(LOINC, "883-9"), identifier=[{"system": MRN, "value": canary()}])
    )
    yield bundle(named(), named(identifier=[{"system": MRN, "value": "4711"}]))
    yield {
        **bundle(named()),
        "entry": [
            {
                "fullUrl": canary(),
                "resource": named(),
                "request": {"method": "DELETE", "url": f"Patient/{canary()}"},
            }
        ],
    }
    yield {
        **bundle(),
        "identifier": {"system": "urn:x", "value": canary()},
        "entry": [{"resource": {"resourceType": "Patient", "id": canary() * 9}}],
    }
    yield b" " * 300_001 + canary().encode()
    yield json.dumps({"resourceType": "Bundle", "entry": [canary()] * 6000}).encode()


def urls() -> Iterator[tuple[str, str]]:
    for path in (
        "/fhir/Patient?identifier={}|{}", "/fhir/Patient?{}=1", "/fhir/Patient?name={}", "/fhir/Patient/{}",
        "/fhir/{}", "/fhir/{}/{}", "/fhir/Observation?date={}", "/fhir/Observation?_count={}", "/fhir/Patient/{}/_history",
        "/fhir/Observation?_format={}", "/receipts/{}", "/{}", "/api/v1/{}", "/api/v1/receipts?identifier={}|{}",
        "/api/v1/receipts?{}=x", "/api/v1/receipts?after={}", "/api/v1/messages/{}", "/api/v1/messages/{}/body", "/api/v1/quarantine/{}",
        "/api/v1/subjects/{}", "/api/v1/records/{}/history", "/api/v1/proposals/{}", "/oauth/token?x={}",
    ):  # fmt: skip
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            yield method, path.format(canary(), canary())


def storm(sender: Sender) -> Iterator[TestResponse]:
    """Everything that can go wrong at the door, and how it was answered."""
    for body in broken_bodies():
        yield sender("POST", "/fhir", body)
        yield sender("POST", "/fhir", body, Idempotency_Key=canary(), If_None_Exist=canary())
        yield sender("POST", "/fhir/Patient", body, Content_Type=f"text/{canary()}")
        yield sender("POST", "/fhir/Observation", body, X_Request_Id=canary())
        yield sender("POST", "/api/v1/proposals/1/accept", body, Content_Type="application/json")
    for method, url in urls():
        yield sender(method, url, {"by": canary(), canary(): canary()}, Prefer=canary())
        yield sender(
            method,
            url,
            f"identifier={canary()}&{canary()}=1".encode(),
            Content_Type="application/x-www-form-urlencoded",
        )
    for header in (
        {"Authorization": f"Bearer fb_{canary()}_{canary()}"},
        {"Authorization": f"Basic {canary()}"},
        {"Authorization": "", "X_API_Key": canary()},
    ):
        yield sender("GET", "/fhir/Patient", **header)
    lab = Signing(sender.app, canary(), sender)
    for form in (
        {},
        {"scope": canary()},
        {"grant_type": canary()},
        {"client_assertion": canary()},
        {canary(): canary()},
    ):
        yield lab.ask(**form)


def found(text: str) -> list[str]:
    return [one for one in CANARIES if one in text]


def seen_by(other: Sender) -> str:
    """Everything that another client can read."""
    paths = [
        "/fhir/metadata",
        "/metrics",
        "/readyz",
        "/receipts/x",
        "/fhir/Observation",
        "/fhir/Condition",
        "/fhir/Patient",
    ]
    paths += [
        f"/api/v1/{noun}?limit=500"
        for noun in ("receipts", "messages", "quarantine", "subjects", "records", "proposals")
    ]
    answers = [other("GET", path) for path in paths]
    assert {a.status_code for a in answers} <= {200, 403, 404}
    return " ".join(f"{a.text} {a.headers}" for a in answers)


def test_x31_what_goes_wrong_shows_no_one_to_others(app: Flask, logged: io.StringIO) -> None:
    sender = Sender.at(app, "alpha")
    sender.enrol("S-1", "4711")
    other = Sender.at(app, "beta")
    narrow = Signing.at(sender, name="narrow").bearing("system/Observation.cu")
    answers = list(storm(sender))
    codes = {answer.status_code for answer in answers}
    assert codes >= {400, 401, 404, 405, 413, 415}, "the storm must reach every kind of refusal"
    assert not {code for code in codes if code >= 500}
    assert _sent == {*CANARIES}
    assert found(seen_by(other)) == []
    assert found(seen_by(narrow)) == []
    assert found(app.test_client().get("/metrics").text) == []
    lines = logged.getvalue()
    assert len(lines.splitlines()) > len(answers)
    assert found(lines) == []


# What breaks inside, with a canary in its text; and where.
DEFECTS: list[tuple[str, Callable[[], Exception]]] = [
    ("a defect", lambda: RuntimeError(canary())),
    ("a key error", lambda: KeyError(canary())),
    ("a chain", lambda: ExceptionGroup(canary(), [ValueError(canary())])),
    ("an assertion", lambda: AssertionError(canary())),
    ("a busy database", lambda: transient("the database is locked")),
]


@pytest.mark.parametrize("make", [d[1] for d in DEFECTS], ids=[d[0] for d in DEFECTS])
@pytest.mark.parametrize("where", ["keep", "search", "get"])
def test_x31_a_defect_shows_nobody_to_anyone(
    app: Flask,
    logged: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], Exception],
    where: str,
) -> None:
    sender = Sender.at(app, "alpha")
    sender.enrol("S-1", "4711")

    def broken(*_: object, **__: object) -> None:
        raise make()

    places = {
        "keep": "fhirbridge.registry.messages.Messages.keep",
        "search": "fhirbridge.registry.resources.Resources.search",
        "get": "fhirbridge.registry.resources.Resources.get",
    }
    monkeypatch.setattr(places[where], broken)
    asks = {
        "keep": lambda: sender("POST", "/fhir", bundle(named())),
        "search": lambda: sender("GET", f"/fhir/Patient?identifier=x|{canary()}"),
        "get": lambda: sender("GET", f"/fhir/Patient/{canary()}"),
    }
    answer = asks[where]()
    assert answer.status_code in (500, 503)
    assert found(answer.text) == found(logged.getvalue()) == []
    assert "Traceback" not in answer.text + logged.getvalue()


def test_x31_the_error_of_a_broken_database_names_no_value(app: Flask, logged: io.StringIO) -> None:
    sender = Sender.at(app, "alpha")
    with sender.service.registry.connect(writes=True) as connection:
        connection.exec_driver_sql("DROP TABLE quarantine")
        connection.commit()
    answer = sender.push(score(subject=whose(canary()), id=canary()))
    assert answer.status_code == 500
    assert found(answer.text) == found(logged.getvalue()) == []


def test_x31_a_canary_that_gets_out_is_seen() -> None:
    assert found(f"... {CANARIES[17]} ...") == [CANARIES[17]]
    assert len(set(CANARIES)) == 200
