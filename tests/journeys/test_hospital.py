"""The whole way on a hospital server that is not ours: HAPI FHIR, HL7's mCODE examples, 30 subjects."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fhirbridge.formats import fhir_json
from fhirbridge.mapping.decode import decode
from fhirbridge.sandbox import synthetic
from fhirbridge.sync.difference import missing
from tests.hapi.fhir_packages import mcode_examples
from tests.journeys import story
from tests.journeys.bridge import SITE, Bridge

pytestmark = pytest.mark.hapi

SUBJECTS = 30
WITH_SCORES = 15  # of these the hospital holds the study's scores already
TYPES = ("Patient", "Condition", "Procedure", "Observation")
# The one required value set of ours that filters SNOMED CT, which no test server holds: HAPI can
# expand nothing of it and calls every code wrong. Nothing that is delivered carries it.
UNDECIDABLE = re.compile(
    r"Unable to expand ValueSet: cannot apply filters .* because CodeSystem 'http://snomed.info/sct'"
    r"|None of the codings provided are in the value set 'Body Location Qualifier Value Set'"
)
# Two pairs of HL7's persons share a record number (m123, m456): the hospital gives each its own.
OWN_NUMBER = "https://hospital.example.org/own-number"


class Ward:
    """The hospital's side of the story, asked directly."""

    def __init__(self, base: str) -> None:
        self.base = base

    def load(self, bundle: dict[str, Any] | bytes) -> None:
        raw = bundle if isinstance(bundle, bytes) else fhir_json.dump(bundle)
        headers = {"Content-Type": "application/fhir+json"}
        answer = requests.post(self.base, data=raw, headers=headers, timeout=120)
        assert answer.status_code == 200, answer.text[:2000]

    def search(self, type_: str, **params: str) -> list[dict[str, Any]]:
        url: str | None = f"{self.base}/{type_}"
        found: list[dict[str, Any]] = []
        given: dict[str, str] | None = {"_count": "200", **params}
        while url:
            bundle = fhir_json.parse(requests.get(url, params=given, timeout=60).content)
            found += [entry["resource"] for entry in bundle.get("entry", ())]
            links = {link["relation"]: link["url"] for link in bundle["link"]}
            url, given = links.get("next"), None
        return found

    def versions(self) -> dict[str, str]:
        return {
            f"{type_}/{resource['id']}": resource["meta"]["versionId"]
            for type_ in TYPES
            for resource in self.search(type_)
        }

    def errors(self, resource: dict[str, Any]) -> list[str]:
        """What the server's own validator calls an error, against the profile that is claimed."""
        profile = resource["meta"]["profile"][0]
        url = f"{self.base}/{resource['resourceType']}/$validate"
        raw = fhir_json.dump(resource)
        headers = {"Content-Type": "application/fhir+json"}
        answer = requests.post(
            url, params={"profile": profile}, data=raw, headers=headers, timeout=60
        )
        issues = answer.json()["issue"]
        return [i["diagnostics"] for i in issues if i["severity"] in ("error", "fatal")]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, below in value.items():
            if name == "reference" and isinstance(below, str):
                yield below
            else:
                yield from references(below)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def mcode_bundle() -> dict[str, Any]:
    """HL7's examples of our types, and all that they refer to, under their own ids."""
    types = {*TYPES, "BodyStructure", "Organization", "Practitioner", "Specimen", "Group"}
    known = {f"{r['resourceType']}/{r['id']}": r for r in mcode_examples(types)}
    wanted: dict[str, None] = {}
    todo = [name for name, r in known.items() if r["resourceType"] in TYPES]
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted[name] = None
            todo += [target for target in references(known[name]) if target in known]
    for person in (r for r in known.values() if r["resourceType"] == "Patient"):
        person["identifier"].append({"system": OWN_NUMBER, "value": person["id"]})
    entries = [
        {"resource": known[name], "request": {"method": "PUT", "url": name}}
        for name in sorted(wanted)
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def enrolled_examples() -> list[str]:
    """The mCODE persons under study ids of their own, as lines of an enrolment list."""
    people = sorted(r["id"] for r in mcode_examples({"Patient"}))
    return [f"MBD-X-{number:03d},{OWN_NUMBER}|{id_}" for number, id_ in enumerate(people, start=1)]


def own_versions(bridge: Bridge) -> dict[str, str]:
    """Version ids of everything that fhirbridge serves."""
    found: dict[str, str] = {}
    with bridge.serving() as door:
        for type_ in TYPES:
            url = f"{door}/{type_}?_count=500"
            while url:
                page = bridge.get(url).json()
                for resource in (entry["resource"] for entry in page.get("entry", ())):
                    found[f"{type_}/{resource['id']}"] = resource["meta"]["versionId"]
                url = next((k["url"] for k in page["link"] if k["relation"] == "next"), "")
    return found


def test_from_a_hospital_and_back(hapi_server: str, tmp_path: Path) -> None:
    ward = Ward(hapi_server)
    others = {*ward.versions()}  # of journeys before this one
    ward.load(mcode_bundle())
    everything = list(synthetic.records(SUBJECTS))
    known_there = [
        record
        for record in everything
        if record.form != "assessment" or record.subject <= synthetic.study_id(WITH_SCORES)
    ]
    for bundle in story.bundles_of(known_there):
        ward.load(bundle)

    bridge = Bridge(tmp_path / "data", {"PAGE_SIZE": "3"}).found()
    bridge.connect(hapi_server)
    bridge.say("connection", "check", "ward", "--site", SITE)
    bridge.enrol(story.enrolment(range(1, SUBJECTS + 1)) + "\n".join(enrolled_examples()) + "\n")

    # The hospital's resources come in over many pages, and of each we say what became of it.
    said = bridge.say("pull", SITE, "--each")
    pages = re.search(r"(\d+) pages, (\d+) resources received", said)
    assert pages is not None
    assert int(pages[1]) >= 10
    assert "(the counts tie)" in said
    told_of = {line.split(": ")[0]: line for line in said.splitlines() if ": " in line}
    for type_ in TYPES:
        for resource in ward.search(type_):
            if f"{type_}/{resource['id']}" in others:
                continue
            line = told_of[f"{type_}/{resource['id']}"]
            assert " -> record " in line or " because " in line, line
    brain = told_of["Condition/secondary-cancer-condition-brain-mets"]
    assert "refused" in brain
    assert "brain" in brain
    ecog = told_of["Observation/ecog-performance-status-fully-active"]
    assert "applied -> record" in ecog

    # An engine pushes all of it again: nothing is doubled, and every record is what was sent.
    with bridge.serving() as door:
        for bundle in story.bundles_of(everything):
            answer = bridge.post(door, bundle)
            assert answer.status_code == 200, answer.text
    ours = {k: v for k, v in story.told(bridge.export()).items() if k[0].startswith("MBD-A")}
    assert ours == story.truth(SUBJECTS)

    # The scores go to the hospital, and come back as they were sent.
    said = bridge.say("deliver", SITE)
    assert "complete" in said
    mappings = story.mappings()
    delivered = ward.search(
        "Observation", identifier=f"{mappings.record_system}|", category="survey"
    )
    scores = [one for one in delivered if f"Observation/{one['id']}" not in others]
    expected = SUBJECTS * 3 * 4
    assert len(scores) == expected
    assert len({s["identifier"][0]["value"] for s in scores}) == expected
    people_there = {
        f"Patient/{p['id']}": i["value"]
        for p in ward.search("Patient", identifier=f"{mappings.names['study-id']}|")
        for i in p["identifier"]
        if i["system"] == mappings.names["study-id"]
    }
    back: dict[tuple[str, str, str], dict[str, Any]] = {}
    for score in scores:
        read = decode(mappings, score, source="")[0]
        place = (people_there[score["subject"]["reference"]], "assessment", read.key)
        fields = {n: story.records.value_to_json(v) for n, v in read.fields.items()}
        back.setdefault(place, {}).update(fields)
    assert back == {k: v for k, v in story.truth(SUBJECTS).items() if k[1] == "assessment"}

    # HAPI's own validator has nothing against anything that we made.
    for score in scores:
        assert ward.errors(score) == [], score
    for type_ in ("Condition", "Procedure"):
        for resource in ward.search(type_, identifier=f"{mappings.record_system}|"):
            errors = [e for e in ward.errors(resource) if not UNDECIDABLE.search(e)]
            assert errors == [], resource

    # Once more in both directions: nothing changes, on neither side.
    there, here, ours_before = ward.versions(), bridge.export(), own_versions(bridge)
    assert len(ours_before) > expected
    said = bridge.say("pull", SITE)
    assert "= 0 applied" in said
    assert "(the counts tie)" in said
    said = bridge.say("deliver", SITE)
    assert "verified" not in said
    assert ward.versions() == there
    assert bridge.export() == here
    assert own_versions(bridge) == ours_before


def test_a_changed_score_is_updated_and_a_foreign_change_is_a_conflict(
    hapi_server: str, tmp_path: Path
) -> None:
    ward = Ward(hapi_server)
    number = 901  # a subject that no other test knows
    made = [synthetic.subject(number), *list(synthetic.assessments(number))[:1]]
    person = story.bundles_of(made[:1])[0]
    ward.load(person)
    bridge = Bridge(tmp_path / "data").found(unmatched="enrol")
    bridge.connect(hapi_server)
    with bridge.serving() as door:
        assert bridge.post(door, story.bundles_of(made)[0]).status_code == 200
        bridge.say("pull", SITE)
        bridge.say("deliver", SITE)
        corrected = story.Record(
            made[1].subject, "assessment", {**made[1].fields, "pain_rest": 9}, "synthetic"
        )
        assert bridge.post(door, story.bundles_of([made[0], corrected])[0]).status_code == 200
        said = bridge.say("deliver", SITE)
        assert "1 verified" in said
        mappings = story.mappings()
        id_ = mappings.derived_id(
            "assessment.pain_rest", made[1].subject, str(made[1].fields["assessed_on"])
        )
        there = ward.search("Observation", identifier=f"{mappings.record_system}|{id_}")
        assert [(o["valueInteger"], o["meta"]["versionId"]) for o in there] == [(9, "2")]

        # Somebody at the hospital edits it; our next correction does not run over theirs.
        edited = {**there[0], "valueInteger": 5}
        requests.put(
            f"{hapi_server}/Observation/{there[0]['id']}",
            data=fhir_json.dump(edited),
            headers={"Content-Type": "application/fhir+json"},
            timeout=60,
        ).raise_for_status()
        again = story.Record(
            made[1].subject, "assessment", {**made[1].fields, "pain_rest": 8}, "synthetic"
        )
        assert bridge.post(door, story.bundles_of([made[0], again])[0]).status_code == 200
        said = bridge.say("deliver", SITE, expect=1)
        assert "conflict" in said
        assert "was changed there since version 2" in said
    now = ward.search("Observation", identifier=f"{mappings.record_system}|{id_}")
    assert [o["valueInteger"] for o in now] == [5]
    assert missing(edited["code"], now[0]["code"]) == []


def curl(*words: str) -> str:
    done = subprocess.run(["curl", "-sS", *words], capture_output=True, text=True, check=True)
    return done.stdout


def test_curl_pushes_and_reads(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "data").found(unmatched="enrol")
    file = tmp_path / "bundle.json"
    file.write_bytes(story.bundles_of(synthetic.records(1))[0])
    key = ("-H", f"Authorization: Bearer {bridge.key}")
    with bridge.serving() as door:
        told = curl(
            *key, "-H", "Content-Type: application/fhir+json", "--data-binary", f"@{file}", door
        )
        assert told.count("201 Created") == 16
        # What curl sends by itself, a form's media type, is refused in words.
        told = curl(*key, "--data-binary", f"@{file}", door)
        assert "send application/fhir+json" in told
        assert '"resourceType":"Condition"' in curl(*key, f"{door}/Condition")
    assert story.told(bridge.export()) == story.truth(1)
