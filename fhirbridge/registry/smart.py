"""What SMART Backend Services needs kept: clients' public keys, assertions that were used, and
access tokens as hashes. What is found by a credential is found without a site: it tells the site.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, or_, select

from fhirbridge.registry import smart_tables, tables
from fhirbridge.registry.scope import Scope, duplicate, not_found


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`jwk` holds the public members alone."""

    kid: str
    alg: str
    jwk: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Signer:
    """A client that signs, with one of its keys."""

    id: str
    site_id: str
    name: str
    scopes: str
    alg: str
    jwk: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Published:
    """Where a client publishes its keys; `fresh_until`: how long those that are here count."""

    site_id: str
    client_id: str
    url: str
    tried_at: datetime | None
    fresh_until: datetime | None


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose an access token is, and what it is for."""

    site_id: str
    client: str
    scopes: str


@dataclass(frozen=True, slots=True)
class Signers:
    scope: Scope

    def add(
        self, name: str, *, scopes: str, keys: Sequence[PublicKey] = (), url: str | None = None
    ) -> str:
        """The id of the new client, with its keys or the URL at which it publishes them.

        Raises `BridgeError` (duplicate) where the name is taken.
        """
        id = self.scope.ids()
        # A prefix that no API key has, and a hash that no secret has: it comes in by its keys only.
        fresh = self.scope.add_new(
            tables.client,
            id=id,
            name=name,
            prefix=id,
            secret_hash="",
            scopes=scopes,
            created_at=self.scope.clock(),
        )
        if not fresh:
            raise duplicate(f"the client name '{name}' is taken")
        self._keep(id, keys)
        if url is not None:
            self.scope.add(smart_tables.client_jwks, client_id=id, url=url)
        return id

    def replace_keys(self, name: str, keys: Sequence[PublicKey]) -> str:
        """The client's id. Its tokens end, too: one of the keys that go may have been stolen. From
        now on these count, and nothing that it publishes.
        """
        client = tables.client.c
        held = select(client.id).where(client.site_id == self.scope.site_id, client.name == name)
        held = held.where(client.scopes.is_not(None), client.revoked_at.is_(None))
        id: str | None = self.scope.connection.execute(held).scalar_one_or_none()
        if id is None:
            raise not_found(f"client that signs as '{name}'")
        gone = (smart_tables.client_key, smart_tables.access_token, smart_tables.client_jwks)
        for table in gone:
            self.scope.affected(self.scope.delete(table).where(table.c.client_id == id))
        self._keep(id, keys)
        return id

    def _keep(self, id: str, keys: Sequence[PublicKey]) -> None:
        listed = [{"client_id": id, "kid": k.kid, "alg": k.alg, "jwk": k.jwk} for k in keys]
        self.scope.add_many(smart_tables.client_key, listed)

    def find(self, client_id: str, kid: str) -> Signer | None:
        """The client with this key, if it may come in; of any site for a unit without one."""
        client, key = tables.client.c, smart_tables.client_key.c
        columns = (client.id, client.site_id, client.name, client.scopes, key.alg, key.jwk)
        found = select(*columns).join(smart_tables.client_key, _of_client(smart_tables.client_key))
        found = found.where(client.id == client_id, key.kid == kid, client.revoked_at.is_(None))
        return self.scope.one(Signer, _seen_by(self.scope, found))

    def published(self, client_id: str) -> Published | None:
        """Where the client publishes its keys, if it may come in; of any site for a unit without
        one.
        """
        jwks, client = smart_tables.client_jwks, tables.client.c
        found = select(*(jwks.c[name] for name in Published.__slots__))
        found = found.join(tables.client, _of_client(jwks))
        found = found.where(jwks.c.client_id == client_id, client.revoked_at.is_(None))
        return self.scope.one(Published, _seen_by(self.scope, found))

    def try_again(self, client_id: str, *, since: datetime) -> bool:
        """Whether the keys may be fetched now: once, by whoever asks first after `since`."""
        jwks = smart_tables.client_jwks
        due = or_(jwks.c.tried_at.is_(None), jwks.c.tried_at <= since)
        row = self.scope.update(jwks).where(jwks.c.client_id == client_id, due)
        return self.scope.affected(row.values(tried_at=self.scope.clock())) == 1

    def learn(self, client_id: str, keys: Sequence[PublicKey], *, until: datetime) -> None:
        """The published keys in place of those that were; they count until then."""
        key, jwks = smart_tables.client_key, smart_tables.client_jwks
        row = self.scope.update(jwks).where(jwks.c.client_id == client_id)
        if not self.scope.affected(row.values(fresh_until=until)):
            raise not_found("client that publishes its keys")
        self.scope.affected(self.scope.delete(key).where(key.c.client_id == client_id))
        self._keep(client_id, keys)


@dataclass(frozen=True, slots=True)
class Assertions:
    scope: Scope

    def use(self, client_id: str, jti_hash: str, *, until: datetime) -> bool:
        """False where the client's assertion was used before. Forgotten after `until`."""
        forgotten = self.scope.delete(smart_tables.assertion_seen)
        self.scope.affected(
            forgotten.where(smart_tables.assertion_seen.c.until < self.scope.clock())
        )
        return self.scope.add_new(
            smart_tables.assertion_seen, client_id=client_id, jti_hash=jti_hash, until=until
        )


@dataclass(frozen=True, slots=True)
class Tokens:
    scope: Scope

    def add(self, client_id: str, hash: str, *, scopes: str, until: datetime) -> None:
        """Ended tokens of the site are forgotten by the way."""
        ended = self.scope.delete(smart_tables.access_token)
        self.scope.affected(ended.where(smart_tables.access_token.c.until < self.scope.clock()))
        told = {"client_id": client_id, "hash": hash, "scopes": scopes, "until": until}
        self.scope.add(smart_tables.access_token, **told)

    def find(self, hash: str) -> Bearer | None:
        """None where it has ended, or its client was revoked."""
        client, token = tables.client.c, smart_tables.access_token.c
        columns = (token.site_id, client.name.label("client"), token.scopes)
        found = select(*columns).join(
            smart_tables.access_token, _of_client(smart_tables.access_token)
        )
        found = found.where(
            token.hash == hash, token.until > self.scope.clock(), client.revoked_at.is_(None)
        )
        return self.scope.one(Bearer, _seen_by(self.scope, found))


def _of_client(table: Table) -> ColumnElement[bool]:
    client = tables.client.c
    return and_(table.c.site_id == client.site_id, table.c.client_id == client.id)


def _seen_by(scope: Scope, found: Select[Any]) -> Select[Any]:
    return found if scope.site is None else found.where(tables.client.c.site_id == scope.site)
