"""The answer to a message (https://hl7.org/fhir/R4/messaging.html): a Bundle whose header names the
message that it answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Resource = Mapping[str, Any]
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


def header_of(message: Resource) -> Resource:
    """The MessageHeader of a message, judged or not; empty where there is none to be answered."""
    entries = message.get("entry")
    listed = isinstance(entries, list) and message.get("type") == "message"
    first = entries[0] if listed and entries else None
    header = first.get("resource") if isinstance(first, Mapping) else None
    told: Resource = header if isinstance(header, Mapping) else {}
    return told if told.get("resourceType") == "MessageHeader" and _named(told) else {}


def _named(header: Resource) -> bool:
    """Whether it has what an answer repeats: an event and its source, in their shapes."""
    event = header.get("eventUri") or header.get("eventCoding")
    return isinstance(event, (str, Mapping)) and isinstance(header.get("source"), Mapping)


def _name_of(message: Resource, header: Resource) -> str:
    """What its sender calls the message: the header's id, else what else it may know it by."""
    url = message["entry"][0].get("fullUrl")
    last = re.split("[/:]", url)[-1] if isinstance(url, str) else ""
    names = (header.get("id"), last, message.get("id"))
    return next((name for name in names if isinstance(name, str) and _ID.fullmatch(name)), "")


def response(
    message: Resource, *, id: str, endpoint: str, code: str, outcome: Resource, at: str
) -> dict[str, Any]:
    """`code` is ok, transient-error or fatal-error; `id` a UUID that the same answer always has,
    `at` an instant. The event is the request's own; a message without a name has that of its answer
    (R4 asks for one, and for no MessageHeader.id)."""
    header = header_of(message)
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
            "identifier": _name_of(message, header) or id,
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
