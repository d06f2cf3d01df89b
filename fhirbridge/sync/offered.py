"""What a hospital's server says that it can be asked for, by its CapabilityStatement.

A type that it does not have is no fault of a run (https://hl7.org/fhir/R4/capabilitystatement.html);
a statement that says nothing of types forbids nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError
from fhirbridge.servers.client import Server


def wanted(mappings: MappingSet) -> list[str]:
    """The types about a patient that a mapping reads from hospitals; not Patient itself."""
    types = set()
    for mapping in mappings.files.values():
        if mapping.pulled and mapping.patient is not None:
            types |= {mapping.resource, *(inside.resource for inside in mapping.inside)}
    return sorted(types)


def offered(server: Server) -> frozenset[str] | None:
    """The types that the server lists, None where it cannot be known: then all are asked for."""
    try:
        answer = server.capability()
    except BridgeError:  # no statement, or a slow one: whether the server lives, the searches tell
        return None
    return listed(answer.body or {}) if answer.status < 400 else None


def listed(statement: Mapping[str, Any]) -> frozenset[str] | None:
    """The types of a CapabilityStatement, which nobody has judged."""
    types = frozenset(_types(statement))
    return types or None


def not_granted(server: Server, types: Iterable[str]) -> list[str]:
    """Those of the types that our token does not open: narrower scopes than asked were granted.

    May log in. A login that tells nothing of scopes opens all.
    """
    return [name for name in types if not server.granted(name)]


def _types(statement: Mapping[str, Any]) -> Iterator[str]:
    for side in _objects(statement.get("rest")):
        if side.get("mode") in ("server", None):
            for one in _objects(side.get("resource")):
                if isinstance(one.get("type"), str):
                    yield one["type"]


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
