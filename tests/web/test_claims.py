"""R17: every claim of the CapabilityStatement has a caller here, and is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fhirclient.models.capabilitystatement import CapabilityStatement

from fhirbridge.fhir import capability
from fhirbridge.fhir.validate import validate
from fhirbridge.outcome import failed
from fhirbridge.web.reading import RELEASED
from tests.web.sender import Sender, bundle, found, person, score, whose
from tests.web.test_bundles import message

Claim = tuple[str, str, Any]  # type or "", name, value

# What describes and claims nothing that could be called.
TOLD = {
    "resourceType", "status", "date", "kind", "software", "implementation", "fhirVersion",
    "mode", "documentation", "security", "type",
}  # fmt: skip
SAMPLES = {"token": "x", "reference": "Patient/1", "date": "2026"}


def claims(statement: dict[str, Any]) -> Iterator[Claim]:
    """Every property that is not only told, of the server and of each of its types."""
    for part in (statement, statement["rest"][0]):
        yield from _of("", part, but={"rest", "resource"})
    for resource in statement["rest"][0]["resource"]:
        yield from _of(resource["type"], resource, but=set())


def _of(type: str, part: dict[str, Any], *, but: set[str]) -> Iterator[Claim]:
    for name, value in part.items():
        if name in TOLD | but:
            continue
        for one in value if isinstance(value, list) else [value]:
            if name in ("interaction", "operation"):
                yield type, f"{name}:{one.get('code') or one['name']}", one
            else:
                yield type, name, one


def _first(door: Sender, type: str) -> dict[str, Any]:
    if type == "Provenance":
        patient = found(door, "Patient?_count=1")[0]
        return found(door, f"Provenance?target=Patient/{patient['id']}")[0]
    return found(door, f"{type}?_count=1")[0]


def _read(door: Sender, type: str, _: Any) -> None:
    one = _first(door, type)
    assert door("GET", f"/fhir/{type}/{one['id']}").get_json() == one


def _vread(door: Sender, type: str, _: Any) -> None:
    one = _first(door, type)
    version = one["meta"]["versionId"]
    assert door("GET", f"/fhir/{type}/{one['id']}/_history/{version}").get_json() == one


def _history(door: Sender, type: str, _: Any) -> None:
    one = _first(door, type)
    told = door("GET", f"/fhir/{type}/{one['id']}/_history").get_json()
    assert (told["type"], told["entry"][0]["resource"]) == ("history", one)


def _create(door: Sender, type: str, _: Any) -> None:
    """What was read may be sent: it is known, whatever its fate."""
    answer = door("POST", f"/fhir/{type}", _first(door, type))
    assert answer.status_code in (200, 201, 202), answer.data


def _search(door: Sender, type: str, _: Any) -> None:
    one = _first(door, type)
    for answer in (
        door("GET", f"/fhir/{type}?_id={one['id']}"),
        door(
            "POST",
            f"/fhir/{type}/_search",
            f"_id={one['id']}".encode(),
            Content_Type="application/x-www-form-urlencoded",
        ),
    ):
        assert [entry["resource"] for entry in answer.get_json()["entry"]] == [one]


def _parameter(door: Sender, type: str, claim: dict[str, Any]) -> None:
    beside = "" if type != "Provenance" or claim["name"] == "target" else "&target=Patient/1"
    query = f"{claim['name']}={SAMPLES[claim['type']]}{beside}"
    answer = door("GET", f"/fhir/{type}?{query}")
    assert answer.status_code == 200, answer.data
    assert answer.get_json()["link"][0]["url"].count("=") == query.count("=")


def _include(door: Sender, type: str, claim: str) -> None:
    entries = door("GET", f"/fhir/{type}?_include={claim}").get_json()["entry"]
    patients = [e["resource"] for e in entries if e["search"]["mode"] == "include"]
    assert {p["resourceType"] for p in patients} == {"Patient"}


def _revinclude(door: Sender, type: str, claim: str) -> None:
    assert claim == "Provenance:target"
    entries = door("GET", f"/fhir/{type}?_revinclude={claim}").get_json()["entry"]
    modes = [entry["search"]["mode"] for entry in entries]
    assert modes.count("include") == modes.count("match") > 0


def _versioning(door: Sender, type: str, claim: str) -> None:
    one = _first(door, type)
    version = one["meta"].get("versionId")
    assert (version is not None) == (claim == "versioned-update")
    if version is not None:
        path = f"/fhir/{type}/{one['id']}"
        assert door("PUT", path, one, If_Match=f'W/"{version}"').status_code == 200
        assert door("PUT", path, one, If_Match='W/"77"').status_code == 412


def _read_history(door: Sender, type: str, claim: object) -> None:
    assert claim is True
    _vread(door, type, claim)


def _not_match(door: Sender, type: str, claim: str) -> None:
    assert claim == "not-match"
    path = f"/fhir/{type}/{_first(door, type)['id']}"
    etag = door("GET", path).headers["ETag"]
    same = door("GET", path, If_None_Match=f'W/"77", {etag}')
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", etag)
    assert door("GET", path, If_None_Match='W/"77"').status_code == 200


def _no_delete(door: Sender, type: str, claim: str) -> None:
    assert claim == "not-supported"
    assert door("DELETE", f"/fhir/{type}?_id=1").status_code == 405


def _format(door: Sender, type: str, claim: str) -> None:
    for answer in (
        door("GET", f"/fhir/Patient?_format={claim}"),
        door("GET", "/fhir/Patient", Accept=claim if "/" in claim else "application/json"),
    ):
        assert answer.content_type == "application/fhir+json; charset=utf-8"
        assert answer.status_code == 200


def _transaction(door: Sender, type: str, _: Any) -> None:
    told = door("POST", "/fhir", bundle(score(9))).get_json()
    assert told["type"] == "transaction-response"


def _batch(door: Sender, type: str, _: Any) -> None:
    told = door("POST", "/fhir", {**bundle(score(9)), "type": "batch"}).get_json()
    assert told["type"] == "batch-response"


def _process(door: Sender, type: str, _: Any) -> None:
    told = door("POST", "/fhir/$process-message", message(score(9))).get_json()
    assert (told["type"], told["entry"][0]["resource"]["response"]["code"]) == ("message", "ok")


def _update(door: Sender, type: str, _: Any) -> None:
    """Of what was read, unchanged: it stays as it is."""
    one = _first(door, type)
    answer = door("PUT", f"/fhir/{type}/{one['id']}", one)
    assert (answer.status_code, answer.get_json()) == (200, one)


def _update_creates(door: Sender, type: str, claim: object) -> None:
    """At a site that has nothing yet, under an id of the sender's own."""
    assert claim is True
    empty = Sender.at(door.app, f"beta {type}")
    empty.enrol("S-1", "4711")
    named = person()["identifier"] if type == "Patient" else _first(door, type)["identifier"]
    one = {**_first(door, type), "id": "mine", "identifier": named}
    for element in ("subject", "patient", "individual"):
        if element in one:
            one[element] = whose()
    answer = empty("PUT", f"/fhir/{type}/mine", one)
    there = type == "Patient"  # with the enrolment
    assert answer.status_code == (200 if there else 201), answer.data
    assert empty("GET", f"/fhir/{type}?_count=1").get_json()["entry"]


