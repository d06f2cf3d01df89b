"""What a run knows of the server before it asks for anybody: types, increments, its clock.

By its CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html) and the Date header
beside it; a server that gives none of it is asked for all, and in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from fhirbridge.outcome import BridgeError
from fhirbridge.servers.client import Answer, Server
from fhirbridge.sync.offered import listed

_LAST = "_lastUpdated"


@dataclass(frozen=True, slots=True)
class Asked:
    """`types` that it lists (None: it does not say); `stamped` those that it can search by
    `_lastUpdated`; `recorded` those with a `_history` of the type. `moment` is the server's time,
    `drift` the seconds by which its clock is ahead of ours.
    """

    types: frozenset[str] | None = None
    stamped: frozenset[str] = frozenset()
    recorded: frozenset[str] = frozenset()
    moment: datetime | None = None
    drift: int | None = None


def ask(server: Server) -> Asked:
    """One request; whether the server lives at all, the searches tell."""
    try:
        answer = server.capability()
    except BridgeError:
        return Asked()
    moment = date_of(answer)
    drift = round((moment - server.clock()).total_seconds()) if moment else None
    body = answer.body if answer.status < 400 else None
    if body is None:
        return Asked(moment=moment, drift=drift)
    sides = [one for one in _objects(body.get("rest")) if one.get("mode") in ("server", None)]
    resources = [one for side in sides for one in _objects(side.get("resource"))]
    everywhere = any(_names(side) for side in sides)
    filters = server.quirks.last_updated and _LAST not in server.quirks.ignores
    return Asked(
        types=listed(body),
        stamped=frozenset(_type(r) for r in resources if filters and (everywhere or _names(r))),
        recorded=frozenset(_type(r) for r in resources if "history-type" in {*_codes(r)}),
        moment=moment,
        drift=drift,
    )


def date_of(answer: Answer) -> datetime | None:
    """The server's time by the answer's Date header."""
    try:
        moment = parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def _names(holder: Mapping[str, Any]) -> bool:
    return any(one.get("name") == _LAST for one in _objects(holder.get("searchParam")))


def _codes(resource: Mapping[str, Any]) -> Iterator[str]:
    yield from (str(one.get("code")) for one in _objects(resource.get("interaction")))


def _type(resource: Mapping[str, Any]) -> str:
    return str(resource.get("type"))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
