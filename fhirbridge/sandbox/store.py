"""What the sandbox hospital holds: every version of every resource, in memory.

Follows https://hl7.org/fhir/R4/http.html where HAPI FHIR 8.4.0 does, and HAPI where it differs. It
judges no content and has no lock: its owner holds the one lock around each interaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.sandbox.ledger import Ledger
from fhirbridge.sandbox.weather import Weather

Resource = dict[str, Any]
Key = tuple[str, str]

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_LITERAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(/_history/[A-Za-z0-9\-.]{1,64})?")
_ETAG = re.compile(r'(?:W/)?"?(\d+)"?')  # HAPI takes the bare number too (8.4.0, November 2026)


class Refusal(BridgeError):
    """An answer that is no success; `status` where it is not the category's own."""

    def __init__(
        self,
        category: str,
        cause: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        expression: str = "",
    ) -> None:
        super().__init__(Issue(category, cause, expression=expression))
        self.status = status or self.policy.status
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Version:
    """One state of one resource; `resource` is None where it says that it was deleted."""

    kind: str
    id: str
    number: int
    updated: datetime
    method: str
    resource: Resource | None

    @property
    def path(self) -> str:
        return f"{self.kind}/{self.id}"

    @property
    def versioned_path(self) -> str:
        return f"{self.path}/_history/{self.number}"


def instant(moment: datetime) -> str:
    """A FHIR instant of milliseconds.

    >>> from datetime import UTC
    >>> instant(datetime(2024, 2, 29, 12, tzinfo=UTC))
    '2024-02-29T12:00:00.000+00:00'
    """
    return moment.isoformat(timespec="milliseconds")


def references(node: Any, path: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """Each object below that has a literal `reference`, with its FHIRPath."""
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node, f"{path}.reference"
        for name, value in node.items():
            yield from references(value, f"{path}.{name}" if path else name)
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from references(value, f"{path}[{position}]")


def target(reference: str) -> Key | None:
    """Type and id of a relative literal reference, version left aside.

    >>> target("Patient/p1/_history/2"), target("#contained")
    (('Patient', 'p1'), None)
    """
    found = _LITERAL.fullmatch(reference)
    return (found[1], found[2]) if found else None


def _without_stamp(resource: Resource) -> Resource:
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in _STAMP}
    rest = {k: v for k, v in resource.items() if k != "meta"}
    return {**rest, "meta": meta} if meta else rest


_STAMP = ("versionId", "lastUpdated")


