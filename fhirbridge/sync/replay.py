"""Replay: messages of which something waits are read again, with today's mappings and enrolments.

A rehearsal is the same code, rolled back: it tells the difference that the replay would make. One
transaction a message; one that fails does not stop the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from fhirbridge.mapping.spec import MappingSet
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.audit import COMMAND_LINE
from fhirbridge.registry.messages import Held
from fhirbridge.registry.receipts import Receipt
from fhirbridge.registry.store import Registry
from fhirbridge.registry.unit import Unit
from fhirbridge.sync import ingest

Mappings = Callable[[Unit], MappingSet]
Units = Callable[[], AbstractContextManager[Unit]]
Tell = Callable[["Outcome"], None]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which messages: all of which something waits, those where it waits for one of the causes
    (categories of issues), where it waits for one of the codes (`system|code`), or those named.
    What is given several ways must fit each of them. `after` leaves out what waits as long as that
    message or longer.
    """

    causes: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    messages: tuple[str, ...] = ()
    after: str = ""

    def fits(self, held: Held) -> bool:
        by_cause = any(issue.category in self.causes for issue in held.issues)
        by_code = any(_names(issue, code) for issue in held.issues for code in self.codes)
        return (by_cause or not self.causes) and (by_code or not self.codes)


def _names(issue: Issue, code: str) -> bool:
    """A cause begins with the codes that it is about, several of them divided by commas."""
    return re.search(rf"(?:^|, ){re.escape(code)}[ ,]", issue.cause) is not None


@dataclass(frozen=True, slots=True)
class EntryChange:
    """What became of a part of a message before and after; None where it was no part."""

    position: int
    part: int
    resource_type: str | None
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class FieldChange:
    record_id: str
    form: str
    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """One message: its new receipt with the difference, or why it could not be read."""

    message_id: str
    receipt: Receipt | None
    entries: tuple[EntryChange, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """`waited` and `waits` count what waits at the site before and after; after a rehearsal they
    are equal. `left` were selected, too, and are beyond the number that was to be read."""

    outcomes: tuple[Outcome, ...]
    waited: int
    waits: int
    left: int = 0

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(one for one in self.outcomes if one.issues)


def replay(
    registry: Registry,
    site_id: str,
    mappings: Mappings,
    selection: Selection,
    *,
    actor: str = COMMAND_LINE,
    rehearse: bool = False,
    most: int | None = None,
    tell: Tell = lambda outcome: None,
    request_id: str | None = None,
    units: Units | None = None,
) -> Report:
    """Raises `BridgeError` (not-found) for a message that is not there, before any is read. `units`
    opens the transactions of whoever may write only while a lease is held."""
    with registry.read(site_id) as unit:
        waited = unit.quarantine.count_waiting()
        chosen = selected(unit, selection)
    outcomes = []
    by = _By(units or partial(registry.unit, site_id, request_id=request_id), actor)
    for message_id in chosen[:most]:
        made = _message(by, mappings, message_id, rehearse=rehearse)
        outcomes.append(made)
        tell(made)
    with registry.read(site_id) as unit:
        waits = unit.quarantine.count_waiting()
    return Report(tuple(outcomes), waited, waits, len(chosen) - len(outcomes))


def selected(unit: Unit, selection: Selection) -> list[str]:
    """The ids, the longest waiting first."""
    for message_id in selection.messages:
        if unit.messages.get(message_id) is None:
            cause = "there is no message with this id"
            raise BridgeError(Issue("not-found", cause, "see 'fhirbridge quarantine list'"))
    waiting = unit.quarantine.waiting(limit=1_000_000)
    mark = _mark(unit, selection.after) if selection.after else None
    fitting = dict.fromkeys(
        held.message_id
        for held in waiting
        if selection.fits(held) and (mark is None or _place(held) > mark)
    )
    if not selection.messages:
        return list(fitting)
    if not (selection.causes or selection.codes or selection.after):
        return list(dict.fromkeys(selection.messages))
    return [id for id in fitting if id in selection.messages]


def _place(held: Held) -> tuple[datetime, str]:
    return held.created_at, held.message_id


def _mark(unit: Unit, message_id: str) -> tuple[datetime, str]:
    """Where the message stood among those that wait, which it need not do any more."""
    places = [_place(held) for held in unit.quarantine.of_message(message_id)]
    if not places:
        cause = "no message with this id waits or has waited"
        raise BridgeError(Issue("not-found", cause, "take it from 'next' of the answer before"))
    return min(places)


@dataclass(frozen=True, slots=True)
class _By:
    """In whose name the messages are read, and in which transactions."""

    unit: Units
    actor: str


def _message(by: _By, mappings: Mappings, message_id: str, *, rehearse: bool) -> Outcome:
    try:
        with by.unit() as unit:
            made = _worked_off(unit, mappings(unit), message_id, by.actor)
            if not rehearse:
                unit.commit()
        if rehearse:
            _note(by, made)
    except BridgeError as fault:
        return Outcome(message_id, None, issues=fault.issues)
    return made


def _note(by: _By, made: Outcome) -> None:
    """Nothing of a rehearsal is kept; that somebody saw what it says is."""
    entries = made.receipt.entries if made.receipt else ()
    subjects = sorted({entry.subject_id for entry in entries if entry.subject_id})
    told = {"message": made.message_id, "subjects": subjects}
    with by.unit() as unit:
        unit.audit.note("R", "rehearse", actor=by.actor, entities=told)
        unit.commit()


def _worked_off(unit: Unit, mappings: MappingSet, message_id: str, actor: str) -> Outcome:
    message = unit.messages.get(message_id)
    before = unit.receipts.of_message(message_id)
    if message is None or before is None:
        raise BridgeError(Issue("not-found", "the message is gone", "nothing to do"))
    began = unit.now()
    base = base_of(unit, message.source)
    after = ingest.replay(unit, mappings, message, actor=actor, base=base)
    changes = tuple(_changes(unit, after, began))
    return Outcome(message_id, after, tuple(_differences(before, after)), changes)


def base_of(unit: Unit, source: str) -> str:
    """The server that a pulled page's relative references mean."""
    kind, _, name = source.partition(":")
    return unit.connections.by_name(name).base_url.rstrip("/") if kind == "connection" else ""


def _differences(before: Receipt, after: Receipt) -> Iterator[EntryChange]:
    old, new = _fates(before), _fates(after)
    for position, part in sorted({*old, *new}):
        was, type_was = old.get((position, part), (None, None))
        now, type_now = new.get((position, part), (None, None))
        if was != now:
            yield EntryChange(position, part, type_now or type_was, was, now)


def _fates(receipt: Receipt) -> Mapping[tuple[int, int], tuple[str, str | None]]:
    return {(e.position, e.part): (e.fate, e.resource_type) for e in receipt.entries}


def _changes(unit: Unit, after: Receipt, began: datetime) -> Iterator[FieldChange]:
    """By the revisions that this replay wrote."""
    for record_id in dict.fromkeys(e.record_id for e in after.entries if e.record_id):
        record = unit.records.get(record_id)
        for revision in unit.records.revisions(record_id):
            if record and revision.message_id == after.message_id and revision.at >= began:
                for name, (old, new) in revision.changes.items():
                    yield FieldChange(record_id, record.form, name, old, new)
