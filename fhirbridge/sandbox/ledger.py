"""The sandbox hospital's ground truth: every version that it ever held, by number, hash and time,
and what was deleted or merged. A pull can be counted against it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhirbridge.formats import fhir_json

_STAMPS = ("versionId", "lastUpdated")


@dataclass(frozen=True, slots=True)
class Written:
    """One write: `sha256` of the content without the server's stamps, empty for a deletion."""

    kind: str
    id: str
    number: int
    method: str
    at: datetime
    sha256: str

    @property
    def path(self) -> str:
        return f"{self.kind}/{self.id}"


@dataclass
class Ledger:
    """In the order of the writes."""

    writes: list[Written] = field(default_factory=list)
    merges: list[tuple[str, str]] = field(default_factory=list)  # from, into

    def enter(
        self, path: tuple[str, str], number: int, method: str, at: datetime, resource: Any
    ) -> None:
        """`resource` is None for a deletion."""
        content = content_hash(resource) if resource is not None else ""
        self.writes.append(Written(*path, number, method, at, content))
        links = resource.get("link", ()) if resource and path[0] == "Patient" else ()
        for link in links if isinstance(links, list) else ():
            if isinstance(link, dict) and link.get("type") == "replaced-by":
                self.merges.append(("/".join(path), str(link.get("other", {}).get("reference"))))

    def forget(self, writes: int, merges: int) -> None:
        """Keep so many: what came after them was undone."""
        del self.writes[writes:], self.merges[merges:]

    def truth(self) -> dict[str, str]:
        """By `Type/id` the hash of what is there now."""
        latest = {one.path: one.sha256 for one in self.writes}
        return {path: sha256 for path, sha256 in latest.items() if sha256}

    @property
    def deleted(self) -> set[str]:
        return {one.path for one in self.writes} - self.truth().keys()

    def lines(self) -> Iterable[str]:
        for one in self.writes:
            at = one.at.isoformat(timespec="milliseconds")
            yield f"{at} {one.method} {one.path}/_history/{one.number} {one.sha256 or 'deleted'}"


def content_hash(resource: dict[str, Any]) -> str:
    meta = {n: v for n, v in resource.get("meta", {}).items() if n not in _STAMPS}
    return hashlib.sha256(fhir_json.canonical({**resource, "meta": meta})).hexdigest()