class Store:
    """All versions by type and id. Resources that come in are copied, those that go out are not."""

    def __init__(self, clock: Callable[[], datetime], *, stale_status: int = 409) -> None:
        self._clock = clock
        self._stale_status = stale_status
        self._kinds: dict[str, dict[str, tuple[Version, ...]]] = {}
        self._last_id = 0
        self.ledger = Ledger()
        self.weather = Weather()
        # Where to look first; entries stay when content goes, so every find is checked again.
        self._identified: dict[tuple[str, str], dict[str, None]] = {}
        self._referrers: dict[str, dict[Key, None]] = {}

    def load(self, resources: Iterable[Resource]) -> None:
        """Take the first stock as it is: given ids kept, references not followed."""
        for resource in resources:
            kind, given = resource["resourceType"], resource.get("id")
            self._write(kind, given or self.allocate(kind), resource, "PUT" if given else "POST")

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """All that is written inside, or nothing of it."""
        saved = {kind: dict(held) for kind, held in self._kinds.items()}
        entered, merged = len(self.ledger.writes), len(self.ledger.merges)
        with ExitStack() as undo:
            undo.callback(setattr, self, "_kinds", saved)
            undo.callback(self.ledger.forget, entered, merged)
            yield
            undo.pop_all()

    def now(self) -> datetime:
        return self.weather.time(self._clock())

    def latest(self, kind: str, id_: str) -> Version | None:
        versions = self._kinds.get(kind, {}).get(id_)
        return versions[-1] if versions else None

    def live(self, kind: str, ids: Iterable[str] | None = None) -> Iterator[Version]:
        """What is there now of a type, or of some ids of it, in the order of first arrival."""
        for id_ in self._kinds.get(kind, {}) if ids is None else ids:
            version = self._shown(kind, id_)
            if version and version.resource is not None:
                yield version

    def _shown(self, kind: str, id_: str) -> Version | None:
        """What a search sees: with a lag not the latest yet."""
        if not self.weather.lag:
            return self.latest(kind, id_)
        versions, now = self._kinds.get(kind, {}).get(id_, ()), self.now()
        return next((v for v in versions[::-1] if self.weather.shows(v.updated, now)), None)

    def recorded(self, kind: str) -> list[Version]:
        """Every version of a type, newest first."""
        found = [v for versions in self._kinds.get(kind, {}).values() for v in versions]
        return sorted(found, key=lambda one: one.updated, reverse=True)

    def identified(self, kind: str, value: str) -> list[str]:
        """Ids of a type that may carry an identifier of this value."""
        return list(self._identified.get((kind, value), ()))

    def referrers(self, path: str) -> list[Key]:
        """What may refer to `Type/id`."""
        return list(self._referrers.get(path, ()))

    def current(self, kind: str, id_: str) -> Version:
        return self._present(kind, id_, self.latest(kind, id_))

    def version(self, kind: str, id_: str, number: str) -> Version:
        found = [v for v in self.versions(kind, id_) if str(v.number) == number]
        if not found:
            raise Refusal("not-found", f"{kind}/{id_} has no version {number}")
        return self._present(kind, id_, found[0])

    def versions(self, kind: str, id_: str) -> tuple[Version, ...]:
        """Newest first."""
        held = self._kinds.get(kind, {}).get(id_)
        if held is None:
            raise Refusal("not-found", f"{kind}/{id_} is not known")
        return held[::-1]

    def _present(self, kind: str, id_: str, version: Version | None) -> Version:
        if version is None:
            raise Refusal("not-found", f"{kind}/{id_} is not known")
        if version.resource is None:
            told = f"{kind}/{id_} was deleted at {instant(version.updated)}"
            headers = {"Location": version.versioned_path}
            raise Refusal("not-found", told, status=410, headers=headers)
        return version

    def allocate(self, kind: str) -> str:
        """The next free id of the server's own: digits, which clients may not choose."""
        self._last_id += 1
        while self.latest(kind, str(self._last_id)):
            self._last_id += 1
        return str(self._last_id)

    def create(self, kind: str, resource: Resource, id_: str | None = None) -> Version:
        _must_be(kind, resource)
        return self._write(kind, id_ or self.allocate(kind), resource, "POST")

    def update(
        self, kind: str, id_: str, resource: Resource, *, if_match: str | None = None
    ) -> Version:
        """The version that holds after the update: the same one as before where nothing changes."""
        _must_be(kind, resource)
        _must_have_id(id_, resource)
        before = self.latest(kind, id_)
        if before is None or before.resource is None:
            if id_.isdigit() and before is None:
                raise Refusal("value", f"{id_}: a client may only assign ids with a non-digit")
            return self._write(kind, id_, resource, "PUT")
        self._must_be_fresh(before, if_match)
        merged = _with_old_tags(resource, before.resource)
        if fhir_json.canonical(_without_stamp(merged)) == fhir_json.canonical(
            _without_stamp(before.resource)
        ):
            return before
        return self._write(kind, id_, merged, "PUT")

    def _must_be_fresh(self, before: Version, if_match: str | None) -> None:
        given = _ETAG.fullmatch(if_match) if if_match else None
        if if_match and (given is None or int(given[1]) != before.number):
            told = f"{if_match} is not the current version of {before.path}"
            raise Refusal("conflict", told, status=self._stale_status)

    def delete(self, kind: str, id_: str) -> Version | None:
        """The version that says so; None where there was nothing."""
        before = self.latest(kind, id_)
        if before is None or before.resource is None:
            return before
        version = self._append(kind, id_, "DELETE", None)
        self.ledger.enter((kind, id_), version.number, "DELETE", version.updated, None)
        return version

    def refuse_dangling(self, path: str) -> None:
        """Refuse a deletion after which a reference would point to nothing."""
        for kind, id_ in self.referrers(path):
            holder = next(self.live(kind, [id_]), None)
            if holder and any(
                target(node["reference"]) == tuple(path.split("/"))
                for node, _ in references(holder.resource)
            ):
                raise Refusal("conflict", f"{path} is referred to by {holder.path}")

    def check_references(self, resource: Resource) -> None:
        """Refuse a reference to what is not here; contained and identifier-only ones are fine."""
        for node, path in references(resource, resource["resourceType"]):
            text = node["reference"]
            if text.startswith("#"):
                continue
            key = target(text)
            if key is None:
                raise Refusal("value", f"{text} is no reference of this server", expression=path)
            if not next(self.live(key[0], [key[1]]), None):
                raise Refusal("value", f"{text} is not here", expression=path)

    def snapshot(self) -> list[Resource]:
        """A copy of every resource that is there now, by type in the order of arrival."""
        return [deepcopy(v.resource) for k in self._kinds for v in self.live(k) if v.resource]

    def _write(self, kind: str, id_: str, resource: Resource, method: str) -> Version:
        body = deepcopy(_without_stamp(resource))
        meta = body.pop("meta", {})
        head = {"resourceType": kind, "id": id_, "meta": meta}
        version = self._append(kind, id_, method, {**head, **body, "resourceType": kind, "id": id_})
        meta.update(versionId=str(version.number), lastUpdated=instant(version.updated))
        self.ledger.enter((kind, id_), version.number, method, version.updated, version.resource)
        self._index(version)
        return version

    def _append(self, kind: str, id_: str, method: str, resource: Resource | None) -> Version:
        held = self._kinds.setdefault(kind, {})
        before = held.get(id_, ())
        version = Version(kind, id_, len(before) + 1, self.now(), method, resource)
        held[id_] = (*before, version)
        return version

    def _index(self, version: Version) -> None:
        resource = version.resource or {}
        given = resource.get("identifier", [])
        for identifier in given if isinstance(given, list) else [given]:
            place = (version.kind, identifier.get("value", ""))
            self._identified.setdefault(place, {})[version.id] = None
        for node, _ in references(resource):
            if key := target(node["reference"]):
                self._referrers.setdefault("/".join(key), {})[version.kind, version.id] = None


def _must_be(kind: str, resource: Resource) -> None:
    given = resource.get("resourceType")
    if given != kind:
        raise Refusal("structure", f"a {kind} is expected here, not {given or 'a nameless object'}")


def _must_have_id(id_: str, resource: Resource) -> None:
    if not _ID.fullmatch(id_):
        raise Refusal("value", f"'{id_}' is no id")
    if resource.get("id") != id_:
        raise Refusal("value", f"the body must say its id, '{id_}', as the URL does")


def _with_old_tags(resource: Resource, before: Resource) -> Resource:
    """Tags and security labels only add up (HAPI FHIR 8.4.0, seen November 2026)."""
    meta = dict(resource.get("meta", {}))
    for name in ("security", "tag"):
        new, old = meta.get(name, []), before.get("meta", {}).get(name, [])
        said = {(tag.get("system"), tag.get("code")) for tag in old}
        added = [tag for tag in new if (tag.get("system"), tag.get("code")) not in said]
        if old or added:
            meta[name] = [*old, *added]
    return {**resource, "meta": meta} if meta else resource
