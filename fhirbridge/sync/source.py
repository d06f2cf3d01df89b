"""What a source calls its resource, and in which version it came.

Read before the resource was judged, too: nothing here trusts its shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from fhirbridge.fhir.bundle import Entry
from fhirbridge.formats import fhir_json

# What is JSON is a dict, and known for one at once: to ask for a Mapping takes six times longer.
_OBJECT = (dict, Mapping)
_STAMPS = ("versionId", "lastUpdated")


def resource_type(entry: Entry) -> str:
    resource = entry.resource
    given = resource.get("resourceType") if isinstance(resource, _OBJECT) else None
    return given if isinstance(given, str) else ""


def identifier(resource: Any) -> str | None:
    """The first identifier that names its system, as `system|value`."""
    return next(identifiers(resource), None)


def identifiers(resource: Any) -> Iterator[str]:
    given = resource.get("identifier") if isinstance(resource, _OBJECT) else None
    for one in given if isinstance(given, list) else ():
        if isinstance(one, dict) and "system" in one and "value" in one:
            yield f"{one['system']}|{one['value']}"


def source_id(entry: Entry) -> str:
    """The id at the source; where it has none yet, its identifier, its fullUrl, its content."""
    resource = entry.resource if isinstance(entry.resource, Mapping) else {}
    named = resource.get("id") or identifier(resource) or entry.full_url
    return str(named or content_hash(resource))


def content_hash(resource: Mapping[str, Any]) -> str:
    """Of the content without the server's stamps: equal content of two versions is equal."""
    given = resource.get("meta")
    meta = given if isinstance(given, Mapping) else {}
    kept = {name: value for name, value in meta.items() if name not in _STAMPS}
    return hashlib.sha256(fhir_json.canonical({**resource, "meta": kept})).hexdigest()


def instant(text: Any) -> datetime | None:
    """None also where Python has no such moment: FHIR allows second 60, and servers write year 1
    with a zone.
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def remarks(outcome: Mapping[str, Any]) -> Iterator[str]:
    """What an OperationOutcome says, a text an issue."""
    issues = outcome.get("issue")
    for issue in issues if isinstance(issues, list) else ():
        given = issue if isinstance(issue, Mapping) else {}
        details = given.get("details")
        text = details.get("text") if isinstance(details, Mapping) else None
        yield str(text or given.get("diagnostics") or given.get("code") or "no text")
