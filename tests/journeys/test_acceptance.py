"""A Bundle made by `fhirbridge encode` of the synthetic study, pushed by clients that others wrote,
is stored, read back and searched; every record equals the row of the CSV that it came from.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.formats import csv_records
from fhirbridge.sandbox import synthetic
from fhirbridge.study import records
from fhirbridge.study.records import Record
from tests.journeys import story
from tests.journeys.bridge import SITE, Bridge
from tests.journeys.foreign import STALE, Curl, Fhirpy, Foreign, Kit, Resource, Smart

FORMS = ("subject", "lesion", "surgery", "assessment")
WHOLE, ALONE = 3, 4  # subjects with all their records, and the one that a condition creates
STUDY_ID = story.mappings().names["study-id"]  # a hospital's own number is in the vault: no search
ECOG = "http://loinc.org|89247-1"
NO_CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@dataclass
class Study:
    """The study's CSV files, and what `fhirbridge encode` made of them."""

    folder: Path

    def write(self) -> Study:
        """The subject ALONE has no record but itself."""
        bridge = Bridge(self.folder / "data")
        study = story.mappings().study
        made = [*synthetic.records(WHOLE), synthetic.subject(ALONE)]
        for form in FORMS:
            of_form = [record for record in made if record.form == form]
            file = self.folder / f"{form}.csv"
            file.write_text(csv_records.write_csv(study.form(form), of_form), newline="")
            bridge.say("encode", form, str(file), "-o", str(self.folder / form), "--site", SITE)
        return self

    def bundles(self, form: str) -> list[Path]:
        return sorted((self.folder / form).glob("*.json"))

    def rows(self, form: str) -> list[dict[str, str]]:
        with (self.folder / f"{form}.csv").open(newline="") as file:
            return [_without_vault(row) for row in csv.DictReader(file)]


def _without_vault(row: dict[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if name != "hospital_ids"}


def exported(bridge: Bridge, form: str) -> list[dict[str, str]]:
    """The records of the form as the rows of a CSV file."""
    told = [one for one in bridge.export() if one["form"] == form]
    made = [
        Record(one["subject"], form, {n: records.value_from_json(v) for n, v in one["fields"].items()})
        for one in told
    ]  # fmt: skip
    text = csv_records.write_csv(story.mappings().study.form(form), made)
    return [_without_vault(row) for row in csv.DictReader(io.StringIO(text, newline=""))]


def in_order(rows: list[dict[str, str]], *, exact: bool) -> list[list[tuple[str, str | Decimal]]]:
    made = [
        [(name, cell if exact else _number(cell)) for name, cell in row.items()] for row in rows
    ]
    return sorted(made, key=str)


def _number(cell: str) -> str | Decimal:
    try:
        return Decimal(cell).normalize()
    except InvalidOperation:
        return cell


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(tmp_path_factory.mktemp("study")).write()


@contextmanager
def talking(made: type[Any], door: str, key: str) -> Iterator[Foreign]:
    with ExitStack() as ends:
        client = made(door, key)
        if isinstance(client, Kit):
            ends.callback(client.close)
        yield client


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(Curl, marks=NO_CURL),
        Fhirpy,
        Smart,
        pytest.param(Kit, marks=pytest.mark.npm),
    ],
)
def test_what_a_foreign_client_pushes_is_the_csv_that_it_came_from(
    tmp_path: Path, study: Study, made: type[Any]
) -> None:
    bridge = Bridge(tmp_path / "data").found(unmatched="enrol")
    with bridge.serving() as door, talking(made, door, bridge.key) as client:
        resources = pushed(client, study)
        alone(client, study)
        read_back(client, resources)
        corrected(client)
        batched(client, study)
    for form in FORMS:
        rows = in_order(study.rows(form), exact=client.exact)
        assert rows
        assert in_order(exported(bridge, form), exact=client.exact) == rows, form
    assert "all is well" in bridge.say("verify")


