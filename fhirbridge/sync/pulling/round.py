"""One run at work: what is taken goes through the one door in, and its cursor with it.

A piece (a page, some lines of a file) and the cursor behind it are one transaction, which is
repeated where the database let it collide with another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from fhirbridge.crash import Crash
from fhirbridge.formats import fhir_json
from fhirbridge.options import ConnectionOptions
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.faults import Collision
from fhirbridge.registry.receipts import Receipt, ReceiptEntry
from fhirbridge.registry.runs import Cursor, Reading, Run
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.client import Page
from fhirbridge.sync.consent import Gate
from fhirbridge.sync.hospital import Hospital
from fhirbridge.sync.ingest import FATES, Incoming, ingest
from fhirbridge.sync.pulling import others
from fhirbridge.sync.pulling.asked import Asked
from fhirbridge.sync.pulling.others import Cohort
from fhirbridge.sync.pulling.streams import Streams
from fhirbridge.sync.pulling.unchanged import Unchanged
from fhirbridge.sync.source import remarks
from fhirbridge.sync.whose import Whose

Tell = Callable[[str], None]
Made = TypeVar("Made")
_TRIES = 3


def repeated(store: Callable[[], Made], *, tries: int = _TRIES) -> Made:
    """What `store` gives; where it collides with another transaction, it is tried again."""
    for _ in range(tries - 1):
        try:
            return store()
        except Collision:
            continue
    return store()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece leaves its stream."""

    stream: str
    state: Literal["open", "done"]
    next_url: str | None
    page: int


@dataclass(frozen=True, slots=True)
class Taken:
    """`here` are the types and ids that are of the study, `foreign` how many resources of others
    were left out; `faults` the errors that the server told beside its answer. What was read of it
    is in a message; where there was nothing to read, there is none. `same` are the fates of those
    that came as they were read before, by name."""

    here: frozenset[tuple[str, str]] = frozenset()
    foreign: int = 0
    faults: tuple[str, ...] = ()
    same: Mapping[str, str] = field(default_factory=dict)
    message_id: str = ""
    entries: tuple[ReceiptEntry, ...] = ()


@dataclass
class Round:
    """`full`: all is read once more, whatever was read before. `unsure`: study ids of whom no
    Patient is surely known."""

    hospital: Hospital
    run: Run
    size: int
    asked: Asked = field(default_factory=Asked)
    full: bool = False
    crash: Crash = field(default_factory=Crash)
    tell: Tell = lambda line: None
    tell_each: Tell = lambda line: None
    reasons: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)
    unresolved: list[str] = field(default_factory=list)
    """Messages of this run in which something refers to what came later, or never."""
    streams: Streams = field(init=False)

    def __post_init__(self) -> None:
        self.streams = Streams(self.hospital, self.run)

    @property
    def options(self) -> ConnectionOptions:
        return self.hospital.options

    def since(self) -> datetime | None:
        """The server's clock when the run began, less the overlap."""
        if self.asked.moment is None:
            return None
        return self.asked.moment - timedelta(seconds=self.options.overlap)

    def cursor(self, stream: str) -> Cursor | None:
        return self.streams.cursor(stream)

    def done(self, stream: str) -> bool:
        cursor = self.cursor(stream)
        return cursor is not None and cursor.state == "done"

    def reason(self, told: str) -> None:
        if told not in self.reasons:
            self.reasons.append(told)

    def remark(self, told: str) -> None:
        if told not in self.remarks:
            self.remarks.append(told)

    def page(
        self,
        page: Page,
        place: Place,
        *,
        also: Callable[[Unit, Taken], None] | None = None,
        mark: Callable[[Taken], Reading | None] | None = None,
    ) -> Taken:
        """`also` is done in the same transaction, after it was taken, and what it says of the
        reading of its stream is written."""
        entries = others.entries(page.bundle)
        resources = {at: others.resource_of(entry) for at, entry in enumerate(entries)}

        def body(unit: Unit, foreign: Collection[int]) -> bytes:
            return fhir_json.dump(others.without(page.bundle, foreign)) if foreign else page.raw

        return self.take("page", resources, body, place, also=also, mark=mark)

    def take(
        self,
        kind: str,
        resources: Mapping[int, Any],
        body: Callable[[Unit, Collection[int]], bytes],
        place: Place,
        *,
        also: Callable[[Unit, Taken], None] | None = None,
        mark: Callable[[Taken], Reading | None] | None = None,
    ) -> Taken:
        """One piece: its resources by position, and its bytes without those at some positions."""

        refused: list[Issue] = []

        def store() -> Taken:
            refused.clear()
            with self.streams.unit() as unit:
                taken, issues = self.taken(unit, kind, resources, body)
                refused.extend(issues)
                if not refused:
                    self.put(unit, place)
                    if also is not None:
                        also(unit, taken)
                    if mark is not None and (read := mark(taken)):
                        unit.readings.put_many([read])
                unit.commit()
                return taken

        if resources or place.state == "open" or also is not None:
            taken = repeated(store)
        else:
            taken = Taken()
            self.streams.later(place.stream, place.page, mark(taken) if mark is not None else None)
        for name, fate in taken.same.items():
            self.tell_each(f"{name}: {fate}, as before")
        for entry in taken.entries:
            self.tell_each(_line(entry))
        told = (issue for entry in taken.entries for issue in entry.issues)
        if any(issue.category == "not-found" for issue in told):
            self.unresolved.append(taken.message_id)
        if taken.foreign:
            self.tell(f"{place.stream}: {taken.foreign} resources of persons who are not asked for")
        self.crash.reach("pull.after-page")
        if refused:  # the cursor stays before it
            raise BridgeError(*refused)
        return taken

    def taken(
        self,
        unit: Unit,
        kind: str,
        resources: Mapping[int, Any],
        body: Callable[[Unit, Collection[int]], bytes],
    ) -> tuple[Taken, tuple[Issue, ...]]:
        """What is of the study goes through the one door in; the issues of a message that was
        refused as a whole."""
        hospital, cohort = self.hospital, Cohort(self.whose(unit))
        foreign = {at for at, one in resources.items() if cohort.others(one)}
        own = {at: one for at, one in resources.items() if at not in foreign}
        unchanged = Unchanged(unit, hospital.mappings, hospital.source, Gate(cohort.whose))
        same = {} if self.full else unchanged.among(own)
        new = [one for at, one in own.items() if at not in same]
        taken = Taken(_names(own.values()), len(foreign), tuple(_faults(new)))
        taken = replace(taken, same={_named(own[at]): fate for at, fate in same.items()})
        counted = Counter({"pages": 1, **({"foreign": taken.foreign} if foreign else {})})
        counted.update(_of_same(own, same))
        issues: tuple[Issue, ...] = ()
        if new:
            key = f"{self.run.id}:{unit.new_id()}"
            left = body(unit, foreign | same.keys())
            incoming = Incoming(hospital.source, kind, key, left, hospital.base)
            done = ingest(unit, hospital.mappings, incoming)
            receipt = done.receipt
            taken = replace(taken, message_id=receipt.message_id, entries=receipt.entries)
            counted.update({**receipt.counts, **_by_fate(receipt)})
            issues = receipt.issues if receipt.state == "refused" else ()
            if not issues:
                unchanged.settle(dict(enumerate(new)), receipt.entries, done.leaning)
        unit.runs.add_counts(self.run.id, counted)
        if not issues:
            unit.sightings.see(hospital.source, self.run.id, taken.here)
            self.belong(unit, taken.entries)
        return taken, issues

    def belong(self, unit: Unit, entries: Iterable[ReceiptEntry]) -> None:
        """What waits is known to be the subject's: should it be deleted there, it waits no more."""
        waits: dict[tuple[str, str], set[str]] = {}
        for entry in entries:
            kind, subject, id = entry.resource_type, entry.subject_id, entry.source_id
            if entry.fate == "quarantined" and kind and subject and id and kind != "Patient":
                waits.setdefault((kind, subject), set()).add(id)
        for (kind, subject), ids in waits.items():
            unit.sightings.belong(self.hospital.source, kind, ids, subject)

    def whose(self, unit: Unit) -> Whose:
        hospital = self.hospital
        return Whose(unit, hospital.mappings, hospital.source, hospital.base)

    def put(self, unit: Unit, place: Place) -> None:
        self.streams.moved(place.stream)
        unit.cursors.put(
            self.run.id,
            place.stream,
            state=place.state,
            next_url=place.next_url,
            page=place.page,
        )

    def settle(self) -> None:
        """Write what was to be written with the next piece, where none comes."""

        def store() -> None:
            with self.streams.unit() as unit:
                unit.commit()

        if self.streams.owing:
            repeated(store)


