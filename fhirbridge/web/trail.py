"""The audit trail of what comes over HTTP and is no push: reading, and being turned away.

Views say by `shows` what they show; one event tells it before the answer goes out. What cannot be
told in the trail is not told to the caller, either, but 503.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flask import current_app, g, request

from fhirbridge.registry.audit import Action, Outcome
from fhirbridge.registry.crosswalk_lines import CrosswalkLine
from fhirbridge.registry.jobs import Job
from fhirbridge.registry.listings import DeliveryHead, MessageHead, ReceiptHead
from fhirbridge.registry.messages import Held, Message
from fhirbridge.registry.proposals import Proposal
from fhirbridge.registry.receipts import Receipt
from fhirbridge.registry.records import Record
from fhirbridge.registry.resources import ResourceRow
from fhirbridge.registry.store import Registry
from fhirbridge.registry.subjects import Subject
from fhirbridge.registry.unit import Unit
from fhirbridge.web.access import Caller

_Told = Receipt | ReceiptHead | Message | MessageHead
Listed = _Told | Held | Record | Proposal | CrosswalkLine | DeliveryHead | Job
Row = Listed | ResourceRow | Subject
_KINDS: Mapping[type[object], str] = {
    Receipt: "receipts",
    ReceiptHead: "receipts",
    Message: "messages",
    MessageHead: "messages",
    Held: "quarantine",
    Record: "records",
    Proposal: "proposals",
    CrosswalkLine: "crosswalk-additions",
    Job: "jobs",
    DeliveryHead: "deliveries",
}
# What the views of a blueprint are called, as events; FHIR's letter for a query is E.
_EVENTS = {
    "search_by_post": "search",
    "listed": "search",
    "one": "read",
    "body": "read",
    "visits_of": "read",
}
_TURNED_AWAY = frozenset({401, 403, 429})  # told elsewhere, or by the numbers alone


@dataclass(slots=True)
class Shown:
    """Ids of what a request shows, by kind; and of whom that is, or what leads there."""

    ids: dict[str, dict[str, None]] = field(default_factory=dict)
    subjects: set[str] = field(default_factory=set)
    records: set[str] = field(default_factory=set)
    messages: set[str] = field(default_factory=set)

    def name(self, kind: str, id: str) -> None:
        self.ids.setdefault(kind, {})[id] = None

    def take(self, row: Row) -> None:
        if isinstance(row, ResourceRow):
            self.name("resources", f"{row.type}/{row.fhir_id}")
        elif not isinstance(row, Subject):
            self.name(_KINDS[type(row)], row.id)
        if isinstance(row, ResourceRow | Proposal | DeliveryHead):
            self.records.add(row.record_id)
        elif isinstance(row, Record):
            self.subjects.add(row.subject_id)
        elif isinstance(row, Subject):
            self.subjects.add(row.id)
        elif isinstance(row, Receipt):
            self.subjects.update(entry.subject_id for entry in row.entries if entry.subject_id)
        elif isinstance(row, Message):
            self.messages.add(row.id)

    def whose(self, unit: Unit) -> list[str]:
        """The ids of everyone of whom it tells."""
        found = set(self.subjects)
        found.update(unit.records.subjects(self.records) if self.records else ())
        found.update(unit.receipts.subjects(self.messages) if self.messages else ())
        return sorted(found)


def shows(rows: Iterable[Row]) -> None:
    """These are in the answer, or what it is made of."""
    for row in rows:
        _shown().take(row)


def _shown() -> Shown:
    if "shown" not in g:
        g.shown = Shown()
    made: Shown = g.shown
    return made


def read(kind: str, status: int) -> None:
    """The event of this request, where it is a GET or a search, whatever became of it. `kind` is
    what the view shows, told also where that was nothing.

    Raises `BridgeError` where it cannot be told.
    """
    view = (request.endpoint or "").rpartition(".")[2]
    asks = request.method in ("GET", "HEAD") or view == "search_by_post"
    if not asks or "caller" not in g or status in _TURNED_AWAY:
        return
    outcome: Outcome = "failed" if status >= 500 else "refused" if status >= 400 else "done"
    event, shown = _EVENTS.get(view, view), _shown()
    with _registry().unit(g.caller.site_id, request_id=g.request_id) as unit:
        named = {name: [*ids] for name, ids in shown.ids.items()}
        told = {kind: [], "subjects": shown.whose(unit), **named}
        letter: Action = "E" if event == "search" else "R"
        unit.audit.note(letter, event, actor=g.caller.source, outcome=outcome, entities=told)
        unit.commit()


def forbidden() -> None:
    """A caller that we know was turned away."""
    if "caller" in g:
        with _registry().unit(g.caller.site_id, request_id=g.request_id) as unit:
            unit.audit.note("E", "forbidden", actor=g.caller.source, outcome="refused")
            unit.commit()


def refused(registry: Registry, whose: Caller, request_id: str) -> None:
    """A wrong secret came with the prefix of this client's key. Told once the answer has gone, for
    else its time would tell which prefixes there are.
    """
    with registry.unit(whose.site_id, request_id=request_id) as unit:
        unit.audit.note("E", "login-refused", actor=whose.source, outcome="refused")
        unit.commit()


def _registry() -> Registry:
    made: Registry = current_app.extensions["fhirbridge"].registry
    return made