def person_alone(study: Study) -> Resource:
    bodies = [json.loads(file.read_bytes()) for file in study.bundles("subject")]
    persons = [body["entry"][0]["resource"] for body in bodies]
    number = synthetic.mrn(ALONE)
    return next(one for one in persons if number in {i["value"] for i in one["identifier"]})


def pushed(client: Foreign, study: Study) -> list[Resource]:
    """All Bundles but that of the subject ALONE; the resources that they hold."""
    number = synthetic.mrn(ALONE)
    files = [file for form in FORMS for file in study.bundles(form)]
    sent = [file for file in files if number not in file.read_text(encoding="utf-8")]
    assert len(sent) == WHOLE * len(FORMS) == len(files) - 1
    for file in sent:
        body = json.loads(file.read_bytes())
        told = client.send(file) if isinstance(client, Curl) else client.bundle(body)
        assert told["type"] == "transaction-response"
        assert {e["response"]["status"] for e in told["entry"]} == {"201 Created"}
    bodies = [json.loads(file.read_bytes(), parse_float=Decimal) for file in sent]
    return [entry["resource"] for body in bodies for entry in body["entry"]]


def alone(client: Foreign, study: Study) -> None:
    """A conditional create makes one; the next ones find it."""
    person = person_alone(study)
    asked = f"identifier={synthetic.MRN}|{synthetic.mrn(ALONE)}"
    assert [client.create(person, asked) for _ in range(2)] == [True, False]
    assert client.create({**person, "gender": "other"}, asked) is False
    (found,) = client.search("Patient", identifier=f"{STUDY_ID}|{synthetic.study_id(ALONE)}")
    assert found["gender"] == person["gender"]


def read_back(client: Foreign, resources: list[Resource]) -> None:
    """Every resource is found by its type and read by its id."""
    for kind in sorted({one["resourceType"] for one in resources}):
        found = client.search(kind, _count="4")
        more = kind == "Patient"  # the one that was created alone
        assert len(found) == len([r for r in resources if r["resourceType"] == kind]) + more
        assert len({one["id"] for one in found}) == len(found)
        assert client.read(kind, found[0]["id"]) == found[0]
    (person,) = client.search("Patient", identifier=f"{STUDY_ID}|{synthetic.study_id(1)}")
    mine = client.search("Observation", patient=person["id"], _count="5")
    assert {one["subject"]["reference"] for one in mine} == {f"Patient/{person['id']}"}
    assert len(client.search("Observation", patient=person["id"], code=ECOG)) == 3


def corrected(client: Foreign) -> None:
    """A score is corrected, and the correction taken back; who is late is told so."""
    score, *_ = client.search("Observation", code=ECOG, _count="100")
    id, before = score["id"], score["valueInteger"]
    other = {**score, "valueInteger": 4 if before != 4 else 3}
    assert client.update(other, "1") == 200
    assert client.update({**score, "valueInteger": 0}, "1") == STALE
    assert client.read("Observation", id)["valueInteger"] == other["valueInteger"]
    assert client.vread("Observation", id, "1") == score
    assert client.update(score, "2") == 200
    said = [one["valueInteger"] for one in client.history("Observation", id)]
    assert said == [before, other["valueInteger"], before]


def batched(client: Foreign, study: Study) -> None:
    """In a batch each entry stands for itself."""
    body = json.loads(study.bundles("assessment")[0].read_bytes())
    known, wrong = body["entry"][:2]
    wrong = {**wrong, "resource": {**wrong["resource"], "status": "nonsense"}}
    told = client.bundle({"resourceType": "Bundle", "type": "batch", "entry": [known, wrong]})
    assert told["type"] == "batch-response"
    statuses = [entry["response"]["status"] for entry in told["entry"]]
    assert statuses == ["200 OK", "400 Bad Request"]
    (issue, *_) = told["entry"][1]["response"]["outcome"]["issue"]
    assert issue["expression"] == ["Bundle.entry[1].resource.status"]
