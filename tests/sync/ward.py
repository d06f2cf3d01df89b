"""One site, its registry, and a sandbox hospital on a socket. All persons and values are synthetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import requests
from flask import Request, Response

from fhirbridge.formats import fhir_json
from fhirbridge.library import Library
from fhirbridge.registry.messages import Held
from fhirbridge.registry.receipts import Receipt
from fhirbridge.registry.runs import Run
from fhirbridge.registry.store import Registry
from fhirbridge.sandbox.faults import Hook
from fhirbridge.sandbox.server import Hospital as Sandbox
from fhirbridge.servers.auth import build
from fhirbridge.servers.client import Server
from fhirbridge.servers.network import Network
from fhirbridge.settings import Settings
from fhirbridge.sync.accept import Context
from fhirbridge.sync.deliver import Deliver
from fhirbridge.sync.enrol import enrol
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.ingest import Incoming, ingest
from fhirbridge.sync.pull import Pull, ties
from tests import databases
from tests.web.sender import MRN, bundle, concept, person

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
LOINC = "http://loinc.org"
JSON = {"Content-Type": "application/fhir+json"}

Resource = dict[str, Any]


@dataclass
class Clock:
    """The registry's, which tests put forward."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Ward:
    """`pull` and `deliver` are runs of the real thing; `writes` is what the hospital saw of them."""

    sandbox: Sandbox
    hospital: Hospital
    clock: Clock
    keys: Iterator[int] = field(default_factory=count)

    @classmethod
    @contextmanager
    def open(
        cls,
        folder: Path,
        *resources: Resource,
        stale_status: int = 409,
        mappings: Path = MAPPINGS,
        clock: Callable[[], datetime] | None = None,
        token: str | None = None,
    ) -> Iterator[Ward]:
        timed = {"clock": clock} if clock else {}
        sandbox = Sandbox(resources, stale_status=stale_status, token=token, **timed)
        ours = Clock()
        registry = Registry.open(databases.url(folder), key=b"k" * 32, clock=ours)
        with sandbox.running() as base:
            ward = cls(sandbox, joined(registry, "alpha", base, mappings), ours)
            try:
                yield ward
            finally:
                ward.hospital.server.close()
                registry.close()
                registry.close()

    @property
    def registry(self) -> Registry:
        return self.hospital.registry

    @property
    def site_id(self) -> str:
        return self.hospital.site.id

    def attempts(self, number: int) -> None:
        """How often the client tries a request."""
        server = replace(self.hospital.server, limits=Settings(retries=number))
        self.hospital = replace(self.hospital, server=server)

    def bearer(self, token: str) -> None:
        server = replace(self.hospital.server, auth=build("bearer", token))
        self.hospital = replace(self.hospital, server=server)

    def beside(self) -> Hospital:
        """The same connection in another process."""
        return replace(self.hospital, server=reached(self.hospital.base))

    def enrol(self, study_id: str = "S-1", *numbers: str) -> None:
        pairs = [(MRN, number) for number in numbers or ("4711",)]
        with self.registry.unit(self.site_id) as unit:
            enrol(Context(unit, self.hospital.mappings, "", "test"), study_id, pairs)
            unit.commit()

    def push(self, *resources: Resource, source: str = "client:engine") -> Receipt:
        key, body = f"m{next(self.keys)}", fhir_json.dump(bundle(*resources))
        with self.registry.unit(self.site_id) as unit:
            incoming = Incoming(source, "push/Bundle", key, body)
            receipt = ingest(unit, self.hospital.mappings, incoming).receipt
            unit.commit()
        return receipt

    def pull(self, *, page_size: int = 20, full: bool = False) -> Run:
        return self.pulled(page_size=page_size, full=full)[0]

    def set(self, **options: str) -> None:
        """Options of the connection, as somebody writes them."""
        kept = self.hospital.options.changed(options).kept()
        with self.registry.unit(self.site_id) as unit:
            unit.connections.set_options(self.hospital.connection.id, kept)
            unit.commit()
        connection = replace(self.hospital.connection, options=kept)
        self.hospital = replace(self.hospital, connection=connection)

    def pulled(self, *, page_size: int = 20, full: bool = False) -> tuple[Run, dict[str, str]]:
        """The run, and of each resource what it became."""
        told: list[str] = []
        run = Pull(self.hospital, page_size, tell_each=told.append, full=full).run()
        assert ties(run), run.counts
        fates = {line.split(": ")[0]: line.split(": ")[1].split(" ")[0] for line in told}
        return run, fates

    def deliver(self) -> Run:
        return Deliver(self.hospital).run()

    def records(self, form: str = "assessment", study_id: str = "S-1") -> list[Resource]:
        with self.registry.read(self.site_id) as unit:
            subject = unit.subjects.by_study_id(study_id)
            assert subject is not None
            found = unit.records.all(form, subject.id)
        return [dict(one.fields) for one in found if one.status == "active"]

    def state(self) -> Resource:
        """All that a replay or a second run may not change."""
        with self.registry.read(self.site_id) as unit:
            records = unit.records.all()
            return {
                "records": [(r.id, r.number, r.status, dict(r.fields)) for r in records],
                "revisions": [len(unit.records.revisions(r.id)) for r in records],
                "accepted": {r.id: sorted(unit.proposals.accepted(r.id)) for r in records},
                "waiting": [(p.record_id, p.field, p.value) for p in unit.proposals.waiting()],
                "quarantine": [(h.position, h.part) for h in unit.quarantine.waiting()],
                "resources": [
                    (row.fhir_id, row.version)
                    for r in records
                    for row in unit.resources.of_record(r.id)
                ],
            }

    def held(self) -> list[Held]:
        with self.registry.read(self.site_id) as unit:
            return unit.quarantine.waiting()

    @property
    def writes(self) -> list[str]:
        seen = self.sandbox.requests
        return [f"{r.method} {r.status}" for r in seen if r.method in ("POST", "PUT", "DELETE")]

    def there(self, type_: str = "Observation") -> list[Resource]:
        return [r for r in self.sandbox.resources() if r["resourceType"] == type_]

    def put(self, resource: Resource) -> None:
        """As staff of the hospital would."""
        url = f"{self.hospital.base}/{resource['resourceType']}/{resource['id']}"
        raw = fhir_json.dump({k: v for k, v in resource.items() if k != "meta"})
        requests.put(url, data=raw, headers=JSON, timeout=5).raise_for_status()

    def delete(self, path: str) -> None:
        requests.delete(f"{self.hospital.base}/{path}", timeout=5).raise_for_status()


