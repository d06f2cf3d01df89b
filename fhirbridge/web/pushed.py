"""Which resource types a message is about, asked before it is taken of a client with few scopes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError


def types(body: bytes) -> list[str]:
    """The types of the entries, or of the one resource. What has none, the judge refuses whole.

    >>> types(b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}]}')
    ['Patient']
    """
    try:
        message = fhir_json.parse(body)
    except BridgeError:
        return []
    return list(dict.fromkeys(_types(message)))


def _types(message: dict[str, Any]) -> Iterator[str]:
    if message.get("resourceType") != "Bundle":
        yield from _type(message)
        return
    entries = message.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            yield from _type(entry.get("resource"))


def _type(resource: Any) -> Iterator[str]:
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    if isinstance(name, str):
        yield name
