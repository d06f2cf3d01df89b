"""What the requests of a message ask beside their resources: method, URL, conditions, versions and
conditional references; held against the registry before anything is written.

Follows https://hl7.org/fhir/R4/http.html (create, update, transaction). Nothing is deleted or
patched by request: a resource is sent again, or as entered-in-error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.fhir.bundle import Entry
from fhirbridge.fhir.search_parameters import PARAMETERS
from fhirbridge.outcome import Issue
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import matching, source
from fhirbridge.sync.matching import Condition, Matching
from fhirbridge.sync.whose import Whose

_ETAG = re.compile(r'(?:W/)?"([^"]*)"')


_ETAGS = re.compile(rf"{_ETAG.pattern}(?:\s*,\s*{_ETAG.pattern})*")


def _at(entry: Entry, name: str) -> str:
    return f"{entry.request}.if{name}"


def _stray(entry: Entry) -> Issue | None:
    """A condition that does not belong to the method: passed over, it would not hold."""
    if entry.if_modified_since:
        return _belongs(entry, "ModifiedSince", "a read")
    if entry.if_none_match and (entry.method, entry.if_none_match.strip()) != ("PUT", "*"):
        return _belongs(entry, "NoneMatch", "a read, or with * to a PUT")
    if entry.if_none_exist and entry.method == "PUT":
        return _belongs(entry, "NoneExist", "a POST")
    return None


def _belongs(entry: Entry, name: str, where: str) -> Issue:
    cause = f"if{name} belongs to {where}"
    return Issue("not-supported", cause, "leave it out", _at(entry, name))


def _if_none_exist(entry: Entry, kind: str) -> Condition | Issue:
    """A query, also with the type or a whole URL before it."""
    path, _, query = entry.if_none_exist.rpartition("?")
    named = path.rstrip("/").rpartition("/")[2]
    if named not in ("", kind):
        cause = f"the condition names {named[:64]}, and the resource is a {kind}"
        return Issue(
            "value", cause, f"write {kind}?..., or the query alone", _at(entry, "NoneExist")
        )
    return matching.read(kind, query, _at(entry, "NoneExist"))


def _by_name(entry: Entry) -> bool:
    """Whether it matters what the source called its resource: an update finds it in any case."""
    return entry.method == "POST" or bool(entry.if_match) or "id" in (entry.resource or {})


@dataclass
class Conditions:
    """`faults` are those of each entry, by position; `exists` what an If-None-Exist found, and
    `updates` the resource of ours that a request names."""

    unit: Unit
    whose: Whose
    origin: str
    name: Callable[[Entry], str]
    faults: dict[int, Issue] = field(default_factory=dict)
    exists: dict[int, ResourceRow] = field(default_factory=dict)
    updates: dict[int, ResourceRow] = field(default_factory=dict)
    matching: Matching = field(init=False)

    def __post_init__(self) -> None:
        self.matching = Matching(self.unit, self.whose, self.origin)

    def look_at(self, entries: Sequence[Entry], *, whole: bool) -> None:
        """`whole`: the entries are one transaction, in which each resource stands once."""
        asked = [(entry, self._asked(entry)) for entry in entries]
        self.matching.prepare(c for _, c in asked if isinstance(c, Condition))
        for entry, condition in asked:
            fault = condition if isinstance(condition, Issue) else self._held(entry, condition)
            if fault is not None:
                self.faults[entry.position] = fault
        if whole:
            for entry, fault in (*self._twice(entries), *self._references(entries)):
                self.faults.setdefault(entry.position, fault)

    def _asked(self, entry: Entry) -> Condition | Issue | None:
        """The condition of the entry's request, if it has one; an Issue where it cannot be done."""
        kind = source.resource_type(entry)
        if entry.method not in ("", "POST", "PUT"):
            cause = f"{entry.method} is not done here"
            remedy = "send the resource again; to take it back, as entered-in-error"
            if entry.method in ("GET", "HEAD"):
                remedy = "read by a request of its own"
            return Issue("not-supported", cause, remedy, f"{entry.request}.method")
        path, _, query = entry.url.partition("?")
        named = path.strip("/").split("/")
        at = f"{entry.request}.url"
        if entry.method and named[0] != kind:
            cause = f"the URL names {named[0][:64]}, and the resource is a {kind}"
            return Issue("value", cause, f"write {kind}", at)
        if entry.method == "POST" and (len(named) > 1 or query):  # no search, no operation
            cause, remedy = "the URL names more than a type", f"write {kind}, conditions beside it"
            return Issue("value", cause, remedy, at)
        stray = _stray(entry)
        if stray is not None:
            return stray
        if entry.method == "POST" and entry.if_none_exist:
            return _if_none_exist(entry, kind)
        if entry.method == "PUT" and len(named) == 1 and "?" in entry.url:
            return matching.read(kind, query, at)
        if entry.method == "PUT":
            return self._named(entry, named[1] if len(named) == 2 else "")
        return None

    def _named(self, entry: Entry, id: str) -> Issue | None:
        """PUT to an id: that of one of our resources, or the sender's own."""
        given = (entry.resource or {}).get("id")
        if not id or given != id:
            cause = "the id in the URL is not the id of the resource"
            return Issue("value", cause, "write the same id in both", f"{entry.root}.id")
        row = self.unit.resources.get(source.resource_type(entry), id)
        if row is not None:
            self.updates[entry.position] = row
        return None

    def _held(self, entry: Entry, asked: Condition | None) -> Issue | None:
        found = self.matching.of(asked, own_names=_by_name(entry)) if asked else []
        if len(found) > 1:
            cause, remedy = "the condition matches several resources", "name one by its identifier"
            return Issue("precondition", cause, remedy, entry.request)
        if asked is not None and found:
            if entry.method == "POST":
                self.exists[entry.position] = found[0]
            else:
                self.updates[entry.position] = found[0]
                if not self._same(entry, found[0]):
                    cause = "the condition matches a resource with another id"
                    remedy = "leave the id out, or write that of the match"
                    return Issue("value", cause, remedy, f"{entry.root}.id")
        fault = self._version(entry) if entry.if_match else None
        return fault or (self._is_new(entry) if entry.if_none_match else None)

    def _is_new(self, entry: Entry) -> Issue | None:
        """`If-None-Match: *` on a PUT (RFC 9110, section 13.1.2): make it, and change nothing."""
        row = self.updates.get(entry.position) or self._sent(entry)
        if row is None or row.deleted:
            return None
        cause, at = "it is there, and If-None-Match asks for nothing to be", _at(entry, "NoneMatch")
        return Issue("precondition", cause, "read it, and send your change with If-Match", at)

    def _same(self, entry: Entry, row: ResourceRow) -> bool:
        """Whether the resource's own id, if it has one, is the match's, here or at its source."""
        id = (entry.resource or {}).get("id")
        if id in (None, row.fhir_id):
            return True
        return any(
            (one.source, one.source_id) == (self.origin, id)
            for one in self.unit.origins.of_record(row.record_id)
        )

    def _version(self, entry: Entry) -> Issue | None:
        at = _at(entry, "Match")
        given = entry.if_match.strip()
        if given != "*" and not _ETAGS.fullmatch(given):
            return Issue("value", "If-Match is no ETag", 'write W/"1"', at)
        row = self.updates.get(entry.position) or self._sent(entry)
        meant = row and (given == "*" or str(row.version) in _ETAG.findall(given))
        if row is None or row.deleted or not meant:
            cause = "it is not in the version that If-Match names"
            return Issue("precondition", cause, "read it again, then send your change", at)
        return None

    def _sent(self, entry: Entry) -> ResourceRow | None:
        """What the source's resource of this id became."""
        kind = source.resource_type(entry)
        seen = self.unit.origins.find(self.origin, kind, self.name(entry))
        ids = self.unit.origins.records(seen.id) if seen else []
        rows = [row for row in self.unit.resources.of_records(ids) if row.type == kind]
        return rows[0] if len(rows) == 1 else None

    def _twice(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Issue]]:
        """A resource that two entries write: by its source's name, or as what they name of ours."""
        seen: dict[Any, int] = {}
        for entry in entries:
            resource = entry.resource or {}
            names: list[Any] = []
            if resource.get("id") or source.identifier(resource):
                names.append((source.resource_type(entry), self.name(entry)))
            row = self.updates.get(entry.position) or self.exists.get(entry.position)
            names += [row.id] if row else []
            for name in names:
                if name in seen:
                    cause = f"entry {seen[name]} is the same resource"
                    remedy = "send it once, or give each an id or identifier of its own"
                    yield entry, Issue("repeated", cause, remedy, entry.root)
                seen.setdefault(name, entry.position)

    def _references(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Issue]]:
        """Conditional references must lead to one resource; those to types that the registry does
        not hold are not followed."""
        own = {
            ("Patient", named)
            for entry in entries
            if source.resource_type(entry) == "Patient" and entry.resource
            for named in source.identifiers(entry.resource)
        }
        judged: dict[str, Issue | None] = {}
        for entry in entries:
            for text in self.whose.literals(entry):
                kind, divided, query = text.partition("?")
                if not divided or kind not in PARAMETERS:
                    continue
                if text not in judged:
                    judged[text] = self._reference(kind, query, own)
                fault = judged[text]
                if fault is not None:
                    yield entry, Issue(fault.category, fault.cause, fault.remedy, entry.root)

    def _reference(self, kind: str, query: str, own: set[tuple[str, str]]) -> Issue | None:
        asked = matching.read(kind, query, "")
        if isinstance(asked, Issue):
            return asked
        if asked.identifier and (kind, "|".join(asked.identifier)) in own:
            return None
        found = self.matching.of(asked)
        if len(found) == 1:
            return None
        if found:
            cause = f"a conditional reference matches several {kind} resources"
            return Issue("precondition", cause, "name one by its identifier")
        cause = f"a conditional reference matches no {kind}"
        remedy = "send it before, or in the same Bundle; a Patient must be enrolled"
        return Issue("unknown-subject", cause, remedy)
