"""The audit trail of what comes over HTTP and is no push: reading, and being turned away.

Written before the answer goes out: what cannot be told in the trail is not told to the caller,
either, but 503.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from uuid import uuid4

from flask import current_app, g, request

from fhirbridge.registry.audit import Action, Outcome
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.store import Registry
from fhirbridge.registry.unit import Unit
from fhirbridge.web.access import Caller

_REQUEST_ID = re.compile(r"[0-9A-Za-z-]{16,64}")  # a UUID, a ULID, a trace's id; no name
_EXECUTED = frozenset({"search"})  # FHIR's letter for a query is E


def request_id() -> str:
    """What the caller named its request in X-Request-Id, else an id of ours; one a request."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid4())
    told: str = g.request_id
    return told


def read(
    registry: Registry,
    caller: Caller,
    action: str,
    *,
    subjects: Iterable[str] = (),
    resources: Iterable[str] = (),
    outcome: Outcome = "done",
) -> None:
    """`action` is the word (read, vread, history, search, ...); `subjects` are ids of subjects,
    `resources` as TYPE/ID of what was found: never what a URL says, which may be a name.
    """
    told = {"subjects": sorted({*subjects}), "resources": [*resources]}
    letter: Action = "E" if action in _EXECUTED else "R"
    with registry.unit(caller.site_id, request_id=request_id()) as unit:
        unit.audit.note(letter, action, actor=caller.source, outcome=outcome, entities=told)
        unit.commit()


def subjects(unit: Unit, rows: Iterable[ResourceRow]) -> list[str]:
    """Of whom the resources tell, for `read`."""
    return unit.records.subjects({row.record_id for row in rows})


def names(rows: Iterable[ResourceRow]) -> list[str]:
    """The resources, for `read`."""
    return [f"{row.type}/{row.fhir_id}" for row in rows]


def forbidden() -> None:
    """A caller that we know was turned away."""
    registry: Registry = current_app.extensions["fhirbridge"].registry
    caller: Caller | None = g.get("caller")
    if caller is not None:
        with registry.unit(caller.site_id, request_id=request_id()) as unit:
            unit.audit.note("E", "forbidden", actor=caller.source, outcome="refused")
            unit.commit()
