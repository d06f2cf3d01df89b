"""Sync runs, the cursors that say how far each stream of a run has come, and how far the streams
have been read over all runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select

from fhirbridge.registry import tables
from fhirbridge.registry.gathered import portions
from fhirbridge.registry.scope import Scope, conflict, not_found

RunKind = Literal["pull", "deliver"]
RunState = Literal["running", "complete", "incomplete", "failed"]


@dataclass(frozen=True, slots=True)
class Run:
    id: str
    connection_id: str
    kind: RunKind
    state: RunState
    counts: Mapping[str, int]
    reasons: tuple[str, ...]
    started_at: datetime
    ended_at: datetime | None
    facts: Mapping[str, Any] = field(default_factory=dict)  # what the run found out, as JSON


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a stream of a connection was read: by the server's clock all until `since`;
    `full_at` and `full_in` are time and run of the last complete reading of all of it.
    """

    connection_id: str
    stream: str
    since: datetime | None
    full_at: datetime | None
    full_in: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """`next_url` is the page to ask for next; None before the first one and when done."""

    run_id: str
    stream: str
    state: Literal["open", "done"]
    next_url: str | None
    page: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Runs:
    scope: Scope

    def start(self, connection_id: str, kind: RunKind) -> Run:
        """Raises `BridgeError` (conflict) while another run of this kind goes on there."""
        made = Run(
            self.scope.ids(), connection_id, kind, "running", {}, (), self.scope.clock(), None
        )
        values = {name: getattr(made, name) for name in Run.__slots__}
        if not self.scope.add_new(tables.sync_run, **values):
            raise conflict(
                f"a {kind} run of this connection is going on", "take it up, or wait for its end"
            )
        return made

    def open(self, connection_id: str, kind: RunKind) -> Run | None:
        """The run that goes on, or that a crash left behind."""
        return self.latest(connection_id, kind, state="running")

    def latest(self, connection_id: str, kind: RunKind, *, state: RunState) -> Run | None:
        run = tables.sync_run.c
        named = (run.connection_id == connection_id, run.kind == kind, run.state == state)
        rows = self._rows().where(*named).order_by(run.started_at.desc(), run.id).limit(1)
        return self.scope.one(Run, rows)

    def ended_since(self, connection_id: str, kind: RunKind, moment: datetime) -> Run | None:
        """The last one that came to its end since then."""
        run = tables.sync_run.c
        named = (run.connection_id == connection_id, run.kind == kind, run.ended_at >= moment)
        rows = self._rows().where(*named).order_by(run.ended_at.desc(), run.id).limit(1)
        return self.scope.one(Run, rows)

    def get(self, run_id: str) -> Run | None:
        return self.scope.one(Run, self._rows().where(tables.sync_run.c.id == run_id))

    def add_counts(self, run_id: str, counts: Mapping[str, int]) -> Run:
        """Added to what the run has counted; one unit after the other, so that no count is lost."""
        rows = self._rows().where(tables.sync_run.c.id == run_id).with_for_update(key_share=True)
        before = self.scope.only(Run, rows, "sync run")
        sums = Counter(before.counts)
        sums.update(counts)
        return self._change(run_id, counts=dict(sums))

    def tell(self, run_id: str, facts: Mapping[str, Any]) -> Run:
        """Added to what the run has found out; what it knew under the same name is replaced."""
        rows = self._rows().where(tables.sync_run.c.id == run_id).with_for_update(key_share=True)
        before = self.scope.only(Run, rows, "sync run")
        return self._change(run_id, facts={**before.facts, **facts})

    def finish(
        self,
        run_id: str,
        state: Literal["complete", "incomplete", "failed"],
        counts: Mapping[str, int],
        reasons: Sequence[str] = (),
    ) -> Run:
        """Ends the run with these counts as its final ones."""
        return self._change(
            run_id,
            state=state,
            counts=dict(counts),
            reasons=tuple(reasons),
            ended_at=self.scope.clock(),
        )

    def _change(self, run_id: str, **values: Any) -> Run:
        named = tables.sync_run.c.id == run_id
        changed = self.scope.update(tables.sync_run).where(named).values(**values)
        if not self.scope.affected(changed):
            raise not_found("sync run")
        return self.scope.only(Run, self._rows().where(named), "sync run")

    def _rows(self) -> Select[Any]:
        return self.scope.select(tables.sync_run, Run)


