"""Facts and scores delivered to a hospital server that is not ours: HAPI FHIR. Synthetic persons."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from fhirbridge.formats import fhir_json
from fhirbridge.sandbox import synthetic
from fhirbridge.study.records import Record
from tests.journeys import story
from tests.journeys.bridge import SITE, Bridge
from tests.journeys.test_hospital import UNDECIDABLE, Ward, references

pytestmark = pytest.mark.hapi

SENT = ("Condition", "Procedure", "Observation")
JSON = {"Content-Type": "application/fhir+json"}


def records_of(number: int) -> list[Record]:
    """A person's, with an operation that names its lesion."""
    study_id = synthetic.study_id(number)
    made = [one for one in synthetic.records(number) if one.subject == study_id]
    return [replace(one, fields={**one.fields, **_named(one)}) for one in made]


def _named(record: Record) -> dict[str, Any]:
    return {"lesions": (f"{record.subject}-L1",)} if record.form == "surgery" else {}


def of_ours(ward: Ward, patient: str) -> list[dict[str, Any]]:
    return [one for type_ in SENT for one in ward.search(type_, subject=f"Patient/{patient}")]


def errors(ward: Ward, resource: dict[str, Any]) -> list[str]:
    """What HAPI's validator calls an error, against the profile where one is claimed."""
    url = f"{ward.base}/{resource['resourceType']}/$validate"
    profiles = resource.get("meta", {}).get("profile", [])
    given = {"profile": profiles[0]} if profiles else {}
    raw = fhir_json.dump(resource)
    answer = requests.post(url, params=given, data=raw, headers=JSON, timeout=60)
    found = [
        i["diagnostics"] for i in answer.json()["issue"] if i["severity"] in ("error", "fatal")
    ]
    return [one for one in found if not UNDECIDABLE.search(one)]


def put(ward: Ward, resource: dict[str, Any]) -> None:
    url = f"{ward.base}/{resource['resourceType']}/{resource['id']}"
    raw = fhir_json.dump(resource)
    requests.put(url, data=raw, headers=JSON, timeout=60).raise_for_status()


def test_facts_and_scores_go_there_with_references_between_them(
    hapi_server: str, tmp_path: Path
) -> None:
    ward, number = Ward(hapi_server), 41  # a subject that no other test knows
    made = records_of(number)
    ward.load(story.bundles_of(made[:1])[0])
    bridge = Bridge(tmp_path / "data").found(unmatched="enrol")
    bridge.connect(hapi_server)
    with bridge.serving() as door:
        assert bridge.post(door, story.bundles_of(made)[0]).status_code == 200
        bridge.say("pull", SITE)
        bridge.say("connection", "set", "ward", "deliver=facts", "--site", SITE)
        certificate = json.loads(bridge.say("deliver", SITE, "--json"))
        assert certificate["state"] == "complete", certificate
        assert certificate["ties"]
        counts = certificate["counts"]
        mappings = story.mappings()
        person = mappings.derived_id("subject", made[0].subject, "")
        (patient,) = ward.search("Patient", identifier=f"{mappings.record_system}|{person}")
        there = of_ours(ward, patient["id"])
        assert len(there) == counts["verified"] == counts["outstanding"]
        assert {one["resourceType"] for one in there} == {*SENT}

        # Each reference leads to what is there, and HAPI's own validator has nothing against any.
        known = {f"{one['resourceType']}/{one['id']}" for one in there}
        named = {name for one in there for name in references(one)} - {f"Patient/{patient['id']}"}
        assert named
        assert named <= known
        assert any("reasonReference" in one for one in there)
        assert [found for one in there if (found := errors(ward, one))] == []

        # Nothing is sent twice, and nothing that we sent comes back as news.
        assert "nothing outstanding" in bridge.say("deliver", SITE)
        assert "= 0 applied" in bridge.say("pull", SITE)
        assert "nothing outstanding" in bridge.say("deliver", SITE)
        writes = bridge.say("delivery", "writes", "ward", "--site", SITE)
        assert "Observation: conditional-create yes (declared)" in writes

        # Staff add a note and a tag to a score of ours: our correction keeps both.
        score = next(one for one in made if one.form == "assessment" and "pain_rest" in one.fields)
        id_ = mappings.derived_id(
            "assessment.pain_rest", score.subject, str(score.fields["assessed_on"])
        )
        found = {"identifier": f"{mappings.record_system}|{id_}"}
        (held,) = ward.search("Observation", **found)
        tag = {"system": "https://hospital.example.org/tags", "code": "seen"}
        added = {"note": [{"text": "seen by staff"}], "meta": {**held["meta"], "tag": [tag]}}
        put(ward, {**held, **added})
        corrected = Record(
            score.subject, "assessment", {**score.fields, "pain_rest": 9}, "synthetic"
        )
        assert bridge.post(door, story.bundles_of([made[0], corrected])[0]).status_code == 200
        assert "1 verified" in bridge.say("deliver", SITE)
        (now,) = ward.search("Observation", **found)
        assert (now["valueInteger"], now["note"]) == (9, [{"text": "seen by staff"}])
        assert tag in now["meta"]["tag"]

        # Staff change the value itself: a person decides, and then ours stands there.
        put(ward, {**now, "valueInteger": 1})
        again = Record(score.subject, "assessment", {**score.fields, "pain_rest": 8}, "synthetic")
        assert bridge.post(door, story.bundles_of([made[0], again])[0]).status_code == 200
        assert "1 conflict" in bridge.say("deliver", SITE, expect=1)
        told = bridge.say("delivery", "list", "--site", SITE, "--state", "conflict")
        assert "(overtaken)" in told
        which = ("--site", SITE, "--state", "conflict", "--by", "nurse")
        assert "1 deliveries" in bridge.say("delivery", "retry", *which, "--over")
        assert "1 verified" in bridge.say("deliver", SITE)
        (now,) = ward.search("Observation", **found)
        assert (now["valueInteger"], now["note"]) == (8, [{"text": "seen by staff"}])