def unserved(fault: BridgeError) -> bool:
    """Whether the run has to stop and be taken up later, as the server cannot serve anybody."""
    return fault.issues[0].category == "transient"


def by_type(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """What became of the resources of each type, from a run's counts."""
    told: dict[str, dict[str, int]] = {}
    for name, number in sorted(counts.items()):
        kind, divided, fate = name.partition("/")
        if divided and fate in FATES:
            told.setdefault(kind, {})[fate] = number
    return told


def _by_fate(receipt: Receipt) -> Counter[str]:
    told = (entry for entry in receipt.entries if entry.part == 0)
    return Counter(f"{entry.resource_type or 'unknown'}/{entry.fate}" for entry in told)


def _named(resource: Mapping[str, Any]) -> str:
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def _of_same(resources: Mapping[int, Any], same: Mapping[int, str]) -> Counter[str]:
    """As a receipt would count them."""
    counted: Counter[str] = Counter()
    for at, fate in same.items():
        counted.update(("received", fate, f"{resources[at]['resourceType']}/{fate}"))
    return counted


def _names(resources: Iterable[Any]) -> frozenset[tuple[str, str]]:
    named = [one for one in resources if isinstance(one, Mapping)]
    pairs = ((one.get("resourceType"), one.get("id")) for one in named)
    return frozenset((t, i) for t, i in pairs if isinstance(t, str) and isinstance(i, str))


def _faults(resources: Iterable[Any]) -> Iterable[str]:
    """The errors among a server's remarks; what it only remarks is told with the entry."""
    for one in resources:
        if isinstance(one, Mapping) and one.get("resourceType") == "OperationOutcome":
            given = one.get("issue")
            for issue in given if isinstance(given, list) else ():
                if isinstance(issue, Mapping) and issue.get("severity") in ("error", "fatal"):
                    yield from remarks({"issue": [issue]})


def _line(entry: ReceiptEntry) -> str:
    """What a resource became, and why not."""
    name = f"{entry.resource_type}/{entry.source_id}: {entry.fate}"
    became = f" -> record {entry.record_id} by {entry.rule}" if entry.record_id else ""
    reasons = "; ".join(issue.sentence() for issue in entry.issues)
    return f"{name}{became}{' because ' + reasons if reasons else ''}"