def _condition(door: Sender, type: str) -> tuple[dict[str, Any], str]:
    one = _first(door, type)
    names = one["identifier"]  # of a QuestionnaireResponse there is one
    name = names[0] if isinstance(names, list) else names
    return one, f"identifier={name['system']}|{name['value']}"


def _creates_once(door: Sender, type: str, claim: object) -> None:
    assert claim is True
    one, condition = _condition(door, type)
    again = door("POST", f"/fhir/{type}", one, If_None_Exist=condition)
    assert (again.status_code, again.get_json()) == (200, one)


def _updates_the_one(door: Sender, type: str, claim: object) -> None:
    assert claim is True
    one, condition = _condition(door, type)
    answer = door("PUT", f"/fhir/{type}?{condition}", one)
    assert (answer.status_code, answer.get_json()) == (200, one)


def _validate(door: Sender, type: str, _: Any) -> None:
    answer = door("POST", f"/fhir/{type}/$validate", _first(door, type))
    told = answer.get_json()
    assert (answer.status_code, told["resourceType"]) == (200, "OperationOutcome")
    assert "would" in told["issue"][0]["details"]["text"]


CALLERS: dict[str, Callable[[Sender, str, Any], None]] = {
    "interaction:read": _read,
    "interaction:vread": _vread,
    "interaction:history-instance": _history,
    "interaction:create": _create,
    "interaction:search-type": _search,
    "interaction:transaction": _transaction,
    "interaction:batch": _batch,
    "interaction:update": _update,
    "operation:process-message": _process,
    "operation:validate": _validate,
    "updateCreate": _update_creates,
    "conditionalCreate": _creates_once,
    "conditionalUpdate": _updates_the_one,
    "searchParam": _parameter,
    "searchInclude": _include,
    "searchRevInclude": _revinclude,
    "versioning": _versioning,
    "readHistory": _read_history,
    "conditionalRead": _not_match,
    "conditionalDelete": _no_delete,
    "format": _format,
}


def _statement(door: Sender) -> dict[str, Any]:
    return dict(door("GET", "/fhir/metadata", Authorization="").get_json())


def test_r17_every_claim_is_called(whole: Sender) -> None:
    for type, name, value in claims(_statement(whole)):
        assert name in CALLERS, f"{type} claims {name}, and nobody calls it"
        CALLERS[name](whole, type, value)


def test_r17_no_caller_without_a_claim(door: Sender) -> None:
    claimed = {name for _, name, _ in claims(_statement(door))}
    assert claimed == CALLERS.keys()


@pytest.mark.parametrize("token_url", ["", "https://fhirbridge.example.org/oauth/token"])
def test_the_statement_is_read_by_a_strict_parser_and_valid_r4(token_url: str) -> None:
    base = "https://fhirbridge.example.org/fhir"
    statement = capability.statement(
        base=base, version="1", date=RELEASED, max_body=10_000, token_url=token_url
    )
    CapabilityStatement(statement)
    assert not failed(validate(statement))


def test_x19_the_limits_stand_in_the_statement(door: Sender) -> None:
    told = _statement(door)["rest"][0]["documentation"]
    assert str(door.service.settings.max_body) in told
    assert "5000 entries" in told
