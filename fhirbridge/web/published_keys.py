"""The key by which a client signs, also where the client publishes its keys at a URL.

What was fetched is kept in the database, for all processes: it counts as long as the answer's
Cache-Control says, and whatever comes, there is one fetch a minute for each client at most.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.smart import Published, Signer
from fhirbridge.registry.store import Registry
from fhirbridge.servers import key_sets
from fhirbridge.web import assertions, client_keys, logs

PAUSE = timedelta(minutes=1)
_FETCHING = timedelta(seconds=8)  # that a fetch may take, with all its limits


@dataclass(frozen=True, slots=True)
class KeySource:
    registry: Registry
    private: str  # hosts inside that may be asked

    def find(self, client_id: str, kid: str, jku: str | None) -> Signer | None:
        """Raises `Refused` where `jku` is not the registered URL: before anything is fetched."""
        with self.registry.read() as unit:
            signer = unit.signers.find(client_id, kid)
            published = unit.signers.published(client_id)
            now = unit.now()
        if jku is not None and (published is None or jku != published.url):
            raise assertions.invalid_client("the header's jku is not the registered URL")
        if published is None or (signer and _fresh(published, now)):
            return signer
        if not self._may_fetch(published, now):
            _refuse(published, now)
            return None
        self._learn(published)
        with self.registry.read() as unit:
            known = unit.signers.published(client_id)
            return unit.signers.find(client_id, kid) if known and _fresh(known, now) else None

    def _may_fetch(self, published: Published, now: datetime) -> bool:
        if published.tried_at is not None and published.tried_at > now - PAUSE:
            return False
        with self.registry.unit(published.site_id) as unit:
            mine = unit.signers.try_again(published.client_id, since=now - PAUSE)
            unit.commit()
        return mine

    def _learn(self, published: Published) -> None:
        """A set that cannot be had leaves what is known, as long as that counts."""
        try:
            fetched = key_sets.fetch(published.url, private=self.private)
            keys = client_keys.read(fetched.raw, name="the published JWK Set")
        except BridgeError as fault:
            told = {"site": published.site_id, "category": fault.issues[0].category}
            logs.tell(logging.WARNING, "keys not fetched", **told)
            return
        with self.registry.unit(published.site_id) as unit:
            until = unit.now() + timedelta(seconds=fetched.seconds)
            unit.signers.learn(published.client_id, keys, until=until)
            unit.commit()


def _refuse(published: Published, now: datetime) -> None:
    """Raises `BridgeError` (transient) where another request fetches the keys just now."""
    tried = published.tried_at or now
    if not _fresh(published, now) and tried > now - _FETCHING:
        raise BridgeError(Issue("transient", "the client's keys are being fetched", "ask again"))


def _fresh(published: Published, now: datetime) -> bool:
    return published.fresh_until is not None and published.fresh_until > now
