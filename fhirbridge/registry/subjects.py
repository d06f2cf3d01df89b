"""Subjects and, in a vault of their own, the identifiers by which hospitals know them.

An identifier never stands in the database in the clear, and never in an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, select

from fhirbridge.formats import fhir_json
from fhirbridge.registry import tables
from fhirbridge.registry.scope import Scope, conflict
from fhirbridge.registry.tombstones import Tombstones


@dataclass(frozen=True, slots=True)
class Subject:
    id: str
    study_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class _Identity:
    hash: str
    cipher: bytes
    subject_id: str
    retired_at: datetime | None


# Without their keys, so that new rows of others may still point to them.
_HOLD = (
    select(tables.subject.c.id)
    .where(
        tables.subject.c.site_id == bindparam("of_site"),
        tables.subject.c.id.in_(bindparam("ids", expanding=True)),
    )
    .order_by(tables.subject.c.id)
    .with_for_update(key_share=True)
)


@dataclass(frozen=True, slots=True)
class Subjects:
    scope: Scope

    def enrol(self, study_id: str, identities: Iterable[tuple[str, str]]) -> Subject:
        """The subject of this study id, made if need be, with the identities (system, value) added.

        Raises `BridgeError` (conflict) where an identity belongs to another subject, or to somebody
        who was erased.
        """
        known = [*identities]
        self._refuse_erased(study_id, known)
        self.scope.add_new(
            tables.subject,
            once=("study_id",),
            id=self.scope.ids(),
            study_id=study_id,
            created_at=self.scope.clock(),
        )
        held = self._rows().where(tables.subject.c.study_id == study_id)
        subject = self.scope.only(Subject, held, "subject")
        for number, (system, value) in enumerate(known, start=1):
            if not self._identify(subject.id, system, value):
                raise conflict(
                    f"identifier {number} of '{study_id}' belongs to another subject already",
                    "correct the enrolment list",
                )
        return subject

    def _refuse_erased(self, study_id: str, identities: list[tuple[str, str]]) -> None:
        signs = [("study-id", study_id), *(("identity", *one) for one in identities)]
        if Tombstones(self.scope).stand_for(signs):
            cause = "one of these withdrew consent, and was erased: there is nobody to enrol"
            raise conflict(cause, "take the person off the enrolment list")

    def _identify(self, subject_id: str, system: str, value: str) -> bool:
        plain = fhir_json.dump({"system": system, "value": value})
        hashed = self._hash(system, value)
        fresh = self.scope.add_new(
            tables.subject_identity,
            once=("hash",),
            hash=hashed,
            cipher=self.scope.vault.seal(plain, place=self._place(subject_id)),
            subject_id=subject_id,
            created_at=self.scope.clock(),
            retired_at=None,
        )
        return fresh or self._owner(hashed) == subject_id

    def _owner(self, hashed: str) -> str | None:
        found = self.scope.row(tables.subject_identity, _Identity, hash=hashed)
        return None if found is None else found.subject_id

    def pseudonym(self, system: str, value: str) -> str:
        """What stands for an identity where its value must not: the same for the same, and only
        for who holds the vault's key.
        """
        return self._hash(system, value)[:32]

    def by_identity(self, system: str, value: str) -> Subject | None:
        owner = self._owner(self._hash(system, value))
        return None if owner is None else self.by_id(owner)

    def retire(self, system: str, value: str) -> bool:
        """The number is one of before: its person has another now. False where it was so
        already."""
        identity = tables.subject_identity
        named = self.scope.update(identity).where(
            identity.c.hash == self._hash(system, value), identity.c.retired_at.is_(None)
        )
        return self.scope.affected(named.values(retired_at=self.scope.clock())) == 1

    def is_old(self, system: str, value: str) -> bool:
        found = self.scope.row(tables.subject_identity, _Identity, hash=self._hash(system, value))
        return found is not None and found.retired_at is not None

    def by_id(self, subject_id: str) -> Subject | None:
        return self.scope.row(tables.subject, Subject, id=subject_id)

    def by_study_id(self, study_id: str) -> Subject | None:
        return self.scope.row(tables.subject, Subject, study_id=study_id)

    def all(self) -> list[Subject]:
        return self.scope.many(Subject, self._rows().order_by(tables.subject.c.study_id))

    def identities(self, subject_id: str) -> list[tuple[str, str]]:
        """The identities (system, value) in the clear, in order."""
        rows = self.scope.select(tables.subject_identity, _Identity)
        held = rows.where(tables.subject_identity.c.subject_id == subject_id)
        return sorted(self._plain(row) for row in self.scope.many(_Identity, held))

    def told(self, subject_id: str) -> list[tuple[str, str, bool]]:
        """The identities in the clear, and whether each is one of before; in order."""
        rows = self.scope.select(tables.subject_identity, _Identity)
        held = rows.where(tables.subject_identity.c.subject_id == subject_id)
        found = self.scope.many(_Identity, held)
        return sorted((*self._plain(row), row.retired_at is not None) for row in found)

    def _plain(self, row: _Identity) -> tuple[str, str]:
        opened = self.scope.vault.unseal(row.cipher, place=self._place(row.subject_id))
        plain = fhir_json.parse(opened)
        return plain["system"], plain["value"]

    def _rows(self) -> Select[Any]:
        return self.scope.select(tables.subject, Subject)

    def _hash(self, system: str, value: str) -> str:
        """Site and all, so that equal identifiers of two sites do not show as equal."""
        return self.scope.vault.hash(self.scope.site_id, system, value)

    def _place(self, subject_id: str) -> str:
        return identity_place(self.scope.site_id, subject_id)


def identity_place(site_id: str, subject_id: str) -> str:
    """What an identity's cipher is bound to."""
    return f"subject_identity:{site_id}:{subject_id}"


def hold(scope: Scope, subject_ids: Iterable[str]) -> bool:
    """Nobody else changes what is of these subjects before this transaction ends; where several are
    wanted, they are waited for in one order. True where one was not held until now: what was read
    of it may have changed since.

    SQLite has one writer, who holds all.
    """
    if scope.alone:
        return False
    held = scope.gathered.held
    wanted = sorted({*subject_ids} - held)
    if not wanted:
        return False
    scope.forget()
    scope.raw.execute(_HOLD, {"of_site": scope.site_id, "ids": wanted})
    held.update(wanted)
    return True
