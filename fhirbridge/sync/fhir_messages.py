"""Messages in FHIR JSON: a Bundle, a resource, a page of a pull. How their bytes become entries,
and how what may not be kept leaves them.

A message of which nothing is taken stays byte for byte.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from fhirbridge.fhir.bundle import Entry
from fhirbridge.formats import fhir_json, judged_json
from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.messages import REDACTED, Message
from fhirbridge.sync import judge
from fhirbridge.sync.judge import Opened

_EMPTY = {"resourceType": "Parameters"}  # valid R4, and of nobody
_COVER = ("resourceType", "type", "entry")
Json = dict[str, Any]


def parse(body: bytes) -> Mapping[str, Any]:
    """Raises `BridgeError` where the bytes are no JSON object, or hold what no database takes."""
    if fhir_json.holds_nul(body):
        cause = "a string holds the character U+0000, which cannot be stored"
        raise BridgeError(Issue("value", cause, "send the message without it"))
    return judged_json.parse(body)


def read(body: bytes) -> Any:
    """Any JSON, judged by nobody. Raises `BridgeError` where it is none."""
    return fhir_json.read(body)


def open_message(
    made: Mapping[str, Any], *, kind: str, asked: Mapping[str, str], mappings: MappingSet
) -> Opened:
    return judge.judge(made, kind=kind, asked=asked)


def _is_bundle(made: Any) -> bool:
    return isinstance(made, Mapping) and made.get("resourceType") == "Bundle"


def cover(made: Any) -> bytes:
    """What stands around a Bundle's entries."""
    if not _is_bundle(made):
        return b""
    return fhir_json.dump({name: value for name, value in made.items() if name != "entry"})


def entries(made: Any) -> list[Entry]:
    """As they stand, judged or not."""
    if not _is_bundle(made):
        return [Entry(0, made if isinstance(made, Mapping) else None, "")]
    given = made.get("entry")
    return [
        _entry(number, one if isinstance(one, Mapping) else {})
        for number, one in enumerate(given if isinstance(given, list) else ())
    ]


def _entry(position: int, given: Mapping[str, Any]) -> Entry:
    asked = given.get("request")
    request: Mapping[str, Any] = asked if isinstance(asked, Mapping) else {}
    resource = given.get("resource")
    return Entry(
        position,
        resource if isinstance(resource, Mapping) else None,
        "",
        full_url=str(given.get("fullUrl", "")),
        url=str(request.get("url", "")),
        if_none_exist=str(request.get("ifNoneExist", "")),
    )


def without(message: Message, positions: Collection[int], *, bare: bool) -> Message:
    """The message without what stands at these positions; `bare`: without what stands around the
    entries, too."""
    made = fhir_json.parse(message.body)
    if made.get("resourceType") != "Bundle":
        body: Json = dict(_EMPTY)
        way, divided, _ = message.kind.partition("/")
        kind = f"{way}/Parameters" if divided else message.kind
        return _changed(message, made, body, kind)
    return _changed(message, made, _bundle(made, positions, bare), message.kind)


def _changed(message: Message, before: Json, after: Json, kind: str) -> Message:
    if before == after:
        return message
    return replace(message, body=fhir_json.dump(after), kind=kind, state=REDACTED)


def _bundle(made: Mapping[str, Any], positions: Collection[int], bare: bool) -> Json:
    given = made.get("entry")
    entries = list(given) if isinstance(given, list) else []
    kept = [one for number, one in enumerate(entries) if number not in positions]
    bare = bare or not kept
    others = fhir_json.dump(kept).decode()
    after = [
        _placeholder(one, others, number) if number in positions else one
        for number, one in enumerate(entries)
    ]
    # A page's links hold what was searched for: a person.
    cover = {n: v for n, v in made.items() if (not bare and n != "link") or n in _COVER}
    return {**cover, "entry": after}


def _placeholder(entry: Any, others: str, number: int) -> Json:
    """In the shape that the Bundle's type asks for. Its name stays where what is kept refers to it,
    and only if it is one that was made for this Bundle."""
    given = entry if isinstance(entry, Mapping) else {}
    made: Json = {"resource": dict(_EMPTY)}
    name = given.get("fullUrl")
    if isinstance(name, str) and name.startswith("urn:uuid:") and f'"{name}"' in others:
        made["fullUrl"] = name
    elif name and "request" not in given:  # there each entry must have a name
        made["fullUrl"] = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
    if "request" in given:
        made["request"] = {"method": "POST", "url": "Parameters"}
    if "search" in given:
        made["search"] = {"mode": "match"}
    if "response" in given:
        made["response"] = {"status": "200"}
    return made
