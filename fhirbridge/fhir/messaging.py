"""The answer to a message (https://hl7.org/fhir/R4/messaging.html): a Bundle whose header names the
message that it answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Resource = Mapping[str, Any]


def header_of(message: Resource) -> Resource:
    """The MessageHeader of a message, judged or not; empty where there is none to be answered."""
    entries = message.get("entry")
    listed = isinstance(entries, list) and message.get("type") == "message"
    first = entries[0] if listed and entries else None
    header = first.get("resource") if isinstance(first, Mapping) else None
    told: Resource = header if isinstance(header, Mapping) else {}
    return told if told.get("resourceType") == "MessageHeader" and _named(told) else {}


def _named(header: Resource) -> bool:
    """Whether it has what an answer repeats: an id and an event, in their shapes."""
    event = header.get("eventUri") or header.get("eventCoding")
    source = header.get("source")
    return (
        isinstance(header.get("id"), str)
        and isinstance(event, (str, Mapping))
        and isinstance(source, Mapping)
    )


def response(
    header: Resource, *, id: str, endpoint: str, code: str, outcome: Resource, at: str
) -> dict[str, Any]:
    """`code` is ok, transient-error or fatal-error; `id` a UUID that the same answer always has,
    `at` an instant. The event is the request's own."""
    event = {name: header[name] for name in ("eventCoding", "eventUri") if name in header}
    details = f"urn:uuid:{id[:-1]}{'0' if id[-1] != '0' else '1'}"
    endpoint_there = header["source"].get("endpoint")
    destination = {"endpoint": endpoint_there} if isinstance(endpoint_there, str) else {}
    made = {
        "resourceType": "MessageHeader",
        "id": id,
        **event,
        **({"destination": [destination]} if destination else {}),
        "source": {"name": "fhirbridge", "endpoint": endpoint},
        "response": {
            "identifier": header["id"],
            "code": code,
            "details": {"reference": details},
        },
    }
    entries = [
        {"fullUrl": f"urn:uuid:{id}", "resource": made},
        {"fullUrl": details, "resource": dict(outcome)},
    ]
    return {
        "resourceType": "Bundle",
        "id": id,
        "type": "message",
        "timestamp": at,
        "entry": entries,
    }
