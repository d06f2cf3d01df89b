"""A sender at the FHIR door, and synthetic resources for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from fhirbridge.formats import fhir_json
from fhirbridge.registry.sites import Unmatched
from fhirbridge.sync.accept import Context
from fhirbridge.sync.enrol import enrol
from fhirbridge.web.access import new_key
from fhirbridge.web.service import Service

MRN = "urn:oid:2.999.4"
STUDY = "https://fhirbridge.example.org/fhir/CodeSystem/mbd-study"
RECORD = "https://fhirbridge.example.org/fhir/sid/record"
LESION = "https://fhirbridge.example.org/fhir/sid/lesion"
SCT, LOINC = "http://snomed.info/sct", "http://loinc.org"

Resource = dict[str, Any]


@dataclass
class Sender:
    """One client of one site, talking to the application in this process."""

    app: Flask
    site: str
    site_id: str
    key: str

    @classmethod
    def at(
        cls,
        app: Flask,
        site: str,
        *,
        client: str = "engine",
        unmatched: Unmatched = "hold",
        rehearsal: bool = False,
    ) -> Sender:
        key = new_key()
        service: Service = app.extensions["fhirbridge"]
        with service.registry.unit(None) as unit:
            known = {one.name: one for one in unit.sites.all()}
            made = known.get(site) or unit.sites.add(site, unmatched=unmatched)
            unit.commit()
        with service.registry.unit(made.id) as unit:
            unit.clients.add(
                client, prefix=key.prefix, secret_hash=key.secret_hash, rehearsal=rehearsal
            )
            unit.commit()
        return cls(app, site, made.id, key.text)

    @property
    def service(self) -> Service:
        service: Service = self.app.extensions["fhirbridge"]
        return service

    def enrol(self, study_id: str, number: str) -> None:
        with self.service.registry.unit(self.site_id) as unit:
            mappings = self.service.library.of_site(self.site)
            enrol(Context(unit, mappings, "", "test"), study_id, [(MRN, number)])
            unit.commit()

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        raw = body if isinstance(body, bytes | None) else fhir_json.dump(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/fhir+json",
            **named,
        }
        client = self.app.test_client()
        # Buffered: what is done once an answer has gone is done when this returns.
        return client.open(path, method=method, data=raw, headers=given, buffered=True)

    def push(self, *resources: Resource, **headers: str) -> TestResponse:
        return self("POST", "/fhir", bundle(*resources), **headers)

    def receipt(self, answer: TestResponse) -> Resource:
        told = self("GET", f"/receipts/{answer.headers['X-Receipt']}")
        assert told.status_code == 200
        made = told.get_json()
        counts = dict(made["counts"])
        assert counts.pop("received") == sum(counts.values()), "the counts must tie"
        return dict(made)

    def fates(self, answer: TestResponse) -> list[str]:
        return [entry["fate"] for entry in self.receipt(answer)["entries"]]

    def records(self, form: str = "") -> list[Resource]:
        with self.service.registry.read(self.site_id) as unit:
            found = unit.records.all(form or None)
        return [
            dict(one.fields) for one in found if one.status == "active" and one.form != "subject"
        ]

    def waiting(self) -> int:
        with self.service.registry.read(self.site_id) as unit:
            return unit.quarantine.count_waiting()


def concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def person(number: str = "4711", **more: Any) -> Resource:
    return {"resourceType": "Patient", "identifier": [{"system": MRN, "value": number}], **more}


def whose(number: str = "4711") -> Resource:
    return {"identifier": {"system": MRN, "value": number}}


def score(value: Any = 3, word: str = "pain-nrs-rest", **more: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": concept(STUDY, word),
        "subject": whose(),
        "effectiveDateTime": "2026-03-01",
        "valueInteger": value,
        **more,
    }


def lesion(**more: Any) -> Resource:
    return {
        "resourceType": "Condition",
        "identifier": [{"system": LESION, "value": "L-1"}],
        "code": concept(SCT, "94222008"),
        "subject": whose(),
        "bodySite": [concept(SCT, "71341001")],
        **more,
    }


def bundle(*resources: Resource) -> Resource:
    entries = [
        {"resource": r, "request": {"method": "POST", "url": r["resourceType"]}} for r in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def found(door: Sender, path: str) -> list[Resource]:
    answer = door("GET", f"/fhir/{path}")
    assert answer.status_code == 200, answer.data
    return [entry["resource"] for entry in answer.get_json().get("entry", ())]
