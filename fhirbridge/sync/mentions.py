"""Which persons a resource speaks of, before anything else of it is read.

Every reference that may lead to a Patient counts, wherever it stands: what has two of them is about
both. Nothing here trusts a shape: what was not judged is looked through, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fhirbridge.fhir.bundle import Entry

Mention = tuple[str, ...]
"""`identity`, system, value; `reference` and its text; or `value`, of an identifier that says not
whose number it is: it finds nobody, and is known of who was erased."""
_PATIENT = re.compile(r"(?:^|/)Patient[/?]")


def mentions(entry: Entry) -> Iterator[Mention]:
    """Identifiers before ids: they are the surer sign."""
    yield from within(entry.resource)
    yield from _named(entry)


def _named(entry: Entry) -> Iterator[Mention]:
    """What the entry itself is called, where it is a Patient."""
    resource = entry.resource if isinstance(entry.resource, Mapping) else {}
    person = resource.get("resourceType") == "Patient"
    for text in (entry.url, f"Patient?{entry.if_none_exist}" if person else ""):
        yield from _reference(text)
    if person and isinstance(resource.get("id"), str):
        yield "reference", f"Patient/{resource['id']}"


def within(value: Any) -> Iterator[Mention]:
    """Those of a value and of all below it; not by recursion, as it may be deep."""
    todo = [value]
    while todo:
        here = todo.pop()
        if isinstance(here, list):
            todo += here
        elif isinstance(here, dict):  # as JSON is read; to ask for a Mapping takes six times longer
            if not _SIGNS.isdisjoint(here):
                yield from _of_object(here)
            todo += [below for below in here.values() if isinstance(below, (dict, list))]


_SIGNS = frozenset(
    ("reference", "identifier", "valueIdentifier")
)  # without one of them an object speaks of nobody


def _of_object(value: Mapping[str, Any]) -> Iterator[Mention]:
    if value.get("resourceType") == "Patient":
        given = value.get("identifier")
        for one in given if isinstance(given, list) else ():
            yield from _identity(one)
    text = value.get("reference")
    if isinstance(text, str):
        yield from _reference(text)
    # No other type than a Reference holds one identifier, and a resource has several.
    if value.get("type") in (None, "Patient") and "resourceType" not in value:
        yield from _identity(value.get("identifier"))
    yield from _identity(value.get("valueIdentifier"))  # of an extension


def _identity(given: Any) -> Iterator[Mention]:
    if isinstance(given, Mapping):
        system, value = given.get("system"), given.get("value")
        if isinstance(system, str) and isinstance(value, str):
            yield "identity", system, value
        elif isinstance(value, str):
            yield "value", value


def _reference(text: str) -> Iterator[Mention]:
    identity = searched(text)
    if identity is not None:
        yield "identity", *identity
    elif _PATIENT.search(text) or text.startswith("urn:"):
        yield "reference", text


def literals(value: Any) -> list[str]:
    """Every literal reference in a resource, judged or not; not by recursion, as it may be deep."""
    found: list[str] = []
    todo = [value]
    while todo:
        here = todo.pop()
        if isinstance(here, list):
            todo += here
        elif isinstance(here, dict):  # as JSON is read
            given = here.get("reference")
            if isinstance(given, str):
                found.append(given)
            todo += [below for below in here.values() if isinstance(below, (dict, list))]
    return found[::-1]


def stands_in(body: bytes, values: Iterable[str]) -> bool:
    """Whether one of the values stands there as a word of its own, as it is or as in a URL."""
    text = body.decode("utf-8", "replace")
    told = f"{text} {unquote(text)}"
    return any(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", told) for value in values if value)


def searched(text: str) -> tuple[str, str] | None:
    """System and value of a conditional reference, `Patient?identifier=system|value`."""
    if not text.startswith("Patient?"):
        return None
    asked = parse_qs(urlsplit(text).query).get("identifier", [])
    system, divided, value = unquote(asked[0]).partition("|") if len(asked) == 1 else ("", "", "")
    return (system, value) if divided else None
