"""What tells that a message came before, where its sender sent no Idempotency-Key: the first of
MessageHeader.id with Bundle.id, and Bundle.identifier. Without them its bytes do.

https://hl7.org/fhir/R4/messaging.html section 2.4.3: both ids seen before are the same message; the
id of a Bundle under another header is a mistake of the sender.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.messages import Messages


def key(messages: Messages, source: str, made: Mapping[str, Any] | BridgeError) -> str:
    """Empty where the message names itself by nothing. Nothing here has been judged yet."""
    if isinstance(made, BridgeError) or made.get("resourceType") != "Bundle":
        return ""
    if made.get("type") == "message":
        named = _message(messages, source, made)
        if named:
            return named
    identifier = made.get("identifier")
    given = identifier if isinstance(identifier, Mapping) else {}
    system, value = given.get("system"), given.get("value")
    if isinstance(system, str) and isinstance(value, str) and value:
        return f"Bundle.identifier:{system}|{value}"
    return ""


def _message(messages: Messages, source: str, made: Mapping[str, Any]) -> str:
    envelope, header = made.get("id"), _id_of_header(made.get("entry"))
    if not isinstance(envelope, str) or not header:
        return ""
    begins = f"Bundle.id:{envelope}|MessageHeader.id:"
    before = messages.key_beginning(source, begins)
    if before is not None and before != begins + header:
        cause = "this Bundle.id came before with another MessageHeader.id"
        remedy = "give each message a Bundle.id of its own"
        raise BridgeError(Issue("duplicate", cause, remedy, "Bundle.id"))
    return begins + header


def _id_of_header(entries: Any) -> str:
    first = entries[0] if isinstance(entries, list) and entries else None
    resource = first.get("resource") if isinstance(first, Mapping) else None
    id = resource.get("id") if isinstance(resource, Mapping) else None
    return id if isinstance(id, str) else ""