_STREAM = ("run_id", "stream")
_TOLD = ("state", "next_url", "page", "updated_at")


@dataclass(frozen=True, slots=True)
class Cursors:
    scope: Scope

    def put(
        self,
        run_id: str,
        stream: str,
        *,
        state: Literal["open", "done"],
        next_url: str | None,
        page: int,
    ) -> Cursor:
        made = Cursor(run_id, stream, state, next_url, page, self.scope.clock())
        values = {name: getattr(made, name) for name in Cursor.__slots__}
        self.scope.put(tables.cursor, once=_STREAM, told=_TOLD, **values)
        return made

    def ended(self, run_id: str, pages: Mapping[str, int]) -> None:
        """These streams are done, with so many pages each."""
        now = self.scope.clock()
        made = (Cursor(run_id, stream, "done", None, n, now) for stream, n in sorted(pages.items()))
        rows = [{name: getattr(one, name) for name in Cursor.__slots__} for one in made]
        self.scope.put_many(tables.cursor, rows, once=_STREAM, told=_TOLD)

    def among(self, run_id: str, streams: Collection[str]) -> dict[str, Cursor]:
        """Those of these streams that have one."""
        found: list[Cursor] = []
        for some in portions(streams):
            found += self.scope.rows(tables.cursor, Cursor, run_id=run_id, stream=some)
        return {row.stream: row for row in found}

    def of_run(self, run_id: str) -> dict[str, Cursor]:
        """By stream."""
        cursor = tables.cursor.c
        rows = self.scope.select(tables.cursor, Cursor).where(cursor.run_id == run_id)
        found = self.scope.many(Cursor, rows.order_by(cursor.stream))
        return {row.stream: row for row in found}


@dataclass(frozen=True, slots=True)
class Readings:
    scope: Scope

    def get(self, connection_id: str, stream: str) -> Reading | None:
        named = {"connection_id": connection_id, "stream": stream}
        return self.scope.row(tables.reading, Reading, **named)

    def among(self, connection_id: str, streams: Collection[str]) -> dict[str, Reading]:
        """Those of these streams that were read before."""
        found: list[Reading] = []
        for some in portions(streams):
            found += self.scope.rows(
                tables.reading, Reading, connection_id=connection_id, stream=some
            )
        return {row.stream: row for row in found}

    def beginning(self, connection_id: str, text: str) -> list[Reading]:
        """Those of the connection whose stream begins so, in order."""
        reading = tables.reading.c
        rows = self.scope.select(tables.reading, Reading).where(
            reading.connection_id == connection_id, reading.stream.startswith(text, autoescape=True)
        )
        found = self.scope.many(Reading, rows.order_by(reading.stream))
        return [one for one in found if one.stream.startswith(text)]  # SQLite minds no case

    def put(
        self,
        connection_id: str,
        stream: str,
        *,
        since: datetime | None,
        full_at: datetime | None = None,
        full_in: str | None = None,
    ) -> None:
        """`full_at` and `full_in` stay as they were where they are not given."""
        now = self.scope.clock()
        self.put_many([Reading(connection_id, stream, since, full_at, full_in, now)])

    def put_many(self, readings: Sequence[Reading]) -> None:
        rows = [{name: getattr(one, name) for name in Reading.__slots__} for one in readings]
        self.scope.put_many(
            tables.reading,
            rows,
            once=("connection_id", "stream"),
            told=("since", "updated_at"),
            kept=("full_at", "full_in"),
        )
