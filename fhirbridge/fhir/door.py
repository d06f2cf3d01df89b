"""What our door refuses although FHIR would take it: the study cannot know what it would mean.

Unknown modifier extensions (https://hl7.org/fhir/R4/extensibility.html#modifierExtension) and
implicit rules (https://hl7.org/fhir/R4/resource.html#implicitRules), misspelt extensions of HL7,
and codes of UCUM that are none. Gets resources that are valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from fhirbridge.fhir import definitions, packages, ucum
from fhirbridge.fhir.datatype_rules import UCUM
from fhirbridge.fhir.findings import Findings
from fhirbridge.outcome import Issue

HL7 = "http://hl7.org/fhir/"
_DEEPEST = 100  # what is valid is less deep


def door(resource: Mapping[str, Any], *, path: str | None = None) -> list[Issue]:
    """Such issues, contained resources and Bundle entries included, as far as findings.py tells
    them; all are errors."""
    if not _may_be_strange(resource):
        return []
    kind = str(resource.get("resourceType", ""))
    issues = Findings(path or kind)
    issues.extend(_Door(issues).members(resource, kind, path or kind, 0))
    return issues.issues


def _may_be_strange(value: Any) -> bool:
    """The fast pass, without places: False where there is surely nothing to tell."""
    todo = [value]
    while todo:
        here = todo.pop()
        if isinstance(here, list):
            todo += here
            continue
        if not isinstance(here, dict):
            continue
        if "implicitRules" in here:
            return True
        for name in ("extension", "modifierExtension"):
            if name in here and not _known(here[name]):
                return True
        code = here.get("code") if here.get("system") == UCUM else None
        if isinstance(code, str) and not ucum.is_code(code):
            return True
        todo += [below for below in here.values() if isinstance(below, (dict, list))]
    return False


def _known(listed: Any) -> bool:
    if not isinstance(listed, list):  # what is no list is told by the judge
        return True
    urls = [one.get("url") for one in listed if isinstance(one, dict)]
    return all(isinstance(url, str) and packages.extension(url) is not None for url in urls)


@cache
def _by_name() -> Mapping[str, str]:
    """The URLs of the extensions that are known, by what stands last in them."""
    return {_name(url): url for url in packages.extensions()}


def _name(url: str) -> str:
    return url.rpartition("/")[2]


class _Door:
    """One pass over a resource."""

    __slots__ = ("issues",)

    def __init__(self, issues: Findings) -> None:
        self.issues = issues  # asked for suggestions

    def members(self, value: Mapping[str, Any], at: str, path: str, depth: int) -> Iterator[Issue]:
        if value.get("system") == UCUM:
            yield from self.unit(value.get("code"), f"{path}.code")
        if "implicitRules" in value and "resourceType" in value:
            cause = "it follows rules that are not known here, and may mean something else by them"
            remedy = "send it without implicitRules, if it reads the same without them"
            yield Issue("not-supported", cause, remedy, f"{path}.implicitRules")
        for name, item in value.items():
            if not isinstance(item, (dict, list)):
                continue
            if name in ("extension", "modifierExtension") and isinstance(item, list):
                yield from self.extensions(name, item, f"{path}.{name}")
            found = definitions.element(at, name.removeprefix("_"))
            below = found.path if found and name[:1] != "_" else "Element"
            where = f"{path}.{found.group if found else name}"
            yield from self.values(item, below, where, depth + 1)

    def values(self, item: Any, at: str, path: str, depth: int) -> Iterator[Issue]:
        if depth > _DEEPEST:
            return
        if isinstance(item, dict):
            yield from self.members(item, str(item.get("resourceType", at)), path, depth)
        elif isinstance(item, list):
            for index, one in enumerate(item):
                if isinstance(one, (dict, list)):
                    yield from self.values(one, at, f"{path}[{index}]", depth + 1)

    def extensions(self, name: str, listed: Sequence[Any], path: str) -> Iterator[Issue]:
        for index, one in enumerate(listed):
            url = one.get("url") if isinstance(one, dict) else None
            if not isinstance(url, str) or packages.extension(url) is not None:
                continue
            where = f"{path}[{index}]"
            if name == "modifierExtension":
                cause = "a modifier extension that is not known here changes the meaning"
                remedy = "send the record without it, or let the study learn it first"
                yield Issue("not-supported", cause, remedy, where)
            elif url.startswith(HL7) and (near := self.meant(url)):
                cause = "HL7 has published no such extension"
                yield Issue("not-supported", cause, f"did you mean {near}?", f"{where}.url")

    def meant(self, url: str) -> str:
        """The extension of which this URL is a misspelling, or "". One that is like none is of an
        older or a newer guide: it may be left aside, as extensions may (extensibility.html)."""
        known = _by_name()
        near = self.issues.near(_name(url), known, cutoff=0.9)
        return known[near] if near else ""

    def unit(self, code: Any, path: str) -> Iterator[Issue]:
        if isinstance(code, str) and not ucum.is_code(code):
            near = self.issues.suggestion(lambda: ucum.nearest(code))
            remedy = f"did you mean {near}?" if near else "write a case-sensitive UCUM code"
            yield Issue("value", "this is no UCUM code", remedy, path)
