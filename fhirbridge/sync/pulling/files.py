"""The files of an export: whole or not, and their lines, taken some at a time with flat memory.

What is of nobody who is enrolled is left out line by line, before anything is kept.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO

import msgspec

from fhirbridge.formats import judged_json, ndjson
from fhirbridge.outcome import BridgeError, Issue
from fhirbridge.registry.unit import Unit
from fhirbridge.servers.bulk import unpacked
from fhirbridge.sync.pulling.joined import known, links
from fhirbridge.sync.pulling.others import Cohort
from fhirbridge.sync.pulling.round import Place, Round, Taken, repeated
from fhirbridge.sync.source import remarks

_LINES = 200  # of one message
_BYTES = 8 << 20
LINKED = "linked"  # a fact of a run
_LOOK = 500  # lines that are looked through at once


class _Head(msgspec.Struct):
    resourceType: str


_head = msgspec.json.Decoder(_Head).decode


def lines_of(spool: BinaryIO) -> Iterator[ndjson.Line]:
    """Those that hold something."""
    chunks = unpacked(spool)
    for line in ndjson.lines(lambda _: next(chunks, b"")):
        if line.raw or any(issue.severity == "error" for issue in line.issues):
            yield line


def rejected(spool: BinaryIO, kind: str, count: int | None) -> Issue | None:
    """Why the file is not what the manifest says: a line that is cut or of another type
    (structure), or another number of lines (conflict). None: it is."""
    number = 0
    try:
        for line in lines_of(spool):
            number += 1
            if line.issues and not line.raw:
                return _wrong(f"line {line.number}: {line.issues[0].cause}")
            if _type(line.raw) != kind:
                return _wrong(f"line {line.number} of the file is no whole {kind}")
    except BridgeError as fault:
        return fault.issues[0]
    if count is not None and count != number:
        cause = f"the file has {number} lines, and the manifest says {count}"
        return Issue("conflict", cause, "show this to the hospital's IT")
    return None


def _type(raw: bytes) -> str:
    try:
        return _head(raw).resourceType
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _loosely(raw: bytes) -> Any:
    """What the line says, also where it is read no further: of whom it is has to be seen."""
    try:
        return judged_json.parse(raw)
    except BridgeError:
        return json.loads(raw)


def _wrong(cause: str) -> Issue:
    return Issue("structure", cause, "have the export made anew")


def tombstones(spool: BinaryIO) -> Iterator[tuple[str, str]]:
    """Type and id of what the Bundles of a `deleted` file say is deleted."""
    for line in lines_of(spool):
        for entry in judged_json.parse(line.raw).get("entry") or ():
            request = entry.get("request") if isinstance(entry, Mapping) else None
            if isinstance(request, Mapping) and request.get("method") == "DELETE":
                kind, divided, id = str(request.get("url", "")).rpartition("/")
                if divided:
                    yield kind.rpartition("/")[2], id


def remarks_of(spool: BinaryIO) -> Iterator[tuple[str, str]]:
    """Severity and text of every issue of a file of OperationOutcomes."""
    for line in lines_of(spool):
        for issue in judged_json.parse(line.raw).get("issue") or ():
            if isinstance(issue, Mapping):
                yield str(issue.get("severity")), "; ".join(remarks({"issue": [issue]}))


@dataclass
class Lines:
    """One file from the line `begin` on (lines before it were taken)."""

    round: Round
    spool: BinaryIO
    stream: str
    kind: str
    begin: int = 0
    held: list[tuple[bytes, Any]] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)
    linked: set[str] = field(default_factory=set)
    """Study ids of those whose Patients are linked to others, or were."""
    size: int = 0
    foreign: int = 0

    def take(self) -> set[tuple[str, str]]:
        """Types and ids of what was kept."""
        number, looked = 0, []
        for number, line in enumerate(lines_of(self.spool), start=1):
            if number > self.begin:
                looked.append(line.raw)
            if len(looked) >= _LOOK:
                self.look(looked)
                looked.clear()
                self.store(number, all=False)
        self.look(looked)
        self.store(number, all=True)
        return self.seen

    def look(self, raws: list[bytes]) -> None:
        """Keep of these lines what is of the cohort."""
        with self.round.hospital.reading() as unit:
            cohort = Cohort(self.round.whose(unit))
            for raw in raws:
                resource = _loosely(raw)
                if cohort.others(resource):
                    self.foreign += 1
                    continue
                subjects = cohort.subjects(resource)
                if self.kind == "Patient":
                    for one in subjects:
                        if any(links(resource)) or known(unit, self.round.run.connection_id, one):
                            self.linked.add(one.study_id)
                # Who somebody is has to be settled first; the run is incomplete for it.
                if self.kind == "Patient" or not any(
                    one.study_id in self.round.unsure for one in subjects
                ):
                    self.held.append((raw, resource))
                    self.size += len(raw)

    def store(self, number: int, *, all: bool) -> None:
        """What is held, in pieces; Patients all at once, so that two of one person are seen
        together. The cursor moves when nothing is held any more."""
        while self.held and (all or len(self.held) >= _LINES or self.size >= _BYTES):
            if self.kind == "Patient" and not all:
                return
            piece = self.held if self.kind == "Patient" else self.held[:_LINES]
            self.held = self.held[len(piece) :]
            self.size = sum(len(raw) for raw, _ in self.held)
            last = not self.held
            at = number if last else None
            self.piece(piece, at, done=all and last)
        if all and not self.ended:
            self.end(number)

    ended: bool = False

    def piece(self, piece: list[tuple[bytes, Any]], number: int | None, *, done: bool) -> None:
        def body(unit: Unit, foreign: Collection[int]) -> bytes:
            return b"\n".join(raw for at, (raw, _) in enumerate(piece) if at not in foreign)

        place = Place(
            self.stream,
            "done" if done else "open",
            None,
            self.begin if number is None else number,
        )
        resources = {at: resource for at, (_, resource) in enumerate(piece)}
        also = partial(self.strangers, self.foreign)
        taken = self.round.take("ndjson", resources, body, place, also=also)
        self.seen |= taken.here
        self.foreign, self.ended = 0, done
        self.begin = place.page

    def strangers(self, foreign: int, unit: Unit, taken: Taken) -> None:
        if foreign:
            unit.runs.add_counts(self.round.run.id, {"foreign": foreign})
        if self.linked:  # a run that is taken up does not look through these lines again
            run = unit.runs.get(self.round.run.id)
            told = {*(run.facts if run else {}).get(LINKED, ())}
            told |= {f"{study_id}: linked" for study_id in self.linked}
            unit.runs.tell(self.round.run.id, {LINKED: sorted(told)})

    def end(self, number: int) -> None:
        """Nothing of the file's end was to be kept."""

        def store() -> None:
            with self.round.hospital.unit() as unit:
                if self.foreign:
                    unit.runs.add_counts(self.round.run.id, {"foreign": self.foreign})
                self.round.put(unit, Place(self.stream, "done", None, number))
                unit.commit()

        repeated(store)
        self.ended = True
