"""Sites, the clients that may send to them, and the connections to their hospitals' servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, bindparam, select, update

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry import audit, tables
from fhirbridge.registry.scope import Scope, duplicate, not_found

Unmatched = Literal["hold", "enrol", "refuse"]
Consent = Literal["enrolment", "record"]


@dataclass(frozen=True, slots=True)
class Site:
    """A hospital; `unmatched` says what becomes of a patient that nobody enrolled, `consent` what
    allows to read of one who is: the enrolment until consent is withdrawn, or a record of it.
    """

    id: str
    name: str
    unmatched: Unmatched
    created_at: datetime
    consent: Consent = "enrolment"


@dataclass(frozen=True, slots=True)
class Client:
    """A sender: the public prefix of its key and the hash of its secret, or the scopes of one that
    signs. `rehearsal`: what it sends is worked off, answered and thrown away."""

    id: str
    site_id: str
    name: str
    prefix: str
    secret_hash: str
    created_at: datetime
    revoked_at: datetime | None
    scopes: str | None = None
    rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class Connection:
    """A hospital's server and how we log in there; the secret is never printed."""

    id: str
    name: str
    base_url: str
    auth_kind: str
    created_at: datetime
    secret: str | None = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)  # see `fhirbridge.options`
    login: Mapping[str, Any] = field(default_factory=dict)  # see `fhirbridge.servers.login`
    learned: Mapping[str, Any] = field(default_factory=dict)


_site, _client = tables.site.c, tables.client.c
_SITES = select(_site.id, _site.name, _site.unmatched, _site.created_at, _site.consent)
_BY_ID = _SITES.where(_site.id == bindparam("of_id"))
_BY_PREFIX = select(*(_client[name] for name in Client.__slots__)).where(
    _client.prefix == bindparam("prefix"), _client.revoked_at.is_(None), _client.scopes.is_(None)
)


@dataclass(frozen=True, slots=True)
class Sites:
    """All sites for a unit without a site; its own alone for a unit with one."""

    scope: Scope

    def add(
        self, name: str, *, unmatched: Unmatched = "hold", consent: Consent = "enrolment"
    ) -> Site:
        if self.scope.site is not None:
            cause = "a unit of one site cannot add another"
            raise BridgeError(Issue("configuration", cause, "open the unit without a site"))
        site = Site(self.scope.ids(), name, unmatched, self.scope.clock(), consent)
        if not self.scope.add_site(
            id=site.id,
            name=name,
            unmatched=unmatched,
            created_at=site.created_at,
            consent=consent,
        ):
            raise duplicate(f"there is a site '{name}' already")
        audit.begin(self.scope, site.id)
        return site

    def let_enrolment_allow(self) -> None:
        """Who is enrolled may be read at the unit's site. Only a rehearsal says so."""
        site = tables.site
        named = update(site).where(site.c.id == self.scope.site_id)
        self.scope.connection.execute(named.values(consent="enrolment"))

    def by_name(self, name: str) -> Site:
        found = self.scope.one(Site, self._rows().where(tables.site.c.name == name))
        if found is None:
            raise not_found(f"site as '{name}'", _known([site.name for site in self.all()]))
        return found

    def by_id(self, site_id: str) -> Site | None:
        if self.scope.site not in (None, site_id):
            return None
        found = self.scope.ask(_BY_ID, of_id=site_id)
        return Site(*found[0]) if found else None

    def all(self) -> list[Site]:
        return self.scope.many(Site, self._rows().order_by(tables.site.c.name))

    def _rows(self) -> Select[tuple[str, str, str, datetime, str]]:
        site = tables.site.c
        return _SITES if self.scope.site is None else _SITES.where(site.id == self.scope.site)


@dataclass(frozen=True, slots=True)
class Clients:
    scope: Scope

    def add(self, name: str, *, prefix: str, secret_hash: str, rehearsal: bool = False) -> Client:
        """Raises `BridgeError` (duplicate) where name or prefix are taken."""
        made = Client(
            id=self.scope.ids(),
            site_id=self.scope.site_id,
            name=name,
            prefix=prefix,
            secret_hash=secret_hash,
            created_at=self.scope.clock(),
            revoked_at=None,
            rehearsal=rehearsal,
        )
        fresh = self.scope.add_new(
            tables.client,
            id=made.id,
            name=name,
            prefix=prefix,
            secret_hash=secret_hash,
            created_at=made.created_at,
            rehearsal=rehearsal,
        )
        if not fresh:
            raise duplicate(f"the client name '{name}' or its prefix is taken")
        return made

    def find(self, prefix: str) -> Client | None:
        """The client that may come in with this key's prefix, of any site for a unit without
        one.
        """
        found = [Client(*row) for row in self.scope.ask(_BY_PREFIX, prefix=prefix)]
        here = self.scope.site
        return next((one for one in found if here in (None, one.site_id)), None)

    def revoke(self, name: str) -> str:
        """For good; the client's id. A client that is revoked already keeps its time."""
        client = tables.client.c
        held = self.scope.select(tables.client, Client).where(client.name == name)
        found: Client = self.scope.only(Client, held, f"client as '{name}'")
        if found.revoked_at is None:
            revoked = self.scope.update(tables.client).where(client.name == name)
            self.scope.affected(revoked.values(revoked_at=self.scope.clock()))
        return found.id

    def all(self) -> list[Client]:
        rows = self.scope.select(tables.client, Client)
        return self.scope.many(Client, rows.order_by(tables.client.c.name))


