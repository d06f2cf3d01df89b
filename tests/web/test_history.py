"""What a resource was, who made it so, and what is answered for what is gone or not ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fhirbridge.fhir.search_parameters import PARAMETERS
from fhirbridge.fhir.validate import validate
from fhirbridge.outcome import failed
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.sync import provenance
from tests.web.sender import SCT, Sender, concept, found, lesion, score

VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-provenance"
BONES = ("71341001", "12611008", "85050009")


@pytest.fixture
def path(door: Sender) -> str:
    """A lesion whose bone was corrected twice: three versions."""
    for bone in BONES:
        assert door.fates(door.push(lesion(bodySite=[concept(SCT, bone)]))) == ["applied"]
    return f"/fhir/Condition/{found(door, 'Condition')[0]['id']}"


def bones(*resources: dict[str, Any]) -> list[str]:
    return [one["bodySite"][0]["coding"][0]["code"] for one in resources]


def history(door: Sender, path: str, query: str = "") -> dict[str, Any]:
    answer = door("GET", f"{path}/_history{query}")
    assert answer.status_code == 200, answer.data
    told = dict(answer.get_json())
    assert not failed(validate(told)), validate(told)
    return told


def withdraw(door: Sender) -> None:
    door.push(lesion(verificationStatus=concept(VERIFIED, "entered-in-error")))


def test_every_version_is_read_as_it_was(door: Sender, path: str) -> None:
    answers = [door("GET", f"{path}/_history/{number}") for number in (1, 2, 3)]
    assert [a.headers["ETag"] for a in answers] == ['W/"1"', 'W/"2"', 'W/"3"']
    assert bones(*(a.get_json() for a in answers)) == list(BONES)
    assert [a.get_json()["meta"]["versionId"] for a in answers] == ["1", "2", "3"]
    assert answers[2].get_json() == door("GET", path).get_json()
    assert answers[0].headers["Location"].endswith("/_history/1")


def test_a_version_that_is_not_known_is_404(door: Sender, path: str) -> None:
    for number in ("0", "4", "01", "-1", "x", "9" * 30, "1 or 1=1", "%C2%B2"):
        assert door("GET", f"{path}/_history/{number}").status_code == 404, number


def test_the_history_tells_each_version_the_newest_first(door: Sender, path: str) -> None:
    told = history(door, path)
    assert (told["type"], told["total"]) == ("history", 3)
    entries = told["entry"]
    assert bones(*(e["resource"] for e in entries)) == list(BONES[::-1])
    assert [e["request"]["method"] for e in entries] == ["PUT", "PUT", "POST"]
    assert [e["response"]["status"] for e in entries] == ["200 OK", "200 OK", "201 Created"]
    assert [e["response"]["etag"] for e in entries] == ['W/"3"', 'W/"2"', 'W/"1"']


def test_the_history_pages_and_begins_where_it_is_told(door: Sender, path: str) -> None:
    url, seen = f"{path}/_history?_count=1", []
    while url:
        told = door("GET", url).get_json()
        assert (told["total"], len(told["entry"])) == (3, 1)
        seen += [entry["resource"] for entry in told["entry"]]
        links = {link["relation"]: link["url"] for link in told["link"]}
        url = links.get("next", "").removeprefix("http://localhost")
    assert bones(*seen) == list(BONES[::-1])
    second = seen[1]["meta"]["lastUpdated"]
    assert history(door, path, f"?_since={second}")["total"] == 2
    assert history(door, path, "?_since=2999-01-01T00:00:00Z")["total"] == 0
    for wrong in ("_since=yesterday", "_count=many", "_at=2020", "_cursor=x"):
        assert door("GET", f"{path}/_history?{wrong}").status_code == 400, wrong


def test_r15_what_was_deleted_is_410_and_stays_readable_as_it_was(door: Sender, path: str) -> None:
    withdraw(door)
    for gone in (path, f"{path}/_history/4"):
        assert door("GET", gone).status_code == 410
    assert bones(door("GET", f"{path}/_history/3").get_json()) == [BONES[2]]
    newest = history(door, path)["entry"][0]
    assert "resource" not in newest
    assert newest["request"] == {"method": "DELETE", "url": path.removeprefix("/fhir/")}
    assert newest["response"]["status"] == "204 No Content"


def test_r15_what_is_unknown_and_what_is_foreign_answer_alike(door: Sender, path: str) -> None:
    other = Sender.at(door.app, "beta")
    withdrawn = found(door, f"Provenance?target={path.removeprefix('/fhir/')}")
    own = [path, f"{path}/_history", f"{path}/_history/1", f"/fhir/Provenance/{withdrawn[0]['id']}"]
    for one in own:
        theirs = other("GET", one)
        unknown = door("GET", one.replace(path.rsplit("/", 1)[1], "0" * 36))
        assert (theirs.status_code, theirs.data) == (404, unknown.data), one
        assert unknown.status_code == 404
    assert found(other, f"Provenance?target={path[6:]}") == []


def test_a_client_that_has_the_version_gets_304(door: Sender, path: str) -> None:
    for etag in ('W/"3"', '"3"', 'W/"1", W/"3"', "*"):
        assert door("GET", path, If_None_Match=etag).status_code == 304, etag
    for etag in ('W/"2"', "3x", ""):
        assert door("GET", path, If_None_Match=etag).status_code == 200, etag
    withdraw(door)
    assert door("GET", path, If_None_Match='W/"4"').status_code == 410


def test_what_is_served_names_the_message_that_it_came_with(door: Sender) -> None:
    first, second = door.push(score(3, id="o-1")), door.push(score(4, id="o-1"))
    messages = [door.receipt(a)["message_id"] for a in (first, second)]
    one = found(door, "Observation")[0]
    assert one["meta"]["source"] == f"urn:uuid:{messages[1]}"
    before = door("GET", f"/fhir/Observation/{one['id']}/_history/1").get_json()
    assert before["meta"]["source"] == f"urn:uuid:{messages[0]}"


def test_who_was_enrolled_without_a_message_names_none(door: Sender) -> None:
    patient = found(door, "Patient")[0]
    assert "source" not in patient["meta"]
    made = found(door, f"Provenance?target=Patient/{patient['id']}")
    assert [("entity" in one, one["reason"]) for one in made] == [(False, [{"text": "enrolled"}])]


def test_every_version_has_a_provenance_that_leads_to_its_message(door: Sender, path: str) -> None:
    withdraw(door)
    name = path.removeprefix("/fhir/")
    made = found(door, f"Provenance?target={name}")
    assert [one["target"][0]["reference"] for one in made] == [
        f"{name}/_history/{number}" for number in (4, 3, 2, 1)
    ]
    codes = [one["activity"]["coding"][0]["code"] for one in made]
    assert codes == ["provenance-activity-withdraw", "UPDATE", "UPDATE", "CREATE"]
    for one in made:
        assert door("GET", f"/fhir/Provenance/{one['id']}").get_json() == one
        assert not failed(validate(one, profiles=[US_CORE])), validate(one)
        assert one["agent"][0]["who"] == {"display": "engine"}
        assert one["entity"][0]["role"] == "source"
    third = door("GET", f"{path}/_history/3").get_json()
    source = made[1]["entity"][0]["what"]["identifier"]["value"]
    assert third["meta"]["source"] == f"urn:uuid:{source}"


ASKED = [
    ("target={name}", 3),
    ("target={name}/_history/2", 1),
    ("target={name}/_history/9", 0),
    ("target=Condition/none,{name}/_history/1", 1),
    ("target={name}&target={name}/_history/2", 1),
    ("target={name}/_history/1&target={name}/_history/2", 0),
    ("target={name}&patient=Patient/1", 0),
    ("target=http://localhost/fhir/{name}", 3),
    ("_id={type}.{id}.2", 1),
    ("_id={type}.{id}.2&target={name}", 1),
    ("_id=nonsense", 0),
    ("patient={id}", 0),
    ("target={name}&_count=0", 0),
]


def test_a_provenance_is_searched_by_its_target(door: Sender, path: str) -> None:
    type, id = path.removeprefix("/fhir/").split("/")
    for query, number in ASKED:
        asked = query.format(name=f"{type}/{id}", type=type, id=id)
        told = door("GET", f"/fhir/Provenance?{asked}&_total=accurate").get_json()
        assert len(told.get("entry", [])) == number, query
        assert told["total"] == (3 if "_count=0" in query else number), query
        assert not failed(validate(told)), query


def test_provenances_page(door: Sender, path: str) -> None:
    patient = found(door, "Patient")[0]["id"]
    url = f"/fhir/Provenance?target={path[6:]},Patient/{patient},{path[6:]}/_history/1&_count=2"
    seen = []
    while url:
        told = door("GET", url).get_json()
        seen += [entry["resource"]["target"][0]["reference"] for entry in told["entry"]]
        links = {link["relation"]: link["url"] for link in told["link"]}
        url = links.get("next", "").removeprefix("http://localhost")
    name = path[6:]
    versions = [f"{name}/_history/{n}" for n in (3, 2, 1)]
    assert seen == [*versions, f"Patient/{patient}/_history/1", f"{name}/_history/1"]


def test_all_provenances_of_the_registry_are_not_told(door: Sender) -> None:
    for query in ("", "?_count=5"):
        answer = door("GET", f"/fhir/Provenance{query}")
        assert answer.status_code == 400
        assert "target" in answer.get_json()["issue"][0]["details"]["text"]


def test_the_longest_id_of_a_provenance_fits() -> None:
    longest = max(PARAMETERS, key=len)
    id = "00000000-0000-5000-8000-000000000000"
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    row = ResourceRow("i", "r", "b", longest, id, 99_999, moment, {}, "", False, 1)
    assert len(provenance.id_of(row)) <= 64
    assert provenance.target_of(provenance.id_of(row)) == (longest, id, 99_999)
