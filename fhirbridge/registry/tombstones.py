"""What stays of persons who were erased: hashes by which they are known again, and refused.

Keyed as the identity vault is, with a purpose of their own: without the key they say nothing, and
none of them equals what the vault kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, exists, select

from fhirbridge.registry import consent_tables
from fhirbridge.registry.scope import Scope

Sign = tuple[str, ...]
"""`identity`, system, value; `study-id`, value; `source`, its name, the Patient's id there; or
`value` and any of these values, for bytes that nobody can read."""
_MANY = 500  # values of one statement; SQLite has a limit


_stone = consent_tables.tombstone.c
_ANY = select(exists().where(_stone.site_id == bindparam("of_site")))


@dataclass(frozen=True, slots=True)
class Tombstones:
    scope: Scope

    def raise_for(self, signs: Iterable[Sign]) -> None:
        for sign in signs:
            self.scope.add_new(
                consent_tables.tombstone,
                once=("hash",),
                hash=self._hash(sign),
                at=self.scope.clock(),
            )

    def any(self) -> bool:
        ((found,),) = self.scope.ask(_ANY, of_site=self.scope.site_id)
        return bool(found)

    def stand_for(self, signs: Collection[Sign]) -> bool:
        """Whether one of the signs is of a person who was erased."""
        stone = consent_tables.tombstone.c
        hashes = [self._hash(sign) for sign in signs]
        for start in range(0, len(hashes), _MANY):
            found = select(stone.hash).where(
                stone.site_id == self.scope.site_id, stone.hash.in_(hashes[start : start + _MANY])
            )
            if self.scope.connection.execute(found.limit(1)).first() is not None:
                return True
        return False

    def _hash(self, sign: Sign) -> str:
        return self.scope.vault.hash("withdrawn person", self.scope.site_id, *sign)