@dataclass(frozen=True, slots=True)
class _Sealed:
    id: str
    name: str
    base_url: str
    auth_kind: str
    auth_cipher: bytes | None
    options: Mapping[str, Any]
    login: Mapping[str, Any]
    learned: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Connections:
    scope: Scope

    def add(
        self,
        name: str,
        base_url: str,
        *,
        auth_kind: str = "none",
        secret: str | None = None,
        login: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Connection:
        """The secret is sealed for this site and this connection."""
        id, now = self.scope.ids(), self.scope.clock()
        kept, set_of = dict(login or {}), dict(options or {})
        cipher = self._sealed(id, secret)
        fresh = self.scope.add_new(
            tables.connection,
            id=id,
            name=name,
            base_url=base_url,
            auth_kind=auth_kind,
            auth_cipher=cipher,
            options=set_of,
            login=kept,
            learned={},
            created_at=now,
        )
        if not fresh:
            raise duplicate(f"there is a connection '{name}' already")
        return Connection(id, name, base_url, auth_kind, now, secret, set_of, kept)

    def set_options(self, connection_id: str, options: Mapping[str, Any]) -> None:
        """In the place of those before; raises `BridgeError` where there is no such connection."""
        self._change(connection_id, options=dict(options))

    def set_login(self, connection_id: str, login: Mapping[str, Any], *, secret: str) -> None:
        """How we log in from now on, with the secret that belongs to it."""
        cipher = self._sealed(connection_id, secret)
        self._change(connection_id, login=dict(login), auth_cipher=cipher)

    def learn(self, connection_id: str, learned: Mapping[str, Any]) -> None:
        """What a check has seen of the server."""
        self._change(connection_id, learned=dict(learned))

    def published(self, connection_id: str) -> Mapping[str, Any] | None:
        """Its login, of any site for a unit without one: who signs shows public keys to all."""
        connection = tables.connection.c
        found = select(connection.login).where(connection.id == connection_id)
        if self.scope.site is not None:
            found = found.where(connection.site_id == self.scope.site)
        row = self.scope.connection.execute(found).one_or_none()
        return None if row is None else row.login

    def _change(self, connection_id: str, **values: Any) -> None:
        named = tables.connection.c.id == connection_id
        changed = self.scope.update(tables.connection).where(named)
        if not self.scope.affected(changed.values(**values)):
            raise not_found("connection")

    def _sealed(self, connection_id: str, secret: str | None) -> bytes | None:
        if secret is None:
            return None
        return self.scope.vault.seal(secret.encode(), place=self._place(connection_id))

    def by_name(self, name: str) -> Connection:
        rows = self.scope.select(tables.connection, _Sealed)
        found = self.scope.one(_Sealed, rows.where(tables.connection.c.name == name))
        if found is None:
            known = self.scope.many(_Sealed, rows.order_by(tables.connection.c.name))
            raise not_found(f"connection as '{name}'", _known([row.name for row in known]))
        return self._opened(found)

    def by_id(self, connection_id: str) -> Connection | None:
        rows = self.scope.select(tables.connection, _Sealed)
        found = self.scope.one(_Sealed, rows.where(tables.connection.c.id == connection_id))
        return None if found is None else self._opened(found)

    def all(self) -> list[Connection]:
        rows = self.scope.select(tables.connection, _Sealed).order_by(tables.connection.c.name)
        return [self._opened(row) for row in self.scope.many(_Sealed, rows)]

    def _opened(self, row: _Sealed) -> Connection:
        secret = None
        if row.auth_cipher is not None:
            secret = self.scope.vault.unseal(row.auth_cipher, place=self._place(row.id)).decode()
        return Connection(
            row.id,
            row.name,
            row.base_url,
            row.auth_kind,
            row.created_at,
            secret,
            row.options,
            row.login,
            row.learned,
        )

    def _place(self, connection_id: str) -> str:
        return f"connection:{self.scope.site_id}:{connection_id}"


def _known(names: list[str]) -> str:
    return f"use one of {', '.join(names)}" if names else "add it first"
