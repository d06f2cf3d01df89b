"""The protocol of one write: a conditional create once, then updates by the id learned, with
If-Match, over what is there and with what others added to it.

Never a conditional update: several of them in parallel double a resource (HAPI FHIR 8.4.0). Where a
server does not say that it knows conditional creates, it is searched first; the caller then sees to
it that nobody else writes the same resource.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fhirbridge.formats import fhir_json
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.deliveries import Cause
from fhirbridge.servers.answer import Answer, outcome_codes
from fhirbridge.sync.delivery import writable as words
from fhirbridge.sync.delivery.merge import merged
from fhirbridge.sync.delivery.parcel import Parcel
from fhirbridge.sync.delivery.writable import Writable
from fhirbridge.sync.difference import missing, unlike
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.refusals import Failing, NotWritable, refused

# What servers answer that do not know If-None-Exist; R4 says 400 or 412 for other reasons, too.
_UNKNOWN_CONDITION = frozenset({400, 412, 422, 501})
_STAMPS = ("versionId", "lastUpdated", "source")
Learn = Callable[[str, str, bool, str], None]


@dataclass(frozen=True, slots=True)
class Conflict:
    """What is there keeps ours from being there; `cause` in a word."""

    cause: Cause
    issue: Issue


def content_sha256(body: dict[str, Any]) -> str:
    """Of what stands there, without the stamps that each version gets."""
    meta = {n: v for n, v in (body.get("meta") or {}).items() if n not in _STAMPS}
    return hashlib.sha256(fhir_json.canonical({**body, "meta": meta})).hexdigest()


@dataclass(frozen=True, slots=True)
class Sending:
    """`learn` hears the type, the ability, whether it is allowed, and the status that says so."""

    hospital: Hospital
    writable: Writable
    learn: Learn

    def searches_first(self, parcel: Parcel) -> bool:
        return self.writable.may(parcel.row.type, words.CONDITIONAL) is not True

    def send(self, parcel: Parcel, base: dict[str, Any] | None) -> Answer | Conflict:
        """The resource as it is there now, or the conflict that keeps ours from being there. `base`
        is what we sent last."""
        delivery = parcel.delivery
        if delivery is None or delivery.remote_id is None:
            return self.create(parcel)
        return self.update(parcel, delivery.remote_id, base)

    def create(self, parcel: Parcel) -> Answer | Conflict:
        self._allowed(parcel, words.CREATE)
        identifier = parcel.body["identifier"][0]
        token = f"{identifier['system']}|{identifier['value']}"
        if self.searches_first(parcel):
            met = self._searched(parcel, token)
            if isinstance(met, Conflict):
                return met
            if met is not None:
                return self._over(parcel, met)
        made = self._posted(parcel, token)
        if made.status >= 400:
            raise self._no(made, parcel, words.CREATE, "the create")
        there = self.located(parcel, made)
        return there if made.status == 201 else self._over(parcel, there)

    def _over(self, parcel: Parcel, there: Answer) -> Answer | Conflict:
        """The one that was met by our identifier, which no run of ours remembers."""
        if self.equal(parcel, there):
            return there
        return self._put(parcel, there, base=None, known=None)

    def _posted(self, parcel: Parcel, token: str) -> Answer:
        """With the condition, unless the server is known not to know it."""
        server, kind = self.hospital.server, parcel.row.type
        if self.writable.may(kind, words.CONDITIONAL) is False:
            return server.create(parcel.body, if_none_exist=None)
        made = server.create(parcel.body, if_none_exist=f"identifier={quote(token, safe='')}")
        if made.status in _UNKNOWN_CONDITION and "not-supported" in outcome_codes(made):
            self.learn(kind, words.CONDITIONAL, False, str(made.status))
            cause = f"the server knows no conditional create of {kind}"
            raise Failing(Issue("remote", cause, "it is searched first from now on"))
        return made

    def _searched(self, parcel: Parcel, token: str) -> Answer | Conflict | None:
        """The one resource there that bears our identifier, whatever else the server returns."""
        kind = parcel.row.type
        found = self.hospital.server.search(kind, {"identifier": token})
        if found.status >= 400:
            raise refused(found, "the search before the create", made=True)
        ids = {
            str(one.get("id"))
            for entry in (found.body or {}).get("entry") or ()
            if (one := entry.get("resource") or {}).get("resourceType") == kind
            if any(f"{i.get('system')}|{i.get('value')}" == token for i in one["identifier"])
        }
        if len(ids) > 1:
            cause = f"{len(ids)} resources there bear our identifier: {', '.join(sorted(ids))}"
            return Conflict("several", Issue("conflict", cause, "have all but one removed there"))
        return self._read(parcel, ids.pop(), "reading what the search found") if ids else None

    def located(self, parcel: Parcel, made: Answer) -> Answer:
        """The resource that a create made or met, read by its id: answers may be empty."""
        id = str((made.body or {}).get("id") or "")
        if not id and made.location:
            parts = made.location.split("/_history/")[0].rsplit("/", 2)
            id = parts[-1] if parts[-2:-1] == [parcel.row.type] else ""
        if not id:
            cause = "the server said neither where nor what it stored"
            raise BridgeError(Issue("remote", cause, "show this to the hospital's IT"))
        return self._read(parcel, id, "reading the resource that was just made")

    def update(self, parcel: Parcel, id: str, base: dict[str, Any] | None) -> Answer | Conflict:
        """Over exactly the version that we know, or over one to which others only added. Looked at
        first: an update of what was deleted there makes it again (HAPI FHIR 8.4.0), and one whose
        answer was lost is there already.
        """
        now = self._read(parcel, id, "reading what was delivered before")
        if self.equal(parcel, now):
            return now
        known = parcel.delivery.remote_version if parcel.delivery else None
        if known is not None and self._changed(parcel, now) and not self._added(base, now):
            return self._overtaken(parcel, now, known)
        return self._put(parcel, now, base=base, known=known)

    def _put(
        self, parcel: Parcel, now: Answer, *, base: dict[str, Any] | None, known: str | None
    ) -> Answer | Conflict:
        """Twice at most: once more where others only added to it between our look and our write."""
        self._allowed(parcel, words.UPDATE)
        id, merges = str((now.body or {})["id"]), self.hospital.options.merge
        made = now
        for _ in range(2):
            body = merged(base or {}, parcel.body, now.body or {}) if merges else parcel.body
            versioned = self.writable.may(parcel.row.type, words.VERSIONED) is not False
            version = now.version if versioned else ""
            made = self.hospital.server.update({**body, "id": id}, version=version or None)
            if made.status < 400:
                whole = (made.body or {}).get("id")
                return made if whole else self.located(parcel, made if made.location else now)
            if made.status not in (409, 412):
                raise self._no(made, parcel, words.UPDATE, "the update")
            now = self._read(parcel, id, "reading what was changed meanwhile")
            if self.equal(parcel, now):
                return now
            if not self._added(base, now):
                break
        return self._overtaken(parcel, now, known or now.version)

    def _changed(self, parcel: Parcel, now: Answer) -> bool:
        """Since we looked last. A version that differs while the content does not is none."""
        known = parcel.delivery
        if known is None or (now.version and now.version == known.remote_version):
            return False
        return known.remote_sha256 != content_sha256(now.body or {})

    def _added(self, base: dict[str, Any] | None, now: Answer) -> bool:
        """All that we said stands there as we sent it. A writer that leaves out `meta` says nothing
        else thereby."""
        if base is None or not self.hospital.options.merge:
            return False
        said = {name: value for name, value in base.items() if name != "meta"}
        return not missing(said, now.body or {})

    def _overtaken(self, parcel: Parcel, now: Answer, version: str) -> Conflict:
        name = f"{parcel.row.type}/{(now.body or {}).get('id')}"
        cause = f"{name} was changed there since version {version}"
        remedy = "a person decides which of the two is right"
        return Conflict("overtaken", Issue("conflict", cause, remedy))

    def equal(self, parcel: Parcel, there: Answer) -> bool:
        body = there.body or {}
        return not missing(parcel.body, body) and not unlike(
            self.hospital.mappings, parcel.body, body
        )

    def differences(self, parcel: Parcel, there: Answer) -> list[Issue]:
        """Element by element what did not come back as it was sent."""
        issues = [
            Issue("remote", "it did not come back as it was sent", "see the server's rules", at)
            for at in missing(parcel.body, there.body or {})
        ]
        return issues + unlike(self.hospital.mappings, parcel.body, there.body or {})

    def read_back(self, parcel: Parcel, id: str) -> Answer:
        return self._read(parcel, id, "the read-back")

    def _read(self, parcel: Parcel, id: str, doing: str) -> Answer:
        there = self.hospital.server.get(f"{parcel.row.type}/{id}")
        if there.status >= 400:
            raise refused(there, doing)
        return there

    def _allowed(self, parcel: Parcel, ability: str) -> None:
        kind = parcel.row.type
        why = self.writable.forbidden(kind, ability)
        why = why or self.writable.hopeless(kind, parcel.row.block)
        if why:
            raise NotWritable(why)

    def _no(self, answer: Answer, parcel: Parcel, ability: str, doing: str) -> BridgeError:
        if answer.status == 405:
            self.learn(parcel.row.type, ability, False, "405")
        return refused(answer, doing, made=ability == words.CREATE)
