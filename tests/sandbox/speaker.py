"""The tests' way to talk to a FHIR server over a socket."""

from __future__ import annotations

import json
from typing import Any

import requests

Resource = dict[str, Any]


class Speaker:
    def __init__(self, base: str) -> None:
        self.base = base

    def __call__(
        self, method: str, path: str, body: Resource | bytes | None = None, **headers: str
    ) -> requests.Response:
        """One request; `path` is relative, header names have underscores for hyphens."""
        url = path if path.startswith("http") else f"{self.base}/{path}".rstrip("/")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named.setdefault("Content-Type", "application/fhir+json")
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body)
        return requests.request(method, url, data=raw, headers=named, timeout=20)

    def post(self, *entries: Resource, type_: str = "transaction", **headers: str) -> Any:
        bundle = {"resourceType": "Bundle", "type": type_, "entry": list(entries)}
        return self("POST", "", bundle, **headers)

    def ids(self, path: str) -> list[str]:
        return [e["resource"]["id"] for e in self("GET", path).json().get("entry", [])]


def observation(subject: str = "Patient/p1", **parts: Any) -> Resource:
    """A synthetic Observation; `id` and the rest by name."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "89247-1"}]},
        "subject": {"reference": subject},
        **parts,
    }


def patient(value: str, **parts: Any) -> Resource:
    identifier = [{"system": "urn:mrn", "value": value}]
    return {"resourceType": "Patient", "identifier": identifier, **parts}


def entry(
    method: str, url: str, resource: Resource | None = None, *, full_url: str = "", **request: str
) -> Resource:
    made: Resource = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    return {**made, "fullUrl": full_url} if full_url else made
