"""Where the streams of a run stand: asked for together, written with what they brought.

A page without a resource changes nothing but its stream's place: that is written with the next
piece. A crash before it asks for the empty page once more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fhirbridge.registry.runs import Cursor, Reading, Run
from fhirbridge.registry.unit import Unit
from fhirbridge.sync.hospital import Hospital


@dataclass
class Streams:
    """`whole` are the streams of which this process has read all there is, written or not yet."""

    hospital: Hospital
    run: Run
    whole: set[str] = field(default_factory=set)
    _cursors: dict[str, Cursor | None] = field(default_factory=dict)
    _readings: dict[str, Reading | None] = field(default_factory=dict)
    _empty: dict[str, int] = field(default_factory=dict)
    _marks: dict[str, Reading] = field(default_factory=dict)

    def know(self, streams: Collection[str]) -> None:
        """These will be asked for one by one; what was known of others is forgotten."""
        with self.hospital.reading() as unit:
            cursors = unit.cursors.among(self.run.id, streams)
            readings = unit.readings.among(self.run.connection_id, streams)
        self._cursors = {name: cursors.get(name) for name in streams}
        self._readings = {name: readings.get(name) for name in streams}

    def cursor(self, stream: str) -> Cursor | None:
        if stream not in self._cursors:
            with self.hospital.reading() as unit:
                return unit.cursors.among(self.run.id, [stream]).get(stream)
        return self._cursors[stream]

    def reading(self, stream: str) -> Reading | None:
        if stream not in self._readings:
            with self.hospital.reading() as unit:
                return unit.readings.get(self.run.connection_id, stream)
        return self._readings[stream]

    def is_whole(self, stream: str) -> bool:
        """Whether this run has read all that there is of it."""
        if stream in self.whole:
            return True
        known = self.reading(stream)
        return known is not None and known.full_in == self.run.id

    def moved(self, stream: str) -> None:
        """It stands elsewhere now than what is known of it."""
        self._cursors.pop(stream, None)
        self._readings.pop(stream, None)

    def later(self, stream: str, page: int, mark: Reading | None) -> None:
        """Its last page brought nothing: that is written with the next piece, or at the latest when
        the subject is done."""
        self.moved(stream)
        self._empty[stream] = page
        if mark is not None:
            self._marks[stream] = mark

    @property
    def owing(self) -> bool:
        return bool(self._empty)

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """A unit that is committed by who opens it, with what had to be written meanwhile."""
        with self.hospital.unit() as unit:
            if self._empty:
                unit.runs.add_counts(self.run.id, {"pages": len(self._empty)})
                unit.cursors.ended(self.run.id, self._empty)
                unit.readings.put_many([*self._marks.values()])
            yield unit
        self._empty.clear()
        self._marks.clear()
