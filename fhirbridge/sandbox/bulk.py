"""Bulk export of the sandbox hospital, as HAPI FHIR 8.4.0 answers (November 2026): begin, poll,
manifest, NDJSON files (https://hl7.org/fhir/uv/bulkdata/export.html). Other than HAPI, it tells
deletions.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.sandbox import search
from fhirbridge.sandbox.store import Refusal, Resource, Store, Version, instant, references, target

NDJSON = "application/fhir+ndjson"
_LINES = 1000  # of one file
_FORMATS = ("", NDJSON, "application/ndjson", "ndjson")


@dataclass
class Job:
    """One export: ready at once, told as ready after `polls` questions."""

    request: str
    moment: datetime
    polls: int
    files: dict[str, bytes] = field(default_factory=dict)
    listed: dict[str, list[Resource]] = field(default_factory=dict)


@dataclass
class Bulk:
    """`polls` is how often a job says that it is not ready; `retry_after` what it asks for then.
    `remarks` are OperationOutcomes for the error file."""

    store: Store
    polls: int = 1
    retry_after: str = "120"
    remarks: list[Resource] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)

    def begin(self, kind: str, id_: str, asked: Mapping[str, str], *, prefer: str, url: str) -> str:
        """The id of the job."""
        if "respond-async" not in prefer:
            raise Refusal("value", "an export needs Prefer: respond-async", status=400)
        if asked.get("_outputFormat", "") not in _FORMATS:
            raise Refusal("value", "only NDJSON is exported", status=400)
        types = [name for name in asked.get("_type", "").split(",") if name]
        strange = [name for name in types if name not in search.PARAMETERS]
        span = search.interval(asked["_since"]) if asked.get("_since") else None
        if strange or (asked.get("_since") and span is None):
            raise Refusal("value", f"no such type or date: {strange or asked.get('_since')}")
        job = Job(url, self.store.now(), self.polls)
        since = span[0] if span else None
        people = self._people(kind, id_)
        for name in types or search.PARAMETERS:
            found = [v.resource for v in self._exported(name, people, since) if v.resource]
            for start in range(0, len(found), _LINES):
                self._file(job, "output", name, found[start : start + _LINES])
        gone = [self._gone(v) for v in self._deleted(types, since)] if since else []
        if gone:
            self._file(job, "deleted", "Bundle", gone)
        if self.remarks:
            self._file(job, "error", "OperationOutcome", self.remarks)
        name = str(uuid.uuid4())
        self.jobs[name] = job
        return name

    def _people(self, kind: str, id_: str) -> set[str] | None:
        """The Patients whose data it is; None: everybody's, and nobody's too."""
        if not kind:
            return None
        if kind == "Patient":
            return {id_} if id_ else {version.id for version in self.store.live("Patient")}
        members = (self.store.current("Group", id_).resource or {}).get("member", [])
        found = (target(one.get("entity", {}).get("reference", "")) for one in members)
        return {key[1] for key in found if key and key[0] == "Patient"}

    def _exported(
        self, kind: str, people: set[str] | None, since: datetime | None
    ) -> Iterator[Version]:
        for version in self.store.live(kind):
            if since is not None and version.updated < since:
                continue
            if people is None or self._of(version, people):
                yield version

    def _of(self, version: Version, people: set[str]) -> bool:
        if version.kind == "Patient":
            return version.id in people
        keys = (target(node["reference"]) for node, _ in references(version.resource))
        return any(key is not None and key[0] == "Patient" and key[1] in people for key in keys)

    def _deleted(self, types: list[str], since: datetime) -> Iterator[Version]:
        for kind in types or search.PARAMETERS:
            seen = set()
            for version in self.store.recorded(kind):
                if version.id not in seen and version.resource is None and version.updated >= since:
                    yield version
                seen.add(version.id)

    def _gone(self, version: Version) -> Resource:
        entry = {"request": {"method": "DELETE", "url": version.path}}
        return {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}

    def _file(self, job: Job, part: str, kind: str, resources: list[Resource]) -> None:
        name = str(uuid.uuid4())
        job.files[name] = b"".join(fhir_json.dump(one) + b"\n" for one in resources)
        entry = {"type": kind, "url": name, "count": len(resources)}
        job.listed.setdefault(part, []).append(entry)

    def job(self, name: str) -> Job:
        if name not in self.jobs:
            raise Refusal("not-found", "there is no such export", status=404)
        return self.jobs[name]

    def manifest(self, job: Job, base: str) -> dict[str, Any]:
        def listed(part: str) -> list[Resource]:
            return [
                {**one, "url": f"{base}/Binary/{one['url']}"} for one in job.listed.get(part, [])
            ]

        return {
            "transactionTime": instant(job.moment),
            "request": job.request,
            "requiresAccessToken": True,
            "output": listed("output"),
            "deleted": listed("deleted"),
            "error": listed("error"),
        }

    def file(self, name: str) -> bytes | None:
        return next((job.files[name] for job in self.jobs.values() if name in job.files), None)
