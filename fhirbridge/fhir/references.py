"""Where a Reference may point: target types, contained resources, agreement with Reference.type.

Reads the text of the reference and fetches nothing (https://hl7.org/fhir/R4/references.html).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from fhirbridge.fhir import definitions, primitives
from fhirbridge.outcome import Issue


class Literal(NamedTuple):
    """A RESTful reference in its parts; `server` ends in a slash, and is empty if relative."""

    server: str
    type: str
    id: str
    version: str


def literal(text: str) -> Literal | None:
    """The parts of `[server/]Type/id[/_history/version]`; None of any other reference.

    >>> literal("https://example.org/fhir/Patient/1")
    Literal(server='https://example.org/fhir/', type='Patient', id='1', version='')
    """
    body, _, version = text.partition("?")[0].partition("/_history/")
    server, _, target = _split(body)
    resource_type, _, identifier = target.partition("/")
    if resource_type not in definitions.resource_types() or not identifier:
        return None
    if server and not server.startswith(("http://", "https://")):
        return None
    return Literal(server, resource_type, identifier, version)


def _split(body: str) -> tuple[str, str, str]:
    parts = body.rsplit("/", 2)
    return (f"{parts[0]}/", "", "/".join(parts[1:])) if len(parts) == 3 else ("", "", body)


def check(
    reference: Mapping[str, Any],
    targets: Collection[str],
    *,
    path: str,
    contained: Mapping[str, str],
    inside: bool,
) -> Iterator[Issue]:
    """Issues of one Reference.

    `contained` is id -> type in the root resource, which has the id ""; `inside`: this stands in a
    contained resource, where `#` means the one around it.
    """
    text = reference.get("reference", "")
    if primitives.BLANK.search(text):
        yield Issue("value", "blanks in a reference", "write a URL", f"{path}.reference")
    pointed = _pointed(text, contained)
    if text == "#" and not inside:
        pointed = ""
    if text.startswith("#") and not pointed:
        yield Issue(
            "invariant",
            "the reference points to a contained resource that is not there (ref-1)",
            "add the resource to contained, or correct the id after #",
            f"{path}.reference",
        )
    if pointed and targets and pointed not in targets:
        yield Issue("value", f"a {pointed} is no target here", one_of(targets), f"{path}.reference")
    issues = _check_type(reference.get("type", ""), pointed, targets, path=path)
    for issue in issues:  # without a literal, type is a hint for whoever looks up the identifier
        yield issue if "reference" in reference else replace(issue, severity="warning")


def _pointed(text: str, contained: Mapping[str, str]) -> str:
    if text.startswith("#"):
        return contained.get(text[1:], "")
    parts = literal(text.removeprefix("/")) if "/" in text else None
    return parts.type if parts else ""


def _check_type(told: str, pointed: str, targets: Collection[str], *, path: str) -> Iterator[Issue]:
    if not told or (primitives.is_absolute(told) and not targets):
        return  # an absolute URL names a logical model
    if pointed and told != pointed:
        cause = "type names another resource type than the reference"
        yield Issue("value", cause, f"write {pointed}, or leave type out", f"{path}.type")
    elif told not in (targets or definitions.resource_types()):
        cause = "type names no target of this element"
        yield Issue("value", cause, one_of(targets), f"{path}.type")


def one_of(targets: Collection[str]) -> str:
    """The remedy: which types may be referred to."""
    return "refer to " + " or ".join(sorted(targets)) if targets else "name an R4 resource type"