def joined(registry: Registry, name: str, base: str, mappings: Path = MAPPINGS) -> Hospital:
    """The site with a connection to that server."""
    with registry.unit(None) as unit:
        site = unit.sites.add(name)
        unit.commit()
    with registry.unit(site.id) as unit:
        connection = unit.connections.add("ward", base)
        unit.commit()
    return Hospital(registry, site, connection, Library(mappings).of_site(name), reached(base))


def reached(base: str) -> Server:
    here = Network.of("127.0.0.0/8")
    return Server(
        base, auth=build("none", ""), limits=Settings(), network=here, sleep=lambda _: None
    )


def chart(id_: str, value: Any = 2, *, patient: str = "p1", **more: Any) -> Resource:
    """The hospital's own ECOG observation."""
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": concept(LOINC, "89247-1"),
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-02-01",
        "valueInteger": value,
        **more,
    }


def patient(number: str = "4711", id_: str = "p1") -> Resource:
    return person(number, id=id_)


def page(*entries: Any, next_url: str = "", kind: str = "searchset", cover: Any = None) -> Hook:
    """A searchset in place of the server's own."""
    body: Resource = {
        "resourceType": "Bundle",
        "type": kind,
        "entry": list(entries),
        **(cover or {}),
    }
    if next_url:
        body["link"] = [{"relation": "next", "url": next_url}]

    def answer(_: Request) -> Response:
        return Response(fhir_json.dump(body), 200, JSON)

    return answer


def match(resource: Resource) -> Resource:
    url = f"https://hospital.example.org/fhir/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": "match"}}
